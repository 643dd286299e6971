"""The commands as coroutines. One that is cancelled stops its run within two seconds.

>>> import asyncio
>>> from presync import aio
>>> async def check() -> int:
...     reports = await asyncio.gather(aio.dry_run("fixtures/demo"), aio.dry_run("fixtures/pages"))
...     return sum(report.totals.listed for report in reports)
>>> asyncio.run(check()) > 65
True
"""

from presync import _commands
from presync._run import in_background

__all__ = ["audit", "commit", "dry_run", "explain", "fix", "labels", "preview", "report"]

audit = in_background(_commands.audit)
commit = in_background(_commands.commit)
dry_run = in_background(_commands.dry_run)
explain = in_background(_commands.explain)
fix = in_background(_commands.fix)
labels = in_background(_commands.labels)
preview = in_background(_commands.preview)
report = in_background(_commands.report)
