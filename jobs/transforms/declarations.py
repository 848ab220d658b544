"""Parse and repair declarations: bronze strings to typed columns, each repair recorded by name.

Nothing is dropped here: a value that cannot be read becomes null beside its cleaned text, and the rules
(conf/rules/declaration.toml) decide what that means. HS codes: eight digits expected; leading zeros are lost where the
file stored codes as numbers (yearly files 2007-2011), dots and a float's ``.0`` come from spreadsheets.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.rules import Rule
from jobs.transforms.text import FULL_WIDTH, SPACES, clean_text
from schemas.fields import MONEY_TYPE, QUANTITY_TYPE

EXPORT_MARKS = ("出口", "0", "E", "EXP", "EXPORT", "EXPORTS", "出", "0出口", "出口0")
IMPORT_MARKS = ("进口", "1", "I", "IMP", "IMPORT", "IMPORTS", "进", "進口", "進", "1进口", "进口1")
# a code and its word beside it, whatever stands between them
FLOW_SEPARATORS = "[-_:.()（）：]"
# what a spreadsheet needs to keep a code a text: an apostrophe before it, or a formula ="..." around it
SPREADSHEET_QUOTES = "^=?[\"'\u2018\u2019`]+|[\"'\u2019]+$"
QUOTED = "[\"'\u2018\u2019`]"
SCIENTIFIC_CODE = "^[0-9]\\.?([0-9]*)[eE]\\+?0?([0-9])$"
FLOAT_CODE = "^[0-9]{5,10}\\.0+$"
DOTTED_CODE = "^[0-9]{1,4}(\\.[0-9]{2,4})+$"
PLAIN_NUMBER = "^[-+]?[0-9]{1,17}(\\.[0-9]+)?$"
THOUSANDS_NUMBER = "^[-+]?[0-9]{1,3}(,[0-9]{3})+(\\.[0-9]+)?$"
SCIENTIFIC_NUMBER = "^[0-9](\\.[0-9]+)?[eE]\\+?[0-9]{1,2}$"
# a value in hundredths of a cent is typed or computed, not declared: it is rounded, and said so
MORE_THAN_CENTS = "\\.[0-9]{2}[0-9]*[1-9]"


def parse_declarations(
    bronze: DataFrame, *, years_without_postcode: Sequence[int] = (), files_without_postcode: Sequence[str] = ()
) -> DataFrame:
    """Add typed and repaired columns to bronze rows.

    Parameters
    ----------
    bronze : DataFrame
        Rows of ``bronze.declaration``; with a column ``has_postcode_column`` that column is taken as it is.
    years_without_postcode : sequence of int
        Years in which no delivered file carries postcodes.
    files_without_postcode : sequence of str
        SHA-256 of further files that carry none, in years whose other files do.

    Returns
    -------
    DataFrame
        The bronze columns under their names, and ``year, month, flow_kind, hs_text, hs8_code, hs6_code, hs_revision,
        value_text, value_usd, quantity_units, partner_text, place_text, postcode_text, postcode (six digits),
        district_code, has_postcode_column, repairs``; the raw postcode becomes ``postcode_raw``.
    """
    texts = (
        bronze.withColumnsRenamed({"postcode": "postcode_raw", "production_place": "production_place_raw"})
        .withColumns(
            {
                "year": F.col("source_year"),
                "month": F.col("source_month"),
                "flow_text": _flow_text(),
                "hs_text": _unquoted(clean_text(F.col("hs_code"))),
                "value_text": _unquoted(clean_text(F.col("value"))),
                "quantity_text": clean_text(F.col("quantity")),
                "partner_text": clean_text(F.col("partner")),
                "place_text": F.regexp_replace(clean_text(F.col("production_place_raw")), "^([0-9]{4,6})\\.0+$", "$1"),
                "postcode_text": F.regexp_replace(_unquoted(clean_text(F.col("postcode_raw"))), "\\.0+$", ""),
                "district_code": F.regexp_extract(clean_text(F.col("production_place_code")), "^([0-9]{5})(?:\\.0+)?$", 1),
                "firm_text": _unquoted(clean_text(F.col("firm_id"))),
                "firm_id": firm_code(F.col("firm_id")),
                "has_postcode_column": F.col("has_postcode_column")
                if "has_postcode_column" in bronze.columns
                else carries_postcode(years_without_postcode, files_without_postcode),
            }
        )
    )
    typed = texts.withColumns(
        {
            "flow_kind": F.when(F.col("flow_text").isin(*EXPORT_MARKS), "export").when(
                F.col("flow_text").isin(*IMPORT_MARKS), "import"
            ),
            "hs_digits": _code_digits(F.col("hs_text")),
            "value_number": _number_text(F.col("value_text")),
            "quantity_units": _number(_number_text(F.col("quantity_text")), QUANTITY_TYPE),
            "postcode": _six_digits(F.col("postcode_text")),
            "production_place": F.col("place_text"),
            "district_code": F.nullif(F.col("district_code"), F.lit("")),
            "hs_revision": hs_revision(F.col("source_year")),
        }
    )
    return (
        typed.withColumns(
            {
                "hs8_code": _eight_digits(F.col("hs_digits")),
                "value_usd": F.when(F.col("malformed_row").isNull(), _number(F.col("value_number"), MONEY_TYPE)),
            }
        )
        .withColumn("hs6_code", F.substring("hs8_code", 1, 6))
        .withColumn("repairs", _with_reading_marks(bronze, _repairs()))
        .drop("flow_text", "firm_text", "hs_digits", "value_number", "quantity_text")
    )


def firm_code(delivered: Column) -> Column:
    """The firm's customs code as delivered, without what a spreadsheet or a float put to it; null when its digits are lost."""
    text = _unquoted(clean_text(delivered))
    return (
        F.when(text.rlike(FLOAT_CODE), F.regexp_extract(text, "^([0-9]+)", 1))
        .when(text.rlike(SCIENTIFIC_CODE), _exact_digits(text))
        .otherwise(text)
    )


