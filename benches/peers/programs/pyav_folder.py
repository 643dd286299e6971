"""PyAV on the videos of the folder, in one thread."""

from __future__ import annotations

from pathlib import Path

from common import VIDEOS, Facts, examine, files, options, video_facts


def main() -> None:
    arguments = options()
    paths: dict[str, Path] = dict(files(VIDEOS))

    def facts(name: str) -> Facts:
        with paths[name].open("rb") as file:
            return video_facts(file)

    examine(paths, facts, 1, arguments.output)


if __name__ == "__main__":
    main()
