"""Cost of placing: the cleaning step with and without ``resolve_places``, on records of every case.

    python tests/benchmarks/bench_places.py [records] [repeats]

Bronze rows are written to a temporary folder once; each variant parses, converts, judges and goes to a sink that throws
rows away. Variants alternate, the cheapest run of each counts, after one that warms the JVM up. Seconds are processor
time of the JVM, so that other work on the machine does not decide the answer. The aim: placing adds less than a tenth.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.rules import load_rules
from conf.settings import load_settings
from jobs.codebooks import partner_reference, product_reference
from jobs.lookups import place_reference
from jobs.placebook import load_place_book
from jobs.session import build_session
from jobs.transforms.declarations import apply_rules, parse_declarations
from jobs.transforms.partners import add_partners
from jobs.transforms.places import resolve_places
from jobs.transforms.products import add_products
from schemas.bronze import DECLARATION
from schemas.reference.shipped import read_shipped

AIM = 0.10
YEARS = (2003, 2011)
N_PLACES = 600


def write_bronze(spark: SparkSession, folder: str, records: int) -> None:
    """Bronze rows whose places, postcodes, partners and products follow the shipped tables."""
    names = read_shipped("place_names")
    names = names[names["kind"].isin(["prefecture", "with_province", "unit_with_place"])].sample(N_PLACES, random_state=1)
    prefixes = read_shipped("postcode_prefixes").sample(N_PLACES, random_state=2)["prefix"]
    partners = read_shipped("partners")["name_zh"]
    products = read_shipped("hs6_codes")
    products = products.loc[(products["in_hs2002"] == "1") & (products["in_hs2007"] == "1"), "hs6_code"]
    draw = {
        "source_year": F.col("id") % (YEARS[1] - YEARS[0] + 1) + YEARS[0],
        "source_month": F.lit(None),
        "flow": F.lit("出口"),
        "hs_code": F.concat(_pick(products.tolist(), 1), F.lit("90")),
        "value": (F.abs(F.hash("id")) % 1_000_000).cast("string"),
        "quantity": (F.abs(F.hash("id", F.lit(2))) % 10_000).cast("string"),
        "firm_id": F.concat(F.lit("320494"), F.lpad((F.abs(F.hash("id")) % 9999).cast("string"), 4, "0")),
        "firm_name": F.lit("进出口有限公司"),
        "firm_address": F.lit("江苏省常州市武进区常武中路18号"),
        "postcode": F.rpad(_pick(prefixes.tolist(), 3), 6, "0"),
        "production_place": _pick(names["alias"].tolist(), 4),
        "partner": _pick(partners.tolist(), 5),
        "trade_regime": F.lit("一般贸易"),
        "source_file": F.lit("x"), "source_row": F.col("id"), "file_sha256": F.lit("0"), "load_id": F.lit("0"),
    }
    columns = [
        draw.get(field.name, F.lit(None)).cast(field.type).alias(field.name) for field in DECLARATION.fields
    ]
    spark.range(0, records, 1, 4).select(*columns).write.parquet(folder, mode="overwrite")


def _pick(values: list[str], salt: int):
    chosen = values[:N_PLACES]
    return F.element_at(F.array(*map(F.lit, chosen)), F.abs(F.hash("id", F.lit(salt))) % len(chosen) + 1)


def _processor_seconds(spark: SparkSession) -> float:
    """User and system time of the JVM so far (Linux: fields 14 and 15 of /proc/PID/stat)."""
    pid = spark._jvm.java.lang.ProcessHandle.current().pid()
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print seconds and rows per second of both variants, and the share that placing adds."""
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    # not the test profile: it switches code generation off, which makes small tests fast and large runs slow
    settings = load_settings(environment={}, overrides=["spark.master=local[2]"])
    spark = build_session(settings, app="bench-places")
    places = place_reference(spark, load_place_book())
    products, partners, rules = product_reference(spark), partner_reference(spark), load_rules()

    def without(rows: DataFrame) -> DataFrame:
        parsed = rows.transform(parse_declarations).transform(add_products, products).transform(add_partners, partners)
        absent = {"place_reason": "string", "city_id": "string"}
        return parsed.withColumns({name: F.lit(None).cast(kind) for name, kind in absent.items()})

    def placed(rows: DataFrame) -> DataFrame:
        parsed = rows.transform(parse_declarations).transform(add_products, products).transform(add_partners, partners)
        return parsed.transform(resolve_places, places)

    with tempfile.TemporaryDirectory() as folder:
        write_bronze(spark, folder, records)
        rows = spark.read.parquet(folder)
        best = {}
        for _ in range(repeats):
            for name, variant in (("without placing", without), ("with placing", placed)):
                start = _processor_seconds(spark)
                apply_rules(variant(rows), rules).write.format("noop").mode("overwrite").save()
                seconds = _processor_seconds(spark) - start
                print(f"{name}: {seconds:.1f} s", file=sys.stderr)
                best[name] = min(best.get(name, float("inf")), seconds)
    for name, seconds in best.items():
        print(f"{name:16s} {seconds:7.1f} s  {records / seconds:12,.0f} records/s")
    added = best["with placing"] / best["without placing"] - 1
    print(f"placing adds {added:.1%} (aim: below {AIM:.0%})")
    spark.stop()


if __name__ == "__main__":
    main()
