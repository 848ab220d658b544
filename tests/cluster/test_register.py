"""A lake's tables in a Hive metastore (embedded Derby): names, places, comments with keys, and what is refused."""

from __future__ import annotations

import os
import sys

import pytest

from jobs.core.registering import entry_comment
from schemas import gold

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
ASK = """
import sys
sys.path.insert(0, sys.argv[1])
from conf.settings import load_settings
from jobs.register import main
from jobs.runtime.session import build_session

for lake, more in ((sys.argv[2], []), (sys.argv[2], ["--exit-code"]), (sys.argv[3], []), (sys.argv[3], ["--replace"])):
    print("exit code", main(["--lake", lake, "--schema", "trade", *more]))
spark = build_session(load_settings(environment={}))
print("rows", spark.table("trade.gold__city_exports").count())
for row in spark.sql("DESCRIBE TABLE EXTENDED trade.gold__city_exports").collect():
    print("|".join(str(value) for value in row))
hive = spark._jsparkSession.sharedState().externalCatalog().getTable("trade", "gold__city_exports")
print("hive comment", hive.comment().get())
print("hive columns", hive.schema().fieldNames().__len__(), hive.schema().json())
"""


def test_tables_stand_in_the_metastore_with_comments_and_keys(launcher, tools, undisturbed, tmp_path):
    import shutil

    other = shutil.copytree(undisturbed, tmp_path / "copy")
    script = tmp_path / "ask.py"
    script.write_text(ASK)
    given = tools.submission_folder(tmp_path / "away") | {"PYSPARK_PYTHON": sys.executable}
    tools.write_defaults(tmp_path / "away", {
        "spark.sql.catalogImplementation": "hive", "spark.sql.warehouse.dir": str(tmp_path / "warehouse"),
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={tmp_path / 'metastore'};create=true",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    })
    line = ["spark-submit", "--master", "local[2]", "--jars", given["J"], str(script), str(tools.root), str(undisturbed)]
    printed = launcher.finish(launcher.spawn([*line, str(other)], cwd=tmp_path, env=given))
    codes = [line.split()[-1] for line in printed.splitlines() if line.startswith("exit code")]
    assert codes == ["0", "3", "4", "0"], printed
    assert "stands for" in printed and "--replace" in printed
    assert f"Location|file:{other}/gold/city_exports" in printed.replace("file:///", "file:/"), printed
    assert entry_comment(gold.CITY_EXPORTS) in printed and "Key: " in entry_comment(gold.CITY_EXPORTS)
    assert f"hive comment {entry_comment(gold.CITY_EXPORTS)}" in printed
    comment = gold.CITY_EXPORTS.fields[0].comment
    assert f"hive columns {len(gold.CITY_EXPORTS.fields)}" in printed and comment in printed


def test_a_session_whose_catalog_would_be_gone_is_refused_before_anything_is_written(launcher, tools, undisturbed, tmp_path):
    command = [sys.executable, "-m", "jobs.register", "--lake", str(undisturbed), "--profile", "test"]
    printed = launcher.finish(launcher.spawn(command, cwd=tools.root, env=dict(os.environ)), 4)
    assert "catalog is gone when it ends" in printed and "hive.metastore.uris" in printed
    printed = launcher.finish(launcher.spawn([*command, "--catalog", "unity"], cwd=tools.root, env=dict(os.environ)), 4)
    assert "has no such catalog" in printed and "UCSingleCatalog" in printed
