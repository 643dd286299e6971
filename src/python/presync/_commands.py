"""The commands of the command line, with the same names, options and defaults."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from presync import _presync
from presync._errors import IncompleteError, InterruptedRunError, PresyncError, UsageError
from presync._records import Audit, Commit, Document, Explanation, Fix, Labels, Preview, Reconciliation, Rule, record
from presync._report import Folder, Report
from presync._run import Ended, ProgressOption, run

StrPath = str | os.PathLike[str]
#: One value or several.
Many = StrPath | Sequence[StrPath]
#: Rules by code, name or the beginning of codes, such as ``"IMG001,VID1"`` or ``["IMG001", "VID1"]``; or patterns of names.
Codes = str | Sequence[str]
#: Levels of rules, such as ``{"VID102": "error"}`` or ``["VID102=error"]``.
Severities = Mapping[str, str] | Codes

_D = TypeVar("_D", bound=Document)

#: The exit code of an incomplete run.
_INCOMPLETE = 3


def options(arguments: dict[str, Any], *others: str) -> dict[str, Any]:
    """The options among a function's arguments: those that are given, without what is not one of the command."""
    given = {
        name: value
        for name, value in arguments.items()
        if value is not None and value is not False and name not in others
    }
    severity = given.get("severity")
    if isinstance(severity, Mapping):
        given["severity"] = [f"{code}={level}" for code, level in severity.items()]
    lists = (
        "inventory", "sources", "include", "exclude", "include_container", "exclude_container", "select", "ignore",
        "severity", "only", "plans", "labels",
    )
    for name in lists:
        if name in given and not isinstance(given[name], (str, bytes, os.PathLike)):
            given[name] = list(given[name])
    return given


_OWN = ("progress", "allow_incomplete")


def _finish(ended: Ended, read: Callable[[], Any], allow_incomplete: bool) -> Any:
    """The result of a command, or the error that says why there is none or only a part of it."""
    try:
        result = read()
    except Exception:
        result = None
        if ended.error is None and ended.stop is None:
            raise
    stop = ended.stop
    if stop is not None and not isinstance(stop, KeyboardInterrupt):
        # A cancellation, or an error of the progress function.
        raise stop
    if stop is None and ended.error is None and ended.exit_code != _INCOMPLETE:
        return result
    if result is not None and allow_incomplete:
        return result
    if stop is not None:
        raise InterruptedRunError("the run was stopped", report=result) from stop
    if ended.error is not None and result is None:
        raise ended.error
    if ended.error is not None:
        raise IncompleteError(
            f"the report is incomplete: {ended.error.message}", ended.error.hint, result
        ) from ended.error
    why = getattr(result, "incomplete", None) or "some of it could not be examined"
    raise IncompleteError(
        f"the report is incomplete: {why}", "allow_incomplete=True returns it instead", result
    )


def _document(ended: Ended, kind: type[_D], allow_incomplete: bool = True) -> _D:
    def read() -> _D:
        return kind(json.loads(ended.printed))

    result: _D = _finish(ended, read, allow_incomplete)
    return result


def preview(
    source: StrPath,
    *,
    no_recurse: bool = False,
    allow_empty: bool = False,
    profile: StrPath | None = None,
    include: Codes | None = None,
    exclude: Codes | None = None,
    account: str | None = None,
    auth: str | None = None,
    api_version: str | None = None,
    config: StrPath | None = None,
    progress: ProgressOption = None,
    allow_incomplete: bool = False,
) -> Preview:
    """Counts the files of a source by kind and folder, from the listing alone.

    >>> import presync
    >>> preview = presync.preview("fixtures/demo")
    >>> preview.files, preview.kinds["video"]["files"]
    (65, 18)
    """
    ended = run("preview", options(locals(), *_OWN), progress)
    return _document(ended, Preview, allow_incomplete)


def dry_run(
    source: StrPath,
    *,
    no_recurse: bool = False,
    allow_empty: bool = False,
    inventory: Many | None = None,
    image_quota: int | None = None,
    frame_quota: int | None = None,
    data_row_quota: int | None = None,
    reserve: int | None = None,
    workspace: str | None = None,
    ledger: StrPath | None = None,
    admit: str = "listing",
    profile: StrPath | None = None,
    dimensions: bool = False,
    check_end: bool = False,
    max_reads: int | None = None,
    plan: StrPath | None = None,
    resume: bool = False,
    baseline: StrPath | None = None,
    synced: StrPath | None = None,
    include: Codes | None = None,
    exclude: Codes | None = None,
    select: Codes | None = None,
    ignore: Codes | None = None,
    severity: Severities | None = None,
    account: str | None = None,
    auth: str | None = None,
    api_version: str | None = None,
    config: StrPath | None = None,
    concurrency: int | None = None,
    max_requests_per_second: int | None = None,
    max_bandwidth: int | str | None = None,
    checkpoint_every: str | None = None,
    workers: int | None = None,
    queue: int | None = None,
    progress: ProgressOption = None,
    allow_incomplete: bool = False,
) -> Report:
    """Reports which assets will sync, which will not and why, and what they will cost.

    ``source`` and the options are those of ``presync dry-run``. Findings do not raise. A run that ends early, or that
    could not judge some assets, raises :class:`IncompleteError` with the report so far, unless ``allow_incomplete``.
    ``progress=True`` shows a bar; a function gets a :class:`Progress` a few times a second.

    >>> import presync
    >>> report = presync.dry_run("fixtures/demo", image_quota=20, severity={"VID102": "error"})
    >>> report.totals.rejected, report.quota.images.fits
    (33, False)
    >>> report.findings_by_code["IMG001"]
    8
    """
    given = options(locals(), *_OWN)
    if resume and plan is None:
        raise UsageError("resume needs the plan of the interrupted run", "pass plan")
    folder = None
    if plan is None:
        # In a folder of its own, which the report removes.
        folder = Folder()
        given["plan"] = os.path.join(folder.name, "plan.parquet")
    path = os.fspath(given["plan"])
    before = _version(path)
    ended = run("dry_run", given, progress)

    def read() -> Report | None:
        # An incomplete run does not replace a plan that was there before.
        return None if _version(path) == before else Report(path, folder)

    result: Report = _finish(ended, read, allow_incomplete)
    return result


