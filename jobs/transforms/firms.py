"""Firm accounts of the survey: strings to typed accounts with industry and place, ready for the filters.

Amounts stay as reported (thousand yuan, current prices): silver interprets nothing. The place is the unit of the firm's
place code in the year of the survey (jobs/firm_places.py says how far a code of another year is taken).
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from conf.firms import DELIVERED_COLUMNS, IndustryEdition
from jobs.transforms.text import clean_text
from schemas.fields import FIELDS

FULL_WIDTH_DIGITS, HALF_WIDTH_DIGITS = "０１２３４５６７８９．－＋", "0123456789.-+"
# thousands separators and spaces of every kind; a character without counterpart is dropped by translate
DROPPED = ",， \t\u00a0\u3000\u2009\ufeff"
# what stands in the files for no number; the single dot is Stata's
MISSING_NUMBERS = ("", ".", "NULL", "NAN", "N/A", "NA", "#N/A")
# no account reaches this; keeps infinities out
LARGEST = 1e18
NUMERIC_COLUMNS = tuple(name for name in DELIVERED_COLUMNS if FIELDS[name].type == "double")
TEXT_COLUMNS = tuple(name for name in DELIVERED_COLUMNS if name not in NUMERIC_COLUMNS)


def parse_accounts(lines: DataFrame, editions: Sequence[IndustryEdition]) -> DataFrame:
    """Turn delivered strings into typed accounts.

    Parameters
    ----------
    lines : DataFrame
        Strings with ``year``, as :func:`jobs.firm_files.read_survey` gives them.
    editions : sequence of IndustryEdition
        Which edition of the industry classification a year uses.

    Returns
    -------
    DataFrame
        The same columns typed, and ``malformed_numbers`` (names of accounts that are not numbers), ``industry_code``,
        ``copy_number`` and ``n_versions`` (of the firm's lines in the year).
    """
    texts = lines.withColumns(
        {name: clean_text(F.col(name)) for name in TEXT_COLUMNS}
        | {f"{name}_text": _plain_number(F.col(name)) for name in NUMERIC_COLUMNS}
    ).withColumns({name: _number(F.col(f"{name}_text")) for name in NUMERIC_COLUMNS})
    bad = [
        F.when(F.col(name).isNull() & ~F.upper(f"{name}_text").isin(*MISSING_NUMBERS), F.lit(name))
        for name in NUMERIC_COLUMNS
    ]
    numbered = texts.withColumn("malformed_numbers", F.array_compact(F.array(*bad))).drop(
        *(f"{name}_text" for name in NUMERIC_COLUMNS)
    )
    # a year can be written 1998, 199805 or 1998.0; years of two digits are refused by the filters
    founded = F.regexp_extract(F.coalesce(F.col("founded_year"), F.lit("")), "^([0-9]{4})", 1)
    return (
        numbered.withColumn("founded_year", F.nullif(founded, F.lit("")).cast("int"))
        .withColumn("cic_code", F.regexp_replace("cic_code", "\\.0+$", ""))
        .withColumn("industry_code", industry_code(F.col("cic_code"), F.col("year"), editions))
        .transform(_number_copies)
    )


def parse_given(lines: DataFrame) -> DataFrame:
    """Turn rows of given productivity into the columns of ``gold.firm_tfp`` and of the quarantine.

    Parameters
    ----------
    lines : DataFrame
        Strings ``firm_id, year, place_code, industry, ln_tfp, output, employment``.

    Returns
    -------
    DataFrame
        Typed, with ``copy_number``; a year that cannot be read is 0.
    """

    def number(name: str) -> Column:
        return _number(_plain_number(F.col(name)))

    year = F.regexp_extract(F.coalesce(clean_text(F.col("year")), F.lit("")), "^([0-9]{4})(\\.0+)?$", 1)
    typed = lines.select(
        F.coalesce(F.nullif(year, F.lit("")).cast("int"), F.lit(0)).alias("year"),
        clean_text(F.col("firm_id")).alias("legal_person_code"),
        clean_text(F.col("place_code")).alias("place_code"),
        F.regexp_replace(clean_text(F.col("industry")), "\\.0+$", "").alias("industry_code"),
        number("ln_tfp").alias("ln_tfp"),
        number("output").alias("output_weight"),
        number("employment").alias("worker_weight"),
        "malformed_row", "source_file", "file_sha256", "source_row",
    )
    key = Window.partitionBy("year", "legal_person_code").orderBy("source_row")
    return typed.withColumn("copy_number", F.row_number().over(key))


def industry_code(cic_code: Column, year: Column, editions: Sequence[IndustryEdition]) -> Column:
    """Return the two-digit industry of the 2002 edition; null when the code or the year's edition is unknown."""
    # four-digit codes below 1000 (mining, 06-11) lose their zero where codes were stored as numbers
    padded = F.when(F.length(cic_code) == 3, F.concat(F.lit("0"), cic_code)).otherwise(cic_code)
    digits = F.when(padded.rlike("^[0-9]{2,4}$"), padded)
    code = F.lit(None).cast("string")
    for edition in editions:
        recoded = F.substring(digits, 1, 2)
        for old, new in sorted(edition.recode.items(), key=lambda item: len(item[0])):
            recoded = F.when(F.substring(digits, 1, len(old)) == old, new).otherwise(recoded)
        code = F.when(year.between(edition.first_year, edition.last_year), recoded).otherwise(code)
    return code


def resolve_firm_places(accounts: DataFrame, places: DataFrame) -> DataFrame:
    """Add prefecture, city and unit of the firm's place code in the survey's year.

    Parameters
    ----------
    accounts : DataFrame
        With ``place_code`` (6 digits, or 12 from 2004 on) and ``year``.
    places : DataFrame
        One row per year and code of six or four digits, as :func:`jobs.firm_places.place_frame` gives it.

    Returns
    -------
    DataFrame
        With ``unit_code, unit_type, prefecture_code, city_id, firm_place_method``, null when the code names nothing.
    """
    found = ("unit_code", "unit_type", "prefecture_code", "city_id", "firm_place_method")
    code = F.regexp_replace("place_code", "\\.0+$", "")
    keyed = accounts.withColumn("place_code", code).withColumn(
        "place6", F.when(F.col("place_code").rlike("^[0-9]{6}([0-9]{6})?$"), F.substring("place_code", 1, 6))
    )
    units = places.where(F.length("code") == 6).select("year", F.col("code").alias("place6"),
                                                       F.struct(*found).alias("of_unit"))
    prefectures = places.where(F.length("code") == 4).select("year", F.col("code").alias("place4"),
                                                             F.struct(*found).alias("of_prefix"))
    matched = (
        keyed.join(F.broadcast(units), on=["year", "place6"], how="left")
        .withColumn("place4", F.substring("place6", 1, 4))
        .join(F.broadcast(prefectures), on=["year", "place4"], how="left")
        .withColumn("of_place", F.coalesce("of_unit", "of_prefix"))
    )
    kept = [name for name in keyed.columns if name != "place6"]
    return matched.select(*kept, *(F.col(f"of_place.{name}").alias(name) for name in found))


def _plain_number(column: Column) -> Column:
    # one call on purpose: 23 accounts per row, and a chain of patterns each would not fit into one compiled method
    return F.translate(column, FULL_WIDTH_DIGITS + DROPPED, HALF_WIDTH_DIGITS)


def _number(text: Column) -> Column:
    """The number a plain text holds; null when it holds none, or none that is finite."""
    value = text.try_cast("double")
    return F.when(F.abs(value) < LARGEST, value)


def _number_copies(accounts: DataFrame) -> DataFrame:
    """Number the lines of each firm and year; lines without a firm code are alone."""
    key = Window.partitionBy("year", F.coalesce("legal_person_code", F.concat(F.lit("line "), F.col("source_row"))))
    content = F.xxhash64(*[F.col(name) for name in DELIVERED_COLUMNS])
    return (
        accounts.withColumn("content", content)
        .withColumn("n_versions", F.size(F.collect_set("content").over(key)))
        .withColumn("copy_number", F.row_number().over(key.orderBy("source_file", "source_row")))
        .drop("content")
    )
