"""A standalone cluster of one master and two workers on loopback: the packaged zip runs on it, a worker is killed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import sys
from pathlib import Path

import pyspark
import pytest

from jobs.jars import jar_paths
from jobs.package import build_zip

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]
SPARK_HOME = Path(pyspark.__file__).parent
WORKER_MEMORY = "1g"
SUBMIT_CONFS = {
    "spark.executor.memory": "640m", "spark.executor.cores": "1", "spark.cores.max": "2", "spark.driver.memory": "1g",
    "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2", "spark.databricks.delta.snapshotPartitions": "2",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1", "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1",
}


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def cluster(launcher, tools, tmp_path):
    """Master and two workers from pip's pyspark, which has no start scripts; returns (url, workers)."""
    environment = os.environ | {
        "SPARK_HOME": str(SPARK_HOME), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1", "SPARK_NO_DAEMONIZE": "1", "PYSPARK_PYTHON": sys.executable,
    }
    port = _free_port()
    spark_class = str(SPARK_HOME / "bin" / "spark-class")
    master = launcher.spawn(
        [spark_class, "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", str(port),
         "--webui-port", str(_free_port())],
        env=environment,
    )
    tools.wait_until(lambda: "I have been elected leader" in _log(master), master)
    url = f"spark://127.0.0.1:{port}"
    workers = [
        launcher.spawn(
            [spark_class, "org.apache.spark.deploy.worker.Worker", url, "--host", "127.0.0.1", "--cores", "1",
             "--memory", WORKER_MEMORY, "--work-dir", str(tmp_path / f"work_{number}"), "--webui-port", str(_free_port())],
            env=environment,
        )
        for number in range(2)
    ]
    tools.wait_until(lambda: _log(master).count("Registering worker") == 2, master)
    return url, workers


def test_zip_runs_the_whole_pipeline_on_two_workers_and_outlives_one(
    cluster, launcher, tools, raw, expected, content, tmp_path
):
    url, workers = cluster
    away = tmp_path / "away"
    away.mkdir()
    # nothing of the checkout is reachable: main file and zip are copies, the folder is another
    main = shutil.copy(tools.root / "tests" / "cluster" / "submit_pipeline.py", away)
    package = build_zip(away / "customs-lake.zip")
    lake = tmp_path / "lake"
    command = [
        str(SPARK_HOME / "bin" / "spark-submit"), "--master", url, "--py-files", str(package),
        "--jars", ",".join(jar_paths()), *(f"--conf={key}={value}" for key, value in SUBMIT_CONFS.items()),
        main, "--lake", str(lake), "--raw", str(raw), "--through", "count",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {
        "SPARK_HOME": str(SPARK_HOME), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }
    process = launcher.spawn(command, cwd=away, env=environment)
    tools.wait_until(lambda: any((lake / "bronze" / "declaration").rglob("*.parquet")), process)
    assert process.poll() is None, _log(process)[-4000:]
    tools.kill(workers[0])
    said = launcher.finish(process)
    assert re.search(r"count +2003-2004", said), said[-3000:]
    used = {number for number in range(2) if list((tmp_path / f"work_{number}").glob("app-*/*"))}
    assert used == {0, 1}, "both workers must have run an executor"
    assert content(lake) == expected


def _log(process) -> str:
    return process.log.read_text("utf-8", errors="replace")
