"""What a data engineer does with the package. Arguments: a folder of media, a server's URL with containers that behave
as their names say, and a folder for files."""

import asyncio
import importlib
import doctest
import inspect
import io
import json
import logging
import os
import pickle
import signal
import sys
import threading
import time
import warnings

import duckdb
import fsspec
import polars as pl
import presync
import pyarrow as pa
from fsspec.implementations.memory import MemoryFileSystem
from presync import aio, quota

folder, server, out = sys.argv[1:]
anonymous = {"auth": "anonymous"}
os.environ["PRESYNC_LEDGER"] = os.path.join(out, "ledger.sqlite3")


def raised(kind, call, *args, **options):
    try:
        call(*args, **options)
    except kind as error:
        assert type(error) is kind, (type(error), error)
        return error
    raise AssertionError(f"{kind} was expected")


def examples_in_docstrings():
    attempted = 0
    for name in ("", "_commands", "_errors", "_probe", "_records", "_report", "_rows", "aio", "quota"):
        module = importlib.import_module(f"presync.{name}".rstrip("."))
        ran = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
        assert ran.failed == 0, module
        attempted += ran.attempted
    assert attempted > 50


def tables():
    report = presync.dry_run(folder, image_quota=20)
    whole = report.to_dict()
    records = {record["name"]: record for record in whole["assets"]}
    # The same assets, whichever way they are taken.
    frames = report.to_pandas()
    assert list(frames["name"]) == list(records) == report.to_polars(["name"])["name"].to_list()
    assert pl.DataFrame(report)["verdict"].to_list() == list(frames["verdict"])
    assets = report.assets
    counted = duckdb.sql("SELECT verdict, count(*) FROM assets GROUP BY ALL").fetchall()
    totals = report.totals
    assert dict(counted) == {"accept": totals.accepted, "reject": totals.rejected, "skip": totals.skipped}
    assert assets.schema.equals(presync.plan_schema()), assets.schema
    assert report.select(["name", "size"]).to_arrow().column_names == ["name", "size"]
    assert pa.RecordBatchReader.from_stream(report.findings).schema.names[-1] == "fix"
    # One row a finding.
    expected = [(name, found["code"], found.get("fix")) for name, record in records.items() for found in record["findings"]]
    found = [(row["name"], row["code"], row["fix"]) for row in report.findings.to_pylist()]
    assert found == expected and found
    # What is typed is what the document says.
    for name in ("listed", "accepted", "rejected", "frames", "requests"):
        assert getattr(totals, name) == whole["totals"][name]
    assert (report.quota.images.limit, report.quota.images.left, report.quota.frames.limit) == (20, 0, None)
    assert not report.quota.fits and report.quota.images.shortage["refused"] > 0
    assert report.complete and not report.ok and report.findings_by_code == whole["findings_by_code"]
    page = report._repr_html_()
    assert report.headline in page and "IMG001" in page and "no limit" in page and str(totals.accepted) in page
    # A notebook shows names of sources and reasons, which anybody may have chosen.
    strange = os.path.join(out, "<script>")
    os.makedirs(strange)
    assert "<script>" not in presync.dry_run(strange, allow_empty=True)._repr_html_()


def files():
    plan = os.path.join(out, "plan.parquet")
    report = presync.dry_run(folder, plan=plan)
    assert str(report.plan) == plan and presync.report(plan).totals == report.totals
    for name, begin in {
        "r.html": "<!doctype html>", "r.json": "{", "r.jsonl": "{", "r.csv": "name", "r.xml": "<?xml", "r.txt": "presync", "r.sarif": "{",
    }.items():
        path = os.path.join(out, name)
        report.save(path)
        with open(path, encoding="utf-8-sig") as file:
            assert file.read(20).lower().startswith(begin), name
    report.save(os.path.join(out, "copy"), format="parquet")
    assert presync.report(os.path.join(out, "copy")).summary["totals"] == report.summary["totals"]
    assert "cannot be 'docx'" in str(raised(presync.UsageError, report.save, os.path.join(out, "r"), "docx"))
    raised(presync.UsageError, report.save, os.path.join(out, "r.docx"))
    # The temporary plan of a report goes with it, without a warning.
    warnings.simplefilter("error")
    temporary = presync.dry_run(folder, baseline=report)
    path = os.fspath(temporary)
    assert temporary.plan is None and os.path.exists(path)
    unraisable = []
    sys.unraisablehook, before = unraisable.append, sys.unraisablehook
    del temporary
    sys.unraisablehook = before
    warnings.resetwarnings()
    assert not os.path.exists(os.path.dirname(path)) and not unraisable, unraisable


