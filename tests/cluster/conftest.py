"""Processes of their own: steps of the pipeline, watched by the files they write, stopped and killed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pyspark
import pytest

from jobs import clean, count, ingest, land
from jobs.core.lake import Lake
from jobs.runtime.context import JobContext, run_job
from jobs.runtime.jars import jar_paths
from jobs.runtime.package import build_zip
from schemas import bronze, gold, ops, silver

ROOT = Path(__file__).resolve().parents[2]
YEARS = (2003, 2004)
SPARK_HOME = Path(pyspark.__file__).parent
RUN_STEPS = str(ROOT / "tests" / "cluster" / "run_steps.py")
# what a run stamps on its rows; all else must be the same whoever was killed on the way
STAMPS = {"run_id", "load_id", "loaded_at", "received_at", "built_at"}
COMPARED = (
    bronze.DECLARATION, silver.DECLARATION, silver.QUARANTINE, gold.CITY_PRODUCT_DESTINATION, gold.CITY_EXPORTS,
    ops.RECONCILIATION, ops.FILE_RECEIPT,
)
# eighteen look-up tables, which the undisturbed run leaves out: a definition, a data file, their log entries
REFERENCE_FILES = 18 * 3
POLL_SECONDS = 0.02
# as in conf/profiles/test.toml, which a submit line cannot take: tiny rows, JVMs that live for seconds
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
SMALL_CONFS = {
    "spark.driver.memory": "1g", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2", "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    "spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.extraJavaOptions": JAVA_OPTIONS, "spark.executor.extraJavaOptions": JAVA_OPTIONS,
    # executors are killed on purpose, more often than an application is allowed to lose them
    "spark.deploy.maxExecutorRetries": "-1", "spark.task.maxFailures": "8", "spark.stage.maxConsecutiveAttempts": "8",
}
GROUP_SECONDS = 30.0
# short enough for every run: a submit from the clone as it stands, and the zip on a cluster that loses a worker
ALWAYS_RUN = (
    "test_bare_submit_from_the_clone_lands_the_files", "test_what_the_submit_line_says_stands",
    "test_zip_runs_on_two_workers_and_the_pipeline_outlives_one",
)


def _write_delivery():
    specification = importlib.util.spec_from_file_location("deliveries", ROOT / "tests" / "ops" / "conftest.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.write_delivery


@pytest.fixture(scope="session", name="write_delivery")
def _written():
    """How small deliveries are written, for test modules (which cannot import that file)."""
    return _write_delivery()


def pytest_collection_modifyitems(items):
    """Dozens of JVMs one after the other take minutes: asked for with CUSTOMS_LAKE_CLUSTER_TESTS=1 (`docs/operations`)."""
    if os.environ.get("CUSTOMS_LAKE_CLUSTER_TESTS") or os.environ.get("CUSTOMS_LAKE_CRASH_KILLS"):
        return
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and item.name not in ALWAYS_RUN:
            item.add_marker(pytest.mark.skip(reason="set CUSTOMS_LAKE_CLUSTER_TESTS=1: kills, full disks, two processes"))


class Launcher:
    """Starts steps of the pipeline in a process group of their own."""

    def __init__(self, raw: Path, logs: Path) -> None:
        self.raw, self.logs, self.started = raw, logs, []

    def start(
        self, lake: Path | str, steps: str, *arguments: str, prefix: Sequence[str] = (), **options
    ) -> subprocess.Popen:
        command = [
            *prefix, sys.executable, RUN_STEPS, steps, "--raw", str(self.raw), "--lake", str(lake), "--profile", "test",
            *arguments,
        ]
        return self.spawn(command, **options)

    def spawn(self, command: list[str], **options) -> subprocess.Popen:
        options.setdefault("cwd", ROOT)
        log = self.logs / f"run_{len(self.started)}.log"
        with open(log, "wb") as stream:
            process = subprocess.Popen(
                command, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True, **options
            )
        process.log = log
        self.started.append(process)
        return process

    def finish(self, process: subprocess.Popen, *expected: int, timeout: float = 600.0) -> str:
        """Wait for the end, check the exit code, return what the process said."""
        code = process.wait(timeout)
        wait_until_gone(process)
        printed = process.log.read_text("utf-8", errors="replace")
        assert code in (expected or (0,)), f"exit code {code}, expected {expected or (0,)}:\n{printed[-4000:]}"
        return printed

    def kill_all(self) -> None:
        for process in self.started:
            kill(process)


def kill(process: subprocess.Popen) -> None:
    """SIGKILL for the process, its JVM and whatever else it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        wait_until_gone(process)


