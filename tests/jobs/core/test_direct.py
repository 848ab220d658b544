"""Rows written without Spark: every table of the catalogue, its constraints, its log; and the same table under Spark."""

from __future__ import annotations

import datetime as dt
import json
import os
from decimal import Decimal

import pyarrow as pa
import pytest

from jobs.core.checksums import record_checksums
from jobs.core.creation import first_entry
from jobs.core.delta_log import read_log
from jobs.core.direct import conformed, open_table, reaches, read_rows, rows_to_arrow, write_rows
from jobs.core.errors import InvalidRowsError
from jobs.core.stored_files import StoredFiles
from schemas import gold, ops, places
from schemas.catalog import TABLES
from schemas.table import SchemaMismatchError

VALUES = {
    "string": "x", "int": 3, "bigint": 3, "double": 0.5, "boolean": True, "date": dt.date(2004, 2, 29),
    "timestamp": dt.datetime(2026, 1, 2, 3, 4, 5, 678901), "array<string>": ["a", "b"], "array<int>": [1, 2],
    "map<string,bigint>": {"a": 1}, "map<string,string>": {"a": "b"}, "decimal(20,2)": Decimal("1.25"),
    "decimal(38,2)": Decimal("123456789012345678901234567890123456.78"), "decimal(24,4)": Decimal("0.0001"),
}
RUN = {
    "run_id": "r", "job": "land", "arguments": "{}", "code_version": "1", "config_sha256": "c", "run_status": "done",
    "started_at": dt.datetime(2026, 1, 1), "ended_at": dt.datetime(2026, 1, 1), "versions_read": {"a.b": 3},
}


def _create(root, table):
    log = root / table.relative_path / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text(first_entry(table, "{}"))


def _write(root, table, rows, **options):
    write_rows(str(root), table, rows_to_arrow(table, rows), mark='{"product": "customs-lake"}', **options)


def _read(root, table):
    return read_rows(open_table(str(root), table), table).to_pylist(maps_as_pydicts="strict")


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_is_created_and_gives_back_what_was_written(tmp_path, name):
    table = TABLES[name]
    _create(tmp_path, table)
    # only what must be there: most checks allow what is missing
    row = {column.name: VALUES[column.type] for column in table.fields if column.required} | {
        column.name: column.allowed[0] for column in table.fields if column.allowed
    }
    bare = {column.name: VALUES[column.type] for column in table.fields if not table.check_constraints()} | row
    try:
        _write(tmp_path, table, [bare])
    except InvalidRowsError:
        # a made-up value breaks a check of this table: then the library knows all of them, and holds them
        assert table.checks
        return
    (found,) = _read(tmp_path, table)
    expected = {column.name: bare.get(column.name) for column in table.fields}
    found = {key: value.replace(tzinfo=None) if isinstance(value, dt.datetime) else value for key, value in found.items()}
    assert found == expected


def test_what_breaks_a_constraint_or_lacks_a_value_is_refused(tmp_path):
    _create(tmp_path, ops.RUN)
    for wrong in ({"run_status": "finished"}, {"job": None}):
        with pytest.raises(InvalidRowsError, match=r"^ops\.run: rows that break .*: 1;") as refused:
            _write(tmp_path, ops.RUN, [RUN | wrong])
        assert "finished" not in str(refused.value), "values of rows do not reach a terminal"
    assert open_table(str(tmp_path), ops.RUN).version() == 0, "nothing of it is committed"
    with pytest.raises(SchemaMismatchError, match="missing run_id"):
        conformed(ops.RUN, rows_to_arrow(ops.RUN, [RUN]).drop_columns(["run_id"]))
    with pytest.raises(SchemaMismatchError, match=r"ops\.build"):
        conformed(ops.BUILD, pa.table({name: ["no number"] for name in ops.BUILD.columns}))


def _counts(year, n):
    row = {column.name: VALUES[column.type] for column in gold.CITY_EXPORTS.fields if column.required}
    row |= {"year": year, "n_pairs": 3, "n_products": 3, "n_partner_codes": 3}
    return [row | {"city_id": f"{year}{i}"} for i in range(n)]


def test_years_are_replaced_and_others_stay(tmp_path):
    _create(tmp_path, gold.CITY_EXPORTS)
    _write(tmp_path, gold.CITY_EXPORTS, [*_counts(2003, 2), *_counts(2004, 2), *_counts(2005, 1)])
    kept = {path for path in read_log(StoredFiles(str(tmp_path)), "gold/city_exports").files if "year=2005" in path}
    _write(tmp_path, gold.CITY_EXPORTS, _counts(2004, 3), overwrite=True, condition="year IN (2003, 2004)")
    assert sorted(row["year"] for row in _read(tmp_path, gold.CITY_EXPORTS)) == [2004, 2004, 2004, 2005]
    log = read_log(StoredFiles(str(tmp_path)), "gold/city_exports")
    assert log.is_known and kept <= set(log.files), "the file of another year is not written anew"
    with pytest.raises(InvalidRowsError):
        _write(tmp_path, gold.CITY_EXPORTS, _counts(2005, 1), overwrite=True, condition="year IN (2003)")
    _write(tmp_path, gold.CITY_EXPORTS, [], overwrite=True, condition="year IN (2004)")
    assert [row["year"] for row in _read(tmp_path, gold.CITY_EXPORTS)] == [2005], "no rows clear the year"


