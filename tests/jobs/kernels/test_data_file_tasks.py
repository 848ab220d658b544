"""Tasks that write data files themselves: their rows are those of the same kernels' batches, whatever the tasks are."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib
import itertools
import json
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest
from deliveries import ROWS, lines
from test_cleaning import FAILING, SOUND, batches, bronze_rows

from conf.layouts import load_layouts
from conf.rules import load_rules
from jobs.core import data_files, file_tables
from jobs.core.data_files import FileWriter
from jobs.core.direct import open_table, read_rows
from jobs.core.errors import InputRefusedError
from jobs.core.file_tables import append_files, live_slices, replace_years_by_files, tasks_of_years, writing_files
from jobs.core.stored_files import StoredFiles
from jobs.kernels.cleaned_files import Cleaned, added_up, spelt_postcodes_of, total_values, write_cleaned
from jobs.kernels.cleaning import (
    Cleaning,
    sorted_batches,
    spelt_postcodes,
    unpacked_batches,
    value_totals,
)
from jobs.kernels.loading import LEFT_OUT, FileToLoad, Load, files_of_results, load_task, share_out, task_of, write_task
from jobs.kernels.parsing import CodeTables, WithoutPostcodes
from jobs.kernels.parts import parts_to_json
from jobs.kernels.placing import PlacePolicy
from jobs.kernels.raw_folder import raw_folder
from jobs.kernels.sources import look_at
from jobs.reference.codebooks import partner_table, product_table
from jobs.reference.place_book import load_place_book
from jobs.reference.place_lookups import place_tables
from schemas import bronze, silver

MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, 678901)


def results(kernel, tasks, *arguments):
    """What a driver collects, the tasks done in another order."""
    return [row["result"] for task in reversed(tasks) for batch in kernel(task, *arguments) for row in batch.to_pylist()]


def rows_of(lake, table):
    return read_rows(open_table(lake.root, table), table).to_pylist(maps_as_pydicts="strict")


@pytest.fixture
def delivery(tmp_path):
    """A folder of two files, one of them of two years."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "data200506.csv").write_bytes(lines(ROWS * 40).encode("gb18030"))
    (tmp_path / "raw" / "all.csv").write_text(lines([["200312", *row[1:]] for row in ROWS] + ROWS), "utf-8")
    folder, files = raw_folder(tmp_path / "raw"), []
    for name, years in (("all.csv", (2003, 2005)), ("data200506.csv", (2005,))):
        sha256 = hashlib.sha256((tmp_path / "raw" / name).read_bytes()).hexdigest()
        parts = parts_to_json(look_at(folder.file(name), load_layouts()).parts)
        files.append(FileToLoad(name, sha256, folder.size_of(name), years, years, None, parts))
    return folder, files


def test_bronze_is_written_as_the_batches_are(plain_lake, delivery):
    folder, files = delivery
    load = Load("of all", {files[1].file_sha256: "its own"}, MOMENT)
    tasks = [task_of([file]) for file in files]
    with writing_files(plain_lake, [bronze.DECLARATION], umask=0o077) as (target,):
        arguments = (folder.address, load_layouts(), LEFT_OUT, load, target)
        found = files_of_results(results(write_task, tasks, *arguments))
        append_files(plain_lake, bronze.DECLARATION, found)
    expected = [
        row | {"load_id": "its own" if row["source_file"] == "data200506.csv" else "of all"}
        for task in tasks for batch in load_task(task, folder.address, load_layouts())
        for row in batch.to_pylist(maps_as_pydicts="strict")
    ]

    def key(row):
        return row["source_file"], row["source_row"]

    written = sorted(rows_of(plain_lake, bronze.DECLARATION), key=key)
    assert {row.pop("loaded_at") for row in written} == {MOMENT.replace(tzinfo=dt.UTC)}
    assert written == sorted(expected, key=key) and len(written) == 210
    assert sorted(file.n_rows for file in found) == [5, 5, 200], "a file of two years has its rows in both"


def test_nothing_stays_of_a_task_whose_file_changed(plain_lake, delivery):
    folder, files = delivery
    with open(folder.path / "data200506.csv", "ab") as stream:
        stream.write(b"\n")
    with writing_files(plain_lake, [bronze.DECLARATION], umask=0o077) as (target,):
        task = task_of(files)
        with pytest.raises(InputRefusedError, match="data200506.csv"):
            list(write_task(task, folder.address, load_layouts(), LEFT_OUT, Load("l", {}, MOMENT), target))
    assert not list(StoredFiles(plain_lake.root).path().rglob("*.parquet"))


def test_what_other_tasks_wrote_goes_when_one_fails(plain_lake, delivery):
    folder, files = delivery
    (folder.path / "data200506.csv").unlink()
    with pytest.raises(InputRefusedError), writing_files(plain_lake, [bronze.DECLARATION], umask=0o077) as (target,):
        for task in share_out(files[:1]) + share_out(files[1:]):
            list(write_task(task_of(task), folder.address, load_layouts(), LEFT_OUT, Load("l", {}, MOMENT), target))
    assert not list(StoredFiles(plain_lake.root).path().rglob("*.parquet"))


