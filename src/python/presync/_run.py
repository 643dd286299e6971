"""Runs a command: progress, Ctrl-C and cancellation."""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from presync import _presync
from presync._errors import PresyncError
from presync._records import Progress

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    P = ParamSpec("P")

T = TypeVar("T")

#: ``True`` for a bar, or a function that is called a few times a second.
ProgressOption = bool | Callable[[Progress], object] | None

#: How often a run is looked at, in seconds.
_INTERVAL = 0.1
#: How long a run that was stopped may take to end, in seconds: Ctrl-C takes two seconds at most.
_GRACE = 1.8
#: How often progress is printed where there is no bar, in seconds.
_PRINT_EVERY = 2.0

_logger = logging.getLogger("presync")
#: Set on another thread to cancel the call.
_cancelled: ContextVar[threading.Event | None] = ContextVar("presync_cancelled", default=None)


class Ended:
    """How a command ended: its exit code and what it printed, or an error; and whether it was stopped."""

    def __init__(self, exit_code: int, printed: bytes, error: PresyncError | None, stop: BaseException | None) -> None:
        self.exit_code = exit_code
        self.printed = printed
        self.error = error
        #: What stopped it: a ``KeyboardInterrupt``, a cancellation, or an error of the progress function.
        self.stop = stop


class Cancelled(BaseException):
    """The call was cancelled; nobody waits for its result."""


def run(command: str, options: dict[str, Any], progress: ProgressOption = None) -> Ended:
    """Runs a command to its end, or until Ctrl-C."""
    cancelled = _cancelled.get()
    begun = _presync.Run(command, options)
    stop: BaseException | None = None
    with _shown(progress) as show:
        try:
            while not begun.wait(_INTERVAL):
                _log(begun)
                show(begun)
                if cancelled is not None and cancelled.is_set():
                    raise Cancelled
            show(begun)
        except BaseException as error:
            stop = error
            begun.stop()
            if not begun.wait(_GRACE):
                # It waits for something that cannot be stopped, such as a sign-in, and ends by itself.
                raise
    _log(begun)
    try:
        exit_code, printed = begun.result()
        return Ended(exit_code, printed, None, stop)
    except PresyncError as error:
        return Ended(2, b"", error, stop)


def _log(begun: _presync.Run) -> None:
    for line in begun.said():
        _logger.log(logging.WARNING if line.startswith("warning: ") else logging.INFO, "%s", line)


@contextmanager
def _shown(progress: ProgressOption) -> Iterator[Callable[[_presync.Run], None]]:
    if not progress:
        yield lambda begun: None
    elif callable(progress):
        function = progress

        def show(begun: _presync.Run) -> None:
            function(Progress(*begun.progress()))

        yield show
    else:
        with _bar() as bar:
            yield lambda begun: bar(Progress(*begun.progress()))


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    try:
        from tqdm.auto import tqdm  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        yield _printer()
        return
    with tqdm(unit="blob", unit_scale=True, desc="presync") as bar:

        def show(progress: Progress) -> None:
            bar.total = progress.listed if progress.all_listed else None
            bar.n = progress.judged
            bar.set_postfix(rejected=progress.rejected, unknown=progress.unknown, refresh=False)
            bar.refresh()

        yield show


def _printer() -> Callable[[Progress], None]:
    last = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= _PRINT_EVERY:
            last = time.monotonic()
            of = f" of {progress.listed:,}" if progress.all_listed else ""
            line = f"presync: {progress.judged:,}{of} blobs, {progress.rejected:,} rejected, {progress.unknown:,} unknown"
            print(line, file=sys.stderr, flush=True)

    return show


def in_background(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The function as a coroutine. It runs on a thread of its own; if the coroutine is cancelled, the run stops."""

    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        cancelled = threading.Event()

        def settle(value: T | None, error: BaseException | None) -> None:
            if result.done():
                return
            if error is not None:
                result.set_exception(error)
            else:
                result.set_result(value)  # type: ignore[arg-type]

        def work() -> None:
            _cancelled.set(cancelled)
            value: T | None = None
            failed: BaseException | None = None
            try:
                value = function(*args, **kwargs)
            except Cancelled:
                failed = PresyncError("the run was cancelled")
            except BaseException as error:
                failed = error
            try:
                loop.call_soon_threadsafe(settle, value, failed)
            except RuntimeError:
                # The loop was closed meanwhile: nobody waits any more.
                pass

        threading.Thread(target=work, name="presync-aio", daemon=True).start()
        try:
            return await asyncio.shield(result)
        except asyncio.CancelledError:
            cancelled.set()
            await asyncio.wait([result], timeout=_GRACE + _INTERVAL)
            if result.done():
                result.exception()
            raise

    return call
