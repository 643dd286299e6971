"""`curl URL | exiftool -` for each image: exiftool reads no URLs. Two processes for each."""

from __future__ import annotations

import subprocess

from common import IMAGES, PROCESSES, Facts, blob_url, examine, listed, options, sampled

EXIFTOOL = ["exiftool", "-fast2", "-n", "-s3", "-IFD0:Orientation", "-"]


def facts(name: str) -> Facts:
    curl = subprocess.Popen(["curl", "-sf", blob_url(name)], stdout=subprocess.PIPE)
    assert curl.stdout is not None
    with curl:
        out = subprocess.run(EXIFTOOL, stdin=curl.stdout, check=True, capture_output=True).stdout
        # So that curl ends when exiftool has read enough.
        curl.stdout.close()
    return {"orientation": int(out) if out.strip() else None}


def main() -> None:
    arguments = options()
    names = sampled(listed(IMAGES), arguments.sample)
    examine(names, facts, PROCESSES, arguments.output)


if __name__ == "__main__":
    main()