def commands():
    report = presync.dry_run(folder, plan=os.path.join(out, "commit.parquet"))
    quota.set(images=100, frames="none", used_images=10)
    committed = presync.commit(report, workspace="default")
    assert committed.outcome == "committed" and os.path.isdir(committed.dir) and not committed.refused
    shown = quota.show().workspaces[0]
    assert shown["quota"]["images"]["reserved"] == committed.costs["images"] == report.totals.images
    assert len(quota.confirm(committed.plan_id[:12])) == 1
    assert presync.commit(report, workspace="default").outcome == "committed-before"
    raised(presync.UsageError, presync.commit, presync.dry_run(folder))
    audit = presync.audit([folder, f"{server}/media"], out=os.path.join(out, "audit"), **anonymous)
    assert audit.complete and audit.totals.listed == report.totals.listed + 300
    assert {container["state"] for container in audit.containers} == {"complete"}
    assert presync.audit_report(os.path.join(out, "audit")).totals.listed == audit.totals.listed
    assert "several containers" in str(raised(presync.UsageError, presync.report, os.path.join(out, "audit")))
    fixed = presync.fix(folder, only="VID001", out=os.path.join(out, "fixed"), apply=False)
    assert fixed.done is None and sum(group["assets"] for group in fixed.fixable.values()) > 0
    assert presync.preview(f"{server}/media", **anonymous).files == 300
    codes = [rule.code for rule in presync.rules()]
    assert len(codes) == len(set(codes)) > 20 and {"IMG001", "QTA002"} <= set(codes)
    explained = presync.explain(f"{server}/media/{first_blob()}", **anonymous)
    assert explained.asset.verdict in ("accept", "reject") and explained.ranges[0][0] == 0


def first_blob():
    return presync.dry_run(f"{server}/media", **anonymous).to_pandas(["name"])["name"][0]


def rules_of_a_file():
    """The rules of presync.toml apply, and arguments override them."""
    config = os.path.join(out, "presync.toml")
    with open(config, "w") as file:
        file.write('[rules]\nignore = ["VID102"]\n[rules.severity]\nVID101 = "error"\n')
    blobs = presync.dry_run(f"{server}/media", **anonymous).select(["name", "size"]).to_arrow()
    for name, value in {"container": "media", "account": "loopback"}.items():
        blobs = blobs.add_column(0, name, pa.array([value] * len(blobs)))
    endpoint = server.replace("/loopback", "/{account}")

    def rejected(**options):
        rows = presync.check_batches(blobs, endpoint=endpoint, auth="anonymous", **options)
        assert rows.schema.names[:3] == ["account", "container", "name"]
        return pl.DataFrame(rows).filter(pl.col("verdict") == "reject").height

    # A stream is taken and given as a whole; with a list of batches, it is the same.
    assert 0 < rejected() == presync.dry_run(f"{server}/media", **anonymous).totals.rejected
    assert 0 < rejected(ignore=["VID"]) < rejected()
    assert rejected(select="QTA") == 0
    path = os.path.join(folder, "videos/trimmed.mp4")
    codes = {(found.code, found.severity) for found in presync.probe(path, config=config).findings}
    assert ("VID101", "error") in codes, codes
    assert presync.probe(path, config=config, severity={"VID101": "warning"}).accepted
    header = json.loads(presync.part_header(config=config))
    assert header["profile"]["overrides"] != json.loads(presync.part_header())["profile"].get("overrides")


