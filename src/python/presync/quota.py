"""The ledger: limits, how much is used, reserved and left, and what is synced. ``presync quota``, as functions.

>>> import os, tempfile
>>> from presync import quota
>>> folder = tempfile.TemporaryDirectory()
>>> ledger = os.path.join(folder.name, "ledger.sqlite3")
>>> len(quota.set(images=5_000, used_images=1_200, ledger=ledger))
2
>>> quota.show(ledger=ledger).workspaces[0]["quota"]["images"]["left"]
3800
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from presync._commands import StrPath, _document, options
from presync._records import QuotaStatement
from presync._run import run

__all__ = ["confirm", "forget", "release", "set", "show", "synced"]

#: A limit, or ``"none"`` to remove it.
Limit = int | Literal["none"]


def show(
    *,
    workspace: str | None = None,
    month: str | None = None,
    history: bool = False,
    ledger: StrPath | None = None,
) -> QuotaStatement:
    """Limits, how much is used, reserved and left, and by which plans, in a month such as ``2026-11``."""
    return _document(run("quota show", options(locals())), QuotaStatement)


def set(
    *,
    workspace: str = "default",
    month: str | None = None,
    stock: bool = False,
    images: Limit | None = None,
    frames: Limit | None = None,
    data_rows: Limit | None = None,
    shared: Limit | None = None,
    used_images: int | None = None,
    used_frames: int | None = None,
    used_data_rows: int | None = None,
    used_shared: int | None = None,
    ledger: StrPath | None = None,
) -> list[str]:
    """Sets limits and what the platform shows as used. Returns a line for each change."""
    return _lines("set", options(locals()))


def confirm(
    plans: str | Sequence[str] = (),
    *,
    all: bool = False,
    workspace: str | None = None,
    already_used: bool = False,
    ledger: StrPath | None = None,
) -> list[str]:
    """Confirms that plans have been synced, by ID: what they reserved becomes used. Returns a line for each."""
    return _lines("confirm", options(locals()))


def release(
    plans: str | Sequence[str] = (),
    *,
    all: bool = False,
    workspace: str | None = None,
    ledger: StrPath | None = None,
) -> list[str]:
    """Releases what plans reserved, because they will not be synced. Returns a line for each."""
    return _lines("release", options(locals()))


def synced(plan: StrPath, *, workspace: str | None = None, ledger: StrPath | None = None) -> list[str]:
    """Records that everything that a plan accepts has been synced before, without using any quota."""
    return _lines("synced", options(locals()))


def forget(
    source: StrPath,
    *,
    workspace: str | None = None,
    ledger: StrPath | None = None,
    account: str | None = None,
    auth: str | None = None,
    api_version: str | None = None,
    config: StrPath | None = None,
) -> list[str]:
    """Forgets what is known to be synced of a source, because it is no longer on the platform."""
    return _lines("forget", options(locals()))


def _lines(action: str, given: dict[str, Any]) -> list[str]:
    ended = run(f"quota {action}", given)
    if ended.stop or ended.error:
        raise ended.stop or ended.error or AssertionError
    return ended.printed.decode().splitlines()
