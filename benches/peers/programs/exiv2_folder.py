"""exiv2 on the images of the folder, many in one process."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from common import IMAGES, files, options

# File names of one command line.
BATCH = 1_000
TAG = "Exif.Image.Orientation"


def orientations(root: Path, names: list[str]) -> dict[str, int]:
    """The orientation of each file that has one."""
    # It exits with 1 when one of the files lacks the tag.
    command = ["exiv2", "-q", "-K", TAG, "-Pkv", *names]
    text = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True).stdout
    found = (line.partition(TAG) for line in text.splitlines())
    # A file that is alone goes without its name.
    return {name.strip() or names[0]: int(value) for name, _, value in found}


def main() -> None:
    arguments = options()
    names = [name for name, _ in files(IMAGES)]
    with arguments.output.open("w") as out:
        for begin in range(0, len(names), BATCH):
            batch = names[begin : begin + BATCH]
            found = orientations(Path(os.environ["PEERS_FOLDER"]), batch)
            out.writelines(json.dumps({"name": name, "orientation": found.get(name)}) + "\n" for name in batch)


if __name__ == "__main__":
    main()
