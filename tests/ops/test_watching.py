"""Secrets never leave, events carry the numbers, locks keep processes apart, settings and plans say why; no JVM."""

from __future__ import annotations

import contextlib
import http.server
import json
import logging
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from conf.operations import Operations
from conf.secrets import HIDDEN, redact
from conf.settings import SettingsError, load_settings
from jobs.core.errors import LakeError, LockedError
from jobs.core.lake import Written, parse_commit
from jobs.core.ledger import Builds, fingerprint
from jobs.core.locks import hold_commit, hold_work
from jobs.core.storage import explained_store_failure
from jobs.plan import reason_to_build
from jobs.readers.delivery import sort_delivery
from jobs.runtime import events
from jobs.runtime.context import Outcome
from jobs.runtime.package import build_zip
from schemas.migrations import LAKE_FORMAT, MIGRATIONS, pending_migrations

ROOT = Path(__file__).resolve().parents[2]
SECRETS = ("hunter2", "AKIAABCDEFGHIJKLMNOP", "s3cr3t/key+1")


@pytest.mark.parametrize(
    "text",
    [
        "s3a://user:hunter2@bucket/lake cannot be written",
        "fs.s3a.secret.key=s3cr3t/key+1",
        "{'password': 'hunter2'}",
        '"spark.hadoop.fs.s3a.secret.key": "s3cr3t/key+1", "n": 3',
        "AWS_SECRET_ACCESS_KEY=s3cr3t/key+1 and AKIAABCDEFGHIJKLMNOP",
        "https://host/x?api_key=hunter2&n=1",
        "token: hunter2",
    ],
)
def test_secrets_in_texts_are_hidden_and_the_rest_stays(text):
    hidden = redact(text)
    assert not any(secret in hidden for secret in SECRETS)
    assert HIDDEN in hidden


def test_secrets_are_hidden_by_name_in_nested_values_and_plain_words_stay():
    value = {"raw": "/data", "fs.s3a.secret.key": "x", "list": [{"Password": "y"}], "keys": ["hs6_code"]}
    hidden = redact(value)
    assert hidden == {
        "raw": "/data", "fs.s3a.secret.key": HIDDEN, "list": [{"Password": HIDDEN}], "keys": ["hs6_code"],
    }
    sentence = "2,500 rows of key (file_sha256, source_row), 3 s"
    assert redact(sentence) == sentence


class _Lake:
    root = "s3a://bucket/lake"

    def __init__(self):
        self.activity = ({}, {})

    def take_activity(self):
        found, self.activity = self.activity, ({}, {})
        return found


def _context(**operations):
    settings = load_settings(environment={}).replaced("operations", **operations)
    return SimpleNamespace(
        lake=_Lake(), settings=settings, run_id="20240101T000000-abcdef", raw=None, years=None, rebuild=False
    )


def _job(context, outcome):
    def run(given):
        given.lake.activity = ({"bronze.declaration": 4}, {"silver.declaration": Written(7, 1200)})
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return run


def _samples(path):
    from prometheus_client.parser import text_string_to_metric_families

    return {
        (sample.name.removeprefix("customs_lake_"), sample.labels.get("job") or sample.labels.get("table")): sample.value
        for family in text_string_to_metric_families(path.read_text("utf-8")) for sample in family.samples
    }


def test_metrics_file_has_the_last_end_of_every_job_also_of_those_that_ran_elsewhere(tmp_path):
    path = tmp_path / "metrics" / "lake.prom"
    context = _context(metrics_file=str(path))
    events.observe("clean", _job(context, Outcome("done", changed=False, n_rows=2400)), context)
    first = _samples(path)
    assert first["job_success", "clean"] == 1 and first["job_records", "clean"] == 2400
    assert first["table_written_rows", "silver.declaration"] == 1200 and first["table_version", "silver.declaration"] == 7
    assert abs(first["job_end_timestamp_seconds", "clean"] - time.time()) < 60
    # another process: nothing is remembered but the file
    other = _context(metrics_file=str(path))
    with pytest.raises(LakeError):
        events.observe("count", _job(other, LakeError("s3a://me:hunter2@bucket is full")), other)
    second = _samples(path)
    assert second["job_success", "count"] == 0 and second["job_success", "clean"] == 1
    events.observe("count", _job(other, Outcome("done", changed=False, n_rows=10)), other)
    third = _samples(path)
    assert third["job_success", "count"] == 1 and third["job_records", "clean"] == 2400
    assert len([key for key in third if key[0] == "job_success"]) == 2
    assert list(path.parent.iterdir()) == [path], "a scrape never sees half a file"


