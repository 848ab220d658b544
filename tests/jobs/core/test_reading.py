"""A lake opened for looking: what Delta's own library reads of tables that it wrote, without Spark."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from jobs.commands import query
from jobs.commands.export import export_table
from jobs.commands.main import run_command
from jobs.core.direct import arrow_type
from jobs.core.errors import EXIT_DONE, EXIT_NOTHING_TO_DO, InputRefusedError, LakeError
from jobs.core.reading import LakeReader, SessionNeededError, can_look, open_lake
from schemas import gold, ops
from schemas.catalog import TABLES
from schemas.migrations import LAKE_FORMAT


def _rows(table, **given):
    columns = {column.name: column for column in table.fields if column.name in given}
    return pa.table(
        {name: pa.array(values, arrow_type(columns[name].type)) for name, values in given.items()},
    )


@pytest.fixture
def root(tmp_path):
    """A lake with two versions of gold.city_exports, an older one without its last columns, and a ledger table."""
    (tmp_path / "_customs_lake.json").write_text(json.dumps({"format": LAKE_FORMAT, "floors": {}}))
    path = str(tmp_path / "gold" / "city_exports")
    first = _rows(
        gold.CITY_EXPORTS, year=[2004, 2003], city_id=["320100", "110000"],
        value_usd=[Decimal("10.50"), Decimal("99999999999999.99")], n_products=[3, 4], n_destinations=[1, 2],
    )
    write_deltalake(path, first, partition_by=["year"])
    write_deltalake(path, first.slice(0, 1), mode="append")
    build = _rows(
        ops.BUILD, table_name=["silver.declaration"], year=[2003], fingerprint=["a"], table_version=[1], n_rows=[7],
        built_at=[pd.Timestamp("2026-01-02 03:04:05", tz="UTC")], run_id=["r"], inputs=[[("files", "x")]],
    )
    write_deltalake(str(tmp_path / "ops" / "build"), build)
    return tmp_path


def test_tables_are_read_at_any_version_with_the_declared_columns(root):
    lake = open_lake(str(root))
    assert list(lake) == ["gold.city_exports", "ops.build"]
    table = lake["gold.city_exports"]
    frame = table.to_pandas()
    assert list(frame.columns) == list(gold.CITY_EXPORTS.columns), "a column the lake lacks is there, and empty"
    assert len(frame) == 3 and len(table.at(0).to_pandas()) == 2
    assert Decimal("99999999999999.99") in set(frame["value_usd"]), "money stays exact"
    assert frame["city_name"].isna().all()
    assert table.to_polars().height == table.scan().collect().height == 3
    assert lake.take_activity()[0] == {"gold.city_exports": 1}


def test_rows_are_as_the_ledger_reads_them(root):
    (row,) = LakeReader.look(str(root)).rows(ops.BUILD)
    assert row["inputs"] == {"files": "x"} and row["built_at"].isoformat() == "2026-01-02T03:04:05"
    assert LakeReader.look(str(root)).rows(ops.RUN) == []


def test_nothing_is_written_or_computed_through_it(root):
    lake = LakeReader.look(str(root))
    with pytest.raises(SessionNeededError):
        lake.read(gold.CITY_EXPORTS)
    with pytest.raises(SessionNeededError):
        lake.append_rows(ops.BUILD, [{"year": 1}])
    with pytest.raises(SessionNeededError):
        lake.overwrite(gold.CITY_EXPORTS, None)
    lake.append_rows(ops.BUILD, [])
    before = sorted(path.name for path in root.rglob("*"))
    with lake.lock(gold.CITY_EXPORTS):
        assert sorted(path.name for path in root.rglob("*")) == before


def test_what_is_no_lake_is_said_and_damage_names_the_table(root, tmp_path):
    with pytest.raises(LakeError, match="no lake there"):
        open_lake(str(tmp_path / "none"))
    assert LakeReader.look(str(tmp_path / "none"), may_be_new=True).version(gold.CITY_EXPORTS) == -1
    with pytest.raises(InputRefusedError, match="no such table"):
        open_lake(str(root))["gold.city_export"]
    (root / "ops" / "build" / "_delta_log" / f"{0:020}.json").write_text("{")
    with pytest.raises(LakeError, match=r"ops\.build.*fsck"):
        open_lake(str(root)).rows(ops.BUILD)


def test_every_declared_type_has_itsarrow_type():
    for table in TABLES.values():
        for column in table.fields:
            assert isinstance(arrow_type(column.type), pa.DataType), f"{table.name}.{column.name}"


@pytest.mark.parametrize(
    ("root", "expected"),
    [("lake", True), ("/a/lake", True), ("file:/a/lake", True), ("s3a://b/lake", True), ("hdfs://n/lake", False)],
)
def test_stores_that_need_a_session(root, expected):
    assert can_look(root) is expected


@pytest.mark.parametrize("ending", ["csv", "parquet", "xlsx"])
def test_export_is_sorted_by_key_and_exact(root, tmp_path, ending):
    out = tmp_path / f"x.{ending}"
    assert export_table(LakeReader.look(str(root)), "gold.city_exports", out, version=0)[0] == 2
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "xlsx": pd.read_excel}[ending](out)
    assert list(read["year"]) == [2003, 2004]


def test_query_by_names_json_and_refusals(root, capsys, tmp_path):
    sql = "SELECT year, count(*) AS n FROM gold.city_exports GROUP BY year ORDER BY year"
    assert run_command(["query", "--lake", str(root), sql, "--json"]) == EXIT_DONE
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert found == [{"year": 2003, "n": 1}, {"year": 2004, "n": 2}]
    connection = query.connect(LakeReader.look(str(root)))
    assert "2003" in query.render(query.ask(connection, sql))
    with pytest.raises(InputRefusedError, match="query:"):
        query.ask(connection, "SELECT * FROM gold.nothing")
    with pytest.raises(InputRefusedError):
        query.ask(connection, f"COPY (SELECT 1) TO '{tmp_path / 'stolen.csv'}'")
    query.write(query.ask(connection, sql), tmp_path / "years.parquet")
    assert pd.read_parquet(tmp_path / "years.parquet")["n"].tolist() == [1, 2]


def test_nothing_to_do_is_no_failure_unless_it_is_asked_for(tmp_path, capsys):
    words = ["plan", "--lake", str(tmp_path / "new")]
    assert run_command(words) == EXIT_DONE and run_command([*words, "--exit-code"]) == EXIT_NOTHING_TO_DO
    assert "nothing to do" in capsys.readouterr().out


def test_looking_starts_no_java(root):
    """In a process of its own: the gateway to a JVM is never made."""
    code = (
        "import sys; from jobs.commands.main import run_command; from pyspark import SparkContext;"
        f"code = run_command(['export', 'gold.city_exports', '--lake', {str(root)!r}, '--out', {str(root / 'x.csv')!r}]);"
        "sys.exit(code or (SparkContext._gateway is not None))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
