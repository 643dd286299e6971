"""What is printed: a table with a row for each peer and source, what differs, and how to take the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from catalog import Peer
from compare import Comparison
from measure import REPEATS, SHORT_S, Usage

NOTES = f"""\
- Servers and clients share the machine's cores. Azurite runs in one thread: fast clients keep it busy and wait for it,
  slow ones do not.
- CPU, KiB and requests are per blob that the peer examines: ffprobe and pyav-dir examine videos only; exiftool (on a
  sample), exiv2-dir and pillow-dir images only; presync both.
- x CPU and x wall compare with presync on the same source: 10 is ten times what presync takes for a blob.
- CPU is user and system time of the client and its descendants, from start to end: the start of an interpreter is in
  it. The peak is that of the largest process, and 9 MiB is the least that can be told.
- Requests and bytes are counted by the loopback server, those of listings too. A body that the client does not read
  to its end counts in full.
- A run of less than {SHORT_S} s is repeated: wall, CPU and peak are medians of {REPEATS}.
- others is how many cores were busy with neither the client nor the server. Measure again where that is much more
  than 0: wall times are then too long, those of peers that keep all cores busy most of all.
- differ counts the blobs of which a peer says something else than presync said of the loopback server, or nothing.
  For downloads, it counts files that are not the same bytes.
- Files of the folder are in the page cache. Every MP4 has its moov in the first KiB.
"""


@dataclass(frozen=True)
class Row:
    """A peer on one source: what it took, and how far it agrees."""

    peer: Peer
    source: str
    #: Medians over the runs.
    usage: Usage
    runs: int
    comparison: Comparison
    #: Requests and bytes; `None` where they are not counted.
    traffic: tuple[int, int] | None

    def figures(self, presync: Row) -> dict[str, Any]:
        """All figures by name. `presync` is its row on the same source."""
        blobs, usage = self.comparison.blobs, self.usage
        requests, size = self.traffic or (None, None)
        base = presync.comparison.blobs
        return {
            "peer": self.peer.name,
            "source": self.source,
            "blobs": blobs,
            "runs": self.runs,
            "wall_s": usage.wall_s,
            "blobs_per_s": blobs / usage.wall_s,
            "cpu_ms_per_blob": usage.cpu_s * 1e3 / blobs,
            "server_cpu_ms_per_blob": usage.server_cpu_s * 1e3 / blobs,
            "kib_per_blob": None if size is None else size / 1024 / blobs,
            "requests_per_blob": None if requests is None else requests / blobs,
            "peak_mib": usage.peak_mib,
            "x_cpu": usage.cpu_s / blobs / (presync.usage.cpu_s / base),
            "x_wall": usage.wall_s / blobs / (presync.usage.wall_s / base),
            "cores_of_others": max(0.0, usage.machine_cpu_s - usage.cpu_s - usage.server_cpu_s) / usage.wall_s,
            "differences": self.comparison.differing,
            "first_differences": list(self.comparison.first),
        }


@dataclass(frozen=True)
class LeftOut:
    """A peer that was not measured, and why."""

    peer: Peer
    source: str
    why: str


def figures(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The figures of all rows."""
    presync = {row.source: row for row in rows if row.peer.name == "presync"}
    return [row.figures(presync[row.source]) for row in rows]


def text(rows: Sequence[Row], left_out: Sequence[LeftOut]) -> str:
    """The table with all that belongs to it."""
    lines = _table(figures(rows))
    lines += ["", *(f"  {peer.name:<13} {peer.what}" for peer in {row.peer.name: row.peer for row in rows}.values())]
    for row in rows:
        if row.comparison.differing:
            lines += ["", f"{row.peer.name} on {row.source} differs from presync in {row.comparison.differing} blobs:"]
            lines += [f"  {difference}" for difference in row.comparison.first]
            lines += [f"  Known: {row.peer.known}"] if row.peer.known else []
    if left_out:
        lines += ["", *(f"{row.peer.name} on {row.source} is left out: {row.why}" for row in left_out)]
    return "\n".join([*lines, "", NOTES])


# Each column: its heading, its figure, how that is written.
COLUMNS = (
    ("peer", "peer", "{}"),
    ("source", "source", "{}"),
    ("blobs", "blobs", "{:,}"),
    ("wall s", "wall_s", "{:.2f}"),
    ("blobs/s", "blobs_per_s", "{:,.0f}"),
    ("CPU ms", "cpu_ms_per_blob", "{:.3f}"),
    ("KiB", "kib_per_blob", "{:.1f}"),
    ("requests", "requests_per_blob", "{:.2f}"),
    ("peak MiB", "peak_mib", "{:.0f}"),
    ("x CPU", "x_cpu", "{:,.1f}"),
    ("x wall", "x_wall", "{:,.1f}"),
    ("others", "cores_of_others", "{:.1f}"),
    ("differ", "differences", "{:,}"),
)


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    def cell(value: Any, form: str) -> str:
        return "-" if value is None else form.format(value)

    cells = [[heading for heading, _, _ in COLUMNS]]
    cells += [[cell(row[figure], form) for _, figure, form in COLUMNS] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for number, (peer, source, *numbers) in enumerate(cells):
        # A blank line before each source.
        if number and source != cells[number - 1][1]:
            lines.append("")
        padded = [peer.ljust(widths[0]), source.ljust(widths[1]), *map(str.rjust, numbers, widths[2:])]
        lines.append("  ".join(padded))
    return lines