def test_a_metrics_file_that_cannot_be_written_or_read_ends_no_run(tmp_path, caplog):
    (tmp_path / "file").write_text("x")
    context = _context(metrics_file=str(tmp_path / "file" / "x.prom"))
    assert events.observe("clean", _job(context, Outcome("done", changed=False)), context).message == "done"
    broken = tmp_path / "broken.prom"
    broken.write_text("no metric { at all\n")
    context = _context(metrics_file=str(broken))
    events.observe("clean", _job(context, Outcome("done", changed=False)), context)
    assert _samples(broken)["job_success", "clean"] == 1


def test_a_metrics_file_of_a_name_that_no_collector_reads_is_refused():
    with pytest.raises(SettingsError, match="ending in .prom"):
        Operations(metrics_file="/var/lib/lake.txt")


def test_log_file_has_one_json_line_per_event_with_rows_and_ids(tmp_path):
    path = tmp_path / "logs" / "lake.jsonl"
    context = _context(log_file=str(path))
    events.observe("clean", _job(context, Outcome("done", changed=False, n_rows=2400, load_id="0f")), context)
    with pytest.raises(LakeError):
        events.observe("count", _job(context, LakeError("s3a://me:hunter2@bucket is full")), context)
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [(line["job"], line["event"]) for line in lines] == [
        ("clean", "start"), ("clean", "complete"), ("count", "start"), ("count", "fail"),
    ]
    assert (lines[1]["rows"], lines[1]["rows_written"], lines[1]["load_id"]) == (2400, 1200, "0f")
    assert lines[1]["rows_per_second"] > 0
    assert lines[1]["versions_written"] == {"silver.declaration": 7}
    assert {line["run_id"] for line in lines} == {context.run_id}
    assert "hunter2" not in path.read_text("utf-8") and "is full" in lines[3]["message"]


def test_rate_is_told_of_records_only_and_never_of_what_was_written_besides(monkeypatch):
    printed = []
    monkeypatch.setattr(events.log, "info", lambda text, *values: printed.append(text % values))
    events.observe("clean", _job(None, Outcome("done", changed=False, n_rows=2_400_000)), _context())
    events.observe("references", _job(None, Outcome("16 tables", changed=False)), _context())
    clean, references = printed
    assert clean.startswith("clean     done (") and " rows/s)" in clean
    assert references.startswith("references 16 tables (") and "rows/s" not in references


def test_lineage_goes_to_a_listener_with_the_key_from_the_environment_only(tmp_path, monkeypatch):
    received = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, self.headers["Authorization"], json.loads(body)))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "hunter2")
    context = _context(lineage=f"http://127.0.0.1:{server.server_port}")
    try:
        events.observe("clean", _job(context, Outcome("done", changed=False)), context)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    (path, key, start), (_, _, complete) = received
    assert (path, key) == ("/api/v1/lineage", "Bearer hunter2")
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == complete["run"]["runId"]
    assert complete["inputs"][0]["namespace"] == "s3a://bucket"
    assert complete["inputs"][0]["name"] == "lake/bronze/declaration"
    assert complete["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 1200
    assert "hunter2" not in json.dumps([start, complete])


def test_lineage_to_a_file_and_a_dead_listener_never_end_a_run(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("customs_lake"), "propagate", True)
    path = tmp_path / "lineage.jsonl"
    events.observe("clean", _job(None, Outcome("done", changed=False)), _context(lineage=str(path)))
    assert len(path.read_text("utf-8").splitlines()) == 2
    # port 9 (discard) is not served
    events.observe("clean", _job(None, Outcome("done", changed=False)), _context(lineage="http://127.0.0.1:9"))
    assert "did not take an event" in caplog.text
    (tmp_path / "file").write_text("")
    events.observe("clean", _job(None, Outcome("done", changed=False)), _context(log_file=str(tmp_path / "file" / "x")))
    assert "cannot be written" in caplog.text


def test_fingerprint_names_the_part_that_differs():
    built = Builds({2003: "x"}, {2003: 1}, {2003: 5}, {2003: fingerprint(files=["a"], rules="r").parts})
    assert reason_to_build(built, fingerprint(files=["a", "b"], rules="r"), 2003) == "its files changed"
    assert reason_to_build(built, fingerprint(files=["a"], rules="s"), 2003) == "the cleaning rules changed"
    assert reason_to_build(built, fingerprint(files=["a"], rules="r"), 2004) == "never built"
    assert fingerprint(files=["a"], rules="r") == fingerprint(rules="r", files=["a"])


def test_delivery_is_sorted_by_name_and_content():
    receipts = [
        {"source_file": "a", "file_sha256": "1", "receipt_status": "received", "parts": None},
        {"source_file": "b", "file_sha256": "2", "receipt_status": "withdrawn"},
    ]
    files = {"a": "1", "b": "2", "c": "1", "d": "4"}
    found = sort_delivery([SimpleNamespace(source_file=name, sha256=sha, parts="") for name, sha in files.items()], receipts)
    kinds = ("new", "corrected", "unchanged", "renamed", "withdrawn")
    named = {kind: [item.source_file for item in getattr(found, kind)] for kind in kinds}
    assert named == {"new": ["d"], "corrected": [], "unchanged": ["a"], "renamed": ["c"], "withdrawn": ["b"]}
    again = sort_delivery([SimpleNamespace(source_file="b", sha256="9", parts="")], receipts)
    assert [item.source_file for item in again.corrected] == ["b"], "other content under a withdrawn name counts"


HOLDER = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from jobs.core.locks import hold_work
with hold_work(Path({folder!r}), ["gold.x"], {years}):
    print("held", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def _held_by_another_process(folder, years):
    program = HOLDER.format(root=str(ROOT), folder=str(folder), years=years)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_same_year_is_locked_other_years_are_not_and_whole_excludes_both(tmp_path):
    folder = tmp_path / "_locks"
    with _held_by_another_process(folder, [2003]) as holder:
        with hold_work(folder, ["gold.x"], [2004]), hold_work(folder, ["gold.y"], None):
            pass
        with pytest.raises(LockedError, match=f"gold.x, year 2003, .*process {holder.pid}") as caught:
            with hold_work(folder, ["gold.x"], [2003]):
                pass
        assert caught.value.exit_code == 75
        with pytest.raises(LockedError), hold_work(folder, ["gold.x"], None):
            pass
    # the kernel frees the locks of a killed process
    with hold_work(folder, ["gold.x"], None), pytest.raises(LockedError), hold_work(folder, ["gold.x"], [2005]):
        pass


def test_commit_lock_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.core.locks.COMMIT_WAIT_SECONDS", 0.2)
    with hold_commit(tmp_path, "t"):
        with pytest.raises(LockedError), hold_commit(tmp_path, "t"):
            pass
        entered = threading.Event()

        def enter():
            with hold_commit(tmp_path, "t"):
                entered.set()

        monkeypatch.setattr("jobs.core.locks.COMMIT_WAIT_SECONDS", 30.0)
        waiting = threading.Thread(target=enter)
        waiting.start()
        assert not entered.wait(0.2)
    assert entered.wait(10.0)
    waiting.join()


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("java.io.IOException: No space left on device", "the disk is full"),
        ("java.io.FileNotFoundException: /x (Permission denied)", "may not write there"),
        ("java.io.IOException: /x (Read-only file system)", "read-only"),
        ("java.io.IOException: File too large", "limit on the size"),
    ],
)
def test_failing_store_is_explained_and_other_errors_pass(text, printed):
    with pytest.raises(LakeError, match=printed), explained_store_failure("/lake"):
        raise OSError(f"Job aborted\n{text}\nat x")
    with pytest.raises(OSError, match="something else"), explained_store_failure("/lake"):
        raise OSError("something else")