def wait_until_gone(process: subprocess.Popen) -> None:
    """Wait for the JVM too, which outlives the Python process that started it by a moment and holds files open."""
    deadline = time.monotonic() + GROUP_SECONDS
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"a process of group {process.pid} is alive {GROUP_SECONDS:.0f} s after its leader ended")


def count_files(folder: Path) -> int:
    """Data files and log entries of a lake; files vanish while it is walked, which is not an error."""
    return sum(
        name.endswith((".parquet", ".json")) and not name.startswith(".")
        for _, _, names in os.walk(folder) for name in names
    )


def newest_table(folder: Path) -> str:
    """Table (or file) of a lake that was written to last: where a kill fell."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                found.append((os.stat(Path(place, name)).st_mtime_ns, Path(place, name).relative_to(folder)))
            except FileNotFoundError:
                continue
    return ".".join(max(found)[1].parts[:2]) if found else "nothing yet"


def wait_until(condition, process: subprocess.Popen | None = None, *, seconds: float = 600.0) -> bool:
    """Poll until the condition holds or the process ends; tell whether it held."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        if process is not None and process.poll() is not None:
            return condition()
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"nothing happened in {seconds:.0f} s")


def documented_line(title: str) -> str:
    """The first command under a heading of the page on where it runs: what a person would copy."""
    page = (ROOT / "docs" / "operations" / "running.md").read_text("utf-8")
    section = page.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    block = next(part for part in section.strip("\n").split("\n\n") if part.startswith("    spark-submit "))
    return "\n".join(line.removeprefix("    ") for line in block.splitlines())


def submission_folder(away: Path) -> dict[str, str]:
    """What the documented lines name, in a folder from where the checkout cannot be seen; returns their variables."""
    (away / "jobs").mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "cluster" / "submit_pipeline.py", away / "jobs" / "pipeline.py")
    build_zip(away / "customs-lake.zip")
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return inherited | {
        "SPARK_HOME": str(SPARK_HOME), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_CONF_DIR": str(away / "conf"),
        "PATH": f"{SPARK_HOME / 'bin'}:{os.environ['PATH']}", "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYTHON": sys.executable, "J": ",".join(jar_paths()), "EXECUTORS": "2", "CORES": "1", "MEMORY": "640m",
    }


def write_defaults(away: Path, confs: dict[str, str]) -> None:
    """What an administrator sets for a cluster: here, that everything is small and on loopback."""
    (away / "conf").mkdir(parents=True)
    lines = "".join(f"{name} {value}\n" for name, value in (SMALL_CONFS | confs).items())
    (away / "conf" / "spark-defaults.conf").write_text(lines, "utf-8")


class Tools:
    """The functions above, for test modules (which cannot import this file)."""

    kill = staticmethod(kill)
    count_files = staticmethod(count_files)
    newest_table = staticmethod(newest_table)
    wait_until = staticmethod(wait_until)
    reference_files = REFERENCE_FILES
    documented_line = staticmethod(documented_line)
    submission_folder = staticmethod(submission_folder)
    write_defaults = staticmethod(write_defaults)
    root = ROOT
    spark_home = SPARK_HOME
    years = YEARS


@pytest.fixture(scope="session")
def tools():
    return Tools


@pytest.fixture(scope="session")
def raw(tmp_path_factory) -> Path:
    """One small monthly file for each of two years."""
    return _write_delivery()(tmp_path_factory.mktemp("delivery") / "raw", YEARS, months=(1,), n_lines=24)


@pytest.fixture
def launcher(raw, tmp_path):
    launcher = Launcher(raw, tmp_path)
    yield launcher
    launcher.kill_all()


@pytest.fixture(scope="session")
def undisturbed(spark, settings, raw, tmp_path_factory) -> Path:
    """A lake built by one run that nobody disturbed, through the counts."""
    root = tmp_path_factory.mktemp("undisturbed") / "lake"
    context = JobContext(spark, Lake.open(spark, str(root), create=True), settings, "undisturbed", raw)
    for name, module in (("land", land), ("ingest", ingest), ("clean", clean), ("count", count)):
        run_job(name, module.run, context)
    return root


@pytest.fixture(scope="session")
def content(spark):
    """A function that returns the rows of a lake's tables without the stamps of a run."""

    def read(root, layers=("bronze", "silver", "gold", "ops")) -> dict[str, list[str]]:
        lake = Lake.open(spark, str(root))
        tables = [table for table in COMPARED if table.layer in layers]
        return {
            table.name: sorted(map(str, lake.read(table).drop(*STAMPS & set(table.columns)).collect())) for table in tables
        }

    return read


@pytest.fixture(scope="session")
def expected(content, undisturbed) -> dict[str, list[str]]:
    """Rows of the undisturbed lake."""
    rows = content(undisturbed)
    assert len(rows["bronze.declaration"]) == 48 and rows["gold.city_exports"]
    return rows
