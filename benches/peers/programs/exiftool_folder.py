"""exiftool on the folder, in one process."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from common import options

TAGS = ["-IFD0:Orientation", "-QuickTime:MajorBrand"]


def main() -> None:
    arguments = options()
    root = Path(os.environ["PEERS_FOLDER"])
    command = ["exiftool", "-r", "-fast2", "-n", "-json", *TAGS, "."]
    report = json.loads(subprocess.run(command, cwd=root, check=True, capture_output=True).stdout)
    with arguments.output.open("w") as out:
        for entry in report:
            name = Path(entry["SourceFile"]).as_posix()
            facts = {"orientation": entry.get("Orientation"), "major_brand": entry.get("MajorBrand")}
            out.write(json.dumps({"name": name, **facts}) + "\n")


if __name__ == "__main__":
    main()
