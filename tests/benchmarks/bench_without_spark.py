"""Cleaning and counting a built lake without Spark: the same kernels, delta-rs for the tables, Polars for the counts.

    python tests/benchmarks/bench_without_spark.py LAKE OUT [two|one]

A prototype for a decision (docs/decisions/0008), not part of the product: it takes no locks, writes no ledger and knows
nothing of files without postcodes. LAKE is a lake that `customs-lake run` built; silver and gold are computed again from
its bronze into OUT and held against LAKE's own tables: rows, dollars, products and destinations must be the same.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

os.environ["POLARS_MAX_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import deltalake
import polars as pl
import pyarrow.dataset as ds
from deltalake import WriterProperties

from conf.rules import load_rules
from jobs.kernels.cleaning import CLEANING_INPUTS, Cleaning, sorted_batches, unpacked_batches
from jobs.kernels.parsing import CodeTables, WithoutPostcodes
from jobs.kernels.placing import PlacePolicy
from jobs.reference.codebooks import partner_table, product_table
from jobs.reference.place_book import load_place_book
from jobs.reference.place_lookups import place_tables
from schemas import silver

SIDES = {"kept": silver.DECLARATION, "refused": silver.QUARANTINE}
CITY_YEAR = ("year", "city_id")


def main() -> None:
    """Clean and count, print the cost, compare."""
    lake, out, n_processes = sys.argv[1], Path(sys.argv[2]), 2 if sys.argv[3:] == ["two"] else 1
    start = time.monotonic()
    files = deltalake.DeltaTable(f"{lake}/bronze/declaration").file_uris()
    jobs = [(file, str(out)) for file in files]
    if n_processes > 1:
        with ProcessPoolExecutor(n_processes) as pool:
            list(pool.map(_clean_file, jobs))
    else:
        list(map(_clean_file, jobs))
    _report("clean", start)
    start = time.monotonic()
    gold = _count(out)
    _report("count", start)
    expected = pl.DataFrame(pl.from_arrow(deltalake.DeltaTable(f"{lake}/gold/city_exports").to_pyarrow_table()))
    expected = expected.select(gold.columns).sort(CITY_YEAR)
    same = expected.equals(gold.sort(CITY_YEAR).cast(dict(expected.schema)))
    print(f"{len(gold):,} city-years, the same as the lake's: {same}")


def _clean_file(job: tuple[str, str]) -> None:
    file, out = job
    year = int(file.split("source_year=")[1].split("/")[0])
    rows = ds.dataset(file.removeprefix("file://"), format="parquet").to_table(
        columns=[name for name in CLEANING_INPUTS if name != "source_year"]
    )
    table = pl.DataFrame(pl.from_arrow(rows)).with_columns(pl.lit(year, pl.Int32).alias("source_year"))
    batches = table.select(CLEANING_INPUTS).to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches(100_000)
    packed = list(sorted_batches(iter(batches), _cleaning(), silver.DECLARATION.columns, silver.QUARANTINE.columns))
    for side, target in SIDES.items():
        for batch in unpacked_batches(one.select([side]) for one in packed):
            deltalake.write_deltalake(
                f"{out}/{target.relative_path}", batch, mode="append", partition_by=["year"],
                writer_properties=WriterProperties(compression="SNAPPY"),
            )


@cache
def _cleaning() -> Cleaning:
    codes = CodeTables(product_table(), partner_table())
    return Cleaning(codes, place_tables(load_place_book()), PlacePolicy(), load_rules(), WithoutPostcodes())


def _count(out: Path) -> pl.DataFrame:
    columns = [*CITY_YEAR, "hs6_code", "partner_code", "country_iso3", "is_destination", "value_usd", "firm_id"]
    kept = pl.DataFrame(
        pl.from_arrow(deltalake.DeltaTable(f"{out}/{silver.DECLARATION.relative_path}").to_pyarrow_table(columns=columns))
    )
    cube = kept.group_by(*CITY_YEAR, "hs6_code", "partner_code").agg(
        pl.col("value_usd").sum(), pl.col("country_iso3", "is_destination").first(), pl.len().alias("n_records")
    )
    destination = pl.when("is_destination").then("country_iso3").drop_nulls().n_unique()
    counts = cube.group_by(CITY_YEAR).agg(
        pl.col("value_usd").sum(), pl.col("hs6_code").n_unique().alias("n_products"), destination.alias("n_destinations"),
        pl.len().alias("n_pairs"), pl.col("n_records").sum(),
    )
    return counts.join(kept.group_by(CITY_YEAR).agg(pl.col("firm_id").drop_nulls().n_unique().alias("n_firms")), on=CITY_YEAR)


def _report(step: str, start: float) -> None:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(usage.ru_utime + usage.ru_stime for usage in used)
    peak = max(usage.ru_maxrss for usage in used) / 2**20
    print(f"{step}: {time.monotonic() - start:.1f} s, {seconds:.1f} s of processor so far, largest process {peak:.2f} GB")


if __name__ == "__main__":
    main()
