"""An Airflow DAG (3.0 or later) that checks a container each night and commits the plan if everything is as agreed."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

import presync

SOURCE = os.environ.get("PRESYNC_SOURCE", "@cameras")
PLANS = Path(os.environ.get("PRESYNC_PLANS", "/var/lib/presync"))


@task(retries=3)
def check(day: str) -> str:
    """Writes the plan of a day and returns its path. A retry resumes where the last attempt ended."""
    plan = PLANS / f"{day}.parquet"
    try:
        report = presync.dry_run(SOURCE, workspace="default", plan=plan, resume=True)
    except (presync.UsageError, presync.ConfigurationError, presync.NotFoundError) as error:
        # Another attempt would fail in the same way; throttling and incomplete runs are tried again.
        raise AirflowFailException(str(error)) from error
    report.save(PLANS / f"{day}.html")
    print(report.headline)
    return str(plan)


@task
def commit(plan: str) -> str:
    """Reserves the quota and writes the manifests."""
    committed = presync.commit(plan)
    if committed.refused:
        raise AirflowFailException(f"refused: {committed.to_dict()['obstacles']}")
    return committed.dir


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False)
def presync_nightly() -> None:
    """Checks, then commits."""
    commit(check("{{ ds }}"))


presync_nightly()
