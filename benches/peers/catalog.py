"""The peers: what each is called, what it runs, what it claims to establish, where it is known to be wrong."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from servers import CONTAINER, Server

PROGRAMS = Path(__file__).with_name("programs")
IMAGE_FACTS = ("orientation",)
VIDEO_FACTS = ("major_brand", "pixel_format", "frames")
PILLOW_IS_WRONG = "Pillow takes the orientation from XMP where EXIF has none."
FFPROBE_IS_WRONG = "ffprobe takes the major brand from a metadata key of that name rather than from ftyp."
# exiftool takes some 100 ms to start, so it gets a sample of the images.
SAMPLE = 200


@dataclass(frozen=True)
class Source:
    """Where the blobs are: on a server, or in a folder."""

    name: str
    #: What presync calls it.
    location: str
    #: `None` for a folder.
    server: Server | None = None

    @classmethod
    def of_server(cls, server: Server) -> Source:
        """The container of a server."""
        return cls(server.name, server.container_url, server)

    @classmethod
    def of_folder(cls, folder: Path) -> Source:
        """A copy on the disk."""
        return cls("folder", str(folder))


@dataclass(frozen=True)
class Task:
    """What a peer is told: the source, where to write, how many requests at a time."""

    source: Source
    presync: Path
    output: Path
    #: Where downloads go.
    downloads: Path
    concurrency: int

    def env(self) -> dict[str, str]:
        """What the peer finds in its environment."""
        server = self.source.server
        if server is None:
            return {"PEERS_FOLDER": self.source.location}
        return {
            "AZURE_STORAGE_CONNECTION_STRING": server.connection_string,
            "PEERS_CONNECTION_STRING": server.connection_string,
            "PEERS_CONTAINER": CONTAINER,
            "PEERS_SAS_URL": server.sas_url,
            "PEERS_FOLDER": str(self.downloads),
            "AZCOPY_CONCURRENCY_VALUE": str(self.concurrency),
            "AZCOPY_LOG_LOCATION": str(self.output.parent / "azcopy"),
            "AZCOPY_JOB_PLAN_LOCATION": str(self.output.parent / "azcopy"),
        }


@dataclass(frozen=True)
class Peer:
    """One way to examine the blobs, or to download them."""

    name: str
    what: str
    command: Callable[[Task], list[str]]
    #: The fields that it establishes; none for one that downloads.
    claims: tuple[str, ...]
    #: It examines only so many blobs.
    sample: int | None = None
    #: It is left out when this is not on the PATH.
    needs: str | None = None
    #: Where it is known to be wrong.
    known: str | None = None

    @property
    def downloads(self) -> bool:
        """Whether it copies the blobs to the disk, and examines nothing."""
        return not self.claims

    @property
    def missing(self) -> bool:
        """Whether what it needs is not there."""
        return self.needs is not None and shutil.which(self.needs) is None


def _presync(task: Task) -> list[str]:
    options = ["--format", "jsonl", "--output", str(task.output), "--concurrency", str(task.concurrency)]
    return [str(task.presync), "dry-run", task.source.location, *options, "--exit-zero", "--quiet"]


def _program(file: str, *options: str) -> Callable[[Task], list[str]]:
    def command(task: Task) -> list[str]:
        arguments = ["--output", str(task.output), "--concurrency", str(task.concurrency), *options]
        return [sys.executable, "-B", str(PROGRAMS / file), *arguments]

    return command


def _rclone(task: Task) -> list[str]:
    options = ["--config", "", "--transfers", str(task.concurrency), "--checkers", str(task.concurrency)]
    remote = f":azureblob,sas_url='{task.env()['PEERS_SAS_URL']}':{CONTAINER}"
    return ["rclone", "copy", *options, remote, str(task.downloads)]


def _azcopy(task: Task) -> list[str]:
    blobs = task.env()["PEERS_SAS_URL"].replace("?", "/*?", 1)
    options = ["--recursive", "--from-to", "BlobLocal", "--check-md5", "NoCheck", "--skip-version-check"]
    return ["azcopy", "copy", blobs, str(task.downloads), *options]


PRESYNC = Peer("presync", "presync dry-run --format jsonl", _presync, IMAGE_FACTS + VIDEO_FACTS)

ON_SERVERS = [
    Peer(
        "sdk",
        "azure-storage-blob, Pillow, PyAV; threads",
        _program("sdk.py"),
        IMAGE_FACTS + VIDEO_FACTS,
        known=PILLOW_IS_WRONG,
    ),
    Peer(
        "adlfs",
        "fsspec and adlfs, Pillow, PyAV; threads",
        _program("adlfs_files.py"),
        IMAGE_FACTS + VIDEO_FACTS,
        known=PILLOW_IS_WRONG,
    ),
    Peer(
        "ffprobe",
        "ffprobe URL, a process a video",
        _program("ffprobe_urls.py"),
        VIDEO_FACTS,
        known=FFPROBE_IS_WRONG,
    ),
    Peer(
        "exiftool",
        f"curl URL | exiftool -, for each of {SAMPLE} images",
        _program("exiftool_urls.py", "--sample", str(SAMPLE)),
        IMAGE_FACTS,
        sample=SAMPLE,
    ),
    Peer("get-sdk", "downloads all with azure-storage-blob; threads", _program("download_sdk.py"), ()),
    Peer("get-rclone", "downloads all with rclone copy", _rclone, (), needs="rclone"),
    Peer("get-azcopy", "downloads all with azcopy copy", _azcopy, (), needs="azcopy"),
]

IN_FOLDER = [
    Peer("exiftool-dir", "exiftool -r, one process", _program("exiftool_folder.py"), ("orientation", "major_brand")),
    Peer("exiv2-dir", "exiv2 on all images, one process for 1,000", _program("exiv2_folder.py"), IMAGE_FACTS),
    Peer(
        "pillow-dir",
        "Pillow on all images, one thread",
        _program("pillow_folder.py"),
        IMAGE_FACTS,
        known=PILLOW_IS_WRONG,
    ),
    Peer("pyav-dir", "PyAV on all videos, one thread", _program("pyav_folder.py"), VIDEO_FACTS),
]
