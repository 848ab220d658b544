"""The doctor on two executors that are processes of their own: sound, and with faults that are planted on a node."""

from __future__ import annotations

import os
import re
import socket
import sys
import venv

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
# executor memory as a setting: spark-submit takes this master for a local one and drops the option
LINE = (
    "spark-submit --master 'local-cluster[2,1,640]' --conf spark.executor.memory=512m --py-files customs-lake.zip --jars $J"
    " --conf spark.pyspark.python=$PYTHON --conf spark.pyspark.driver.python=$PYSPARK_DRIVER_PYTHON"
    " jobs/pipeline.py --raw $RAW --lake $LAKE --check-cluster"
)


@pytest.fixture
def ask(launcher, tools, raw, tmp_path):
    """A function that has the cluster checked and returns what it prints; its exit code is the one given."""
    away = tmp_path / "away"
    given = tools.submission_folder(away)
    tools.write_defaults(away, {"spark.task.maxFailures": "1"})

    def submit(code: int, **changes: object) -> str:
        environment = given | {"RAW": str(raw), "LAKE": str(tmp_path / "lake")} | {k: str(v) for k, v in changes.items()}
        return launcher.finish(launcher.spawn(["bash", "-c", LINE], cwd=away, env=environment), code)

    return submit


def test_sound_executors_pass_every_check_and_the_probe_is_gone(ask, tmp_path):
    printed = ask(0)
    assert "2 Python workers" in printed and "checks, none failed" in printed, printed
    assert not (tmp_path / "lake").exists()


def test_a_python_without_packages_a_folder_that_is_no_lake_and_a_missing_raw_folder_are_named(ask, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False)
    (tmp_path / "file").write_text("in the way")
    printed = ask(4, PYTHON=tmp_path / "bare" / "bin" / "python", LAKE=tmp_path / "file" / "lake", RAW=tmp_path / "nothing")
    failed = [line.split("  ")[0] for line in printed.splitlines() if " FAILS " in line]
    assert {"polars", "pyarrow", "Lake, write", "Raw folder, driver"} <= set(failed), printed
    assert "not installed on" in printed and "spark.pyspark.python" in printed


def test_an_interpreter_that_is_on_no_node_is_one_sentence(ask):
    printed = ask(4, PYTHON="/nowhere/python")
    assert "an executor has no /nowhere/python" in printed and "Traceback" not in printed, printed
    assert sys.executable not in printed.split("FAILS", 1)[1].splitlines()[0]


ON_A_CLUSTER = (
    "spark-submit --master $MASTER --executor-memory $MEMORY --py-files customs-lake.zip $OPTIONS"
    " --conf spark.pyspark.python=$PYTHON jobs/pipeline.py --raw $RAW --lake $LAKE --check-cluster --wait $WAIT"
)


@pytest.fixture
def ask_cluster(cluster, launcher, tools, raw, tmp_path):
    """A function that submits the doctor to a standalone cluster, which refuses or lacks something."""
    away = tmp_path / "away"
    given = tools.submission_folder(away) | {
        "MASTER": cluster.url, "MEMORY": "512m", "WAIT": "300", "RAW": str(raw), "LAKE": str(tmp_path / "lake"),
        "OPTIONS": "--jars $J",
    }
    tools.write_defaults(away, {})

    def submit(**changes: object) -> str:
        environment = given | {name: str(value) for name, value in changes.items()}
        line = ON_A_CLUSTER.replace("$OPTIONS", environment["OPTIONS"])
        printed = launcher.finish(launcher.spawn(["bash", "-c", line], cwd=away, env=environment), 4)
        assert "Traceback" not in printed, printed[-3000:]
        return printed

    return submit


def without_delta(tools, folder):
    """Pip's Spark without the JARs that the set-up put beside its own."""
    (folder / "jars").mkdir(parents=True)
    for path in tools.spark_home.iterdir():
        if path.name != "jars":
            (folder / path.name).symlink_to(path)
    for path in (tools.spark_home / "jars").iterdir():
        if not path.name.startswith("delta-"):
            (folder / "jars" / path.name).symlink_to(path)
    return folder


def test_what_keeps_a_session_or_its_executors_from_starting_is_a_sentence(ask_cluster, tools, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        silent = probe.getsockname()[1]
    printed = ask_cluster(MASTER=f"spark://127.0.0.1:{silent}")
    assert f"SessionError: spark://127.0.0.1:{silent}: nobody answers" in printed, printed[-3000:]
    # more than both workers have
    printed = ask_cluster(MEMORY="3g", WAIT=45)
    assert "the cluster gave no executor within 45 s" in printed and "--executor-memory" in printed, printed[-3000:]
    java = tmp_path / "old_java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho java.lang.UnsupportedClassVersionError >&2\nexit 1\n")
    java.chmod(0o755)
    # with two workers the master may start new ones for ever
    printed = ask_cluster(OPTIONS=f"--jars $J --conf spark.executorEnv.JAVA_HOME={java.parents[1]}", WAIT=30)
    assert re.search("has ended the application|gave no executor within 30 s", printed), printed[-3000:]
    assert "mostly a Java there that is not 17 or 21" in " ".join(printed.split())
    assert not (tmp_path / "lake").exists()


def test_a_spark_without_deltas_jars_is_told_to_be_given_them(ask_cluster, tools, tmp_path):
    bare = without_delta(tools, tmp_path / "spark")
    printed = ask_cluster(SPARK_HOME=bare, PATH=f"{bare / 'bin'}:{os.environ['PATH']}", OPTIONS="")
    assert "--jars" in printed and "delta" in printed.lower(), printed[-3000:]
    assert not (tmp_path / "lake").exists()
