"""Blobs a second and CPU a blob: the command line, check_batches, and Spark with 1, 2 and 4 tasks. All in turn, twice.

Arguments: the program, and how many blobs.
"""

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import presync
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from presync import spark as presync_spark
from pyspark.sql import SparkSession

program, count = sys.argv[1], int(sys.argv[2])
TASKS = (1, 2, 4)
ROUNDS = 2


def cpu() -> float:
    """Seconds of CPU of this process and of all that it has started."""
    seconds = sum(os.times()[:4])
    for child in psutil.Process().children(recursive=True):
        if child.pid == server.pid:
            continue
        try:
            times = child.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
        except psutil.NoSuchProcess:
            pass
    return seconds


def measure(name: str, work, blobs: int = count) -> None:
    begun, used = time.time(), cpu()
    work()
    seconds, used = time.time() - begun, cpu() - used
    print(
        f"{name:40} {blobs / seconds:9,.0f} blobs/s {used / blobs * 1e6:8.1f} µs of CPU a blob {seconds:7.1f} s",
        flush=True,
    )


server = subprocess.Popen(
    [program, "loopback", "--blobs", str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
)
url = json.loads(server.stdout.readline())["url"]
options = {"endpoint": url.rsplit("/", 1)[0] + "/{account}", "auth": "anonymous"}
folder = Path(tempfile.mkdtemp())
plan, listing = folder / "plan.parquet", folder / "listing.parquet"


def command_line() -> None:
    arguments = [program, "dry-run", f"{url}/media", "--auth", "anonymous", "--plan", str(plan), "--quiet"]
    subprocess.run(arguments, stdout=subprocess.DEVNULL, check=False)


def batches(names: pa.Table) -> list[pa.RecordBatch]:
    return names.to_batches(max_chunksize=10_000)


def drain(table: pa.Table) -> None:
    rows = sum(batch.num_rows for batch in presync.check_batches(batches(table), **options))
    assert rows == len(table)


command_line()
rows = pq.read_table(plan, columns=["name", "size", "etag"])
for place, (name, value) in enumerate({"account": "loopback", "container": "media"}.items()):
    rows = rows.add_column(place, name, pa.array([value] * len(rows)))
pq.write_table(rows, listing)
# Nothing of these is read: what is left are the boundary and the pipeline.
unread = rows.set_column(2, "name", pa.array([f"{name}.txt" for name in rows["name"].to_pylist()]))

for _ in range(ROUNDS):
    measure("presync dry-run --plan, listing included", command_line)
    measure("check_batches, one process", lambda: drain(rows))
    measure("check_batches, rows that are not read", lambda: drain(unread))
    for tasks in TASKS:
        spark = (
            SparkSession.builder.master(f"local[{tasks}]").config("spark.ui.enabled", "false").getOrCreate()
        )
        spark.sparkContext.setLogLevel("OFF")
        blobs = spark.read.parquet(str(listing)).repartition(tasks)
        # Java and the workers are warm.
        presync_spark.check(blobs.limit(1000), **options).count()
        out = str(folder / f"out-{tasks}")
        audit = functools.partial(
            presync_spark.audit, blobs, out, partitions=tasks, mode="overwrite", **options
        )
        measure(f"presync.spark.audit, {tasks} tasks", audit)
        spark.stop()
server.stdin.close()
