"""Cost of cleaning a record, in parts: parsing, placing, judging; without Spark, on one core.

    python tests/benchmarks/bench_cleaning.py [records] [years without postcodes]

Records are made up from the shipped tables: one in eight has text and postcode of different cities, one in twenty an
unreadable text, one in twenty an unknown postcode, one in ten a customs district code. A firm has some 30 records a year
at two sites. The last years can be without postcodes: there the postcode of the other years and the address count.
Processor time of this process, in millionths of a second a record; the cheapest of three rounds counts.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

os.environ["POLARS_MAX_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import polars as pl

from conf.rules import load_rules
from jobs.kernels.cleaning import CLEANING_INPUTS, Cleaning, place_sites
from jobs.kernels.judging import judge_records
from jobs.kernels.parsing import CodeTables, WithoutPostcodes, parse_records
from jobs.kernels.placing import PlacePolicy
from jobs.reference.codebooks import partner_table, product_table
from jobs.reference.place_book import load_place_book
from jobs.reference.place_lookups import place_tables
from schemas.reference.shipped import read_shipped

YEARS = (2003, 2011)
ENDINGS, N_SITES, N_LISTED = "12", 6_000, 600
# in nine years
RECORDS_OF_A_FIRM = 300
BATCH = 100_000
ROUNDS = 3
TYPES = {"source_year": pl.Int32, "source_month": pl.Int32, "source_row": pl.Int64, "reading_marks": pl.List(pl.String)}


def main() -> None:
    """Print the cost of each part, and placing's share."""
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    n_without = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    without = tuple(range(YEARS[1] - n_without + 1, YEARS[1] + 1))
    rows = bronze_rows(records, without)
    known = rows.filter(pl.col("postcode").is_not_null()).unique("firm_id")
    firms = known.select("firm_id", pl.col("postcode").alias("history_postcode"))
    cleaning = Cleaning(
        CodeTables(product_table(), partner_table()), place_tables(load_place_book()), PlacePolicy(), load_rules(),
        WithoutPostcodes(without), firms if without else None,
    )
    rounds = [_seconds(rows, cleaning) for _ in range(ROUNDS)]
    best = {part: min(one[part] for one in rounds) / records * 1e6 for part in rounds[0]}
    for part, cost in best.items():
        print(f"{part:<8} {cost:6.2f} us a record")
    whole = sum(best.values())
    share = best["place"] / whole
    print(f"{'all':<8} {whole:6.2f} us a record, {1e6 / whole:,.0f} records a second and core; placing {share:.0%}")


def _seconds(rows: pl.DataFrame, cleaning: Cleaning) -> dict[str, float]:
    spent = {"parse": 0.0, "place": 0.0, "judge": 0.0}

    def timed(part: str, work: Callable):
        start = time.process_time()
        result = work()
        spent[part] += time.process_time() - start
        return result

    for start in range(0, len(rows), BATCH):
        batch = rows.slice(start, BATCH)
        parsed = timed("parse", lambda batch=batch: parse_records(batch, cleaning.codes, cleaning.without_postcodes))
        places = timed("place", lambda parsed=parsed: place_sites(parsed, cleaning))
        placed = pl.concat([parsed, places], how="horizontal")
        timed("judge", lambda placed=placed: judge_records(placed, cleaning.rules))
    return spent


def bronze_rows(records: int, without: tuple[int, ...]) -> pl.DataFrame:
    """Bronze rows in the order of the years, whose sites, partners and products follow the shipped tables."""
    draw = np.random.default_rng(1)
    partners = read_shipped("partners")["name_zh"].tolist()[:N_LISTED]
    codes = read_shipped("hs6_codes")
    codes = codes.loc[(codes["in_hs2002"] == "1") & (codes["in_hs2007"] == "1"), "hs6_code"].tolist()[:N_LISTED]
    product_code = np.array(codes, object)[draw.integers(0, N_LISTED, records)] + "90"
    partner = np.array(partners, object)[draw.integers(0, len(partners), records)]
    firm = draw.integers(0, max(records // RECORDS_OF_A_FIRM, 1), records)
    site = _sites()[(firm * 2 + draw.integers(0, 2, records)) % N_SITES]
    made = {
        "source_year": np.sort(draw.integers(YEARS[0], YEARS[1] + 1, records)),
        "flow": np.full(records, "出口", object), "hs_code": product_code,
        "value": draw.integers(1, 10**8, records) / 100, "quantity": draw.integers(0, 10_000, records),
        "firm_id": firm + 3_200_000_000, "firm_address": firm, "partner": partner, "production_place": site[:, 0],
        "postcode": site[:, 1], "production_place_code": site[:, 2], "source_row": np.arange(records),
    }
    frame = pl.DataFrame({name: pl.Series(values.tolist()) for name, values in made.items()}).with_columns(
        pl.col("value", "quantity", "firm_id").cast(pl.String), pl.col("source_year").cast(pl.Int32),
        pl.concat_str(pl.lit("江苏省常州市武进区常武中路"), pl.col("firm_address"), pl.lit("号")).alias("firm_address"),
        pl.when(~pl.col("source_year").is_in(without)).then("postcode").alias("postcode"), pl.lit("f").alias("file_sha256"),
    )
    absent = [pl.lit(None, TYPES.get(name, pl.String)).alias(name) for name in CLEANING_INPUTS if name not in frame.columns]
    return frame.with_columns(absent).select(CLEANING_INPUTS)


def _sites() -> np.ndarray:
    """Text, postcode and district code of sites: the unit's postcode, its prefecture's name, and the disorder named above."""
    units = read_shipped("county_units").drop_duplicates("unit_code", keep="last").set_index("unit_code")
    cities = read_shipped("prefectures").drop_duplicates("prefecture_code", keep="last").set_index("prefecture_code")
    prefixes = read_shipped("postcode_prefixes").sample(N_SITES // len(ENDINGS), random_state=1)
    rows: list[tuple[str, str, str | None]] = []
    for site, (ending, row) in enumerate(product(ENDINGS, prefixes.itertuples())):
        prefecture = units.loc[row.unit_code, "prefecture_code"]
        text, postcode = cities.loc[prefecture, "name_zh"], row.prefix.ljust(6, ending)
        if site % 8 == 1:
            postcode = rows[-1][1]
        if site % 20 == 2:
            text = "某地"
        if site % 20 == 3:
            postcode = "999999"
        rows.append((text, postcode, prefecture[:4] + "9" if site % 10 == 4 else None))
    return np.array(rows, object)


if __name__ == "__main__":
    main()
