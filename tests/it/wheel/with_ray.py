"""Blobs checked by Ray Data. Arguments: a plan with their names, the endpoint, account and container."""

import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from presync import ray as presync_ray

plan, endpoint, account, container = sys.argv[1:]
ray.init(
    num_cpus=2,
    include_dashboard=False,
    log_to_driver=False,
    logging_level="ERROR",
    object_store_memory=100 << 20,
)
ray.data.DataContext.get_current().enable_progress_bars = False
expected = pq.read_table(plan, columns=["name", "size", "etag", "verdict"])
blobs = expected.drop_columns(["verdict"])
for place, (name, value) in enumerate({"account": account, "container": container}.items()):
    blobs = blobs.add_column(place, name, pa.array([value] * len(blobs)))
checked = presync_ray.check(ray.data.from_arrow(blobs), endpoint=endpoint, auth="anonymous", batch_size=1000)
rows = checked.select_columns(["name", "verdict"]).take_all()
ray.shutdown()
verdicts = sorted((row["name"], row["verdict"]) for row in rows)
assert verdicts == sorted(zip(expected["name"].to_pylist(), expected["verdict"].to_pylist()))
print(json.dumps(len(rows)))
