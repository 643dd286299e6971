"""Blobs checked by Daft. Arguments: a plan with their names, the endpoint, account and container."""

import json
import sys

import daft
import pyarrow as pa
import pyarrow.parquet as pq
from presync import daft as presync_daft

plan, endpoint, account, container = sys.argv[1:]
expected = pq.read_table(plan, columns=["name", "size", "etag", "verdict"])
blobs = expected.drop_columns(["verdict"])
containers = [container if place % 2 else "absent" for place in range(len(blobs))]
blobs = blobs.add_column(0, "container", pa.array(containers))
blobs = blobs.add_column(0, "account", pa.array([account] * len(blobs)))
checked = presync_daft.check(daft.from_arrow(blobs), endpoint=endpoint, auth="anonymous", batch_size=700)
rows = checked.select("container", "name", "verdict").to_arrow()
# Each row is at the place of its blob.
assert rows["name"].to_pylist() == blobs["name"].to_pylist()
assert rows["container"].to_pylist() == containers
verdicts = [
    verdict if place % 2 else "unknown" for place, verdict in enumerate(expected["verdict"].to_pylist())
]
assert rows["verdict"].to_pylist() == verdicts
print(json.dumps(len(rows)))