def _unquoted(text: Column) -> Column:
    return F.nullif(F.regexp_replace(text, SPREADSHEET_QUOTES, ""), F.lit(""))


def _flow_text() -> Column:
    """The mark in capitals, without a float's ending and what stands between a code and its word."""
    text = F.regexp_replace(F.upper(clean_text(F.col("flow"))), "^([01])\\.0+$", "$1")
    return F.when(F.length(text) > 2, F.regexp_replace(text, FLOW_SEPARATORS, "")).otherwise(text)


def _exact_digits(text: Column) -> Column:
    """The digits of a code written as 3.204910001E9; null when the mantissa has not all of them."""
    decimals, power = F.regexp_extract(text, SCIENTIFIC_CODE, 1), F.regexp_extract(text, SCIENTIFIC_CODE, 2)
    is_exact = F.length(decimals) == F.coalesce(power.try_cast("int"), F.lit(-1))
    return F.when(is_exact, F.concat(F.substring(text, 1, 1), decimals))


def _with_reading_marks(bronze: DataFrame, repairs: Column) -> Column:
    if "reading_marks" not in bronze.columns:
        return repairs
    return F.concat(repairs, F.coalesce(F.col("reading_marks"), F.array().cast("array<string>")))


def carries_postcode(years_without: Sequence[int], files_without: Sequence[str]) -> Column:
    """Tell of a bronze row whether its file carries postcodes, by the years and the files that carry none."""
    carries = F.lit(True)
    if years_without:
        carries = carries & ~F.col("source_year").isin(*years_without)
    if files_without:
        carries = carries & ~F.col("file_sha256").isin(*files_without)
    return carries


def hs_revision(year: Column) -> Column:
    """HS revision in force in a year (WCO: revisions of 1996, 2002, 2007, 2012, 2017, 2022, applied on 1 January)."""
    return (
        F.when(year >= 2022, "2022").when(year >= 2017, "2017").when(year >= 2012, "2012").when(year >= 2007, "2007")
        .when(year >= 2002, "2002").when(year >= 1996, "1996")
    )


def readable_value(bronze: DataFrame) -> Column:
    """The value in dollars a bronze row carries, null where it cannot be read: what reconciliation starts from."""
    number = _number_text(_unquoted(clean_text(bronze["value"])))
    return F.when(bronze["malformed_row"].isNull(), _number(number, MONEY_TYPE))


