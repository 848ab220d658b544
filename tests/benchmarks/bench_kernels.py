"""The functions that look at files, load lines and clean records, alone on one core: microseconds a record, without Spark.

    python tests/benchmarks/bench_kernels.py [--records 600000]

What a step of `customs-lake` takes beyond this is the JVM's: see docs/speed.md. The least of three runs counts; a machine that
others use, too, gives more.
"""

from __future__ import annotations

import argparse
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
from jobs.generate import generate
from jobs.kernels.cleaning import CLEANING_INPUTS, Cleaning, sorted_batches, unpacked_batches, value_totals
from jobs.kernels.loading import BRONZE_SCHEMA, FileToLoad, bronze_batches
from jobs.kernels.parsing import CodeTables, WithoutPostcodes
from jobs.kernels.parts import parts_to_json
from jobs.kernels.placing import PlacePolicy
from jobs.kernels.raw_folder import raw_folder
from jobs.kernels.same_bytes import hash_stream
from jobs.kernels.sources import look_at
from jobs.reference.codebooks import partner_table, product_table
from jobs.reference.place_book import load_place_book
from jobs.reference.place_lookups import place_tables
from schemas import silver

BATCH = 100_000
FOR_BALANCE = ["file_sha256", "source_year", "value", "malformed_row"]


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
    loaded = measured(
        "ingest: read lines to bronze", n, lambda: [batch for file in files for batch in bronze_batches(folder, file, layouts)]
    )
    bronze = pa.Table.from_batches(loaded, BRONZE_SCHEMA)
    bronze = bronze.append_column("load_id", pa.repeat("load", len(bronze))).combine_chunks()
    given = bronze.select(CLEANING_INPUTS).to_batches(BATCH)
    cleaning = Cleaning(
        CodeTables(product_table(), partner_table()), place_tables(load_place_book()), PlacePolicy(), load_rules(),
        WithoutPostcodes(),
    )
    sides = silver.DECLARATION.columns, silver.QUARANTINE.columns
    packed = measured(
        "clean: parse, place, judge, pack", n, lambda: list(sorted_batches(iter(given), cleaning, *sides))
    )
    shares = [pa.RecordBatch.from_arrays([batch.column(k)], ["side"]) for k in range(2) for batch in packed]
    measured("clean: unpack for the tables", n, lambda: list(unpacked_batches(shares)))
    amounts = bronze.select(FOR_BALANCE).to_batches(BATCH)
    measured("clean: values for the balance", n, lambda: list(value_totals(amounts)))


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
