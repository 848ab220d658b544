"""Data files that are written where the rows are: their rows, statistics, hashes, rights, and the commit that names them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake.exceptions import CommitFailedError

from jobs.core import data_files, file_slices
from jobs.core.checksums import read_recorded
from jobs.core.commits import parse_commit
from jobs.core.data_files import DataFile, FileTarget, FileWriter
from jobs.core.delta_log import read_log
from jobs.core.direct import open_table, read_rows, rows_to_arrow
from jobs.core.errors import InvalidRowsError, LakeError
from jobs.core.file_slices import read_frames, share_slices
from jobs.core.file_tables import (
    append_files,
    live_slices,
    remove_uncommitted,
    replace_years_by_files,
    scan_years,
    takes_files,
    writing_files,
)
from jobs.core.lake import Lake
from jobs.core.reading import NoSession
from jobs.core.stored_files import StoredFiles
from schemas import bronze, gold, silver
from schemas.catalog import TABLES

VALUES = {
    "string": "广东", "int": 3, "bigint": 1 << 40, "double": 0.5, "boolean": True, "date": dt.date(2004, 2, 29),
    "timestamp": dt.datetime(2026, 1, 2, 3, 4, 5, 678901, dt.UTC), "array<string>": ["a", "b"], "array<int>": [1, 2],
    "map<string,bigint>": {"a": 1}, "map<string,string>": {"a": "b"}, "decimal(20,2)": Decimal("1.25"),
    "decimal(38,2)": Decimal("123456789012345678901234567890123456.78"), "decimal(24,4)": Decimal("0.0001"),
}
REASON = {"primary_reason": "import", "reasons": ["import"], "load_id": "l"}


def quarantine(year, n, **given):
    rows = [
        REASON | {"year": year, "file_sha256": f"{year}" * 16, "source_row": row, "value_usd": Decimal(row) / 4} | given
        for row in range(n)
    ]
    return rows_to_arrow(silver.QUARANTINE, rows)


def write(plain_lake, table, *rows, umask=0o077):
    with writing_files(plain_lake, [table], umask=umask) as (target,), FileWriter(target) as writer:
        for item in rows:
            writer.write(item)
    return writer.files


def read(plain_lake, table):
    return read_rows(open_table(plain_lake.root, table), table)


@pytest.mark.parametrize("name", sorted(name for name, table in TABLES.items() if name != "gold.city_panel"))
def test_every_table_gives_back_what_was_written(plain_lake, name):
    table = TABLES[name]
    # a value that a check of the table refuses is left out where it may be
    row = {column.name: VALUES[column.type] for column in table.fields if not table.checks or column.required} | {
        column.name: column.allowed[0] for column in table.fields if column.allowed
    }
    row |= {"hs6_code": "847130", "hs8_code": "84713010", "unit_type": "district"} if name == "silver.declaration" else {}
    given = rows_to_arrow(table, [row, row])
    try:
        files = write(plain_lake, table, given)
    except InvalidRowsError as error:
        assert table.checks and "2 rows break" in str(error)
        return
    append_files(plain_lake, table, files)
    assert read(plain_lake, table).equals(given.cast(read(plain_lake, table).schema))
    slices = live_slices(plain_lake, table)
    columns = [column.name for column in table.fields if not column.type.startswith("map")]
    found = pl.concat(read_frames(slices, table, columns))
    assert found.equals(pl.DataFrame(pl.from_arrow(given.select(columns))))
    # as a frame of Polars it makes the same file
    frame = FileTarget(str(StoredFiles(plain_lake.root).path(table.relative_path)), table, "again")
    if len(columns) == len(table.columns):
        with FileWriter(frame) as writer:
            writer.write(pl.DataFrame(pl.from_arrow(given)))
        assert [(file.sha256, file.stats) for file in writer.files] == [(file.sha256, file.stats) for file in files]


def test_a_commit_holds_its_files_their_hashes_and_its_rows(plain_lake):
    files = write(plain_lake, silver.QUARANTINE, quarantine(2003, 3), quarantine(2004, 2), quarantine(2003, 4))
    written = append_files(plain_lake, silver.QUARANTINE, files, metadata={"run": "r"})
    assert (written.n_rows, written.skipped) == (9, False)
    assert plain_lake.rows_by_year(silver.QUARANTINE, written) == {2003: 7, 2004: 2}
    commit = plain_lake.commits(silver.QUARANTINE)[-1]
    assert commit.is_ours and commit.changes_rows and commit.metadata["run"] == "r" and commit.n_rows == 9
    log = read_log(StoredFiles(plain_lake.root), "silver/quarantine")
    assert log.is_known and sorted(log.files) == sorted(file.path for file in files)
    recorded = read_recorded(StoredFiles(plain_lake.root), "silver/quarantine")
    for file in files:
        content = StoredFiles(plain_lake.root).read(f"silver/quarantine/{file.path}")
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.n_bytes, file.sha256)
        assert recorded.files[file.path] == (file.n_bytes, file.sha256)
    assert plain_lake.take_activity()[1][silver.QUARANTINE.name] == written


def test_statistics_are_those_of_the_rows_in_the_form_of_delta(plain_lake, monkeypatch):
    monkeypatch.setattr(data_files, "GROUP_ROWS", 3)
    given = quarantine(2003, 8).to_pylist()
    given[2]["value_usd"] = given[3]["primary_reason"] = None
    given[3]["primary_reason"] = "a" * 31 + "德" + "z"
    given[5]["primary_reason"] = "z" * 33
    (file,) = write(plain_lake, silver.QUARANTINE, rows_to_arrow(silver.QUARANTINE, given))
    stats = json.loads(file.stats, parse_float=Decimal)
    assert stats["numRecords"] == 8
    assert stats["nullCount"] == {"primary_reason": 0, "value_usd": 1, "file_sha256": 0, "source_row": 0}
    assert stats["minValues"] == {
        "primary_reason": "a" * 31 + "德", "value_usd": Decimal("0.00"), "file_sha256": "2003" * 8, "source_row": 0,
    }
    # of a text that is cut, no less than any of the rows
    assert stats["maxValues"] == {
        "primary_reason": "z" * 32 + "\x7f", "value_usd": Decimal("1.75"), "file_sha256": "2003" * 8 + "\x7f", "source_row": 7,
    }
    assert "0.00" in file.stats, "a decimal has its digits"
    append_files(plain_lake, silver.QUARANTINE, [file])
    rows = scan_years(plain_lake, silver.QUARANTINE, [2003]).filter(pl.col("value_usd") > Decimal("1.50")).collect()
    assert rows.get_column("source_row").to_list() == [7], "a reader that leaves files out by them finds its rows"
    (empty,) = write(plain_lake, silver.QUARANTINE, quarantine(2005, 2, value_usd=None))
    assert "value_usd" not in json.loads(empty.stats)["minValues"] and json.loads(empty.stats)["nullCount"]["value_usd"] == 2


@pytest.mark.parametrize("tail", ["a", "\x7e", "\x7f", "德", "\U0010ffff"])
def test_the_greatest_text_is_never_above_what_the_log_says(plain_lake, tail):
    (file,) = write(plain_lake, silver.QUARANTINE, quarantine(2003, 1, primary_reason="德" * 32 + tail))
    assert json.loads(file.stats)["maxValues"]["primary_reason"].encode() >= ("德" * 32 + tail).encode()


def test_row_groups_and_files_have_a_size_of_their_own(plain_lake, monkeypatch):
    monkeypatch.setattr(data_files, "GROUP_ROWS", 10)
    monkeypatch.setattr(data_files, "FILE_BYTES", 6_000)
    # before the first file is full its row groups are, however the rows come
    files = write(plain_lake, silver.QUARANTINE, *[quarantine(2003, n) for n in (3, 25, 1, 40, 7, 4)])
    assert len(files) > 1 and sum(file.n_rows for file in files) == 80
    folder = StoredFiles(plain_lake.root).path("silver/quarantine")
    for file in files:
        footer = pq.read_metadata(folder / file.path)
        groups = [footer.row_group(k).num_rows for k in range(footer.num_row_groups)]
        assert all(n == 10 for n in groups[:-1]) and groups[-1] <= 10


def test_rows_that_wait_for_many_years_do_not_fill_the_memory(plain_lake, monkeypatch):
    monkeypatch.setattr(data_files, "WAITING_BYTES", 2_000)
    largest = []
    with writing_files(plain_lake, [silver.QUARANTINE], umask=0o077) as (target,), FileWriter(target) as writer:
        for _ in range(5):
            for year in range(2003, 2012):
                writer.write(quarantine(year, 4))
                largest.append(sum(file.waiting_bytes for file in writer._open.values()))
    assert max(largest) <= 2_000 and len(writer.files) == 9 and sum(file.n_rows for file in writer.files) == 180


@pytest.mark.parametrize(
    ("given", "said"),
    [({"primary_reason": None}, "primary_reason is empty in 2 rows"), ({"primary_reason": ""}, "2 rows break has_a_reason")],
)
def test_rows_that_break_a_promise_are_refused_and_nothing_stays(plain_lake, given, said):
    with pytest.raises(InvalidRowsError, match=rf"^silver\.quarantine: {said}; nothing was written") as refused:
        write(plain_lake, silver.QUARANTINE, quarantine(2003, 5), quarantine(2004, 2, firm_name="常州某厂", **given))
    assert "常州" not in str(refused.value), "values of rows do not reach a terminal"
    assert not list(StoredFiles(plain_lake.root).path().rglob("*.parquet")) and plain_lake.version(silver.QUARANTINE) == 0


def test_a_check_that_cannot_be_told_holds_as_in_sql(plain_lake):
    rows = [
        {"year": 2003, "city_id": "320400", "prefecture_code": "3204", "hs8_code": "84713010", "hs6_code": "847130",
         "hs_revision": "HS1996", "hs6_family": "847130", "partner_code": "502", "partner_kind": "country",
         "is_destination": True, "value_usd": Decimal("1.00"), "place_method": "postcode", "is_place_ambiguous": False,
         "repairs": [], "file_sha256": "f", "source_row": 1, "load_id": "l", "month": None, "unit_type": None}
    ]
    allowed = {column.name: column.allowed[0] for column in silver.DECLARATION.fields if column.allowed and column.required}
    rows[0] |= allowed
    (file,) = write(plain_lake, silver.DECLARATION, rows_to_arrow(silver.DECLARATION, rows))
    assert file.n_rows == 1
    for wrong in ({"month": 13}, {"value_usd": Decimal("0.00")}, {"hs6_code": "84713"}, {"unit_type": "county"}):
        with pytest.raises(InvalidRowsError, match="1 rows break"):
            write(plain_lake, silver.DECLARATION, rows_to_arrow(silver.DECLARATION, [rows[0] | wrong]))


def test_frames_of_other_types_are_refused(plain_lake):
    rows = pl.DataFrame(pl.from_arrow(quarantine(2003, 2))).with_columns(pl.col("source_row").cast(pl.Int32))
    with pytest.raises(TypeError, match="source_row is int32, not int64"):
        write(plain_lake, silver.QUARANTINE, rows)
    assert not list(StoredFiles(plain_lake.root).path().rglob("*.parquet"))


@pytest.mark.parametrize("umask", [0o077, 0o027])
def test_files_and_folders_are_their_owners(plain_lake, umask):
    before = os.umask(0o000)
    try:
        files = write(plain_lake, silver.QUARANTINE, quarantine(2003, 2), umask=umask)
    finally:
        os.umask(before)
    folder = StoredFiles(plain_lake.root).path("silver/quarantine")
    modes = [(folder / path).stat().st_mode & 0o777 for path in (files[0].path, "year=2003")]
    assert modes == [0o666 & ~umask, 0o777 & ~umask]


def test_what_was_not_committed_is_removed_and_what_was_stays(plain_lake):
    tables = [silver.QUARANTINE, silver.DECLARATION]
    with pytest.raises(RuntimeError), writing_files(plain_lake, tables, umask=0o077) as targets:
        with FileWriter(targets[0]) as writer:
            writer.write(quarantine(2003, 2))
            writer.write(quarantine(2004, 2))
        append_files(plain_lake, silver.QUARANTINE, writer.files[:1])
        raise RuntimeError("the other table could not be written")
    assert len(list(StoredFiles(plain_lake.root).path().rglob("*.parquet"))) == 1
    assert [row["year"] for row in read(plain_lake, silver.QUARANTINE).to_pylist()] == [2003, 2003]
    assert remove_uncommitted(plain_lake, targets[0]) == 0


def test_an_append_that_is_repeated_is_skipped_and_its_files_are_removed(plain_lake):
    table = bronze.DECLARATION

    def append(transaction, n):
        return append_files(plain_lake, table, write(plain_lake, table, bronze_rows(2003, n)), transaction=transaction)

    first, second = append("t:1", 2), append("t:1", 2)
    assert (first.n_rows, first.skipped, second.n_rows, second.skipped) == (2, False, 0, True)
    assert len(read(plain_lake, table)) == 2 and append("t:2", 1).n_rows == 1
    assert len(list(StoredFiles(plain_lake.root).path().rglob("*.parquet"))) == 2


def bronze_rows(year, n):
    row = {"source_year": year, "layout": "l", "source_file": "f.csv", "file_sha256": "f", "load_id": "l"}
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return rows_to_arrow(bronze.DECLARATION, [row | {"source_row": k, "loaded_at": moment} for k in range(n)])


def test_years_are_replaced_cleared_and_others_stay(plain_lake):
    table = silver.QUARANTINE
    append_files(plain_lake, table, write(plain_lake, table, *[quarantine(year, 2) for year in (2003, 2004, 2005)]))
    kept = {path for path in read_log(StoredFiles(plain_lake.root), "silver/quarantine").files if "year=2005" in path}
    written = replace_years_by_files(plain_lake, table, write(plain_lake, table, quarantine(2004, 3)), [2003, 2004])
    assert written.n_rows == 3 and plain_lake.rows_by_year(table, written) == {2004: 3}
    assert sorted(row["year"] for row in read(plain_lake, table).to_pylist()) == [2004, 2004, 2004, 2005, 2005]
    assert kept <= set(read_log(StoredFiles(plain_lake.root), "silver/quarantine").files), "another year's file is the same"
    assert replace_years_by_files(plain_lake, table, [], [2004]).n_rows == 0
    assert {row["year"] for row in read(plain_lake, table).to_pylist()} == {2005}
    with pytest.raises(LakeError, match="2006"):
        replace_years_by_files(plain_lake, table, write(plain_lake, table, quarantine(2006, 1)), [2005])


def test_a_table_that_only_grows_is_not_replaced(plain_lake):
    table = bronze.DECLARATION
    append_files(plain_lake, table, write(plain_lake, table, bronze_rows(2003, 2)))
    with pytest.raises(CommitFailedError, match="append-only"):
        replace_years_by_files(plain_lake, table, write(plain_lake, table, bronze_rows(2003, 2)), [2003])
    assert len(read(plain_lake, table)) == 2


def test_a_race_against_a_foreign_writer_is_run_again(plain_lake, monkeypatch):
    from jobs.core import commits, direct

    table = silver.QUARANTINE
    append_files(plain_lake, table, write(plain_lake, table, quarantine(2003, 1)))
    files, foreign = write(plain_lake, table, quarantine(2003, 2)), write(plain_lake, table, quarantine(2003, 5))
    opened, turns = direct.open_table, []

    def late(root, table, version=None):
        found = opened(root, table, version)
        if not turns:
            turns.append("foreign")
            monkeypatch.setattr(direct, "open_table", opened)
            direct.commit_files(root, table, foreign, mark="{}", years=[2003])
        return found

    monkeypatch.setattr(commits.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(direct, "open_table", late)
    written = replace_years_by_files(plain_lake, table, files, [2003])
    assert written.n_rows == 2 and len(read(plain_lake, table)) == 2 and written.version == 3


def test_a_checkpoint_is_written_as_by_any_writer(plain_lake):
    for number in range(11):
        append_files(plain_lake, silver.QUARANTINE, write(plain_lake, silver.QUARANTINE, quarantine(2003, 1 + number)))
    log = read_log(StoredFiles(plain_lake.root), "silver/quarantine", every_entry=True)
    assert log.version == 11 and log.checkpoints == (10,) and not log.faults and len(log.files) == 11
    text = StoredFiles(plain_lake.root).read_text(f"silver/quarantine/_delta_log/{11:020}.json")
    assert parse_commit(11, text).n_rows == 11


def test_slices_hold_every_row_once_in_tasks_of_about_equal_size(plain_lake, monkeypatch):
    for module in (data_files, file_slices):
        monkeypatch.setattr(module, "GROUP_ROWS", 10)
    monkeypatch.setattr("jobs.core.file_tables.GROUP_ROWS", 10)
    table = silver.QUARANTINE
    append_files(plain_lake, table, write(plain_lake, table, quarantine(2003, 35), quarantine(2004, 4), quarantine(2005, 12)))
    append_files(plain_lake, table, write(plain_lake, table, quarantine(2004, 3)))
    slices = live_slices(plain_lake, table, [2003, 2004])
    assert [item.n_rows for item in slices if item.partition["year"] == 2003] == [10, 10, 10, 5]
    tasks = share_slices(slices, 20, tasks_at_least=2)
    assert len(tasks) == 3 and all(sum(item.n_rows for item in task) <= 20 for task in tasks)
    frames = [frame for task in tasks for frame in read_frames(task, table, ["year", "source_row"])]
    assert all(len(frame) <= 10 for frame in frames)
    rows = sorted(row for frame in frames for row in frame.rows())
    assert rows == sorted([(2003, k) for k in range(35)] + [(2004, k) for k in range(4)] + [(2004, k) for k in range(3)])
    found = pl.concat(read_frames(slices, table, ["source_row"], where=pl.col("year") == 2004))
    assert sorted(found.get_column("source_row")) == [0, 0, 1, 1, 2, 2, 3]
    assert pl.concat(read_frames(slices, table, ["year"])).height == 42, "a column that is in no file has its rows, too"
    assert plain_lake.take_activity()[0] == {table.name: 2}
    assert live_slices(plain_lake, gold.CITY_EXPORTS) == [] and share_slices([]) == []


def test_what_an_older_file_lacks_is_null(plain_lake, tmp_path):
    table = silver.QUARANTINE
    target = FileTarget(str(tmp_path / "lake/silver/quarantine"), table, "old")
    plain_lake.create(table)
    with FileWriter(target) as writer:
        writer.write(quarantine(2003, 2))
    (file,) = writer.files
    path = tmp_path / "lake/silver/quarantine" / file.path
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["unit_type"]), path)
    append_files(plain_lake, table, [DataFile(file.path, path.stat().st_size, 2, file.partition, "{}", "x", 1)])
    (frame,) = read_frames(live_slices(plain_lake, table), table, ["unit_type", "source_row"])
    assert frame.rows() == [(None, 0), (None, 1)] and frame.schema["unit_type"] == pl.String
    assert scan_years(plain_lake, table, [2003]).select("unit_type").collect().height == 2


def test_tables_with_what_only_spark_knows_are_left_to_it(plain_lake):
    assert takes_files(plain_lake, silver.QUARANTINE), "not yet there"
    plain_lake.create(silver.QUARANTINE)
    assert takes_files(plain_lake, silver.QUARANTINE, silver.DECLARATION)
    open_table(plain_lake.root, silver.QUARANTINE).alter.add_constraint({"of_mine": "source_row >= 0"})
    assert not takes_files(plain_lake, silver.QUARANTINE) and takes_files(plain_lake, silver.DECLARATION)
    far = Lake(NoSession(), "s3a://bucket/lake")
    assert not takes_files(far, silver.QUARANTINE)


def test_a_batch_of_arrow_and_a_frame_may_have_further_columns(plain_lake):
    rows = quarantine(2003, 2).append_column("judged", pa.array([1, 2]))
    files = write(plain_lake, silver.QUARANTINE, rows.to_batches()[0], pl.DataFrame(pl.from_arrow(rows)), rows)
    assert sum(file.n_rows for file in files) == 6


def test_rows_of_many_years_in_any_order_reach_their_year(plain_lake):
    years = [2003 + (7 * k) % 9 for k in range(300)]
    given = quarantine(2003, 300).to_pylist()
    shuffled = rows_to_arrow(silver.QUARANTINE, [row | {"year": year} for row, year in zip(given, years, strict=True)])
    append_files(plain_lake, silver.QUARANTINE, write(plain_lake, silver.QUARANTINE, shuffled))
    found = sorted((row["source_row"], row["year"]) for row in read(plain_lake, silver.QUARANTINE).to_pylist())
    assert found == list(enumerate(years))


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_write_that_is_cut_short_leaves_nothing_and_says_why(plain_lake, monkeypatch, error):
    def cut_short(self, content):
        if self.n_bytes > 100:
            raise error
        return written(self, content)

    written = data_files._HashingFile.write
    monkeypatch.setattr(data_files._HashingFile, "write", cut_short)
    expected = LakeError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected, match="disk is full" if expected is LakeError else None):
        write(plain_lake, silver.QUARANTINE, quarantine(2003, 5), quarantine(2004, 5))
    assert not list(StoredFiles(plain_lake.root).path().rglob("*.parquet"))