def apply_rules(parsed: DataFrame, rules: Sequence[Rule]) -> DataFrame:
    """Add ``reasons``: the names of all rules a record fails, in the rules' order; empty for a record to keep.

    A condition that is null does not refuse. A final rule ends the list for the records it refuses.
    """
    failed = []
    closed = F.lit(False)
    for rule in rules:
        condition = F.coalesce(F.expr(rule.when), F.lit(False))
        failed.append(F.when(condition & ~closed, F.lit(rule.name)))
        if rule.final:
            closed = closed | condition
    return parsed.withColumn("reasons", F.array_compact(F.array(*failed)))


def _code_digits(text: Column) -> Column:
    return (
        F.when(text.rlike(FLOAT_CODE), F.regexp_extract(text, "^([0-9]+)", 1))
        .when(text.rlike(DOTTED_CODE), F.regexp_replace(text, "\\.", ""))
        .when(text.rlike("^[0-9]+$"), text)
        .when(text.rlike(SCIENTIFIC_CODE), _exact_digits(text))
    )


def _eight_digits(digits: Column) -> Column:
    length = F.length(digits)
    return (
        F.when(length == 8, digits)
        # chapters 01 to 09 stored as numbers
        .when(length == 7, F.concat(F.lit("0"), digits))
        .when(length == 6, F.concat(digits, F.lit("00")))
        .when(length == 5, F.concat(F.lit("0"), digits, F.lit("00")))
        # ten digits of a chapter below 10, stored as a number
        .when(length == 9, F.concat(F.lit("0"), F.substring(digits, 1, 7)))
        .when(length == 10, F.substring(digits, 1, 8))
    )


def _number_text(text: Column) -> Column:
    return (
        F.when(text.rlike(PLAIN_NUMBER), text)
        .when(text.rlike(THOUSANDS_NUMBER), F.regexp_replace(text, ",", ""))
        .when(text.rlike(SCIENTIFIC_NUMBER), text)
    )


def _number(text: Column, kind: str) -> Column:
    # the text is a number by its pattern; only one too large for the type is left to try_cast
    return text.try_cast(kind)


def _six_digits(text: Column) -> Column:
    return F.when(text.rlike("^[0-9]{6}$"), text).when(
        # provinces 01 to 07 (Inner Mongolia, Shanxi, Hebei) lose their zero where postcodes were stored as numbers
        text.rlike("^[1-7][0-9]{4}$"),
        F.concat(F.lit("0"), text),
    )


def _repairs() -> Column:
    hs, value, postcode = F.col("hs_text"), F.col("value_text"), F.col("postcode_text")
    digits = F.length(F.col("hs_digits"))
    named = {
        "hs_spaces": F.col("hs_code").rlike(SPACES) & hs.isNotNull(),
        "hs_full_width": F.col("hs_code").rlike(f"[{FULL_WIDTH}]"),
        "hs_float": hs.rlike(FLOAT_CODE),
        "hs_dotted": hs.rlike(DOTTED_CODE) & ~hs.rlike(FLOAT_CODE),
        "hs_leading_zero": digits.isin(5, 7, 9),
        "hs_quoted": F.col("hs_code").rlike(QUOTED),
        "hs_scientific": hs.rlike(SCIENTIFIC_CODE),
        "firm_code_float": F.col("firm_text").rlike(FLOAT_CODE),
        # the firm's digits are lost: its record counts, but not for the number of firms
        "firm_code_lost": F.col("firm_text").rlike(SCIENTIFIC_CODE) & F.col("firm_id").isNull(),
        "value_spaces": F.col("value").rlike(SPACES) & value.isNotNull(),
        "value_full_width": F.col("value").rlike(f"[{FULL_WIDTH}]"),
        "value_thousands": value.rlike(THOUSANDS_NUMBER),
        "value_scientific": value.rlike(SCIENTIFIC_NUMBER),
        "value_rounded": F.col("value_number").rlike(MORE_THAN_CENTS),
        "postcode_spaces": F.col("postcode_raw").rlike(SPACES) & postcode.isNotNull(),
        "postcode_full_width": F.col("postcode_raw").rlike(f"[{FULL_WIDTH}]"),
        "postcode_leading_zero": F.length(postcode) == 5,
        "place_spaces": F.col("production_place_raw").rlike(SPACES) & F.col("place_text").isNotNull(),
        "partner_spaces": F.col("partner").rlike(SPACES) & F.col("partner_text").isNotNull(),
    }
    marks = [F.when(F.coalesce(condition, F.lit(False)), F.lit(name)) for name, condition in named.items()]
    return F.array_compact(F.array(*marks))
