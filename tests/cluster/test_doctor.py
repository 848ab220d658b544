"""The doctor on two executors that are processes of their own: sound, and with faults that are planted on a node."""

from __future__ import annotations

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
