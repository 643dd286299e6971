"""Compares a plan with the assets of a dataset on Datature Vi, after a sync.

    pip install presync vi-sdk
    python reconcile_vi.py plan.parquet DATASET_ID

The SDK takes its credentials from the environment (DATATURE_VI_SECRET_KEY and DATATURE_VI_ORGANIZATION_ID).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import presync

if TYPE_CHECKING:
    from vi import Client


def filenames(client: Client, dataset_id: str) -> Iterator[str]:
    """The names of all assets of a dataset, page after page."""
    for asset in client.assets.list(dataset_id=dataset_id).all_items():
        yield asset.filename


def main(plan: str, dataset_id: str) -> int:
    try:
        from vi import Client
    except ImportError:
        print("install the SDK of Datature Vi first: pip install vi-sdk", file=sys.stderr)
        return 2
    report = presync.reconcile(plan, filenames(Client(), dataset_id))
    print(report.result)
    for pattern in report.patterns:
        print(f"{pattern['message']}; fix: {pattern['fix']}")
    return 0 if report.totals["missing"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
