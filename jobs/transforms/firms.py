"""Firm accounts of the survey: strings to typed accounts with industry and place, ready for the filters.

Amounts stay as reported (thousand yuan, current prices): silver interprets nothing. The place is the unit of the firm's
place code in the year of the survey (jobs/reference/firm_places.py says how far a code of another year is taken).
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
LARGEST = 1.0e18
NUMERIC_COLUMNS = tuple(name for name in DELIVERED_COLUMNS if FIELDS[name].type == "double")
TEXT_COLUMNS = tuple(name for name in DELIVERED_COLUMNS if name not in NUMERIC_COLUMNS)


def parse_accounts(lines: DataFrame, editions: Sequence[IndustryEdition]) -> DataFrame:
    """Turn delivered strings into typed accounts.

    Parameters
    ----------
    lines : DataFrame
        Strings with ``year``, as :func:`jobs.readers.firm_files.read_survey` gives them.
    editions : sequence of IndustryEdition
        Which edition of the industry classification a year uses.

    Returns
    -------
    DataFrame
        The same columns typed, and ``malformed_numbers`` (names of accounts that are not numbers), ``industry_code``,
        ``copy_number`` and ``n_versions`` (of the firm's lines in the year).
    """
    # one SQL text per column: built as chained calls, 30 columns cost seconds of driver time per run
    texts = {name: clean_text(F.col(name)) for name in TEXT_COLUMNS}
    typed = {name: F.expr(_number_sql(name)) for name in NUMERIC_COLUMNS}
    numbered = lines.withColumns(texts | typed | {"malformed_numbers": F.expr(_malformed_sql())})
    # a year can be written 1998, 199805 or 1998.0; years of two digits are refused by the filters
    founded = F.regexp_extract(F.coalesce(F.col("founded_year"), F.lit("")), "^([0-9]{4})", 1)
    return (
        numbered.withColumn("founded_year", F.nullif(founded, F.lit("")).cast("int"))
        .withColumn("cic_code", F.regexp_replace("cic_code", "\\.0+$", ""))
        .withColumn("industry_code", industry_code("cic_code", "year", editions))
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
        return F.expr(_number_sql(name))

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


def industry_code(cic_code: str, year: str, editions: Sequence[IndustryEdition]) -> Column:
    """Return the two-digit industry of the 2002 edition; null when the code or the year's edition is unknown.

    Parameters
    ----------
    cic_code, year : str
        Column names.
    """
    # four-digit codes below 1000 (mining, 06-11) lose their zero where codes were stored as numbers
    digits = f"(CASE WHEN length({cic_code}) = 3 THEN concat('0', {cic_code}) ELSE {cic_code} END)"
    by_year = []
    for edition in editions:
        longest_first = sorted(edition.recode.items(), key=lambda item: -len(item[0]))
        recoded = " ".join(f"WHEN left({digits}, {len(old)}) = '{old}' THEN '{new}'" for old, new in longest_first)
        two = f"left({digits}, 2)"
        value = f"CASE {recoded} ELSE {two} END" if recoded else two
        by_year.append(f"WHEN {year} BETWEEN {edition.first_year} AND {edition.last_year} THEN {value}")
    return F.expr(f"CASE WHEN {cic_code} RLIKE '^[0-9]{{2,4}}$' THEN CASE {' '.join(by_year)} END END")


def resolve_firm_places(accounts: DataFrame, places: DataFrame) -> DataFrame:
    """Add prefecture, city and unit of the firm's place code in the survey's year.

    Parameters
    ----------
    accounts : DataFrame
        With ``place_code`` (6 digits, or 12 from 2004 on) and ``year``.
    places : DataFrame
        One row per year and code of six or four digits, as :func:`jobs.reference.firm_places.place_frame` gives it.

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


def _plain_sql(name: str) -> str:
    """SQL of the text of a number: half-width digits, without spaces and thousands separators."""
    return f"translate({name}, '{FULL_WIDTH_DIGITS}{DROPPED}', '{HALF_WIDTH_DIGITS}')"


def _number_sql(name: str) -> str:
    """SQL of the number a column holds; null when it holds none, or none that is finite."""
    value = f"try_cast({_plain_sql(name)} AS double)"
    return f"CASE WHEN abs({value}) < {LARGEST!r} THEN {value} END"


def _malformed_sql() -> str:
    """SQL of the names of the accounts that hold something else than a number or a sign for none."""
    missing = ", ".join(f"'{word}'" for word in MISSING_NUMBERS)
    named = [
        f"CASE WHEN {_number_sql(name)} IS NULL AND upper({_plain_sql(name)}) NOT IN ({missing}) THEN '{name}' END"
        for name in NUMERIC_COLUMNS
    ]
    return f"array_compact(array({', '.join(named)}))"


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
