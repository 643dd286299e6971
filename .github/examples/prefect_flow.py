"""A Prefect flow (3.0 or later) that checks several containers at a time and reports those with findings."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import flow, task

import presync
from presync import aio


def worth_a_retry(task: Any, run: Any, state: Any) -> bool:
    """Only what may pass by itself is tried again."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, (presync.ThrottledError, presync.IncompleteError))


@task(retries=3, retry_delay_seconds=60, retry_condition_fn=worth_a_retry)
async def check(source: str) -> dict[str, Any]:
    """The totals of a container, and what each rule found."""
    report = await aio.dry_run(source)
    return {"source": report.source, "ok": report.ok, "findings": report.findings_by_code}


@flow
async def check_all(sources: list[str]) -> list[dict[str, Any]]:
    """The containers that have findings."""
    results = await asyncio.gather(*(check(source) for source in sources))
    return [result for result in results if not result["ok"]]


if __name__ == "__main__":
    import sys

    for result in asyncio.run(check_all(sys.argv[1:])):
        print(result)
