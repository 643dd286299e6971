"""Blobs a second and CPU a blob: the command line, check_batches, and Spark with 1, 2 and 4 tasks. All in turn, twice.
Then the requests of 1, 2, 4 and 8 tasks that share an account's limit, as the server counts them.

Arguments: the program, and how many blobs.
"""

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
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
# Requests per second that the tasks share, and how many blobs they check: ten seconds' worth.
LIMIT, LIMITED = 400, 4_000


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

def session(tasks: int) -> SparkSession:
    spark = SparkSession.builder.master(f"local[{tasks}]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


def server_says(path: str, method: str = "GET") -> bytes:
    request = urllib.request.Request(f"{url.rsplit('/', 1)[0]}/_loopback/{path}", method=method)
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def share_limit(tasks: int) -> None:
    """Prints the most requests of any second, and their mean while there were any."""
    spark = session(tasks)
    blobs = spark.read.parquet(str(listing)).limit(LIMITED).repartition(tasks).cache()
    presync_spark.check(blobs.limit(100), **options).count()
    server_says("reset", "POST")
    checked = presync_spark.check(blobs, max_requests_per_second=LIMIT, **options)
    checked.write.mode("overwrite").parquet(str(folder / "limited"))
    stats = json.loads(server_says("stats"))
    spark.stop()
    # Tenths of a second.
    counts = [served + refused for served, refused in stats["buckets"]]
    while counts and counts[0] == 0:
        counts.pop(0)
    most = max(sum(counts[at : at + 10]) for at in range(max(1, len(counts) - 9)))
    mean = sum(counts) / len(counts) * 10
    print(f"{tasks} tasks share {LIMIT} requests/s: mean {mean:.0f}, at most {most} in a second", flush=True)


for _ in range(ROUNDS):
    measure("presync dry-run --plan, listing included", command_line)
    measure("check_batches, one process", lambda: drain(rows))
    measure("check_batches, rows that are not read", lambda: drain(unread))
    for tasks in TASKS:
        spark = session(tasks)
        blobs = spark.read.parquet(str(listing)).repartition(tasks)
        # Java and the workers are warm.
        presync_spark.check(blobs.limit(1000), **options).count()
        out = str(folder / f"out-{tasks}")
        audit = functools.partial(
            presync_spark.audit, blobs, out, partitions=tasks, mode="overwrite", **options
        )
        measure(f"presync.spark.audit, {tasks} tasks", audit)
        spark.stop()
for tasks in (*TASKS, 8):
    share_limit(tasks)
server.stdin.close()
