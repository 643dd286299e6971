"""Measures presync and its peers on the same blobs, in one run; `benches/peers/run` starts it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import compare
import measure
import servers
import table
from catalog import IN_FOLDER, ON_SERVERS, PRESYNC, Peer, Source, Task
from table import LeftOut, Row

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120


class Bench:
    """A run: the rows so far, and what presync found in the first of them."""

    def __init__(self, arguments: argparse.Namespace, scratch: Path) -> None:
        self.presync: Path = arguments.presync
        self.concurrency: int = arguments.concurrency
        self.only: set[str] | None = arguments.only
        self.scratch = scratch
        #: A copy of all blobs.
        self.folder = scratch / "folder"
        self.rows: list[Row] = []
        self.left_out: list[LeftOut] = []
        self.reference: compare.Records | None = None

    def measure(self, source: Source, peers: Iterable[Peer]) -> None:
        """Measures presync, and those of the peers that were asked for, on one source."""
        # Without it there is nothing to compare with, so its failure ends the run.
        self._measure(PRESYNC, source)
        for peer in peers:
            if self.only is not None and peer.name not in self.only:
                continue
            if peer.missing:
                self.left_out.append(LeftOut(peer, source.name, f"{peer.needs} is not on the PATH"))
                continue
            try:
                self._measure(peer, source)
            except measure.Failed as error:
                self.left_out.append(LeftOut(peer, source.name, str(error)))

    def _measure(self, peer: Peer, source: Source) -> None:
        print(f"{peer.name} on {source.name} ...", file=sys.stderr, flush=True)
        output, downloads = self.scratch / "output.jsonl", self.scratch / "downloads"
        task = Task(source, self.presync, output, downloads, self.concurrency)
        counting = source.server if source.name == "loopback" else None

        def before() -> None:
            shutil.rmtree(downloads, ignore_errors=True)
            downloads.mkdir()
            output.unlink(missing_ok=True)
            if counting:
                servers.reset(counting)

        # Credentials of whoever runs this must not take part.
        env = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "RCLONE_"))}
        server = source.server.pid if source.server else 0
        command = measure.Command(peer.command(task), env | task.env(), self.scratch, server)
        usage, runs = measure.run(command, TIMEOUT_S, before)
        traffic = None
        if counting:
            stats = servers.stats(counting)
            traffic = sum(stats["requests"].values()), stats["bytes"]
        comparison = self._compare(peer, output, downloads)
        if not comparison.blobs:
            raise measure.Failed("it examined nothing")
        self.rows.append(Row(peer, source.name, usage, runs, comparison, traffic))

    def _compare(self, peer: Peer, output: Path, downloads: Path) -> compare.Comparison:
        if self.reference is None:
            self.reference = compare.load(output)
            return compare.Comparison(len(self.reference))
        if peer.downloads:
            return compare.files(downloads, self.folder, self.reference)
        return compare.facts(peer, compare.load(output), self.reference)


def parse() -> argparse.Namespace:
    """The options."""
    names = [peer.name for peer in ON_SERVERS + IN_FOLDER]
    parser = argparse.ArgumentParser(
        prog="benches/peers/run",
        description="Measures presync side by side with what one would use without it, and compares the results.",
    )
    parser.add_argument("--blobs", type=int, default=2_000, metavar="N", help="blobs in the container [%(default)s]")
    parser.add_argument("--concurrency", type=int, default=64, metavar="N", help="requests at a time [%(default)s]")
    parser.add_argument(
        "--presync",
        type=lambda path: Path(path).resolve(),
        default=ROOT / "target/release/presync",
        metavar="PATH",
        help="the binary [target/release/presync]",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file as well")
    parser.add_argument("--only", metavar="PEERS", help=f"presync and these, between commas: {', '.join(names)}")
    arguments = parser.parse_args()
    if not shutil.which(arguments.presync):
        parser.error(f"there is no {arguments.presync}; build it with cargo build --release, or name another")
    if arguments.blobs < 1 or arguments.concurrency < 1:
        parser.error("there is at least one blob, and one request at a time")
    if arguments.only is not None:
        arguments.only = set(arguments.only.split(","))
        if unknown := arguments.only.difference(names):
            parser.error(f"no peer is called {', '.join(sorted(unknown))}")
    return arguments


def main() -> None:
    """Parses the options, starts the servers, measures, prints."""
    arguments = parse()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="presync-peers-")))
        bench = Bench(arguments, scratch)
        loopback = stack.enter_context(servers.loopback(arguments.presync, arguments.blobs, scratch))
        servers.download(loopback, bench.folder)
        bench.measure(Source.of_server(loopback), ON_SERVERS)
        with servers.azurite(ROOT) as azurite:
            print("upload to Azurite ...", file=sys.stderr, flush=True)
            servers.upload(bench.folder, azurite)
            bench.measure(Source.of_server(azurite), ON_SERVERS)
        bench.measure(Source.of_folder(bench.folder), IN_FOLDER)
    print(f"{arguments.blobs:,} blobs, {arguments.concurrency} requests at a time, {os.cpu_count()} cores\n")
    print(table.text(bench.rows, bench.left_out), end="")
    if arguments.json:
        report = {
            "blobs": arguments.blobs,
            "concurrency": arguments.concurrency,
            "cores": os.cpu_count(),
            "rows": table.figures(bench.rows),
            "left_out": [{"peer": row.peer.name, "source": row.source, "why": row.why} for row in bench.left_out],
            "notes": table.NOTES,
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (measure.Failed, RuntimeError) as error:
        sys.exit(f"benches/peers/run: {error}")
