"""Runs a command as a process of its own and measures it from outside, with all of its descendants."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

LAUNCH = Path(__file__).with_name("launch.py")
# A run that takes less than this is measured several times.
SHORT_S = 5
REPEATS = 5


class Failed(Exception):
    """The command did not do what it should."""


@dataclass(frozen=True)
class Usage:
    """What a run took."""

    wall_s: float
    cpu_s: float
    #: What the server took in the meantime.
    server_cpu_s: float
    #: What all processes of the machine took, those two included.
    machine_cpu_s: float
    #: Of the largest process.
    peak_mib: float


@dataclass(frozen=True)
class Command:
    """What is run."""

    arguments: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    #: The process of the server that it talks to; 0 when there is none.
    server: int


def run(command: Command, timeout_s: float, before: Callable[[], None]) -> tuple[Usage, int]:
    """Runs a command once, or several times when it is short, and gives medians and the number of runs.

    `before` is called before each run. Raises `Failed` when the command exits with another code than 0 or takes longer
    than the limit.
    """
    usages: list[Usage] = []
    while not usages or (usages[0].wall_s < SHORT_S and len(usages) < REPEATS):
        before()
        usages.append(_run_once(command, timeout_s))
    return Usage(*map(statistics.median, zip(*map(astuple, usages), strict=True))), len(usages)


def _run_once(command: Command, timeout_s: float) -> Usage:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(LAUNCH), str(command.server), *command.arguments],
        env=command.env,
        cwd=command.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout_s)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise Failed(f"took longer than {timeout_s:.0f} s") from None
        raise
    code, *figures = out.split() or ["unknown"]
    if code != "0":
        raise Failed(f"exit code {code}: {' '.join(err.split())[-300:]}")
    wall, cpu, server_cpu, machine_cpu, peak_kib = map(float, figures)
    return Usage(wall, cpu, server_cpu, machine_cpu, peak_kib / 1024)
