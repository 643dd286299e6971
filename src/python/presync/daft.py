"""Checks blobs inside the tasks of Daft.

::

    import daft
    from presync import daft as presync_daft

    blobs = daft.read_parquet("listing/*.parquet")   # account, container, name, size, etag
    presync_daft.check(blobs).write_parquet("rows/")
"""

from __future__ import annotations

from typing import Any

import daft
import pyarrow as pa
import pyarrow.compute as pc
from daft import DataType, Series

import presync

_PLACE = ["account", "container"]


def check(df: daft.DataFrame, *, batch_size: int = 16_384, **options: Any) -> daft.DataFrame:
    """Returns a row for each blob of ``df``, as a stream. ``options`` are those of :func:`presync.check_batches`.

    Each batch of ``batch_size`` blobs starts reading from scratch, so make it several thousand. Limits such as
    ``max_requests_per_second`` apply to one task: divide them by the number of tasks that run at a time.
    """
    plan = presync.plan_schema()
    given = [name for name in ("etag", "last_modified") if name in df.column_names]
    names = [*_PLACE, "name", "size", *given]
    rows = pa.schema([pa.field(name, pa.string(), nullable=False) for name in _PLACE] + list(plan))
    row = DataType.struct({field.name: DataType.from_arrow_type(field.type) for field in rows})

    @daft.func.batch(return_dtype=row, unnest=True, batch_size=batch_size)
    def run(*columns: Series) -> pa.Array:
        blobs = pa.table({name: column.to_arrow() for name, column in zip(names, columns, strict=True)})
        return _in_order(blobs, rows, options)

    return df.select(run(*(df[name] for name in names)))


def _in_order(blobs: pa.Table, rows: pa.Schema, options: dict[str, Any]) -> pa.Array:
    """The rows of these blobs, in their order: the rows of several containers come as they are ready."""
    number = pa.array(range(len(blobs)))
    by_container = [(name, "ascending") for name in (*_PLACE, "number")]
    order = pc.sort_indices(blobs.append_column("number", number), by_container)
    checked = pa.Table.from_batches(presync.check_batches([blobs.take(order)], **options), rows)
    checked = checked.take(pc.sort_indices(checked.append_column("number", number), by_container))
    return checked.take(pc.sort_indices(order)).to_struct_array().combine_chunks()
