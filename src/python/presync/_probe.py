"""One file, wherever it is, and blobs that the caller lists."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from presync import _presync
from presync._commands import Codes, Severities, StrPath, options
from presync._errors import UsageError
from presync._records import Asset
from presync._rows import listed

if TYPE_CHECKING:
    from presync._presync import Batches

__all__ = ["BinaryFile", "check_batches", "part_header", "probe"]


@runtime_checkable
class BinaryFile(Protocol):
    """A file that is open for reading bytes, and can seek."""

    def read(self, size: int = -1, /) -> bytes:
        """Reads up to ``size`` bytes."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Moves to an offset."""
        ...

    def tell(self) -> int:
        """The offset."""
        ...


class _Ranges:
    """Ranges of a file that can seek. It is left where it was."""

    def __init__(self, file: BinaryFile) -> None:
        self._file = file

    def size(self) -> int:
        before = self._file.tell()
        try:
            self._file.seek(0, os.SEEK_END)
            return self._file.tell()
        finally:
            self._file.seek(before)

    def read(self, start: int, length: int) -> bytes:
        before = self._file.tell()
        try:
            self._file.seek(start)
            parts: list[bytes] = []
            # A raw file may return less than was asked for.
            while length > 0 and (part := self._file.read(length)):
                parts.append(bytes(part))
                length -= len(part)
            return b"".join(parts)
        finally:
            self._file.seek(before)


class _FsspecRanges:
    """Ranges of a file of fsspec, read past its cache: that would read megabytes for a few kilobytes."""

    def __init__(self, fs: Any, path: str) -> None:
        self._fs = fs
        self._path = path

    def size(self) -> int:
        return int(self._fs.size(self._path))

    def read(self, start: int, length: int) -> bytes:
        return bytes(self._fs.cat_file(self._path, start=start, end=start + length))


def _of_fsspec(data: Any) -> _FsspecRanges | None:
    fs, path = getattr(data, "fs", None), getattr(data, "path", None)
    # The bytes of a compressed file are not those that are stored.
    if getattr(data, "compression", None) or not isinstance(path, str) or not hasattr(fs, "cat_file"):
        return None
    return _FsspecRanges(fs, path)


def _name_of(data: Any) -> str | None:
    name = getattr(data, "path", None) or getattr(data, "name", None)
    return os.path.basename(name) if isinstance(name, str) and name else None


def probe(
    data: StrPath | bytes | bytearray | memoryview | BinaryFile | Any,
    *,
    name: str | None = None,
    profile: StrPath | None = None,
    dimensions: bool = False,
    select: Codes | None = None,
    ignore: Codes | None = None,
    severity: Severities | None = None,
    config: StrPath | None = None,
) -> Asset:
    """Probes and judges one asset: the file at a path, bytes, or a file that is open for bytes.

    Of an open file, also of fsspec (``fs.open(path)`` or ``fsspec.open(url)``), only the ranges that are needed are
    read. ``name`` is for data without a name: a warning may depend on its extension. ``select``, ``ignore`` and
    ``severity`` choose rules, and so does ``presync.toml``: ``config``, or the nearest one.

    >>> import io, presync
    >>> presync.probe("fixtures/demo/cam1/0004.jpg").orientation
    6
    >>> with open("fixtures/demo/videos/from-ffmpeg.mp4", "rb") as file:
    ...     asset = presync.probe(file)
    >>> asset.name, asset.frames, asset.verdict, asset.findings[0].fix
    ('from-ffmpeg.mp4', 30, 'reject', 'ffmpeg -i IN -c copy -brand mp42 OUT.mp4')
    >>> presync.probe(io.BytesIO(b"not an image"), name="a.jpg").findings[0].code
    'FMT001'
    """
    chosen = options(
        {"profile": profile, "select": select, "ignore": ignore, "severity": severity, "config": config}
    )
    source: Any = data
    if isinstance(data, str) and "://" in data:
        raise UsageError(
            "probe takes a path or an open file, not a URL",
            "presync.explain() takes the URL of a blob; fsspec.open() opens one",
        )
    if isinstance(data, (bytearray, memoryview)):
        source = bytes(data)
    elif not isinstance(data, (bytes, str, os.PathLike)) or hasattr(data, "read"):
        if isinstance(data, io.TextIOBase):
            raise TypeError("probe needs a file that is open for bytes: open it with 'rb'")
        name = name or _name_of(data)
        source = _of_fsspec(data)
        if source is None and isinstance(data, BinaryFile):
            source = _Ranges(data)
        if source is None:
            raise TypeError(
                "probe takes a path, bytes, or a file that is open for bytes and can seek, "
                f"not {type(data).__name__}"
            )
    return Asset.from_record(json.loads(_presync.probe(source, name, chosen, dimensions)))


def check_batches(
    batches: Iterable[Any] | Any,
    *,
    profile: StrPath | None = None,
    select: Codes | None = None,
    ignore: Codes | None = None,
    severity: Severities | None = None,
    config: StrPath | None = None,
    endpoint: str | None = None,
    auth: str = "auto",
    dimensions: bool = False,
    concurrency: int | None = None,
    max_requests_per_second: float | None = None,
    max_bandwidth: float | None = None,
    batch_rows: int = 1024,
) -> Batches:
    """Checks blobs that are listed in Arrow batches, and returns a row for each, with the columns of a plan.

    ``batches`` is a stream of the Arrow PyCapsule interface, such as a ``pyarrow.Table`` or a polars DataFrame, or an
    iterable of such streams and batches, with the columns account, container, name and size, and optionally etag and
    last_modified. The result is an iterator of ``pyarrow.RecordBatch`` and such a stream, too. The rows of a container
    are in the order of its blobs. A blob that cannot be read gives a row with the verdict ``unknown``. The quota and
    equal basenames are not checked. Credentials come from the environment. ``endpoint`` must contain ``{account}``;
    limits apply to each account, and ``max_bandwidth`` is in bytes per second. Rules are chosen as for :func:`probe`.

    ::

        blobs = pa.table({"account": ["media"], "container": ["cameras"], "name": ["a.jpg"], "size": [183422]})
        polars.DataFrame(presync.check_batches(blobs, ignore="VID103"))
    """
    chosen = options(
        {"profile": profile, "select": select, "ignore": ignore, "severity": severity, "config": config}
    )
    return _presync.check_batches(
        listed(batches),
        chosen,
        endpoint,
        auth,
        dimensions,
        concurrency,
        max_requests_per_second,
        max_bandwidth,
        batch_rows,
    )


def part_header(
    *,
    profile: StrPath | None = None,
    select: Codes | None = None,
    ignore: Codes | None = None,
    severity: Severities | None = None,
    config: StrPath | None = None,
    endpoint: str | None = None,
    prefix: str = "",
    dimensions: bool = False,
    admit: str = "listing",
    image_quota: int | None = None,
    frame_quota: int | None = None,
    data_row_quota: int | None = None,
) -> str:
    """The header of a part of a plan, as JSON: ``presync report DIR`` needs it in the metadata of each Parquet file.

    An empty file ``_SUCCESS`` in DIR marks the parts as complete::

        metadata = {presync.PART_KEY: presync.part_header(image_quota=10_000)}
        rows = rows.sort_by("name").replace_schema_metadata(metadata)
        pq.write_table(rows, "account=media/container=cameras/0.parquet")
    """
    chosen = options(
        {"profile": profile, "select": select, "ignore": ignore, "severity": severity, "config": config}
    )
    return _presync.part_header(
        chosen, endpoint, prefix, dimensions, admit, image_quota, frame_quota, data_row_quota
    )
