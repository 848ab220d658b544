"""A lake in a bucket: the pipeline through hadoop-aws against a local server that speaks S3; the key is seen nowhere.

Needs moto's server (``pip install -c constraints.txt -e '.[s3]'``) and hadoop-aws with its SDK (660 MB, fetched by
``python tests/cluster/fetch_s3_jars.py .cache/s3``) in ``.cache/s3/jars`` or where ``CUSTOMS_LAKE_S3_JARS`` says; skipped,
with the reason, where they are not.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pyspark
import pytest

from jobs.runtime.jars import jar_paths
from jobs.runtime.package import build_zip

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]
ROOT = Path(__file__).resolve().parents[2]
JARS = Path(os.environ.get("CUSTOMS_LAKE_S3_JARS", ROOT / ".cache" / "s3" / "jars"))
KEY_ID, KEY = "local-test-key-id", "local-test-key-Zx81kq"
BUCKET = "customs"


@pytest.fixture
def server(monkeypatch):
    """A local S3 server with one bucket; yields its address and a client."""
    pytest.importorskip("moto.server", reason="moto is not installed: pip install -c constraints.txt -e '.[s3]'")
    import boto3
    from moto.server import ThreadedMotoServer

    if not list(JARS.glob("*hadoop-aws*.jar")):
        pytest.skip(f"hadoop-aws is not in {JARS}; python tests/cluster/fetch_s3_jars.py .cache/s3 fetches it")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    yield f"http://{host}:{port}", client
    client.close()
    server.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_lake_in_a_bucket_has_the_same_rows_and_never_shows_the_key(server, launcher, tools, raw, expected, tmp_path):
    address, client = server
    away = tmp_path / "away"
    away.mkdir()
    main = shutil.copy(tools.root / "tests" / "cluster" / "submit_pipeline.py", away)
    package = build_zip(away / "customs-lake.zip")
    confs = {
        "spark.hadoop.fs.s3a.endpoint": address, "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
        "spark.hadoop.fs.s3a.path.style.access": "true", "spark.driver.memory": "1g", "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    }
    jars = [*jar_paths(), *(str(path) for path in sorted(JARS.glob("*.jar")))]
    lineage = tmp_path / "lineage.jsonl"
    home = Path(pyspark.__file__).parent
    command = [
        str(home / "bin" / "spark-submit"), "--master", "local[2]", "--py-files", str(package), "--jars", ",".join(jars),
        *(f"--conf={key}={value}" for key, value in confs.items()),
        main, "--lake", f"s3a://{BUCKET}/lake", "--raw", str(raw), "--through", "count",
        "--set", f"operations.lineage={lineage}",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {
        "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }
    said = launcher.finish(launcher.spawn(command, cwd=away, env=environment))
    again = launcher.finish(launcher.spawn([*command, "--exit-code"], cwd=away, env=environment), 3)
    stored = _objects(client)
    rows = json.loads(lineage.read_text("utf-8").splitlines()[-1])
    assert rows["job"]["name"] == "customs-lake.count"
    outputs = _outputs(lineage)
    for table in ("bronze.declaration", "silver.declaration", "silver.quarantine", "gold.city_exports"):
        assert outputs[table] == len(expected[table]), table
    for where, content in {"log": said + again, "lineage": lineage.read_text("utf-8")}.items():
        assert KEY not in content and KEY_ID not in content, where
    assert not [name for name, body in stored.items() if KEY.encode() in body or KEY_ID.encode() in body]
    assert f"lake/{'_customs_lake.json'}" in stored


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
