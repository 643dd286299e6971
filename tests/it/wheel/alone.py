"""The package in an environment with nothing but what it needs. Arguments: a folder of media, a container's URL."""

import glob
import json
import os
import subprocess
import sys

import presync
import pyarrow as pa

folder, url = sys.argv[1:]
endpoint, _, path = url.rpartition("/")[0].rpartition("/")[0], None, url.rsplit("/", 2)
account, container = path[1:]
endpoint += "/{account}"

# One file, by its path and by its bytes, as the report of the folder has it.
report = presync.dry_run(folder, profile="nexus")
records = {record["name"]: record for record in report.to_dict()["assets"]}
for file in glob.glob(f"{folder}/**/*.*", recursive=True):
    name = file[len(folder) + 1 :]
    expected = records[name]
    if expected["verdict"] == "skip":
        continue
    with open(file, "rb") as opened:
        bytes_ = opened.read()
    for asset in (presync.probe(file), presync.probe(bytes_, name=name)):
        record = asset.to_dict()
        for key in ("size", "kind", "format", "orientation", "pixel_format", "frames", "verdict", "cost"):
            assert record.get(key) == expected.get(key), (name, key, record, expected)

# Blobs that are handed over, as the run that lists them has them.
report = presync.dry_run(url, auth="anonymous")
records = report.to_dict()["assets"]


class Capsule:
    """Nothing but the Arrow PyCapsule interface."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


TEXT, NUMBER = pa.string(), pa.int64()


def blobs(records, text=TEXT, number=NUMBER):
    return pa.table(
        {
            "account": pa.array([account] * len(records), text),
            "container": pa.array([container] * len(records), text),
            "name": pa.array([record["name"] for record in records], text),
            "size": pa.array([record["size"] for record in records], number),
            "etag": pa.array(
                [record["etag"] if place % 3 else None for place, record in enumerate(records)], text
            ),
        }
    )


def check(batches, **options):
    return list(presync.check_batches(batches, endpoint=endpoint, auth="anonymous", **options))


inputs = {
    "batches": blobs(records).to_batches(max_chunksize=7),
    "a generator of tables": (blobs(records[at : at + 20]) for at in range(0, len(records), 20)),
    "capsules with other types": [Capsule(blobs(records, pa.string_view(), pa.int32()))],
    "large strings": [blobs(records, pa.large_string(), pa.uint64())],
    "one table": blobs(records),
    "one stream": Capsule(blobs(records)),
    "one reader": blobs(records).to_reader(max_chunksize=11),
}
for kind, batches in inputs.items():
    for rows in (check(batches, batch_rows=10) if kind == "batches" else check(batches),):
        table = pa.Table.from_batches(rows)
        assert table.select(presync.plan_schema().names).schema.equals(presync.plan_schema()), table.schema
        assert table["name"].to_pylist() == [record["name"] for record in records], kind
        for key in ("etag", "verdict", "format", "orientation", "frames", "size"):
            # What is not read has the ETag that it came with.
            pairs = zip(
                table[key].to_pylist(),
                (record.get(key) for record in records),
                table["reads_requests"].to_pylist(),
            )
            assert all(row == record for row, record, requests in pairs if requests), (kind, key)
        images = sum(1 for row in table.to_pylist() if row["verdict"] == "accept" and row["kind"] == "image")
        assert images == report.totals.images, kind

# A container that is not there is rows, and so are its blobs alone.
mixed = blobs(records[:4]).set_column(1, "container", pa.array([container, "absent", container, "absent"]))
rows = [row for batch in check([mixed]) for row in batch.to_pylist()]
assert len(rows) == 4
assert isinstance(presync.check_batches([], endpoint=endpoint).schema, pa.Schema)
for row in rows:
    assert (row["verdict"] == "unknown") == (row["container"] == "absent"), row
    if row["container"] == "absent":
        assert "there is no container 'absent'" in row["findings"][0]["message"]


def refused(kind, text, call, *args, **options):
    try:
        call(*args, **options)
    except kind as error:
        assert text in str(error), error
        return error
    raise AssertionError(f"{text} was expected")


refused(ValueError, "no column 'account'", check, [pa.table({"name": ["a"]})])
refused(
    ValueError,
    "'size' has a value that is missing",
    check,
    [blobs([{"name": "a", "size": None, "etag": None}])],
)
refused(ValueError, "the name in row 0 is empty", check, [blobs([{"name": "", "size": 1, "etag": None}])])
refused(presync.UsageError, "no '{account}'", presync.check_batches, [], endpoint="http://127.0.0.1")
refused(presync.UsageError, "auth cannot be 'x'", presync.check_batches, [], auth="x")
refused(presync.UsageError, "above zero", presync.check_batches, [], max_requests_per_second=0)
error = refused(presync.UsageError, "is a folder", presync.probe, folder)
assert error.hint == "presync.dry_run() takes folders"

def broken():
    yield blobs(records[:3])
    raise KeyError("upstream")


refused(
    KeyError, "upstream", lambda: list(presync.check_batches(broken(), endpoint=endpoint, auth="anonymous"))
)

# What is given up half-way ends.
half = presync.check_batches((blobs(records) for _ in range(10_000)), endpoint=endpoint, auth="anonymous")
next(half)
del half
assert check([]) == []
# The command line, as a console script and as a module.
script = os.path.join(os.path.dirname(sys.executable), "presync")
for command in ([script], [sys.executable, "-m", "presync"]):
    ran = subprocess.run([*command, "--version"], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, f"presync {presync.__version__}\n"), ran
    ran = subprocess.run([*command, "dry-run", folder, "--format", "json"], capture_output=True, text=True)
    assert ran.returncode == 1 and json.loads(ran.stdout)["totals"]["listed"] == 65, ran
    ran = subprocess.run([*command, "dry-run", "/nowhere"], capture_output=True, text=True)
    assert ran.returncode == 2 and ran.stderr.startswith("error: "), ran
    ran = subprocess.run([*command, "bench", "--blobs", "200", "--format", "json"], capture_output=True, text=True)
    assert ran.returncode == 0 and json.loads(ran.stdout), ran

print(json.dumps(presync.__version__))
