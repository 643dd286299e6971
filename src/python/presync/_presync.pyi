"""The native half of presync."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

import pyarrow as pa

__version__: str
PART_KEY: str

class Batches(Iterator[pa.RecordBatch]):
    """The rows of checked blobs, as an iterator and as a stream of the Arrow PyCapsule interface."""

    @property
    def schema(self) -> pa.Schema: ...
    def __iter__(self) -> Batches: ...
    def __next__(self) -> pa.RecordBatch: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

class Run:
    """A command on a thread of its own."""

    def __init__(self, command: str, options: dict[str, Any]) -> None: ...
    def wait(self, seconds: float) -> bool: ...
    def stop(self) -> None: ...
    def progress(self) -> tuple[int, int, int, int, int, int, bool]: ...
    def said(self) -> list[str]: ...
    def result(self) -> tuple[int, bytes]: ...

def check_batches(
    batches: Any,
    rules: dict[str, Any],
    endpoint: str | None,
    auth: str,
    dimensions: bool,
    concurrency: int | None,
    max_requests_per_second: float | None,
    max_bandwidth: float | None,
    batch_rows: int,
) -> Batches: ...
def part_header(
    rules: dict[str, Any],
    endpoint: str | None,
    prefix: str,
    dimensions: bool,
    admit: str,
    image_quota: int | None,
    frame_quota: int | None,
    data_row_quota: int | None,
) -> str: ...
def plan_schema() -> pa.Schema:
    """The columns of a plan."""

def probe(data: Any, name: str | None, rules: dict[str, Any], dimensions: bool) -> bytes: ...
def summary(plan: str | PathLike[str]) -> bytes: ...
def main(args: Sequence[str]) -> int:
    """Runs the command line with these arguments, the first of which is the program's name."""
def reconcile(
    plan: str | PathLike[str],
    names: Iterable[str] | str | PathLike[str],
    *,
    errors: Mapping[str, str] | None = None,
    column: str | None = None,
) -> dict[str, Any]: ...
