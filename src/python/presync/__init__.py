"""What a sync of cloud media into an annotation platform will leave out, and why, before it runs.

One container, as tables::

    import presync

    report = presync.dry_run("https://media.blob.core.windows.net/cameras", image_quota=10_000)
    report.findings.to_pandas().groupby("code").size()
    report.save("report.html")

One file, by its path, its bytes, or opened with anything, such as fsspec:

>>> import presync
>>> presync.probe(b"GIF89a\\x01\\x00\\x01\\x00\\x80\\x00\\x00").format
'gif'

Blobs that you list yourself, as Arrow batches::

    rows = presync.check_batches(batches)   # columns: account, container, name, size, etag

``presync.aio`` has the commands as coroutines, ``presync.quota`` the ledger. ``presync.spark``, ``presync.ray`` and
``presync.daft`` check blobs inside the tasks of an engine.
"""

from presync import aio, quota
from presync._commands import (
    audit,
    audit_report,
    commit,
    dry_run,
    explain,
    fix,
    labels,
    preview,
    reconcile,
    report,
    rules,
)
from presync._errors import (
    ConfigurationError,
    CredentialError,
    IncompleteError,
    InterruptedRunError,
    NotFoundError,
    PermissionDeniedError,
    PresyncError,
    ThrottledError,
    UsageError,
)
from presync._presync import PART_KEY, Batches, __version__, plan_schema
from presync._probe import BinaryFile, check_batches, part_header, probe
from presync._records import (
    Asset,
    Audit,
    Commit,
    Cost,
    Explanation,
    Finding,
    Fix,
    Gauge,
    Labels,
    Preview,
    Progress,
    Quota,
    QuotaStatement,
    Reads,
    Reconciliation,
    Rule,
    Totals,
)
from presync._report import Report
from presync._rows import Rows

__all__ = [
    "PART_KEY",
    "Asset",
    "Audit",
    "Batches",
    "BinaryFile",
    "Commit",
    "ConfigurationError",
    "Cost",
    "CredentialError",
    "Explanation",
    "Finding",
    "Fix",
    "Gauge",
    "IncompleteError",
    "InterruptedRunError",
    "Labels",
    "NotFoundError",
    "PermissionDeniedError",
    "PresyncError",
    "Preview",
    "Progress",
    "Quota",
    "QuotaStatement",
    "Reads",
    "Reconciliation",
    "Report",
    "Rows",
    "Rule",
    "ThrottledError",
    "Totals",
    "UsageError",
    "__version__",
    "aio",
    "audit",
    "audit_report",
    "check_batches",
    "commit",
    "dry_run",
    "explain",
    "fix",
    "labels",
    "part_header",
    "plan_schema",
    "preview",
    "probe",
    "quota",
    "reconcile",
    "report",
    "rules",
]
