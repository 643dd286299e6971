"""Rows of a report as Arrow, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["Rows"]

#: Rows of a batch.
_BATCH = 16_384


class Rows:
    """Rows as a stream of Arrow batches, from a file: memory does not grow with their number.

    pandas, polars, DuckDB and everything else with the Arrow PyCapsule interface take it as it is::

        polars.DataFrame(report.assets)
        assets = report.assets
        duckdb.sql("SELECT verdict, count(*) FROM assets GROUP BY 1")

    Each use reads the rows from the start.
    """

    def __init__(
        self, schema: pa.Schema, batches: Callable[[], Iterator[pa.RecordBatch]], owner: object = None
    ) -> None:
        self._schema = schema
        self._batches = batches
        # A temporary plan is removed with its owner.
        self._owner = owner

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        return self._schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        # A generator of its own, which keeps this, and so the plan, until its end.
        yield from self._batches()

    def reader(self) -> pa.RecordBatchReader:
        """The rows as a ``pyarrow.RecordBatchReader``."""
        return pa.RecordBatchReader.from_batches(self._schema, iter(self))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        stream: object = self.reader().__arrow_c_stream__(requested_schema)  # type: ignore[no-untyped-call,unused-ignore]
        return stream

    def __arrow_c_schema__(self) -> object:
        return self._schema.__arrow_c_schema__()

    def to_arrow(self) -> pa.Table:
        """All rows in memory, as a ``pyarrow.Table``."""
        return pa.Table.from_batches(iter(self), self._schema)

    def to_pandas(self, **options: Any) -> pd.DataFrame:
        """All rows as a pandas DataFrame; the options are those of ``pyarrow.Table.to_pandas``."""
        frame: pd.DataFrame = self.to_arrow().to_pandas(**options)
        return frame

    def to_polars(self) -> pl.DataFrame:
        """All rows as a polars DataFrame."""
        import polars as pl

        return pl.DataFrame(self.to_arrow())

    def to_pylist(self) -> list[dict[str, Any]]:
        """All rows as dicts."""
        rows: list[dict[str, Any]] = self.to_arrow().to_pylist()
        return rows


def assets(path: str, columns: Sequence[str] | None = None, owner: object = None) -> Rows:
    """The assets of a plan, in listing order, with these columns. The owner of the plan is kept as long as they are."""
    schema = pq.read_schema(path).remove_metadata()
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])

    def batches() -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH, columns=schema.names):
                yield pa.RecordBatch.from_arrays(
                    [batch.column(field.name).cast(field.type) for field in schema], schema=schema
                )

    return Rows(schema, batches, owner)


def rows(records: list[dict[str, Any]], *, text: Sequence[str], numbers: Sequence[str]) -> Rows:
    """Records of a JSON report as rows. What a record does not have is null."""
    schema = pa.schema([(name, pa.string()) for name in text] + [(name, pa.uint64()) for name in numbers])

    def batches() -> Iterator[pa.RecordBatch]:
        for begin in range(0, len(records), _BATCH):
            yield pa.RecordBatch.from_pylist(records[begin : begin + _BATCH], schema=schema)

    return Rows(schema, batches)


#: The types of the columns of blobs to check.
_LISTED = {name: pa.string() for name in ("account", "container", "name", "etag")} | {"size": pa.uint64()}


def listed(data: Any) -> Iterator[pa.RecordBatch]:
    """The blobs to check, as batches with columns of the types that the check takes: of one stream, which may be longer
    than what fits into memory, of one batch, or of an iterable of both.
    """
    is_one = hasattr(data, "__arrow_c_array__") or hasattr(data, "__arrow_c_stream__")
    for part in [data] if is_one else data:
        if hasattr(part, "__arrow_c_array__"):
            yield _typed(pa.record_batch(part))
        else:
            yield from map(_typed, pa.RecordBatchReader.from_stream(part))


def _typed(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns: dict[str, pa.Array] = {}
    for name, column in zip(batch.schema.names, batch.columns):
        if name in _LISTED:
            columns.setdefault(name, _cast(name, column, _LISTED[name]))
        elif name == "last_modified" and pa.types.is_timestamp(column.type):
            # Any zone: the values are UTC. Fractions of microseconds are cut off.
            columns.setdefault(name, column.cast(pa.timestamp("us", column.type.tz), safe=False))
        elif name == "last_modified":
            raise ValueError(f"the column 'last_modified' has the type {column.type}, not timestamp")
    return pa.RecordBatch.from_pydict(columns)


def _cast(name: str, column: pa.Array, to: pa.DataType) -> pa.Array:
    try:
        return column.cast(to)
    except pa.ArrowNotImplementedError:
        # Earlier versions of pyarrow cannot cast views of strings.
        if pa.types.is_string_view(column.type):
            return pa.array(column.to_pylist(), to)
        raise ValueError(f"the column '{name}' has the type {column.type}, not {to}") from None
    except pa.ArrowInvalid as error:
        raise ValueError(f"the column '{name}' cannot be used: {error}") from None


#: What a finding has besides its asset's own columns.
_OF_FINDING = ("code", "severity", "message", "fix")
_OF_ASSET = ("name", "kind", "format", "size", "verdict")


def findings(path: str, owner: object = None) -> Rows:
    """The findings of a plan: a row for each, with its asset's name, kind, format, size and verdict."""
    source = assets(path, [*_OF_ASSET, "findings"], owner)
    element = source.schema.field("findings").type.value_type
    schema = pa.schema(
        [source.schema.field(name) for name in _OF_ASSET] + [element.field(name) for name in _OF_FINDING]
    )

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in source:
            lists = batch.column("findings")
            rows = pc.list_parent_indices(lists)
            if len(rows) == 0:
                continue
            found = pc.list_flatten(lists)
            columns = [batch.column(name).take(rows) for name in _OF_ASSET]
            columns += [pc.struct_field(found, name) for name in _OF_FINDING]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return Rows(schema, batches, owner)
