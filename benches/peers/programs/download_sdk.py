"""azure-storage-blob: downloads every blob into the folder, with a pool of threads."""

from __future__ import annotations

import os
from pathlib import Path

from common import Facts, container_client, examine, options


def main() -> None:
    arguments = options()
    container = container_client(arguments.concurrency)
    root = Path(os.environ["PEERS_FOLDER"])

    def download(name: str) -> Facts:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            container.download_blob(name).readinto(file)
        return {}

    examine(container.list_blob_names(), download, arguments.concurrency, arguments.output)


if __name__ == "__main__":
    main()