def errors():
    for container, kind in {
        "absent": presync.NotFoundError,
        "forbidden": presync.PermissionDeniedError,
        "unsigned": presync.CredentialError,
    }.items():
        error = raised(kind, presync.dry_run, f"{server}/{container}", **anonymous)
        assert container in error.message and error.hint, error
        assert str(error) == f"{error.message}\nhelp: {error.hint}"
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), copy.message, copy.hint) == (kind, error.message, error.hint)
    assert issubclass(kind, presync.PresyncError)
    raised(presync.CredentialError, presync.dry_run, "https://media.blob.core.windows.net/cam", auth="sas")
    raised(presync.ConfigurationError, presync.dry_run, "@nowhere", config=os.path.join(out, "presync.toml"))
    raised(presync.NotFoundError, presync.probe, os.path.join(out, "nothing"))
    for options in (
        {"admit": "first"}, {"auth": "x"}, {"concurrency": 0}, {"workers": "many"}, {"image_quota": -1}, {"resume": True},
        {"inventory": ["a.csv"], "no_recurse": True}, {"severity": {"IMG001": "bad"}}, {"select": ["NONE"]}, {"max_bandwidth": "0"},
    ):
        name = next(iter(options))
        assert name in str(raised(presync.UsageError, presync.dry_run, folder, **options)), options
    for kind, call, *args in (
        (presync.UsageError, presync.audit, ()),
        (presync.UsageError, presync.rules, "XXX"),
        (presync.UsageError, presync.explain, folder),
        (presync.UsageError, presync.report, os.path.join(folder, "README.md")),
        (presync.NotFoundError, presync.explain, os.path.join(folder, "none.jpg")),
        (presync.NotFoundError, presync.report, os.path.join(out, "none.parquet")),
        (presync.NotFoundError, quota.confirm, "abc"),
    ):
        options = {"out": os.path.join(out, "none")} if call is presync.audit else {}
        raised(kind, call, *args, **options)
    error = raised(presync.UsageError, presync.dry_run, folder, data_row_quota=5)
    assert error.hint == "use image_quota=N and frame_quota=N", error.hint
    secret = "https://media.blob.core.windows.net/cam?sv=2024-11-04&sp=r&sig=c2VjcmV0c2VjcmV0c2VjcmV0"
    error = raised(presync.UsageError, presync.dry_run, folder, plan=secret)
    assert "c2Vjc" not in str(error)


def incomplete():
    """A run that misses something raises, with what there is."""
    error = raised(presync.IncompleteError, presync.dry_run, f"{server}/unreadable", **anonymous)
    assert error.report.totals.unknown > 0 and not error.report.complete and error.__cause__ is None
    report = presync.dry_run(f"{server}/unreadable", allow_incomplete=True, **anonymous)
    assert report.totals == error.report.totals or report.totals.unknown > 0
    assert "Incomplete" in report._repr_html_() and "incomplete" in repr(report)
    # The listing breaks off: the error that ended it is the cause.
    error = raised(presync.IncompleteError, presync.dry_run, f"{server}/broken-1", **anonymous)
    assert isinstance(error.__cause__, presync.PermissionDeniedError), error.__cause__
    assert 0 < error.report.totals.listed < 300
    # A plan that is there already stays.
    plan = os.path.join(out, "kept.parquet")
    presync.dry_run(folder, plan=plan)
    raised(presync.PermissionDeniedError, presync.dry_run, f"{server}/broken-2", plan=plan, **anonymous)
    assert presync.report(plan).totals.listed == 65


def interrupted():
    """Ctrl-C ends a run within two seconds, and gives back what there is."""
    slow = {"max_requests_per_second": 40, **anonymous}
    sent = []

    def interrupt():
        time.sleep(1.0)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    error = raised(presync.InterruptedRunError, presync.dry_run, f"{server}/media", **slow)
    assert time.monotonic() - sent[0] < 2.5, "two seconds, and some for a busy machine"
    assert isinstance(error, KeyboardInterrupt) and isinstance(error.__cause__, KeyboardInterrupt)
    assert 0 < error.report.totals.listed < 300 and error.report.incomplete == "the run was stopped"
    # What was stopped goes on with the plan.
    threading.Thread(target=interrupt).start()
    plan = os.path.join(out, "resumed.parquet")
    report = presync.dry_run(f"{server}/media", plan=plan, checkpoint_every="100ms", allow_incomplete=True, **slow)
    assert not report.complete
    resumed = presync.dry_run(f"{server}/media", plan=plan, resume=True, **anonymous)
    assert resumed.complete and resumed.totals.listed == 300
    assert resumed.totals.requests < 300 + 50


