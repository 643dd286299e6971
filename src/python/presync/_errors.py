"""Why a run could not start, could not go on, or is incomplete."""

from __future__ import annotations

from typing import Any

__all__ = [
    "ConfigurationError",
    "CredentialError",
    "IncompleteError",
    "InterruptedRunError",
    "NotFoundError",
    "PermissionDeniedError",
    "PresyncError",
    "ThrottledError",
    "UsageError",
]


class PresyncError(Exception):
    """presync could not start or could not continue. The subclasses say what kind of problem it is.

    >>> import presync
    >>> try:
    ...     presync.dry_run("/no/such/folder")
    ... except presync.NotFoundError as error:
    ...     print(error.message, "|", error.hint)
    there is no folder '/no/such/folder' | give an existing folder, or a container as ...
    """

    #: What happened.
    message: str
    #: How to fix it, if that is known.
    hint: str | None

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message}\nhelp: {hint}")
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        # Engines send errors from their workers, as pickles.
        return type(self), (self.message, self.hint)


class UsageError(PresyncError):
    """An option or a source makes no sense."""


class ConfigurationError(PresyncError):
    """A profile, ``presync.toml`` or a setting of the network is missing or wrong."""


class CredentialError(PresyncError):
    """There is no credential, or it is not accepted."""


class NotFoundError(PresyncError):
    """A container, a blob, a folder or a file does not exist."""


class PermissionDeniedError(PresyncError):
    """The credential, or the user on this machine, is not allowed to do this."""


class ThrottledError(PresyncError):
    """The service is overloaded or unavailable: it may work later."""


class IncompleteError(PresyncError):
    """A run ended before everything was judged. ``report`` has the results so far.

    It is not raised with ``allow_incomplete=True``: the result is returned instead. If an error ended the run, that is
    its ``__cause__``.
    """

    #: The results so far: what the function would have returned. ``None`` if there are none.
    report: Any

    def __init__(self, message: str, hint: str | None = None, report: Any = None) -> None:
        super().__init__(message, hint)
        self.report = report


class InterruptedRunError(IncompleteError, KeyboardInterrupt):
    """A run was stopped, by Ctrl-C or the kernel's interrupt button. It is also a ``KeyboardInterrupt``."""
