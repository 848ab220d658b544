"""What a good Polars user would write for the same job: raw text to bronze, judged rows, cube and city-years.

    POLARS_MAX_THREADS=2 python tests/benchmarks/peer_polars.py RAW OUT

The twin of peer_duckdb.py, with the same reasons, the same look-ups and the same left away: no receipts, no names of repairs,
no confidence, four digits of a postcode, one spelling of a place. Every step is one lazy query that streams into Parquet.
Prints JSON with the rows and seconds of each step.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "2")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import polars as pl
from peer_duckdb import COLUMNS, REFERENCE, encoding_of, headings_of, recode

from conf.layouts import load_layouts

TEXTS = ("flow", "hs_code", "value", "postcode", "production_place", "partner")
FULL_WIDTH, HALF_WIDTH = list("０１２３４５６７８９．\u3000"), list("0123456789. ")
KEPT = (
    "year", "file", "hs_code", "value", "firm_id", "postcode", "production_place", "partner", "hs8", "value_usd",
    "partner_code", "city", "reasons",
)


def main() -> int:
    raw, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    steps = {}
    for name, step in (("recode", partial(recode, None)), ("bronze", bronze), ("clean", clean), ("count", count)):
        start = time.monotonic()
        step(raw, out)
        steps[name] = round(time.monotonic() - start, 2)
    print(json.dumps({"seconds": steps} | results(out)))
    return 0


def bronze(raw: Path, out: Path) -> None:
    """All columns as text, with file and year."""
    layouts = load_layouts()
    frames = []
    for path in sorted((raw / "customs").iterdir()):
        readable = path if encoding_of(path) == "utf-8" else out / f"utf8_{path.name}"
        separator, headings = headings_of(readable)
        assigned = max((layout.assign(headings) for layout in layouts), key=len)
        frame = pl.scan_csv(readable, separator=separator, infer_schema=False, truncate_ragged_lines=True)
        columns = [
            pl.col(headings[assigned[name][0]]).alias(name) if name in assigned else pl.lit(None, pl.String).alias(name)
            for name in COLUMNS
        ]
        year = int(re.search(r"(?:19|20)\d\d", path.name).group())
        frames.append(frame.select(*columns, pl.lit(year, pl.Int32).alias("year"), pl.lit(path.name).alias("file")))
    pl.concat(frames).sink_parquet(out / "bronze.parquet", compression="zstd")


def clean(raw: Path, out: Path) -> None:
    """Parse, place and judge."""
    rows = pl.scan_parquet(out / "bronze.parquet").with_columns(text(name) for name in TEXTS)
    rows = rows.with_columns(digits(), value(), postcode()).with_columns(hs8())
    rows = rows.with_columns(
        pl.col("hs8").str.head(6).alias("hs6"), pl.col("code").str.head(4).alias("prefix"),
        pl.col("partner_text").str.to_uppercase().alias("partner_alias"),
        pl.col("production_place_text").str.to_uppercase().alias("place_alias"),
    )
    names, partners, products, postcodes = references()
    rows = (
        rows.join(partners, left_on="partner_alias", right_on="alias", how="left")
        .join(names, left_on="place_alias", right_on="alias", how="left")
        .join(postcodes, on=["prefix", "year"], how="left")
        .join(products, on="hs6", how="left")
        .with_columns(pl.coalesce("place", "postcode_place").alias("city"))
    )
    judged = rows.with_columns(pl.concat_list(reasons()).list.drop_nulls().alias("reasons"))
    judged.select(KEPT).sink_parquet(out / "silver.parquet", compression="zstd")


def text(name: str) -> pl.Expr:
    """A field without blanks and full-width digits; null where nothing is left."""
    plain = pl.col(name).str.replace_many(FULL_WIDTH, HALF_WIDTH).str.replace_all(r"\s", "")
    return pl.when(~plain.is_in(["", "NULL"])).then(plain).alias(f"{name}_text")


def digits() -> pl.Expr:
    code = pl.col("hs_code_text")
    return (
        pl.when(code.str.contains(r"^[0-9]+\.0+$")).then(code.str.extract(r"^([0-9]+)"))
        .when(code.str.contains(r"^[0-9]{4}\.[0-9.]+$")).then(code.str.replace_all(".", "", literal=True))
        .when(code.str.contains(r"^[0-9]+$")).then(code).alias("digits")
    )


def value() -> pl.Expr:
    amount = pl.col("value_text")
    grouped = amount.str.contains(r"^-?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?$")
    plain = pl.when(grouped).then(amount.str.replace_all(",", "", literal=True)).otherwise(amount)
    return plain.cast(pl.Decimal(20, 2), strict=False).alias("value_usd")


def postcode() -> pl.Expr:
    written = pl.col("postcode_text")
    whole = written.str.replace(r"\.0+$", "")
    return (
        pl.when(whole.str.contains("^[0-9]{6}$")).then(written.str.head(6))
        .when(whole.str.contains("^[1-7][0-9]{4}$")).then("0" + written.str.head(5)).alias("code")
    )


def hs8() -> pl.Expr:
    code, length = pl.col("digits"), pl.col("digits").str.len_bytes()
    return (
        pl.when(length == 8).then(code).when(length == 7).then("0" + code).when(length == 6).then(code + "00")
        .when(length == 5).then("0" + code + "00").when(length == 10).then(code.str.head(8)).alias("hs8")
    )


def reasons() -> list[pl.Expr]:
    """The reasons of a row, null where they do not hold."""
    def missing(name: str) -> pl.Expr:
        return pl.col(f"{name}_text").is_null()

    city = pl.col("city").is_null()
    return [
        pl.when(missing("flow")).then(pl.lit("flow_missing"))
        .when(pl.col("flow_text").is_in(["进口", "1", "IMPORT"])).then(pl.lit("import")),
        pl.when(missing("hs_code")).then(pl.lit("hs_missing")).when(pl.col("hs8").is_null()).then(pl.lit("hs_malformed"))
        .when(pl.col("is_product").is_null()).then(pl.lit("hs_unknown")),
        pl.when(missing("partner")).then(pl.lit("destination_missing"))
        .when(pl.col("partner_code").is_null()).then(pl.lit("destination_unknown")),
        pl.when(missing("value")).then(pl.lit("value_missing")).when(pl.col("value_usd").is_null()).then(pl.lit("value_malformed"))
        .when(pl.col("value_usd") <= 0).then(pl.lit("value_nonpositive")),
        pl.when(missing("postcode")).then(pl.lit("postcode_missing"))
        .when(pl.col("code").is_null()).then(pl.lit("postcode_malformed")),
        pl.when(city).then(pl.lit("place_unknown")),
        pl.when(pl.col("unit_type").is_in(["county", "county_city"])).then(pl.col("unit_type")),
    ]


def references() -> tuple[pl.LazyFrame, pl.LazyFrame, pl.LazyFrame, pl.LazyFrame]:
    """The product's own reference tables, as plain look-ups: names, partners, products, postcodes."""
    def table(name: str) -> pl.LazyFrame:
        return pl.scan_csv(REFERENCE / f"{name}.csv", infer_schema=False)

    upper = pl.col("alias").str.to_uppercase()
    names = (
        table("place_names").filter(pl.col("prefecture_code").is_not_null()).group_by(upper)
        .agg(pl.col("prefecture_code").min().alias("place"), pl.col("prefecture_code").n_unique().alias("n"))
        .filter(pl.col("n") == 1).drop("n")
    )
    partners = table("partner_aliases").group_by(upper).agg(pl.col("code").min().alias("partner_code"))
    products = table("hs6_codes").select(pl.col("hs6_code").unique().alias("hs6"), pl.lit(True).alias("is_product"))
    years = pl.LazyFrame({"year": range(2000, 2017)}, schema={"year": pl.Int32})
    postcodes = (
        table("postcode_prefixes").filter(pl.col("prefix").str.len_bytes() == 4)
        .join(table("county_units"), on="unit_code", suffix="_unit")
    )
    start, end = (pl.col(f"{name}_unit").cast(pl.Int32) for name in ("valid_from", "valid_to"))
    postcodes = (
        postcodes.join(years, how="cross").filter((pl.col("year") >= start) & (end.is_null() | (pl.col("year") < end)))
        .group_by("prefix", "year").agg(
            pl.col("prefecture_code").min().alias("postcode_place"), pl.col("unit_type").max()
        )
    )
    return names, partners, products, postcodes


def count(raw: Path, out: Path) -> None:
    """Cube and city-years of what has no reason."""
    kept = pl.scan_parquet(out / "silver.parquet").filter(pl.col("reasons").list.len() == 0)
    cube = kept.group_by("city", "year", pl.col("hs8").str.head(6).alias("hs6"), "partner_code").agg(
        pl.col("value_usd").sum(), pl.len().alias("n_records")
    )
    cube.sink_parquet(out / "cube.parquet")
    gold = pl.scan_parquet(out / "cube.parquet").group_by("city", "year").agg(
        pl.col("value_usd").sum(), pl.col("hs6").n_unique().alias("n_products"),
        pl.col("partner_code").n_unique().alias("n_destinations"), pl.col("n_records").sum(),
    )
    gold.sink_parquet(out / "gold.parquet")


def results(out: Path) -> dict[str, object]:
    """What the run is compared by."""
    rows = pl.scan_parquet(out / "bronze.parquet").select(pl.len()).collect().item()
    gold = pl.read_parquet(out / "gold.parquet")
    return {
        "rows": rows, "city_years": gold.height, "records": int(gold["n_records"].sum()),
        "dollars": float(gold["value_usd"].sum()),
    }


if __name__ == "__main__":
    sys.exit(main())
