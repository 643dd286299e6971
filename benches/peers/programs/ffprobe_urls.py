"""ffprobe on the SAS URL of each video, a process for each."""

from __future__ import annotations

import json
import subprocess

from common import PROCESSES, VIDEOS, Facts, blob_url, examine, listed, options, sampled

ENTRIES = "stream=pix_fmt,nb_frames:format_tags=major_brand"
FFPROBE = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", ENTRIES, "-of", "json"]


def facts(name: str) -> Facts:
    out = subprocess.run([*FFPROBE, blob_url(name)], check=True, capture_output=True).stdout
    report = json.loads(out)
    video = report["streams"][0]
    return {
        "major_brand": report["format"].get("tags", {}).get("major_brand"),
        "pixel_format": video.get("pix_fmt"),
        "frames": int(video["nb_frames"]),
    }


def main() -> None:
    arguments = options()
    names = sampled(listed(VIDEOS), arguments.sample)
    examine(names, facts, PROCESSES, arguments.output)


if __name__ == "__main__":
    main()
