"""fsspec and adlfs with Pillow and PyAV: a script with a pool of threads, which opens blobs as files."""

from __future__ import annotations

import os

from adlfs import AzureBlobFileSystem
from common import IMAGES, Facts, examine, image_facts, options, video_facts

# By default, a block has 50 MiB.
BLOCK = 16 * 1024


def main() -> None:
    arguments = options()
    container = os.environ["PEERS_CONTAINER"]
    file_system = AzureBlobFileSystem(
        connection_string=os.environ["PEERS_CONNECTION_STRING"], max_concurrency=arguments.concurrency
    )
    names = [path.removeprefix(f"{container}/") for path in file_system.find(container)]

    def facts(name: str) -> Facts:
        with file_system.open(f"{container}/{name}", "rb", block_size=BLOCK, cache_type="readahead") as file:
            return image_facts(file) if name.endswith(IMAGES) else video_facts(file)

    examine(names, facts, arguments.concurrency, arguments.output)


if __name__ == "__main__":
    main()
