"""Audits on a cluster of two executors. Argument: jobs as JSON, each with what it audits and where to."""

import json
import os
import pathlib
import signal
import sys
import threading
import time
import urllib.request

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from presync import spark as presync_spark
from pyspark.sql import SparkSession

jobs = json.loads(sys.argv[1])

builder = SparkSession.builder.master("local-cluster[2,1,1024]").appName("presync")
settings = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "4",
    # The credential reaches the executors by their environment.
    **{f"spark.executorEnv.{name}": value for name, value in os.environ.items() if name.startswith("AZURE_")},
}
for name, value in settings.items():
    builder = builder.config(name, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("OFF")


def executors():
    """The processes of this cluster's executors."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if b"CoarseGrainedExecutorBackend" in command and f"127.0.0.1:{driver_port}".encode() in command:
                found.append(int(process.name))
        except OSError:
            pass
    return found


driver_port = spark.sparkContext.getConf().get("spark.driver.port")


def kill_in_the_middle(stats, after, killed):
    """Kills an executor once so many blobs have been read."""
    while not killed:
        with urllib.request.urlopen(stats) as answer:
            reads = json.load(answer)["requests"].get("read", 0)
        if reads > after:
            victim = executors()[0]
            os.kill(victim, signal.SIGKILL)
            killed.append(reads)
        time.sleep(0.05)


def listing(job):
    if "inventory" in job:
        return presync_spark.inventory(spark, job["inventory"], job["account"], container=job["container"])
    plan = pq.read_table(job["plan"], columns=["name", "size", "etag"])
    # In no order, and a third of them without an ETag, as an inventory may have it.
    etags = pc.if_else(pa.array([place % 3 == 0 for place in range(len(plan))]), None, plan["etag"])
    plan = plan.set_column(2, "etag", etags)
    plan = plan.take(pa.array(sorted(range(len(plan)), key=lambda place: place * 48_271 % 99_991)))
    for place, name in enumerate(("account", "container")):
        plan = plan.add_column(place, name, pa.array([job[name]] * len(plan)))
    file = job["out"] + "-listing.parquet"
    pq.write_table(plan, file)
    return spark.read.parquet(file)


results = []
for job in jobs:
    killed = []
    if "kill" in job:
        arguments = (job["kill"]["stats"], job["kill"]["after"], killed)
        threading.Thread(target=kill_in_the_middle, args=arguments, daemon=True).start()
    begun = time.time()
    rows = presync_spark.audit(listing(job), job["out"], **job["options"])
    results.append({"seconds": time.time() - begun, "rows": rows.count(), "killed_after": killed})
spark.stop()
print(json.dumps(results))
