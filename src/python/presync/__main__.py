"""``python -m presync`` and the console script: the command line."""

import os
import signal
import sys

from presync._presync import main as _main


def main() -> None:
    """Runs ``presync`` with the arguments of this process."""
    # The command handles Ctrl-C itself; Python's handler would run only after it returns.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # The benchmark runs the command again, each measurement in a process of its own.
    os.environ["PRESYNC_PYTHON"] = sys.executable
    sys.exit(_main(["presync", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