def test_its_log_is_read_as_any_other_also_from_a_checkpoint(tmp_path):
    files = StoredFiles(str(tmp_path))
    _create(tmp_path, ops.RUN)
    for number in range(12):
        _write(tmp_path, ops.RUN, [RUN | {"run_id": f"r{number}"}])
        record_checksums(files, "ops/run")
    log = read_log(files, "ops/run", every_entry=True)
    assert log.version == 12 and log.is_known and log.checkpoints == (10,) and not log.faults
    assert len(log.files) == 12 and {item.n_rows for item in log.files.values()} == {1}
    assert all(commit.metadata["product"] == "customs-lake" for commit in log.commits if commit.version)
    assert len(files.names("_checksums/ops.run")) == 13


@pytest.mark.parametrize("folder", ["a b", "进出口 #1", "a`b", "a'b\"c", "a;(l){ke}", "x" * 200])
def test_files_are_their_owners_whatever_the_folder_is_called(tmp_path, folder):
    before = os.umask(0o077)
    try:
        _create(tmp_path / folder, places.SEAPORTS)
        _write(tmp_path / folder, places.SEAPORTS, [{"locode": "CNSHA"}])
    finally:
        os.umask(before)
    assert [row["locode"] for row in _read(tmp_path / folder, places.SEAPORTS)] == ["CNSHA"]
    written = [path for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert len(written) == 3 and all(path.stat().st_mode & 0o077 == 0 for path in written)


@pytest.mark.parametrize("root", ["s3a://bucket/lake", "/data/50%25", "/data/[a]", "/a|b", "/a^b", "/a\\b", "/a\tb"])
def test_other_stores_and_paths_the_library_stumbles_over_are_left_to_spark(root):
    assert not reaches(root) and reaches("/data/lake") and reaches("file:///data/lake")


@pytest.mark.lake
def test_spark_makes_the_same_table_and_goes_on_with_ours(spark, tmp_path):
    from delta.tables import DeltaTable
    from py4j.protocol import Py4JJavaError
    from pyspark.sql import functions as F

    from jobs.core import upkeep
    from jobs.core.lake import Lake

    for table in (ops.RUN, gold.CITY_EXPORTS):
        theirs = tmp_path / "theirs" / table.relative_path
        builder = DeltaTable.create(spark).location(str(theirs)).addColumns(table.struct()).comment(table.description)
        builder = builder.partitionedBy(*table.partition_by) if table.partition_by else builder
        for name, expression in table.check_constraints().items():
            builder = builder.property(f"delta.constraints.{name}", expression)
        for name, value in table.properties.items():
            builder = builder.property(name, value)
        builder.execute()
        ours = [json.loads(line) for line in first_entry(table, "{}").splitlines()]
        made = [json.loads(line) for line in (theirs / "_delta_log" / f"{0:020}.json").read_text().splitlines()]
        for kind, own in (("protocol", set()), ("metaData", {"id", "createdTime", "configuration"})):
            (one,), (other,) = ([action[kind] for action in actions if kind in action] for actions in (ours, made))
            one, other = ({key: value for key, value in each.items() if key not in own} for each in (one, other))
            if kind == "metaData":
                one, other = (each | {"schemaString": json.loads(each["schemaString"])} for each in (one, other))
            assert one == other, table.name
    lake = Lake.open(spark, str(tmp_path / "ours"), create=True)
    lake.append_rows(ops.RUN, [RUN])
    frame = spark.createDataFrame([tuple((RUN | {"run_id": "s"}).get(name) for name in ops.RUN.columns)], ops.RUN.ddl())
    assert lake.append(ops.RUN, frame).version == 2
    lake.append_rows(ops.RUN, [RUN | {"run_id": "t"}])
    by_spark = {row["run_id"]: row for row in lake.read(ops.RUN).collect()}
    assert set(by_spark) == {"r", "s", "t"} == {row["run_id"] for row in lake.rows(ops.RUN)}
    assert by_spark["r"]["versions_read"] == {"a.b": 3} and lake.take_activity()[1]["ops.run"].n_rows == 3
    with pytest.raises(Py4JJavaError, match="run_status_allowed"):
        lake.append(ops.RUN, frame.withColumn("run_status", F.lit("odd")))
    # what the library does not know of a table is Spark's to write and to read
    mapped = "SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')"
    for clause in ("ADD CONSTRAINT short CHECK (job RLIKE '^[a-z]+$')", mapped):
        with lake.committing(ops.RUN):
            upkeep.alter(lake, ops.RUN, clause)
        lake.append_rows(ops.RUN, [RUN | {"run_id": clause}])
        by_spark = {row["run_id"] for row in lake.read(ops.RUN).collect()}
        assert clause in by_spark and by_spark == {row["run_id"] for row in lake.rows(ops.RUN)}
