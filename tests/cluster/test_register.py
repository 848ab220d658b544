"""A lake's tables in a Hive metastore: names, places, comments with keys, and what is refused.

Once with a metastore in the session (embedded Derby), once with a server behind ``thrift://``, by the documented line. The
server is the one among Spark's own JARs.
"""

from __future__ import annotations

import os
import shutil
import socket
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


@pytest.fixture
def metastore(launcher, tools, tmp_path):
    """Address of a metastore that is a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={tmp_path / 'server'};create=true",
        "datanucleus.schema.autoCreateAll": "true", "hive.metastore.schema.verification": "false",
        # a library for it is not among Spark's JARs
        "hive.async.log.enabled": "false",
        "hive.metastore.warehouse.dir": str(tmp_path / "server_warehouse"),
    }
    given = [word for name, value in settings.items() for word in ("--hiveconf", f"{name}={value}")]
    command = [
        "java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", f"{tools.spark_home}/jars/*",
        "org.apache.hadoop.hive.metastore.HiveMetaStore", "-p", str(port), *given,
    ]
    server = launcher.spawn(command, cwd=tmp_path)

    def listens() -> bool:
        with socket.socket() as there:
            return there.connect_ex(("127.0.0.1", port)) == 0

    assert tools.wait_until(listens, server, seconds=180), server.log.read_text("utf-8", errors="replace")[-4000:]
    return f"thrift://127.0.0.1:{port}"


LOOK = """
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
print("rows", spark.table("customs.gold__city_exports").count())
print("seen", sorted(row.tableName for row in spark.sql("SHOW TABLES IN customs").collect()))
entry = spark._jsparkSession.sharedState().externalCatalog().getTable("customs", "gold__city_exports")
print("comment", entry.comment().get())
"""


def test_the_documented_line_enters_the_tables_behind_thrift_and_another_session_finds_them(
    metastore, launcher, tools, undisturbed, tmp_path
):
    away = tmp_path / "away"
    given = tools.submission_folder(away) | {
        "METASTORE": metastore, "LAKE": str(undisturbed), "PYSPARK_PYTHON": sys.executable,
    }
    shutil.copy(tools.root / "jobs" / "register.py", away / "jobs" / "register.py")
    tools.write_defaults(away, {"spark.sql.warehouse.dir": str(tmp_path / "server_warehouse")})
    line = tools.documented_line("A catalogue")
    printed = launcher.finish(launcher.spawn(["bash", "-c", line], cwd=away, env=given))
    assert "customs.gold__city_exports" in printed and " new" in printed, printed
    (away / "look.py").write_text(LOOK)
    asked = line.partition(" jobs/register.py")[0].rstrip("\\ \n") + " look.py"
    printed = launcher.finish(launcher.spawn(["bash", "-c", asked], cwd=away, env=given))
    found = [line.split(" ", 1) for line in printed.splitlines()]
    rows = {item[0]: item[1] for item in found if item[0] in ("rows", "seen", "comment")}
    assert int(rows["rows"]) > 0 and "silver__declaration" in rows["seen"]
    assert rows["comment"] == entry_comment(gold.CITY_EXPORTS)
