"""Checks blobs inside the tasks of Ray Data.

::

    import ray
    from presync import ray as presync_ray

    blobs = ray.data.read_parquet("listing/")   # account, container, name, size, etag
    presync_ray.check(blobs).write_parquet("rows/")
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import ray.data

import presync


def check(dataset: ray.data.Dataset, *, batch_size: int = 16_384, **options: Any) -> ray.data.Dataset:
    """Returns a row for each blob of ``dataset``, as a stream. ``options`` are those of :func:`presync.check_batches`.

    Each batch of ``batch_size`` blobs starts reading from scratch, so make it several thousand. Limits such as
    ``max_requests_per_second`` apply to one task: divide them by the number of tasks that run at a time.
    """

    def run(table: pa.Table) -> Iterator[pa.Table]:
        for batch in presync.check_batches([table], **options):
            yield pa.Table.from_batches([batch])

    return dataset.map_batches(run, batch_size=batch_size, batch_format="pyarrow", zero_copy_batch=True)
