"""Cost of placing: the cleaning step with places as the clean job resolves them, and without.

    python tests/benchmarks/bench_places.py [records] [repeats] [years without postcodes]

The step is what the clean job does with a year: read bronze (Parquet here), parse and repair, look up product and
partner, place, judge, keep the carried columns cached, write the quarantine, write silver. Without placing, the columns
of the place are null and everything else is done. One record in eight has text and postcode of different cities, one in
twenty an unreadable text, one in twenty an unknown postcode, one in ten a customs district code. A firm has some 30 records
a year at two sites. The last years can be without postcodes: there the postcode of the other years and the address count.
Both variants run on a small share first (compilation); then they alternate and the cheapest run of each counts. Seconds
are processor time of the JVM, so that other work on the machine decides less. The aim: placing adds less than a tenth.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.rules import load_rules
from conf.settings import load_settings
from jobs.clean import CARRIED
from jobs.cleaning.sites import firm_postcodes, place_by_site
from jobs.reference.codebooks import partner_reference, product_reference
from jobs.reference.place_book import load_place_book
from jobs.reference.place_lookups import place_tables
from jobs.runtime.session import build_session
from jobs.transforms.declarations import apply_rules, parse_declarations
from jobs.transforms.partners import add_partners
from jobs.transforms.places import PLACE_COLUMNS, resolve_places
from jobs.transforms.products import add_products
from schemas import silver
from schemas.bronze import DECLARATION
from schemas.reference.shipped import read_shipped

AIM = 0.10
YEARS = (2003, 2011)
N_SITES = 6_000
# in nine years
RECORDS_OF_A_FIRM = 300
ENDINGS = "12"
N_LISTED = 600
WARM_UP = 200_000


def write_bronze(spark: SparkSession, folder: str, records: int, without_postcode: list[int]) -> None:
    """Bronze rows whose sites, partners and products follow the shipped tables."""
    partners = read_shipped("partners")["name_zh"].tolist()
    products = read_shipped("hs6_codes")
    products = products.loc[(products["in_hs2002"] == "1") & (products["in_hs2007"] == "1"), "hs6_code"].tolist()
    draw = {
        "source_year": F.col("year"),
        "flow": F.lit("出口"),
        "hs_code": F.concat(_pick(products, 1), F.lit("90")),
        "value": (F.abs(F.hash("id")) % 1_000_000).cast("string"),
        "quantity": (F.abs(F.hash("id", F.lit(2))) % 10_000).cast("string"),
        "firm_id": F.concat(F.lit("32"), F.lpad(F.col("firm").cast("string"), 8, "0")),
        "firm_name": F.lit("进出口有限公司"),
        "firm_address": F.concat(F.lit("江苏省常州市武进区常武中路"), F.col("firm"), F.lit("号")),
        "postcode": F.when(~F.col("year").isin(without_postcode), F.col("site_postcode")),
        "production_place": F.col("site_text"),
        "production_place_code": F.col("site_code"),
        "partner": _pick(partners, 5),
        "trade_regime": F.lit("一般贸易"),
        "source_file": F.lit("x"), "source_row": F.col("id"), "file_sha256": F.lit("0"), "load_id": F.lit("0"),
    }
    columns = [
        draw.get(field.name, F.lit(None)).cast(field.type).alias(field.name) for field in DECLARATION.fields
    ]
    firm = F.abs(F.hash("id", F.lit(4))) % max(records // RECORDS_OF_A_FIRM, 1)
    drawn = (
        spark.range(0, records, 1, 4)
        .withColumn("year", F.col("id") % (YEARS[1] - YEARS[0] + 1) + YEARS[0])
        .withColumn("firm", firm)
        .withColumn("site", F.abs(F.hash("firm", F.hash("id") % 2)) % N_SITES)
    )
    drawn.join(F.broadcast(_sites(spark)), on="site", how="inner").select(*columns).write.parquet(folder, mode="overwrite")


def _sites(spark: SparkSession) -> DataFrame:
    """Sites of real units: postcode of the unit, name of its prefecture, and the disorder the module names."""
    units = read_shipped("county_units").drop_duplicates("unit_code", keep="last").set_index("unit_code")
    cities = read_shipped("prefectures").drop_duplicates("prefecture_code", keep="last").set_index("prefecture_code")
    prefixes = read_shipped("postcode_prefixes").sample(N_SITES // len(ENDINGS), random_state=1)
    rows = []
    for site, (ending, row) in enumerate(product(ENDINGS, prefixes.itertuples())):
        prefecture = units.loc[row.unit_code, "prefecture_code"]
        text, postcode = cities.loc[prefecture, "name_zh"], row.prefix.ljust(6, ending)
        if site % 8 == 1:
            postcode = rows[-1][2]
        if site % 20 == 2:
            text = "某地"
        if site % 20 == 3:
            postcode = "999999"
        rows.append((site, text, postcode, prefecture[:4] + "9" if site % 10 == 4 else None))
    return spark.createDataFrame(rows, "site int, site_text string, site_postcode string, site_code string")


def _pick(values: list[str], salt: int):
    chosen = values[:N_LISTED]
    return F.element_at(F.array(*map(F.lit, chosen)), F.abs(F.hash("id", F.lit(salt))) % len(chosen) + 1)


def _processor_seconds(spark: SparkSession) -> float:
    """User and system time of the JVM so far (Linux: fields 14 and 15 of /proc/PID/stat)."""
    pid = spark._jvm.java.lang.ProcessHandle.current().pid()
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print seconds and rows per second of both variants, and the share that placing adds."""
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    n_without = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    without_postcode = list(range(YEARS[1] - n_without + 1, YEARS[1] + 1))
    # not the test profile: it switches code generation off, which makes small tests fast and large runs slow
    settings = load_settings(environment={}, overrides=["spark.master=local[2]"])
    spark = build_session(settings, app="bench-places")
    places = place_tables(load_place_book())
    products, partners, rules = product_reference(spark), partner_reference(spark), load_rules()

    def parse(rows: DataFrame) -> DataFrame:
        return parse_declarations(rows, years_without_postcode=without_postcode)

    def without(rows: DataFrame) -> DataFrame:
        parsed = rows.transform(parse).transform(add_products, products).transform(add_partners, partners)
        absent = {field.name: field.type for field in silver.DECLARATION.fields if field.name in PLACE_COLUMNS}
        return parsed.withColumns({name: F.lit(None).cast(absent.get(name, "string")) for name in PLACE_COLUMNS})

    def placed(rows: DataFrame) -> DataFrame:
        parsed = rows.transform(parse).transform(add_products, products).transform(add_partners, partners)
        lending = rows.where(~F.col("source_year").isin(without_postcode))
        history = firm_postcodes(lending, parse) if without_postcode else None
        return place_by_site(
            parsed, rows, lambda records: resolve_places(records, places, firm_postcodes=history), parse,
            convention="year_end", years_without_postcode=without_postcode,
        )

    def clean(rows: DataFrame, variant: Callable[[DataFrame], DataFrame]) -> float:
        # the query that resolves the sites is part of placing
        start = _processor_seconds(spark)
        judged = apply_rules(variant(rows), rules).select(*CARRIED).persist()
        refused = F.size("reasons") > 0
        quarantine = judged.where(refused).withColumn("primary_reason", F.col("reasons")[0])
        quarantine.select(*silver.QUARANTINE.columns).write.parquet(out, mode="overwrite")
        judged.where(~refused).select(*silver.DECLARATION.columns).write.parquet(out, mode="overwrite")
        judged.unpersist(blocking=True)
        return _processor_seconds(spark) - start

    variants = {"without placing": without, "with placing": placed}
    with tempfile.TemporaryDirectory() as folder:
        bronze, out = f"{folder}/bronze", f"{folder}/out"
        write_bronze(spark, bronze, records, without_postcode)
        rows = spark.read.parquet(bronze)
        few = rows.where(F.col("source_row") < WARM_UP)
        for variant in variants.values():
            clean(few, variant)
        best: dict[str, float] = {}
        for _ in range(repeats):
            for name, variant in variants.items():
                seconds = clean(rows, variant)
                print(f"{name}: {seconds:.1f} s", file=sys.stderr)
                best[name] = min(best.get(name, float("inf")), seconds)
    for name, seconds in best.items():
        print(f"{name:16s} {seconds:7.1f} s  {records / seconds:12,.0f} records/s")
    added = best["with placing"] / best["without placing"] - 1
    print(f"placing adds {added:.1%} (aim: below {AIM:.0%})")
    spark.stop()


if __name__ == "__main__":
    main()