def test_commit_of_someone_else_is_told_from_ours():
    ours = parse_commit(
        3,
        '{"protocol":{}}\n{"commitInfo":{"timestamp":5,"operation":"WRITE","operationMetrics":{"numOutputRows":"9"},'
        '"userMetadata":"{\\"product\\": \\"customs-lake\\"}"}}',
    )
    assert ours.is_ours and ours.changes_rows and ours.metrics["numOutputRows"] == "9"
    for operation, changes in (("DELETE", True), ("MERGE", True), ("OPTIMIZE", False), ("ADD COLUMNS", False)):
        text = json.dumps({"commitInfo": {"timestamp": 5, "operation": operation, "userMetadata": "by hand"}})
        # as Delta writes it: no space after the colon
        found = parse_commit(3, text.replace('{"commitInfo": ', '{"commitInfo":'))
        assert (found.is_ours, found.changes_rows) == (False, changes)


def test_operations_settings_refuse_what_loses_files():
    assert Operations().retention_hours("gold") == 365 * 24
    with pytest.raises(SettingsError, match="retention of gold is below 7 days"):
        load_settings(environment={}, overrides=["operations.gold_retention_days=1"])
    plain, watched = load_settings(environment={}), load_settings(environment={}, overrides=["operations.log_file=x"])
    assert plain.sha256() == watched.sha256(), "watching a run does not change its result"


def test_migrations_are_numbered_without_gaps():
    assert [item.format for item in MIGRATIONS] == list(range(2, LAKE_FORMAT + 1))
    assert pending_migrations(1) == MIGRATIONS and pending_migrations(LAKE_FORMAT) == ()


def test_zip_for_executors_holds_the_packages_and_is_the_same_every_time(tmp_path):
    first, second = build_zip(tmp_path / "a" / "x.zip"), build_zip(tmp_path / "b" / "y.zip")
    assert first.read_bytes() == second.read_bytes()
    names = zipfile.ZipFile(first).namelist()
    assert {name.split("/")[0] for name in names} == {"jobs", "estimation", "schemas", "conf"}
    assert "schemas/migrations/m0002_manifest.py" in names and "conf/default.toml" in names
    assert not [name for name in names if "__pycache__" in name]
