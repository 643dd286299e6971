"""Checks blobs inside the tasks of a Spark job (PySpark 4).

An account, from the reports of Azure Blob Inventory to a folder that ``presync report`` reads::

    from presync import spark as presync_spark

    blobs = presync_spark.inventory(spark, "abfss://reports@media.dfs.core.windows.net/rule-manifest.json", "media")
    rows = presync_spark.audit(blobs, "abfss://audits@media.dfs.core.windows.net/2026-11", image_quota=1_000_000)
    rows.groupBy("account", "container", "verdict").count().show()

Every executor needs this package, and credentials in its environment, as for the command line.
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
    """Returns a row for each blob of ``df``, with its facts and its verdict.

    ``df`` has the columns account, container, name and size, and optionally etag and last_modified. The rows are
    computed lazily. ``options`` are those of :func:`presync.check_batches`.

    ``max_requests_per_second`` and ``max_bandwidth`` (bytes per second) apply to each account and the whole job: each
    task gets an equal share. ``tasks`` is the number of tasks that run at a time, by default Spark's number of cores::

        presync_spark.check(blobs, max_requests_per_second=15_000).where("verdict = 'reject'").show()
    """
    at_once = tasks or df.sparkSession.sparkContext.defaultParallelism
    options["max_requests_per_second"] = _share(max_requests_per_second, at_once)
    options["max_bandwidth"] = _share(max_bandwidth, at_once)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # This runs on the executor.
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
    data_row_quota: int | None = None,
    **options: Any,
) -> DataFrame:
    """Checks the blobs of ``df`` and writes the rows to ``out``, as Parquet by account and container.

    Each task writes a range of the listing, in order; finding the ranges reads ``df`` once more. ``presync report`` and
    ``presync commit`` merge the rows of a container and apply the quota in listing order, like one run of
    ``presync dry-run``::

        presync report out/account=media/container=cameras

    The quotas and ``admit`` are recorded for that. All names must begin with ``prefix``. ``partitions`` is the number
    of tasks; ``mode`` is that of Spark's writer. Other options are those of :func:`check`. Returns the rows as written.
    """
    header = presync.part_header(
        **{name: options.get(name) for name in ("profile", "select", "ignore", "severity", "config")},
        endpoint=options.get("endpoint"),
        prefix=prefix,
        dimensions=options.get("dimensions", False),
        admit=admit,
        image_quota=image_quota,
        frame_quota=frame_quota,
        data_row_quota=data_row_quota,
    )
    order = [*_PLACE, "name"]
    ranges = df.repartitionByRange(partitions, *order) if partitions else df.repartitionByRange(*order)
    # Blobs of a container are adjacent, so they are read together.
    listed = ranges.sortWithinPartitions(*order)
    # The rows are already in this order, but Spark does not know that: otherwise it would sort by container alone.
    rows = check(listed, **options).sortWithinPartitions(*order)
    # Spark cannot set the metadata of a file, but it writes the metadata of a column into every file.
    named = F.col("name").alias("name", metadata={presync.PART_KEY: header})
    columns: list[Column] = [named if name == "name" else F.col(name) for name in rows.columns]
    rows.select(*columns).write.partitionBy(*_PLACE).mode(mode).parquet(out)
    return df.sparkSession.read.schema(schema()).parquet(out)


def inventory(
    spark: SparkSession, path: str, account: str, *, container: str | None = None, prefix: str = ""
) -> DataFrame:
    """Reads the blobs of an account from Azure Blob Inventory reports: account, container, name, size, etag and
    last_modified.

    ``path`` is a manifest, with its files next to it, or CSV or Parquet files. Snapshots, old versions, deleted blobs
    and directories are left out. ``container`` and ``prefix`` select a container and the beginning of names::

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
    """Parses a time; some reports have milliseconds since 1970."""
    milliseconds = F.timestamp_millis(F.when(text.rlike(r"^\d+$"), text).cast("long"))
    return F.coalesce(milliseconds, F.try_to_timestamp(F.when(~text.rlike(r"^\d+$"), text)))


def _files(spark: SparkSession, path: str) -> tuple[list[str], str]:
    """The files of a report, and their format."""
    if not path.endswith(".json"):
        return [path], "csv" if ".csv" in path else "parquet"
    text = spark.read.text(path, wholetext=True).first()
    manifest = json.loads(text[0]) if text else {}
    if str(manifest.get("status")).lower() != "succeeded":
        raise ValueError(f"the inventory '{path}' has the status '{manifest.get('status')}', not 'Succeeded'")
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
