"""The functions that look at files, load lines and clean records, alone on one core: microseconds a record, without Spark.

    python tests/benchmarks/bench_kernels.py [--records 600000]

What a step of `customs-lake` takes beyond this is its start, and on a cluster the JVM's: see docs/speed.md. The least of three
runs counts; a machine that others use, too, gives more.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["POLARS_MAX_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pyarrow as pa

from conf.layouts import load_layouts
from conf.rules import load_rules
from jobs.cleaning.balance import sums_written
from jobs.core.file_tables import append_files, replace_years_by_files, tasks_of_years, writing_files
from jobs.core.lake import Lake
from jobs.core.reading import NoSession
from jobs.core.stored_files import StoredFiles
from jobs.generate import generate
from jobs.kernels.cleaned_files import Cleaned, write_cleaned
from jobs.kernels.cleaning import Cleaning
from jobs.kernels.loading import LEFT_OUT, FileToLoad, Load, files_of_results, share_out, task_of, write_task
from jobs.kernels.parsing import CodeTables, WithoutPostcodes
from jobs.kernels.parts import parts_to_json
from jobs.kernels.placing import PlacePolicy
from jobs.kernels.raw_folder import raw_folder
from jobs.kernels.same_bytes import hash_stream
from jobs.kernels.sources import look_at
from jobs.reference.codebooks import partner_table, product_table
from jobs.reference.place_book import load_place_book
from jobs.reference.place_lookups import place_tables
from schemas import bronze, silver


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=600_000)
    options = parser.parse_args()
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory() as folder:
        n = generate(folder, records=options.records, progress=lambda text: None).n_rows
        measure_all(Path(folder) / "raw", n)
    return 0


def measure_all(raw: Path, n: int) -> None:
    """Measure each function on what the one before it made."""
    folder, layouts = raw_folder(str(raw)), load_layouts()
    names = sorted(f"customs/{path.name}" for path in (raw / "customs").iterdir())
    looks = measured("land: look at the files", n, lambda: [look_at(folder.file(name), layouts) for name in names])
    files = [file_to_load(folder, name, look) for name, look in zip(names, looks, strict=True)]
    lake = Lake(NoSession(), str(raw.parent / "lake"))  # type: ignore[arg-type]  # nothing here asks for one
    lake.store = StoredFiles(lake.root)
    load = Load("load", {}, dt.datetime(2026, 1, 1))
    with writing_files(lake, [bronze.DECLARATION], umask=0o077) as (target,):
        arguments = (folder.address, layouts, LEFT_OUT, load, target)
        tasks = [task_of(task) for task in share_out(files)]
        written = measured("ingest: read lines, write bronze", n, lambda: results(write_task, tasks, arguments))
        append_files(lake, bronze.DECLARATION, files_of_results(written))
    cleaning = Cleaning(
        CodeTables(product_table(), partner_table()), place_tables(load_place_book()), PlacePolicy(), load_rules(),
        WithoutPostcodes(),
    )
    years = sorted({year for file in files for year in file.years})
    slices, in_force = tasks_of_years(lake, bronze.DECLARATION, years), [file.file_sha256 for file in files]
    with writing_files(lake, silver.TABLES, umask=0o077) as targets:
        arguments = (cleaning, in_force, *targets)
        cleaned = Cleaned.of(
            measured("clean: read, parse, place, judge, write", n, lambda: results(write_cleaned, slices, arguments))
        )
        replace_years_by_files(lake, silver.DECLARATION, cleaned.kept, years)
        replace_years_by_files(lake, silver.QUARANTINE, cleaned.refused, years)
    measured("clean: read back for the balance", n, lambda: [sums_written(lake, table, years) for table in silver.TABLES])


def results(kernel: Callable, tasks: list[str], arguments: tuple) -> list[str]:
    """What all tasks say, one after the other."""
    return [row["result"] for task in tasks for batch in kernel(task, *arguments) for row in batch.to_pylist()]


def file_to_load(folder, name: str, look) -> FileToLoad:
    """A file as it goes to a task of ingest."""
    year = int(re.search(r"20\d\d", name).group())
    digest = hash_stream(folder.file(name).open)
    return FileToLoad(name, digest, folder.size_of(name), (year,), (year,), None, parts_to_json(look.parts))


def measured(name: str, n: int, work: Callable[[], list]) -> list:
    """Print the least processor time of three runs."""
    least = float("inf")
    for _ in range(3):
        start = time.process_time()
        made = work()
        least = min(least, time.process_time() - start)
    print(f"{name:<36}{1e6 * least / n:>8.1f}", flush=True)
    return made


if __name__ == "__main__":
    sys.exit(main())
