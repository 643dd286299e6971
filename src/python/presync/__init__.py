r"""What a sync of cloud media into an annotation platform will leave out, and why, before it runs.

One file::

    >>> import presync
    >>> presync.probe(b"GIF89a\x01\x00\x01\x00\x80\x00\x00")["format"]
    'gif'

One container, with the options of ``presync dry-run``::

    report = presync.dry_run("https://media.blob.core.windows.net/cameras", image_quota=10_000)
    print(report["totals"], report["quota"])

Blobs that you list yourself, as Arrow batches::

    rows = presync.check_batches(batches)   # columns: account, container, name, size, etag

``presync.spark``, ``presync.ray`` and ``presync.daft`` do this inside the tasks of an engine.
"""

from presync._presync import (
    PART_KEY,
    Batches,
    PresyncError,
    __version__,
    check_batches,
    dry_run,
    part_header,
    plan_schema,
    probe,
    reconcile,
)

__all__ = [
    "PART_KEY",
    "Batches",
    "PresyncError",
    "__version__",
    "check_batches",
    "dry_run",
    "part_header",
    "plan_schema",
    "probe",
    "reconcile",
]