@pytest.fixture(scope="module")
def cleaning():
    return Cleaning(
        CodeTables(product_table(), partner_table()), place_tables(load_place_book()), PlacePolicy(), load_rules(),
        WithoutPostcodes(),
    )


@pytest.fixture
def loaded(plain_lake, monkeypatch):
    """Bronze of three years and four files, one of them no longer in force; row groups of seven rows."""
    for module in (data_files, file_tables, importlib.import_module("jobs.core.file_slices")):
        monkeypatch.setattr(module, "GROUP_ROWS", 7)
    given = [
        {"firm_id": f"320494000{row % 3}", "source_year": year, "file_sha256": file, "source_row": row, **failing}
        for (year, file), (row, failing) in itertools.product(
            ((2003, "a"), (2004, "b"), (2004, "gone"), (2005, "c")), enumerate([{}, {"value": "1.005"}, *FAILING.values()])
        )
    ]
    rows = bronze_rows(given)
    columns = {field.name for field in bronze.DECLARATION.fields} - set(rows.columns)
    whole = rows.with_columns(pl.lit(None, pl.String).alias(name) for name in columns - {"extra", "loaded_at"})
    table = whole.with_columns(layout=pl.lit("l"), source_file=pl.lit("f")).to_arrow(compat_level=pl.CompatLevel.oldest())
    table = table.append_column("extra", pa.nulls(len(rows), pa.map_(pa.string(), pa.string())))
    table = table.append_column("loaded_at", pa.repeat(pa.scalar(MOMENT, pa.timestamp("us", "UTC")), len(rows)))
    with writing_files(plain_lake, [bronze.DECLARATION], umask=0o077) as (target,), FileWriter(target) as writer:
        writer.write(table)
    append_files(plain_lake, bronze.DECLARATION, writer.files)
    return rows


def test_both_tables_of_silver_are_written_as_the_batches_are(plain_lake, loaded, cleaning):
    years, in_force = (2003, 2004), ["a", "b", "c"]
    tasks = tasks_of_years(plain_lake, bronze.DECLARATION, years)
    assert len(tasks) > 1 and len(live_slices(plain_lake, bronze.DECLARATION, years)) > 10
    with writing_files(plain_lake, silver.TABLES, umask=0o077) as targets:
        cleaned = Cleaned.of(results(write_cleaned, tasks, cleaning, in_force, *targets))
        replace_years_by_files(plain_lake, silver.DECLARATION, cleaned.kept, years)
        replace_years_by_files(plain_lake, silver.QUARANTINE, cleaned.refused, years)
    expected = loaded.filter(pl.col("source_year").is_in(years) & pl.col("file_sha256").is_in(in_force))
    columns = silver.DECLARATION.columns, silver.QUARANTINE.columns
    packed = list(sorted_batches(batches(expected), cleaning, *columns))

    def key(row):
        return row["file_sha256"], row["source_row"]

    for table, side in ((silver.DECLARATION, "kept"), (silver.QUARANTINE, "refused")):
        rows = [row for batch in unpacked_batches(one.select([side]) for one in packed) for row in batch.to_pylist()]
        assert sorted(rows_of(plain_lake, table), key=key) == sorted(rows, key=key)
    assert cleaned.delivered == totals(expected)
    again = results(total_values, tasks, in_force)
    assert added_up([json.loads(result) for result in again]) == totals(expected)


def totals(rows):
    """Rows, erased ones and dollars of each file and year, by the kernel that is handed batches."""
    found = {}
    for batch in value_totals(batches(rows, 1000)):
        for row in batch.to_pylist():
            found[row["file_sha256"], row["year"]] = (row["n_rows"], row["n_erased"], row["usd"])
    return found


def test_dollars_of_tasks_are_added_to_the_cent():
    one, other = [["a", 2003, 2, 1, "0.10"]], [["a", 2003, 1, 0, "12345678901234567890.23"], ["b", 2003, 1, 0, "0.00"]]
    assert added_up([one, other, []]) == {
        ("a", 2003): (3, 1, Decimal("12345678901234567890.33")), ("b", 2003): (1, 0, Decimal("0.00")),
    }


def test_spellings_of_postcodes_are_those_of_the_batches(plain_lake, loaded):
    tasks = tasks_of_years(plain_lake, bronze.DECLARATION, (2003, 2004, 2005))
    found = pl.concat(
        [pl.DataFrame(pl.from_arrow(batch)) for task in tasks for batch in spelt_postcodes_of(task, ["a", "c"])]
    )
    lending = loaded.filter(pl.col("file_sha256").is_in(["a", "c"]) & pl.col("malformed_row").is_null())
    given = batches(lending.select("source_year", "firm_id", "postcode"), 1000)
    expected = pl.concat([pl.DataFrame(pl.from_arrow(batch)) for batch in spelt_postcodes(given)])
    keys = ["year", "firm_id", "postcode"]
    assert found.group_by(keys).agg(pl.col("n_records").sum()).sort(keys).equals(expected.sort(keys))
    assert SOUND["postcode"] in set(expected["postcode"])
