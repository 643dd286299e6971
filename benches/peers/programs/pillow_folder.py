"""Pillow on the images of the folder, in one thread."""

from __future__ import annotations

from pathlib import Path

from common import IMAGES, Facts, examine, files, image_facts, options


def main() -> None:
    arguments = options()
    paths: dict[str, Path] = dict(files(IMAGES))

    def facts(name: str) -> Facts:
        with paths[name].open("rb") as file:
            return image_facts(file)

    examine(paths, facts, 1, arguments.output)


if __name__ == "__main__":
    main()
