"""A standalone cluster of one master and two workers on loopback: the packaged zip runs on it, workers and executors die.

The first test runs always; CUSTOMS_LAKE_CRASH_KILLS=30 kills ten executors in the second (and thirty drivers in
test_crash.py).
"""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import random
import re
import shutil
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import pyspark
import pytest

from jobs.runtime.jars import jar_paths
from jobs.runtime.package import build_zip

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]
SPARK_HOME = Path(pyspark.__file__).parent
WORKER_MEMORY = "1g"
# as in conf/profiles/test.toml, which a submit line cannot take: tiny rows, JVMs that live for seconds
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
SUBMIT_CONFS = {
    "spark.executor.memory": "640m", "spark.executor.cores": "1", "spark.cores.max": "2", "spark.driver.memory": "1g",
    "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2", "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    "spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.extraJavaOptions": JAVA_OPTIONS, "spark.executor.extraJavaOptions": JAVA_OPTIONS,
    # executors are killed on purpose, more often than an application is allowed to lose them
    "spark.deploy.maxExecutorRetries": "-1", "spark.task.maxFailures": "8", "spark.stage.maxConsecutiveAttempts": "8",
}
EXECUTOR_KILLS = max(2, int(os.environ.get("CUSTOMS_LAKE_CRASH_KILLS", "0")) // 3)
KILLS_PER_RUN = 5

log = logging.getLogger(__name__)


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class Cluster:
    """A running cluster: the address of its master, the processes of its workers."""

    url: str
    workers: list

    def executors(self) -> list[int]:
        """Process ids of the executors that the workers have started (they share the worker's group)."""
        groups = {worker.pid for worker in self.workers if worker.poll() is None}
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                started_by_worker = os.getpgid(int(folder.name)) in groups
                if started_by_worker and b"CoarseGrainedExecutorBackend" in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
        return sorted(found)


@pytest.fixture
def cluster(launcher, tools, tmp_path):
    """Master and two workers from pip's pyspark, which has no start scripts."""
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
    return Cluster(url, workers)


@pytest.fixture
def submit(cluster, launcher, tmp_path):
    """A function that submits the pipeline through the counts, from a folder where the checkout cannot be seen."""
    away = tmp_path / "away"
    away.mkdir()
    # nothing of the checkout is reachable: main file and zip are copies, the folder is another
    main = shutil.copy(Path(__file__).with_name("submit_pipeline.py"), away)
    package = build_zip(away / "customs-lake.zip")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
        "SPARK_HOME": str(SPARK_HOME), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }

    def start(lake: Path):
        command = [
            str(SPARK_HOME / "bin" / "spark-submit"), "--master", cluster.url, "--py-files", str(package),
            "--jars", ",".join(jar_paths()), *(f"--conf={key}={value}" for key, value in SUBMIT_CONFS.items()),
            main, "--lake", str(lake), "--raw", str(launcher.raw), "--through", "count",
        ]
        return launcher.spawn(command, cwd=away, env=environment)

    return start


def test_zip_runs_on_two_workers_and_the_pipeline_outlives_one(cluster, submit, launcher, tools, expected, content, tmp_path):
    lake = tmp_path / "lake"
    process = submit(lake)
    tools.wait_until(lambda: any((lake / "bronze" / "declaration").rglob("*.parquet")), process)
    assert process.poll() is None, _log(process)[-4000:]
    tools.kill(cluster.workers[0])
    said = launcher.finish(process)
    assert re.search(r"count +2003-2004", said), said[-3000:]
    used = {number for number in range(2) if list((tmp_path / f"work_{number}").glob("app-*/*"))}
    assert used == {0, 1}, "both workers must have run an executor"
    assert content(lake) == expected


def test_executors_killed_at_random_moments_change_no_row(
    cluster, submit, launcher, tools, undisturbed, expected, content, tmp_path
):
    draw = random.Random(20032)
    complete = tools.count_files(undisturbed) + tools.reference_files
    kills, places = 0, collections.Counter()
    while kills < EXECUTOR_KILLS:
        lake = tmp_path / f"lake_{kills}"
        process = submit(lake)
        for target in sorted(draw.sample(range(1, complete), min(KILLS_PER_RUN, EXECUTOR_KILLS - kills))):
            tools.wait_until(lambda lake=lake, target=target: tools.count_files(lake) >= target, process)
            # two at least live in a quiet moment; right after a kill there may be none for a second
            tools.wait_until(cluster.executors, process)
            os.kill(draw.choice(cluster.executors()), signal.SIGKILL)
            kills += 1
            places[tools.newest_table(lake)] += 1
            log.info("killed executor %d of %d in %s", kills, EXECUTOR_KILLS, tools.newest_table(lake))
        said = launcher.finish(process)
        assert re.search(r"count +2003-2004", said), said[-3000:]
        assert content(lake) == expected, f"after executors killed in {dict(places)}"
    log.info("%d executors killed: %s", kills, dict(places))


def _log(process) -> str:
    return process.log.read_text("utf-8", errors="replace")
