# pyright: strict
"""What a user's type checker says about the package. It is checked, and run, too. Argument: a folder of media."""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import presync
from presync import aio, quota

if TYPE_CHECKING:
    from typing_extensions import assert_type


def watch(progress: presync.Progress) -> None:
    print(progress.judged, progress.all_listed, file=sys.stderr)


def check(folder: Path) -> presync.Report:
    report = presync.dry_run(
        folder,
        image_quota=20,
        admit="newest",
        select=["IMG", "VID", "FMT"],
        severity={"VID102": "error"},
        max_bandwidth="20MiB",
        progress=watch,
    )
    accepted: int = report.totals.accepted
    left: int | None = report.quota.images.left
    names = [finding.code for finding in presync.probe(folder / "cam1/0004.jpg").findings]
    in_memory: presync.Asset = presync.probe(io.BytesIO(b""), name="a.jpg")
    if TYPE_CHECKING:
        assert_type(report, presync.Report)
        assert_type(report.findings, presync.Rows)
        assert_type(report.complete, bool)
        assert_type(names, list[str])
        assert_type(in_memory.orientation, int | None)
        assert_type(presync.rules(), list[presync.Rule])
        assert_type(presync.labels(report, [folder / "labels"]).references, presync.Rows)
        assert_type(presync.preview(folder), presync.Preview)
        assert_type(quota.show(month="2026-11"), presync.QuotaStatement)
    print(accepted, left, file=sys.stderr)
    return report


async def both(folder: Path) -> int:
    task = asyncio.create_task(aio.dry_run(folder))
    second, first = await aio.preview(folder), await task
    if TYPE_CHECKING:
        assert_type(first, presync.Report)
        assert_type(second, presync.Preview)
    return first.totals.listed + second.files


try:
    check(Path(sys.argv[1]))
    print(asyncio.run(both(Path(sys.argv[1]))))
except presync.IncompleteError as error:
    print(error.report, error.hint, file=sys.stderr)
except presync.PresyncError as error:
    print(error.message, error.hint, file=sys.stderr)
    raise
