"""What the peers' programs share: their arguments, the listing, the facts of a file, the results."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

IMAGES = (".jpg", ".png", ".webp")
VIDEOS = (".mp4",)
ORIENTATION = 0x0112
# Processes at a time, for peers that start one for each blob.
PROCESSES = 2 * (os.cpu_count() or 1)

Facts = dict[str, Any]


def options() -> argparse.Namespace:
    """The arguments of every program. The source comes from the environment, as credentials do."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, required=True, help="where the results go, a JSON object a line")
    parser.add_argument("--concurrency", type=int, required=True, help="requests at a time")
    parser.add_argument("--sample", type=int, help="examine so many blobs, evenly spaced, instead of all")
    return parser.parse_args()


def container_client(connections: int):
    """A client of the container with as many connections as there are threads. By default, there are ten."""
    import requests
    from azure.core.pipeline.transport import RequestsTransport
    from azure.storage.blob import ContainerClient
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=connections))
    session.mount("https://", HTTPAdapter(pool_maxsize=connections))
    return ContainerClient.from_connection_string(
        os.environ["PEERS_CONNECTION_STRING"],
        os.environ["PEERS_CONTAINER"],
        transport=RequestsTransport(session=session),
    )


def blob_url(name: str) -> str:
    """The URL of a blob, with the SAS of its container."""
    from urllib.parse import quote, urlsplit

    url = urlsplit(os.environ["PEERS_SAS_URL"])
    return url._replace(path=f"{url.path}/{quote(name)}").geturl()


def listed(extensions: tuple[str, ...]) -> list[str]:
    """The names in the container that end in one of the extensions."""
    return [name for name in container_client(1).list_blob_names() if name.endswith(extensions)]


def files(extensions: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """The files of the folder, each with its name as a blob."""
    root = Path(os.environ["PEERS_FOLDER"])
    for path in sorted(root.rglob("*")):
        if path.suffix in extensions:
            yield path.relative_to(root).as_posix(), path


def sampled(names: list[str], count: int | None) -> list[str]:
    """So many of the names, evenly spaced."""
    if count is None or count >= len(names):
        return names
    return [names[index * len(names) // count] for index in range(count)]


def image_facts(file: IO[bytes]) -> Facts:
    """The orientation of an image, by Pillow."""
    from PIL import Image

    with Image.open(file) as image:
        return {"orientation": image.getexif().get(ORIENTATION)}


def video_facts(file: IO[bytes]) -> Facts:
    """What a video's header says, by PyAV. The brand is read from the `ftyp` box itself."""
    import av

    head = file.read(12)
    file.seek(0)
    with av.open(file) as container:
        video = container.streams.video[0]
        return {
            "major_brand": head[8:12].decode("latin-1") if head[4:8] == b"ftyp" else None,
            "pixel_format": video.pix_fmt,
            "frames": video.frames,
        }


def examine(names: Iterable[str], facts: Callable[[str], Facts], threads: int, output: Path) -> None:
    """Writes the facts of every blob, found by so many threads. A blob that fails has `error` instead."""

    def line(name: str) -> str:
        try:
            found = facts(name)
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"}
        return json.dumps({"name": name, **found}) + "\n"

    with ThreadPoolExecutor(threads) as pool, output.open("w") as out:
        out.writelines(pool.map(line, names))
