"""The result of a run."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from presync import _presync, _rows
from presync._errors import UsageError
from presync._records import Quota, Totals, record
from presync._rows import Rows
from presync._run import run

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["Report"]

#: The format of a report by the end of its name.
_FORMATS = {
    ".txt": "text",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".xml": "junit",
    ".sarif": "sarif",
    ".html": "html",
    ".htm": "html",
    ".md": "markdown",
}


class Folder:
    """A temporary folder, removed with its last user. ``tempfile.TemporaryDirectory`` warns of that."""

    def __init__(self) -> None:
        self.name = tempfile.mkdtemp(prefix="presync-")
        weakref.finalize(self, shutil.rmtree, self.name, ignore_errors=True)


class Report:
    """What will sync, what will not and why, and what it costs.

    The assets stay in a plan, a Parquet file, and are read from it when they are asked for: memory does not grow with
    their number. Without ``plan=`` the file is temporary and is removed with the report. A report can be given wherever
    a plan is expected.

    >>> import presync
    >>> report = presync.dry_run("fixtures/demo", image_quota=20)
    >>> report.totals.listed, report.quota.images.left, report.complete
    (65, 0, True)
    >>> report.assets.schema.names[:3]
    ['name', 'size', 'etag']
    >>> sorted(row["code"] for row in report.findings.to_pylist())[:2]
    ['BLB001', 'BLB001']
    """

    def __init__(self, path: str | os.PathLike[str], folder: Folder | None = None) -> None:
        self._path = os.fspath(path)
        # The folder of a temporary plan goes with this.
        self._folder = folder
        self._document: dict[str, Any] = json.loads(_presync.summary(self._path))

    def __fspath__(self) -> str:
        return self._path

    @property
    def plan(self) -> Path | None:
        """The plan's file; ``None`` if it is temporary."""
        return None if self._folder else Path(self._path)

    @property
    def assets(self) -> Rows:
        """A row for each asset, in listing order, with the columns of :func:`presync.plan_schema`."""
        return _rows.assets(self._path, None, self._folder)

    @property
    def findings(self) -> Rows:
        """A row for each finding: the asset's name, kind, format, size and verdict; code, severity, message and fix."""
        return _rows.findings(self._path, self._folder)

    def select(self, columns: Sequence[str]) -> Rows:
        """The assets with only these columns, which alone are read."""
        return _rows.assets(self._path, columns, self._folder)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.assets.__arrow_c_stream__(requested_schema)

    def to_pandas(self, columns: Sequence[str] | None = None, **options: Any) -> pd.DataFrame:
        """The assets as a pandas DataFrame; the options are those of ``pyarrow.Table.to_pandas``."""
        return _rows.assets(self._path, columns, self._folder).to_pandas(**options)

    def to_polars(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The assets as a polars DataFrame."""
        return _rows.assets(self._path, columns, self._folder).to_polars()

    @property
    def totals(self) -> Totals:
        """How many assets will sync, and what they cost."""
        return record(Totals, self._document["totals"])

    @property
    def quota(self) -> Quota:
        """What a sync uses of the quota."""
        return Quota.from_record(self._document["quota"])

    @property
    def complete(self) -> bool:
        """Whether everything was listed and judged. Otherwise, something may be missing: see :attr:`incomplete`."""
        return bool(self._document["complete"]) and self.totals.unknown == 0

    @property
    def incomplete(self) -> str | None:
        """Why something is missing; ``None`` if nothing is."""
        why: str | None = self._document.get("incomplete")
        if why is None and self.totals.unknown:
            return f"{self.totals.unknown} assets could not be judged"
        return why

    @property
    def ok(self) -> bool:
        """Whether everything will sync: the report is complete, and nothing is rejected or over the quota."""
        return self.complete and self.totals.rejected == 0

    @property
    def findings_by_code(self) -> dict[str, int]:
        """How many assets each rule found."""
        return dict(self._document["findings_by_code"])

    @property
    def source(self) -> str:
        """The folder or the container's URL, without credentials."""
        return str(self._document["source"]["location"])

    @property
    def profile(self) -> str:
        """The name of the profile."""
        return str(self._document["profile"])

    @property
    def summary(self) -> dict[str, Any]:
        """The JSON report without its assets."""
        return dict(self._document)

    def to_dict(self) -> dict[str, Any]:
        """The whole JSON report, with every asset in memory."""
        ended = run("report", {"plan": self._path})
        if ended.error or ended.stop:
            raise ended.stop or ended.error or AssertionError
        document: dict[str, Any] = json.loads(ended.printed)
        return document

    def save(self, path: str | os.PathLike[str], format: str | None = None) -> None:
        """Writes the report to a file, in the format of ``presync report`` that its name ends with, or in ``format``.

        >>> import presync, tempfile, os
        >>> report = presync.dry_run("fixtures/demo")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report.save(os.path.join(folder, "report.html"))
        ...     report.save(os.path.join(folder, "tests"), format="junit")
        """
        path = os.fspath(path)
        end = os.path.splitext(path)[1].lower()
        chosen = format or _FORMATS.get(end)
        if chosen is None:
            raise UsageError(f"the format of '{path}' is not known", "pass format, such as 'html' or 'csv'")
        ended = run("report", {"plan": self._path, "format": chosen, "output": path})
        if ended.error or ended.stop:
            raise ended.stop or ended.error or AssertionError

    @property
    def headline(self) -> str:
        """One line on what will sync."""
        totals = self.totals
        parts = [f"{totals.accepted:,} of {totals.listed - totals.skipped:,} assets will sync"]
        if totals.rejected:
            parts.append(f"{totals.rejected:,} will be left out")
        if totals.unknown:
            parts.append(f"{totals.unknown:,} could not be judged")
        return ", ".join(parts)

    def __repr__(self) -> str:
        incomplete = "" if self.complete else f" (incomplete: {self.incomplete})"
        return f"<presync.Report of {self.source}: {self.headline}{incomplete}>"

    def _repr_html_(self) -> str:
        parts = [f"<h4 style='margin:0'>{escape(self.headline)}</h4>", f"<div>{escape(self.source)}</div>"]
        if not self.complete:
            parts.append(f"<div><b>Incomplete:</b> {escape(str(self.incomplete))}</div>")
        parts.append("<table><tr><th>quota</th><th>cost</th><th>used before</th><th>limit</th><th>left</th></tr>")
        for name, gauge in (("images", self.quota.images), ("frames", self.quota.frames)):
            unit = f"{name} ({escape(gauge.unit)})" if gauge.unit and gauge.unit != name else name
            limit, left = (
                "no limit" if number is None else f"{number:,}" for number in (gauge.limit, gauge.left)
            )
            over = "" if gauge.fits else " style='color:#c00'"
            parts.append(
                f"<tr{over}><td>{unit}</td><td>{gauge.cost:,}</td><td>{gauge.used_before:,}</td>"
                f"<td>{limit}</td><td>{left if gauge.limit is not None else ''}</td></tr>"
            )
        parts.append("</table>")
        if self.findings_by_code:
            parts.append("<table><tr><th>rule</th><th>assets</th><th></th></tr>")
            texts = _rule_texts()
            for code, count in self.findings_by_code.items():
                text = escape(texts.get(code, ""))
                parts.append(f"<tr><td>{escape(code)}</td><td>{count:,}</td><td style='text-align:left'>{text}</td></tr>")
            parts.append("</table>")
        return "<div>" + "".join(parts) + "</div>"


_texts: dict[str, str] = {}


def _rule_texts() -> dict[str, str]:
    """What each rule means, in one line."""
    if not _texts:
        for rule in json.loads(run("rule", {}).printed)["rules"]:
            _texts[rule["code"]] = rule["summary"]
    return _texts