def _version(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def audit(
    sources: Many = (),
    *,
    out: StrPath,
    all: bool = False,
    include_container: Codes | None = None,
    exclude_container: Codes | None = None,
    one_project: bool = False,
    workspace: str | None = None,
    ledger: StrPath | None = None,
    baseline: StrPath | None = None,
    no_recurse: bool = False,
    allow_empty: bool = False,
    admit: str = "listing",
    profile: StrPath | None = None,
    dimensions: bool = False,
    check_end: bool = False,
    max_reads: int | None = None,
    include: Codes | None = None,
    exclude: Codes | None = None,
    select: Codes | None = None,
    ignore: Codes | None = None,
    severity: Severities | None = None,
    account: str | None = None,
    auth: str | None = None,
    api_version: str | None = None,
    config: StrPath | None = None,
    concurrency: int | None = None,
    max_requests_per_second: int | None = None,
    max_bandwidth: int | str | None = None,
    checkpoint_every: str | None = None,
    workers: int | None = None,
    queue: int | None = None,
    progress: ProgressOption = None,
    allow_incomplete: bool = False,
) -> Audit:
    """Checks many containers in one run: a plan for each below ``out``, and one summary.

    >>> import presync, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     audit = presync.audit(["fixtures/demo"], out=folder)
    ...     report = presync.report(audit.containers[0]["plan"])
    >>> audit.totals.listed == report.totals.listed == 65
    True
    """
    ended = run("audit", options(locals(), *_OWN), progress)
    return _document(ended, Audit, allow_incomplete)


def report(
    plan: StrPath,
    *,
    image_quota: int | None = None,
    frame_quota: int | None = None,
    data_row_quota: int | None = None,
    reserve: int | None = None,
    admit: str | None = None,
    allow_incomplete: bool = False,
) -> Report:
    """Opens a saved plan, or merges a folder of parts. The quota and ``admit`` are for parts only. The folder of an audit,
    or parts of several containers, have a summary: :func:`audit_report`.

    >>> import os, presync, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> plan = os.path.join(folder.name, "plan.parquet")
    >>> _ = presync.dry_run("fixtures/demo", plan=plan)
    >>> presync.report(plan).totals.listed
    65
    """
    given = options(locals(), "allow_incomplete")
    if not os.path.isdir(plan) and len(given) == 1:
        opened = Report(plan)
        if not opened.complete and not allow_incomplete:
            raise IncompleteError(
                f"the report is incomplete: {opened.incomplete}", "allow_incomplete=True returns it instead", opened
            )
        return opened
    folder = Folder()
    merged = os.path.join(folder.name, "plan.parquet")
    ended = run("report", {**given, "format": "parquet", "output": merged})

    def read() -> Report:
        try:
            return Report(merged, folder)
        except PresyncError:
            raise UsageError(
                f"'{os.fspath(plan)}' has the plans of several containers",
                "presync.audit_report() sums them up; give one of its plans",
            ) from None

    result: Report = _finish(ended, read, allow_incomplete)
    return result


def audit_report(folder: StrPath, *, allow_incomplete: bool = False) -> Audit:
    """Opens the folder of an audit, or a folder with the parts of several containers.

    >>> import presync, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> _ = presync.audit("fixtures/demo", out=folder.name)
    >>> presync.audit_report(folder.name).totals.listed
    65
    """
    ended = run("report", {"plan": os.fspath(folder), "format": "json"})
    return _document(ended, Audit, allow_incomplete)


def commit(
    plan: StrPath,
    *,
    source: StrPath | None = None,
    workspace: str | None = None,
    ledger: StrPath | None = None,
    profile: StrPath | None = None,
    out: StrPath | None = None,
    dry_run: bool = False,
    allow_unknown: bool = False,
    account: str | None = None,
    auth: str | None = None,
    api_version: str | None = None,
    config: StrPath | None = None,
    progress: ProgressOption = None,
) -> Commit:
    """Reserves a plan's quota and writes its manifests, unless the plan no longer holds: see ``Commit.outcome``.

    >>> import os, presync, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> ledger = os.path.join(folder.name, "ledger.sqlite3")
    >>> report = presync.dry_run("fixtures/demo", plan=os.path.join(folder.name, "plan.parquet"))
    >>> _ = presync.quota.set(images=100, frames=10_000, ledger=ledger)
    >>> presync.commit(report, workspace="default", ledger=ledger, dry_run=True).outcome
    'would-commit'
    """
    if isinstance(plan, Report) and plan.plan is None and out is None:
        raise UsageError("the report has no plan to commit", "save it with dry_run(plan=…), or pass out")
    return _document(run("commit", options(locals(), "progress"), progress), Commit)


def fix(
    source: StrPath,
    *,
    apply: bool = False,
    out: StrPath | None = None,
    to: StrPath | None = None,
    in_place: bool = False,
    backup: StrPath | None = None,
    only: Codes | None = None,
    lossless_only: bool = False,
    edges: str = "reencode",
    jobs: int | None = None,
    profile: StrPath | None = None,
    allow_empty: bool = False,
    include: Codes | None = None,
    exclude: Codes | None = None,
    select: Codes | None = None,
    ignore: Codes | None = None,
    severity: Severities | None = None,
    account: str | None = None,
    auth: str | None = None,
    api_version: str | None = None,
    config: StrPath | None = None,
    concurrency: int | None = None,
    max_requests_per_second: int | None = None,
    max_bandwidth: int | str | None = None,
    progress: ProgressOption = None,
    allow_incomplete: bool = False,
) -> Fix:
    """Shows what can be fixed in a source or a plan, or fixes it: only ``apply`` writes anything.

    >>> import presync
    >>> presync.fix("fixtures/demo").done is None
    True
    """
    ended = run("fix", options(locals(), *_OWN), progress)
    return _document(ended, Fix, allow_incomplete)


def labels(
    source: StrPath,
    labels: Many,
    *,
    column: str | None = None,
    profile: StrPath | None = None,
    include: Codes | None = None,
    exclude: Codes | None = None,
    select: Codes | None = None,
    ignore: Codes | None = None,
    severity: Severities | None = None,
    account: str | None = None,
    auth: str | None = None,
    api_version: str | None = None,
    config: StrPath | None = None,
    progress: ProgressOption = None,
    allow_incomplete: bool = False,
) -> Labels:
    """Says which label files will find their asset: a plan or a source, which is checked now, and files or folders of
    labels. Labels that find none do not raise; a label file that cannot be read raises :class:`IncompleteError`, unless
    ``allow_incomplete``.

    >>> import presync
    >>> found = presync.labels("fixtures/demo", "fixtures/demo/labels")
    >>> found.totals["syncs"], [row["asset"] for row in found.references.to_pylist() if row["outcome"] == "ambiguous"]
    (1, ['cam1/0001.jpg'])
    """
    ended = run("labels", options(locals(), *_OWN), progress)
    return _document(ended, Labels, allow_incomplete)


def reconcile(
    plan: StrPath,
    names: Iterable[str] | StrPath,
    *,
    errors: Mapping[str, str] | None = None,
    column: str | None = None,
) -> Reconciliation:
    """Compares a plan with the names of the assets on the platform. ``names`` is an iterable of names, or the path of a
    file that the command line takes, with ``column`` for the column or field that has them. ``errors`` has the platform's
    codes for names that it refused. Differences do not raise.

    >>> import presync
    >>> report = presync.dry_run("fixtures/demo", include="cam1/*")
    >>> listed = ["cam1/0001.jpg", "cam1/0004.jpg"]
    >>> compared = presync.reconcile(report, listed)
    >>> compared.totals["synced"], compared.totals["unexpected"]
    (1, 1)
    """
    return Reconciliation(_presync.reconcile(plan, names, errors=errors, column=column))


def explain(
    asset: StrPath,
    *,
    profile: StrPath | None = None,
    select: Codes | None = None,
    ignore: Codes | None = None,
    severity: Severities | None = None,
    account: str | None = None,
    auth: str | None = None,
    api_version: str | None = None,
    config: StrPath | None = None,
) -> Explanation:
    """Explains one asset: every range read, what was found where, the verdict and the fix.

    >>> import presync
    >>> explained = presync.explain("fixtures/demo/videos/from-ffmpeg.mp4")
    >>> explained.asset.findings[0].code, explained.structure[0]["name"]
    ('VID001', 'ftyp')
    """
    return _document(run("explain", options(locals())), Explanation)


def rules(code: str | None = None) -> list[Rule]:
    """Every rule, or the one with this code or name.

    >>> import presync
    >>> presync.rules("pixel-format")[0].code
    'VID002'
    """
    ended = run("rule", options(locals()))

    def read() -> list[Rule]:
        return [record(Rule, rule) for rule in json.loads(ended.printed)["rules"]]

    result: list[Rule] = _finish(ended, read, True)
    return result
