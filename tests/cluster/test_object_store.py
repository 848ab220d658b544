"""Raw files and lake in a bucket: a standalone cluster through hadoop-aws against a local server that speaks S3.

The keys are the nodes' own (the environment of workers and driver); they are seen nowhere, and an executor dies on the way.
Needs moto's server (``pip install -c constraints.txt -e '.[s3]'``) and hadoop-aws with its SDK (660 MB, fetched by
``python tests/cluster/fetch_jars.py s3 .cache/s3``) in ``.cache/s3/jars`` or where ``CUSTOMS_LAKE_S3_JARS`` says; skipped,
with the reason, where they are not.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from jobs.core.reading import LakeReader

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]
ROOT = Path(__file__).resolve().parents[2]
JARS = Path(os.environ.get("CUSTOMS_LAKE_S3_JARS", ROOT / ".cache" / "s3" / "jars"))
KEY_ID, KEY = "local-test-key-id", "local-test-key-Zx81kq"
BUCKET = "customs"


@pytest.fixture
def server(monkeypatch):
    """A local S3 server with one bucket; yields its address and a client. Its keys are in the environment, as on a node."""
    pytest.importorskip("moto.server", reason="moto is not installed: pip install -c constraints.txt -e '.[s3]'")
    import boto3
    from moto.server import ThreadedMotoServer

    if not list(JARS.glob("*hadoop-aws*.jar")):
        pytest.skip(f"hadoop-aws is not in {JARS}; python tests/cluster/fetch_jars.py s3 .cache/s3 fetches it")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": KEY, "AWS_ENDPOINT_URL": address, "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=address, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    yield address, client
    client.close()
    server.stop()


# the server first: the cluster's workers inherit the keys
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_raw_files_and_lake_in_a_bucket_have_the_same_rows_and_the_key_is_never_shown(
    server, cluster, launcher, tools, raw, spark, content, undisturbed, tmp_path
):
    _, client = server
    for path in raw.rglob("*.csv"):
        client.upload_file(str(path), BUCKET, f"raw/{path.relative_to(raw).as_posix()}")
    away, lineage = tmp_path / "away", tmp_path / "lineage.jsonl"
    given = tools.submission_folder(away) | {
        "MASTER": cluster.url, "BUCKET": BUCKET, "S3": str(JARS), "STEPS": "--through count --exit-code",
        "CUSTOMS_LAKE__OPERATIONS__LINEAGE": str(lineage),
    }
    tools.write_defaults(away, {
        "spark.hadoop.fs.s3a.endpoint.region": "us-east-1", "spark.hadoop.fs.s3a.path.style.access": "true",
    })
    line = ["bash", "-c", tools.documented_line("Object stores")]
    process = launcher.spawn(line, cwd=away, env=given)
    tools.wait_until(lambda: _has(client, "lake/bronze/declaration/_delta_log") and cluster.executors(), process)
    assert process.poll() is None, process.log.read_text("utf-8", errors="replace")[-6000:]
    os.kill(cluster.executors()[0], signal.SIGKILL)
    printed = launcher.finish(process)
    again = launcher.finish(launcher.spawn(line, cwd=away, env=given), 3)
    assert _rows(LakeReader.look(f"s3a://{BUCKET}/lake")) == _rows(LakeReader.look(str(undisturbed)))
    stored = _objects(client)
    outputs = _outputs(lineage)
    assert "bronze.declaration" in outputs and "lake/_customs_lake.json" in stored
    for where, text in {"log": printed + again, "lineage": lineage.read_text("utf-8")}.items():
        assert KEY not in text and KEY_ID not in text, where
    assert not [name for name, body in stored.items() if KEY.encode() in body or KEY_ID.encode() in body]


def _rows(lake: LakeReader) -> dict[str, list[str]]:
    """Rows of the counted tables without what a run stamps on them."""
    stamps = {"load_id", "loaded_at", "run_id"}
    tables = {name: lake[name].to_arrow() for name in (
        "bronze.declaration", "silver.declaration", "silver.quarantine", "gold.city_product_destination", "gold.city_exports",
    )}
    return {
        name: sorted(map(str, table.drop_columns(sorted(stamps & set(table.column_names))).to_pylist()))
        for name, table in tables.items()
    }


def _has(client, prefix: str) -> bool:
    return bool(client.list_objects_v2(Bucket=BUCKET, Prefix=prefix, MaxKeys=1).get("KeyCount"))


def _objects(client) -> dict[str, bytes]:
    found = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for item in page.get("Contents", []):
            found[item["Key"]] = client.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
    return found


def _outputs(lineage: Path) -> dict[str, int]:
    """Rows written per table over all events."""
    rows: dict[str, int] = {}
    for line in lineage.read_text("utf-8").splitlines():
        for output in json.loads(line)["outputs"]:
            table = ".".join(output["name"].split("/")[-2:])
            rows[table] = rows.get(table, 0) + output["outputFacets"]["outputStatistics"]["rowCount"]
    return rows
