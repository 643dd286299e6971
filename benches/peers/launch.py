"""Runs a command and tells what it took: `python -I -S launch.py SERVER_PID COMMAND...`, with 0 for no server.

A process of its own, and a small one: Linux counts the memory that the parent has at the fork as the child's peak.
"""

import os
import sys
import time

TICKS = os.sysconf("SC_CLK_TCK")


def server_cpu(pid):
    """Seconds of CPU that the server has taken."""
    if pid == "0":
        return 0
    with open(f"/proc/{pid}/stat") as stat:
        user, system = stat.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICKS


def machine_cpu():
    """Seconds of CPU that all processes have taken."""
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _wait, irq, softirq = map(int, stat.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS


def main():
    """Prints exit code, wall time, CPU of the command, of the server and of all processes, and the peak in KiB."""
    server, *command = sys.argv[1:]
    begun, server_before, machine_before = time.monotonic(), server_cpu(server), machine_cpu()
    child = os.fork()
    if child == 0:
        # What the command prints goes to stderr: stdout is for the figures.
        os.dup2(2, 1)
        try:
            os.execvp(command[0], command)
        finally:
            os._exit(127)

    # The child's usage has that of all descendants which it waited for.
    _, status, usage = os.wait4(child, 0)
    wall, machine = time.monotonic() - begun, machine_cpu() - machine_before
    cpu = usage.ru_utime + usage.ru_stime
    print(os.waitstatus_to_exitcode(status), wall, cpu, server_cpu(server) - server_before, machine, usage.ru_maxrss)


main()
