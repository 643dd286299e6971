"""The native half of presync."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

import pyarrow as pa

__version__: str
PART_KEY: str

class PresyncError(Exception):
    """presync could not start or could not continue."""

    hint: str | None

class Batches(Iterator[pa.RecordBatch]):
    """The rows of checked blobs."""

    def __iter__(self) -> Batches: ...
    def __next__(self) -> pa.RecordBatch: ...

def check_batches(
    batches: Iterable[Any],
    *,
    profile: str = "nexus",
    endpoint: str | None = None,
    auth: str = "auto",
    dimensions: bool = False,
    concurrency: int | None = None,
    max_requests_per_second: float | None = None,
    max_bandwidth: float | None = None,
    batch_rows: int = 1024,
) -> Batches: ...
def part_header(
    *,
    profile: str = "nexus",
    endpoint: str | None = None,
    prefix: str = "",
    dimensions: bool = False,
    admit: str = "listing",
    image_quota: int | None = None,
    frame_quota: int | None = None,
    data_row_quota: int | None = None,
) -> str: ...
def plan_schema() -> pa.Schema: ...
def probe(
    data: bytes | str | PathLike[str],
    *,
    name: str | None = None,
    profile: str = "nexus",
    dimensions: bool = False,
) -> dict[str, Any]: ...
def dry_run(
    source: str | PathLike[str],
    *,
    profile: str | PathLike[str] | None = None,
    image_quota: int | None = None,
    frame_quota: int | None = None,
    data_row_quota: int | None = None,
    reserve: int | None = None,
    admit: str | None = None,
    inventory: Sequence[str | PathLike[str]] | None = None,
    plan: str | PathLike[str] | None = None,
    no_recurse: bool = False,
    dimensions: bool = False,
    auth: str | None = None,
    account: str | None = None,
    concurrency: int | None = None,
    max_requests_per_second: int | None = None,
) -> dict[str, Any]: ...

def main(args: Sequence[str]) -> int:
    """Runs the command line with these arguments, the first of which is the program's name."""
def reconcile(
    plan: str | PathLike[str],
    names: Iterable[str],
    *,
    errors: Mapping[str, str] | None = None,
) -> dict[str, Any]: ...
