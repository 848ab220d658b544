"""A job submitted as it stands in the clone: no zip, no JARs on the line, no configuration but the arguments."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pyspark
import pytest

from jobs.runtime.jars import JAR_NAMES

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).resolve().parents[2]
SPARK_HOME = Path(pyspark.__file__).parent
SHOW_CONF = """
import sys
sys.path.insert(0, sys.argv[1])
from conf.settings import load_settings
from jobs.runtime.session import build_session
session = build_session(load_settings(environment={}))
for name in sys.argv[2:]:
    print(name, "is", session.conf.get(name))
"""
GIVEN, LOCAL_DEFAULT = "spark.sql.codegen.cache.maxEntries", "spark.databricks.delta.snapshotPartitions"


def test_bare_submit_from_the_clone_lands_the_files(launcher, raw, tools, tmp_path):
    missing = [name for name in JAR_NAMES if not (SPARK_HOME / "jars" / name).is_file()]
    if missing:
        pytest.skip(f"this Spark has no Delta of its own ({', '.join(missing)}); `make setup` puts it there")
    lake = tmp_path / "lake"
    printed = _submit(launcher, "jobs/land.py", "--raw", str(raw), "--lake", str(lake), "--profile", "test")
    assert "2 files of 2003-2004, 48 data lines; 2 new" in printed
    assert list((lake / "ops" / "file_receipt" / "_delta_log").glob("*.json"))


def test_what_the_submit_line_says_stands(launcher, tmp_path):
    script = tmp_path / "show_conf.py"
    script.write_text(SHOW_CONF)
    printed = _submit(launcher, "--conf", f"{GIVEN}=700", str(script), str(ROOT), GIVEN, LOCAL_DEFAULT)
    assert f"{GIVEN} is 700" in printed
    # not given: ours, because the master is local
    assert f"{LOCAL_DEFAULT} is 1" in printed


def _submit(launcher, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SPARK_HOME")}
    environment |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    command = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", "local[2]", "--conf", "spark.ui.enabled=false"]
    return launcher.finish(launcher.spawn([*command, *arguments], env=environment))
