"""The audit inside the tasks of a Spark job (PySpark 4).

Two accounts, from the reports of Azure Blob Inventory to a folder that ``presync report`` reads::

    from presync import spark as presync_spark

    blobs = presync_spark.inventory(spark, "abfss://reports@media.dfs.core.windows.net/rule-manifest.json", "media")
    rows = presync_spark.audit(blobs, "abfss://audits@media.dfs.core.windows.net/2026-11", image_quota=1_000_000)
    rows.groupBy("account", "container", "verdict").count().show()

Every executor needs this package, and credentials in its environment as the command line has them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StringType, StructField, StructType

import presync

_PLACE = ["account", "container"]
_INPUT = [*_PLACE, "name", "size", "etag", "last_modified"]


def schema() -> StructType:
    """The columns of the rows: account and container, then those of a plan."""
    own = [StructField(name, StringType()) for name in _PLACE]
    return StructType(own + list(from_arrow_schema(presync.plan_schema()).fields))


def check(
    df: DataFrame,
    *,
    tasks: int | None = None,
    max_requests_per_second: float | None = None,
    max_bandwidth: float | None = None,
    **options: Any,
) -> DataFrame:
    """A row for each blob of ``df``: what its bytes say, and what the rules say of that.

    ``df`` has the columns account, container, name and size, and may have etag and last_modified. Nothing happens before
    rows are asked for. ``options`` are those of :func:`presync.check_batches`.

    ``max_requests_per_second`` and ``max_bandwidth`` (bytes a second) are for each account and the whole job: each task
    takes an equal share. ``tasks`` is how many run at a time, by default as many as Spark has cores for::

        presync_spark.check(blobs, max_requests_per_second=15_000).where("verdict = 'reject'").show()
    """
    at_once = tasks or df.sparkSession.sparkContext.defaultParallelism
    options["max_requests_per_second"] = _share(max_requests_per_second, at_once)
    options["max_bandwidth"] = _share(max_bandwidth, at_once)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # On the executor.
        import presync

        yield from presync.check_batches(batches, **options)

    given = [name for name in _INPUT if name in df.columns]
    return df.select(*given).mapInArrow(run, schema())


def audit(
    df: DataFrame,
    out: str,
    *,
    partitions: int | None = None,
    mode: str = "errorifexists",
    prefix: str = "",
    admit: str = "listing",
    image_quota: int | None = None,
    frame_quota: int | None = None,
    **options: Any,
) -> DataFrame:
    """Checks the blobs of ``df`` and writes the rows to ``out``, as Parquet by account and container.

    Each task has a stretch of the listing, to find which ``df`` is read once more, and writes it in its order. ``presync report`` and ``presync commit`` put the
    rows of a container together, and weigh the quota in the order of the listing, as one run of ``presync dry-run`` would::

        presync report out/account=media/container=cameras

    The quotas and ``admit`` are written down for that. ``prefix`` is what all names begin with. ``partitions`` is the
    number of tasks; ``mode`` is that of Spark's writer. Other options are those of :func:`check`. Gives back the rows as
    they were written.
    """
    header = presync.part_header(
        profile=options.get("profile", "nexus"),
        endpoint=options.get("endpoint"),
        prefix=prefix,
        dimensions=options.get("dimensions", False),
        admit=admit,
        image_quota=image_quota,
        frame_quota=frame_quota,
    )
    order = [*_PLACE, "name"]
    ranges = df.repartitionByRange(partitions, *order) if partitions else df.repartitionByRange(*order)
    # Blobs of a container lie together, so that they are read together.
    listed = ranges.sortWithinPartitions(*order)
    # What comes out is in that order, and Spark does not know it: without being told, it would sort by container alone.
    rows = check(listed, **options).sortWithinPartitions(*order)
    # A file's own metadata is out of reach; that of a column is written into every file.
    named = F.col("name").alias("name", metadata={presync.PART_KEY: header})
    columns: list[Column] = [named if name == "name" else F.col(name) for name in rows.columns]
    rows.select(*columns).write.partitionBy(*_PLACE).mode(mode).parquet(out)
    return df.sparkSession.read.schema(schema()).parquet(out)


def inventory(
    spark: SparkSession, path: str, account: str, *, container: str | None = None, prefix: str = ""
) -> DataFrame:
    """The blobs of an account as reports of Azure Blob Inventory list them: account, container, name, size, etag and
    last_modified.

    ``path`` is a manifest, whose files lie beside it, or CSV or Parquet files. Snapshots, old versions, deleted blobs and
    directories are left out; so are other containers and names that do not begin with ``prefix``, if they are given::

        presync_spark.inventory(spark, "abfss://reports@media.dfs.core.windows.net/rule-manifest.json", "media")
    """
    files, kind = _files(spark, path)
    if kind == "csv":
        reader = spark.read.option("header", True).option("multiLine", True).option("escape", '"')
        report = reader.csv(files)
    else:
        report = spark.read.parquet(*files)
    columns = {name.lower(): name for name in report.columns}

    def text(name: str) -> Column:
        return (
            F.col(f"`{columns[name.lower()]}`").cast("string")
            if name.lower() in columns
            else F.lit(None).cast("string")
        )

    for needed in ("Name", "Content-Length"):
        if needed.lower() not in columns:
            raise ValueError(
                f"the inventory has no column '{needed}': add it to the schema fields of its rule"
            )
    is_shown = (
        (F.coalesce(text("Snapshot"), F.lit("")) == "")
        & (F.lower(F.coalesce(text("IsCurrentVersion"), F.lit("true"))) != "false")
        & (F.lower(F.coalesce(text("Deleted"), F.lit("false"))) != "true")
        & (F.lower(F.coalesce(text("hdi_isfolder"), F.lit("false"))) != "true")
    )
    whole = text("Name")
    slash = F.expr(f"instr(cast(`{columns['name']}` as string), '/')")
    blobs = report.where(is_shown).select(
        F.lit(account).alias("account"),
        whole.substr(F.lit(1), slash - 1).alias("container"),
        whole.substr(slash + 1, F.length(whole)).alias("name"),
        text("Content-Length").cast("long").alias("size"),
        (text("Etag") if "etag" in columns else F.lit(None).cast("string")).alias("etag"),
        _time(text("Last-Modified")).alias("last_modified"),
    )
    if container is not None:
        blobs = blobs.where(F.col("container") == container)
    return blobs.where(F.col("name").startswith(prefix)) if prefix else blobs


def _time(text: Column) -> Column:
    """Some reports have milliseconds since 1970."""
    milliseconds = F.timestamp_millis(F.when(text.rlike(r"^\d+$"), text).cast("long"))
    return F.coalesce(milliseconds, F.try_to_timestamp(F.when(~text.rlike(r"^\d+$"), text)))


def _files(spark: SparkSession, path: str) -> tuple[list[str], str]:
    """The files of a report, and their format."""
    if not path.endswith(".json"):
        return [path], "csv" if ".csv" in path else "parquet"
    text = spark.read.text(path, wholetext=True).first()
    manifest = json.loads(text[0]) if text else {}
    if str(manifest.get("status")).lower() != "succeeded":
        raise ValueError(f"the inventory '{path}' ended as '{manifest.get('status')}', not as 'Succeeded'")
    rule = manifest.get("ruleDefinition") or {}
    if str(rule.get("objectType", "blob")).lower() != "blob":
        raise ValueError(
            f"the inventory '{path}' lists objects of the type '{rule['objectType']}', not blobs"
        )
    folder = path.rsplit("/", 1)[0] if "/" in path else "."
    files = [f"{folder}/{file['blob'].rsplit('/', 1)[-1]}" for file in manifest["files"]]
    return files, str(rule.get("format", "csv")).lower()


def _share(limit: float | None, tasks: int) -> float | None:
    return None if limit is None else limit / tasks
