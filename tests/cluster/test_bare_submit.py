"""A job submitted as it stands in the clone: no zip, no JARs on the line, no configuration but the arguments."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pyspark
import pytest

from jobs.jars import JAR_NAMES

pytestmark = pytest.mark.cluster
SPARK_HOME = Path(pyspark.__file__).parent


def test_bare_submit_from_the_clone_lands_the_files(launcher, raw, tools, tmp_path):
    missing = [name for name in JAR_NAMES if not (SPARK_HOME / "jars" / name).is_file()]
    if missing:
        pytest.skip(f"this Spark has no Delta of its own ({', '.join(missing)}); `make setup` puts it there")
    lake = tmp_path / "lake"
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SPARK_HOME")}
    environment |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    command = [
        str(SPARK_HOME / "bin" / "spark-submit"), "--master", "local[2]", "--conf", "spark.ui.enabled=false",
        "jobs/land.py", "--raw", str(raw), "--lake", str(lake), "--profile", "test",
    ]
    said = launcher.finish(launcher.spawn(command, env=environment))
    assert "2 files of 2003-2004, 48 data lines; 2 new" in said
    assert list((lake / "ops" / "file_receipt" / "_delta_log").glob("*.json"))