def progress():
    seen = []
    report = presync.dry_run(f"{server}/media", progress=seen.append, **anonymous)
    assert seen[-1].judged == seen[-1].listed == 300 and seen[-1].all_listed
    assert seen[-1].bytes_read == report.totals.bytes_read
    raised(ZeroDivisionError, presync.dry_run, folder, progress=lambda progress: 1 // 0)
    for without in (False, True):
        shown, sys.stderr = sys.stderr, io.StringIO()
        if without:
            sys.modules["tqdm.auto"] = None
        try:
            presync.dry_run(folder, progress=True)
            text = sys.stderr.getvalue()
        finally:
            sys.stderr = shown
            if without:
                del sys.modules["tqdm.auto"]
        assert ("65" in text) is not without, text
    # What a command line says goes to the logger.
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logger = logging.getLogger("presync")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    presync.dry_run(f"{server}/broken-3", allow_incomplete=True, plan=os.path.join(out, "said.parquet"), **anonymous)
    logger.removeHandler(handler)
    assert any("incomplete" in line for line in records), records


def free_of_the_gil():
    """Other threads run, and runs of several threads do not wait for each other."""
    ticks = []
    stop = threading.Event()
    counter = threading.Thread(target=lambda: [ticks.append(1) for _ in iter(lambda: stop.wait(0.001), True)])
    counter.start()
    slow = {"max_requests_per_second": 600, **anonymous}
    begun = time.monotonic()
    runs = [threading.Thread(target=presync.dry_run, args=(f"{server}/media",), kwargs=slow) for _ in range(2)]
    [run.start() for run in runs]
    [run.join() for run in runs]
    taken = time.monotonic() - begun
    stop.set()
    counter.join()
    assert len(ticks) > 20 * taken, (len(ticks), taken)


def coroutines():
    async def main():
        first, second = await asyncio.gather(aio.dry_run(folder), aio.preview(f"{server}/media", **anonymous))
        assert (first.totals.listed, second.files) == (65, 300)
        try:
            await aio.dry_run(f"{server}/absent", **anonymous)
        except presync.NotFoundError as error:
            assert error.hint
        else:
            raise AssertionError("an error was expected")
        plan = os.path.join(out, "cancelled.parquet")
        run = asyncio.create_task(aio.dry_run(f"{server}/media", plan=plan, max_requests_per_second=40, **anonymous))
        await asyncio.sleep(0.7)
        begun = time.monotonic()
        run.cancel()
        try:
            await run
        except asyncio.CancelledError:
            pass
        assert run.cancelled() and time.monotonic() - begun < 2.5
        # It has stopped: its plan has no lock any more.
        assert (await aio.dry_run(f"{server}/media", plan=plan, **anonymous)).complete

    asyncio.run(main())
    assert inspect.signature(aio.dry_run) == inspect.signature(presync.dry_run)


def open_files():
    """Only the ranges that are needed are read, also past the cache of fsspec."""
    with open(os.path.join(folder, "videos/from-ffmpeg.mp4"), "rb") as file:
        video = file.read()
    big = video + b"\0" * (8 << 20)
    expected = presync.probe(big, name="big.mp4")
    assert expected.frames == 30

    class Counting(io.BytesIO):
        bytes_read = 0

        def read(self, size=-1):
            part = super().read(size)
            self.bytes_read += len(part)
            return part

    file = Counting(big)
    file.seek(5)
    assert presync.probe(file, name="big.mp4").to_dict() == expected.to_dict()
    assert file.tell() == 5 and file.bytes_read == expected.reads.bytes < 100_000, file.bytes_read

    class Ranges(MemoryFileSystem):
        ranges: list = []

        def cat_file(self, path, start=None, end=None, **options):
            self.ranges.append((start, end))
            return super().cat_file(path, start, end, **options)

        def _open(self, *args, **options):
            raise AssertionError("the whole file may be read")

    MemoryFileSystem().pipe_file("/videos/big.mp4", big)
    # What fsspec.open(url) returns.
    unopened = fsspec.core.OpenFile(Ranges(), "/videos/big.mp4")
    assert presync.probe(unopened).to_dict() == expected.to_dict()
    assert sum(end - start for start, end in Ranges.ranges) == expected.reads.bytes, Ranges.ranges
    memory = MemoryFileSystem()
    memory.pipe_file("/big.mp4", big)
    with memory.open("/big.mp4") as opened:
        assert presync.probe(opened).verdict == expected.verdict
    for data in (bytearray(big), memoryview(big)):
        assert presync.probe(data, name="big.mp4").to_dict() == expected.to_dict()
    with open(os.path.join(folder, "README.md"), encoding="utf-8") as text:
        assert "'rb'" in str(raised(TypeError, presync.probe, text))
    raised(TypeError, presync.probe, 3)
    assert "explain()" in raised(presync.UsageError, presync.probe, f"{server}/media/a.jpg?sig=c2VjcmV0").hint
    assert presync.probe(io.BytesIO(), name="a.jpg").findings[0].code == "BLB001"

    class Failing(io.BytesIO):
        def read(self, size=-1):
            raise OSError("the network is gone")

    assert "the network is gone" in str(raised(OSError, presync.probe, Failing(big)))


def queries():
    """The example for dbt and DuckDB, on a plan."""
    plan = os.path.join(out, "query.parquet")
    report = presync.dry_run(folder, plan=plan)
    example = os.path.join(os.path.dirname(folder), "../.github/examples/rejected_by_folder.sql")
    with open(example) as file:
        rows = duckdb.sql(file.read().replace('{{ var("plan") }}', plan)).fetchall()
    errors = [row for row in report.findings.to_pylist() if row["severity"] == "error"]
    assert sum(row[2] for row in rows) == len(errors) > 0


def label_files():
    """Labels of a report and of a source, as a table; what cannot be read is named."""
    report = presync.dry_run(folder, dimensions=True)
    found = presync.labels(report, os.path.join(folder, "labels"))
    rows = found.references
    counted = duckdb.sql("SELECT outcome, count(*)::INT FROM rows GROUP BY ALL").fetchall()
    assert {name: found.totals[name] for name, _ in counted} == dict(counted) and found.complete
    labels = os.path.join(out, "label-files")
    os.makedirs(labels)
    for name, text in {"a.json": '{"images": [{"file_name": "0002.jpg"}]}', "b.json": '{"images": ['}.items():
        with open(os.path.join(labels, name), "w") as file:
            file.write(text)
    error = raised(presync.IncompleteError, presync.labels, folder, [labels])
    assert error.report.unread[0]["file"].endswith("b.json") and error.report.totals["syncs"] == 1
    assert "b.json' could not be read: line 1" in error.message, error.message
    assert not presync.labels(folder, labels, allow_incomplete=True).complete
    raised(presync.UsageError, presync.labels, folder, [])
    # A hint names the arguments of the function.
    with open(os.path.join(labels, "c.csv"), "w") as file:
        file.write("photo\nx\n")
    hint = raised(presync.UsageError, presync.labels, folder, os.path.join(labels, "c.csv")).message
    assert "name it with column" in hint and "--" not in hint, hint


def lists():
    """The names of a list, or the file that has them; what an iterator raises comes back."""
    plan = os.path.join(out, "listed.parquet")
    report = presync.dry_run(folder, plan=plan)
    names = [row["name"] for row in report.assets.to_pylist() if row["verdict"] == "accept"]
    whole = presync.reconcile(plan, iter(names))
    assert whole.totals["synced"] == report.totals.accepted and whole.totals["missing"] == 0
    outcomes = {row["name"]: row["outcome"] for row in whole.assets.to_pylist()}
    assert len(outcomes) == report.totals.accepted + report.totals.rejected and all(outcomes[name] == "synced" for name in names)
    path = os.path.join(out, "names.csv")
    with open(path, "w") as file:
        file.write("photo\n" + "\n".join(names))
    assert presync.reconcile(report, path, column="photo").totals == whole.totals
    refused = presync.reconcile(plan, names[1:], errors={names[0]: "EBADMIME"})
    assert refused.totals["missing"] == 1 and refused.to_dict()["result"] == refused.result
    raised(ZeroDivisionError, presync.reconcile, plan, (1 // 0 for _ in names))
    raised(TypeError, presync.reconcile, plan, [None])
    raised(presync.NotFoundError, presync.reconcile, os.path.join(out, "none.parquet"), names)


def signatures():
    """The options of each function, for a comparison with the command line."""
    functions = {
        "preview": presync.preview, "dry-run": presync.dry_run, "audit": presync.audit, "report": presync.report,
        "commit": presync.commit, "fix": presync.fix, "labels": presync.labels, "explain": presync.explain, "rule": presync.rules,
        **{f"quota {name}": getattr(quota, name) for name in quota.__all__},
    }
    own = {"progress", "allow_incomplete"}
    return {
        command: [name for name in inspect.signature(function).parameters if name not in own]
        for command, function in functions.items()
    }


for test in (
    examples_in_docstrings, tables, files, commands, rules_of_a_file, errors, incomplete, interrupted, progress, free_of_the_gil,
    coroutines, open_files, queries, label_files, lists,
):
    begun = time.monotonic()
    test()
    print(f"{test.__name__}: {time.monotonic() - begun:.1f} s", file=sys.stderr)
print(json.dumps(signatures()))
