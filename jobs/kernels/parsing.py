"""Parse and repair declarations: bronze strings to typed columns, each repair recorded by name.

Nothing is dropped here: a value that cannot be read becomes null beside its cleaned text, and the rules
(conf/rules/declaration.toml) decide what that means. HS codes: eight digits expected; leading zeros are lost where the
file stored codes as numbers (yearly files 2007-2011), dots and a float's ``.0`` come from spreadsheets.

What follows from one column is worked out once for each of its distinct texts, which are few beside the records; only
values are read record by record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from jobs.kernels.amounts import DOLLARS, SCIENTIFIC_NUMBER, THOUSANDS_NUMBER, read_numbers
from jobs.kernels.plain_text import FULL_WIDTH, SPACES, clean_text, unquoted
from schemas.reference.partner_keys import ACCENTED, DECIMALS, MEANINGLESS, PLAIN

EXPORT_MARKS = ("出口", "0", "E", "EXP", "EXPORT", "EXPORTS", "出", "0出口", "出口0")
IMPORT_MARKS = ("进口", "1", "I", "IMP", "IMPORT", "IMPORTS", "进", "進口", "進", "1进口", "进口1")
# a code and its word beside it, whatever stands between them
FLOW_SEPARATORS = "[-_:.()（）：]"
QUOTED = "[\"'\u2018\u2019`]"
SCIENTIFIC_CODE = r"^[0-9]\.?([0-9]*)[eE]\+?0?([0-9])$"
FLOAT_CODE = r"^([0-9]{5,10})\.0+$"
DOTTED_CODE = r"^[0-9]{1,4}([.-][0-9]{2,4})+$"
# a value in hundredths of a cent is typed or computed, not declared: it is rounded, and said so
MORE_THAN_CENTS = r"\.[0-9]{2}[0-9]*[1-9]"
PLAIN_AMOUNT = r"^[0-9]{1,15}(\.[0-9]{1,2})?$"
# partner codes that are no economy of destination
NOT_AN_ECONOMY = ("self", "unknown", "residual", "organisation")
# HS revisions by the first year they are in force (WCO; applied on 1 January)
REVISIONS = {1996: "1996", 2002: "2002", 2007: "2007", 2012: "2012", 2017: "2017", 2022: "2022"}
REPAIRS = (
    "hs_spaces", "hs_full_width", "hs_float", "hs_dotted", "hs_leading_zero", "hs_quoted", "hs_scientific",
    "firm_code_float", "firm_code_lost", "value_spaces", "value_full_width", "value_thousands", "value_scientific",
    "value_rounded", "postcode_spaces", "postcode_full_width", "postcode_leading_zero", "place_spaces", "partner_spaces",
)
"""Names of the repairs in the order they are recorded; a record's are bits of one number until they are spelt out."""
PARSED_INPUTS = (
    "source_year", "source_month", "flow", "hs_code", "value", "quantity", "firm_id", "postcode", "production_place",
    "production_place_code", "partner", "malformed_row", "file_sha256", "reading_marks",
)


@dataclass(frozen=True, slots=True)
class CodeTables:
    """Products and partners, as records look them up.

    Attributes
    ----------
    products : DataFrame
        ``hs_revision, hs6_code, hs6_converted, hs6_family``; one row per revision and code, converted to one base revision.
    partners : DataFrame
        ``alias, partner_code, country_iso3, partner_kind``; one row per spelling, codes among the spellings.
    """

    products: pl.DataFrame
    partners: pl.DataFrame


@dataclass(frozen=True, slots=True)
class WithoutPostcodes:
    """What carries no postcodes.

    Attributes
    ----------
    years : sequence of int
        Years in which no delivered file carries postcodes.
    files : sequence of str
        SHA-256 of further files that carry none, in years whose other files do.
    """

    years: Sequence[int] = ()
    files: Sequence[str] = ()


def parse_records(
    rows: pl.DataFrame, codes: CodeTables, without_postcodes: WithoutPostcodes = WithoutPostcodes()
) -> pl.DataFrame:
    """Add typed and repaired columns to bronze rows.

    Parameters
    ----------
    rows : DataFrame
        At least :data:`PARSED_INPUTS` of ``bronze.declaration``.
    codes : CodeTables
        Products and partners.
    without_postcodes : WithoutPostcodes, optional
        Which records come from files without a column of postcodes.

    Returns
    -------
    DataFrame
        The bronze columns under their names, and ``year, month, flow_kind, hs_text, hs8_code, hs6_code, hs_revision,
        hs6_converted, hs6_family, is_hs_known, value_text, value_usd, quantity_units, partner_text, partner_code,
        country_iso3, partner_kind, is_destination, place_text, postcode_text, postcode (six digits), district_code,
        has_postcode_column, repairs``; the raw postcode and place become ``postcode_raw`` and ``production_place_raw``,
        ``production_place`` and ``firm_id`` are cleaned.
    """
    derived = [
        _by_text(rows, ("flow",), parse_flows),
        _by_text(rows, ("source_year", "hs_code"), lambda given: parse_products(given, codes.products)),
        _by_text(rows, ("firm_id",), parse_firms),
        _by_text(rows, ("partner",), lambda given: parse_partners(given, codes.partners)),
        _by_text(rows, ("production_place",), _parse_places),
        _by_text(rows, ("production_place_code",), _parse_districts),
        _by_text(rows, ("postcode",), parse_postcodes),
        _by_text(rows, ("source_year", "file_sha256"), lambda given: _mark_postcodes(given, without_postcodes)),
        parse_values(rows.select("value", "malformed_row")),
        _by_text(rows, ("quantity",), _parse_quantities),
    ]
    marks = [frame.get_column("_marks") for frame in derived if "_marks" in frame.columns]
    renamed = {"postcode": "postcode_raw", "production_place": "production_place_raw"}
    kept = rows.rename(renamed).drop("firm_id", "reading_marks").with_columns(
        pl.col("source_year").alias("year"), pl.col("source_month").alias("month")
    )
    repairs = spelt_out(sum(marks[1:], marks[0]), REPAIRS).alias("repairs")
    return pl.concat(
        [kept, *(frame.drop("_marks", strict=False) for frame in derived)], how="horizontal"
    ).with_columns(pl.col("place_text").alias("production_place"), _with_reading_marks(repairs, rows["reading_marks"]))


def parse_flows(given: pl.DataFrame) -> pl.DataFrame:
    """``flow_kind`` of marks ``flow``: export, import, or null."""
    # the mark in capitals, without a float's ending and what stands between a code and its word
    text = clean_text(pl.col("flow")).str.to_uppercase().str.replace(r"^([01])\.0+$", "${1}")
    text = pl.when(text.str.len_chars() > 2).then(text.str.replace_all(FLOW_SEPARATORS, "")).otherwise(text)
    is_export, is_import = text.is_in(EXPORT_MARKS), text.is_in(IMPORT_MARKS)
    return given.with_columns(
        pl.when(is_export).then(pl.lit("export")).when(is_import).then(pl.lit("import")).alias("flow_kind")
    )


def parse_products(given: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """Product columns of pairs ``source_year, hs_code``.

    ``hs6_converted`` is null when the code has no single partner in the base revision, ``hs6_family`` the code itself when
    it is in no family, and ``is_hs_known`` says whether the revision of the year contains the code.
    """
    text = pl.col("hs_text")
    texts = given.with_columns(
        unquoted(clean_text(pl.col("hs_code"))).alias("hs_text"), _revision(pl.col("source_year")).alias("hs_revision")
    ).with_columns(_code_digits(text).alias("_digits"))
    coded = texts.with_columns(_eight_digits(pl.col("_digits")).alias("hs8_code")).with_columns(
        pl.col("hs8_code").str.slice(0, 6).alias("hs6_code")
    )
    known = products.rename({"hs6_family": "_family"}).with_columns(pl.lit(True).alias("is_hs_known"))
    found = coded.join(known, on=["hs_revision", "hs6_code"], how="left", maintain_order="left")
    raw, is_float = pl.col("hs_code"), text.str.contains(FLOAT_CODE)
    return found.with_columns(
        pl.coalesce("_family", "hs6_code").alias("hs6_family"), pl.col("is_hs_known").fill_null(False),
        _marks(
            {
                "hs_spaces": raw.str.contains(SPACES) & text.is_not_null(),
                "hs_full_width": raw.str.contains(f"[{FULL_WIDTH}]"),
                "hs_float": is_float,
                "hs_dotted": text.str.contains(DOTTED_CODE) & ~is_float,
                "hs_leading_zero": pl.col("_digits").str.len_bytes().is_in([5, 7, 9]),
                "hs_quoted": raw.str.contains(QUOTED),
                "hs_scientific": text.str.contains(SCIENTIFIC_CODE),
            }
        ),
    ).drop("_digits", "_family")


def parse_firms(given: pl.DataFrame) -> pl.DataFrame:
    """The firm's customs code, delivered as ``firm_id``, without what a spreadsheet or a float put to it, as ``firm_id``.

    It is null when its digits are lost: the record counts, but not for the number of firms.
    """
    text, code = pl.col("_text"), pl.col("_code")
    is_scientific = text.str.contains(SCIENTIFIC_CODE)
    coded = given.with_columns(unquoted(clean_text(pl.col("firm_id"))).alias("_text")).with_columns(
        pl.when(text.str.contains(FLOAT_CODE)).then(text.str.extract(FLOAT_CODE))
        .when(is_scientific).then(_exact_digits(text)).otherwise(text).alias("_code")
    )
    marked = {"firm_code_float": text.str.contains(FLOAT_CODE), "firm_code_lost": is_scientific & code.is_null()}
    return coded.with_columns(_marks(marked)).drop("_text")


def parse_partners(given: pl.DataFrame, partners: pl.DataFrame) -> pl.DataFrame:
    """Codes of destinations ``partner``: names and codes of both vintages; null for a spelling that is not known.

    A destination counts as an economy when it has an ISO code and is not China itself (142: goods that come back through
    a bonded zone); unknown, residual and organisation codes stay as raw codes only. Parts of a state with codes of their
    own (Canary Islands, Tahiti) count as the economy they carry in ISO 3166.
    """
    cleaned = given.with_columns(clean_text(pl.col("partner")).alias("partner_text"))
    keyed = cleaned.with_columns(partner_key(pl.col("partner_text")).alias("alias"))
    is_economy = pl.col("country_iso3").is_not_null() & ~pl.col("partner_kind").is_in(NOT_AN_ECONOMY)
    return keyed.join(partners, on="alias", how="left", maintain_order="left").with_columns(
        is_economy.fill_null(False).alias("is_destination"),
        _marks({"partner_spaces": pl.col("partner").str.contains(SPACES) & pl.col("partner_text").is_not_null()}),
    ).drop("alias")


def partner_key(text: pl.Expr) -> pl.Expr:
    """As :func:`schemas.reference.partner_keys.partner_key`."""
    plain = text.str.replace_many(list(ACCENTED), list(PLAIN)).str.replace(DECIMALS, "${1}")
    return plain.str.replace_all(MEANINGLESS, "").str.to_uppercase()


def parse_postcodes(given: pl.DataFrame) -> pl.DataFrame:
    """``postcode_text`` and ``postcode`` (six digits) of delivered ``postcode``."""
    raw, text = pl.col("postcode"), pl.col("postcode_text")
    cleaned = given.with_columns(unquoted(clean_text(raw)).str.replace(r"\.0+$", "").alias("postcode_text"))
    return cleaned.with_columns(
        pl.when(text.str.contains("^[0-9]{6}$")).then(text)
        # provinces 01 to 07 (Inner Mongolia, Shanxi, Hebei) lose their zero where postcodes were stored as numbers
        .when(text.str.contains("^[1-7][0-9]{4}$")).then("0" + text).alias("_six"),
        _marks(
            {
                "postcode_spaces": raw.str.contains(SPACES) & text.is_not_null(),
                "postcode_full_width": raw.str.contains(f"[{FULL_WIDTH}]"),
                "postcode_leading_zero": text.str.len_chars() == 5,
            }
        ),
    )


def parse_values(given: pl.DataFrame) -> pl.DataFrame:
    """``value_text``, ``value_usd`` (null in a malformed line) and the marks of ``value, malformed_row``.

    Nearly all are dollars and cents as they should be, with nothing to repair: only the others are read with care.
    """
    is_plain = given.get_column("value").str.contains(PLAIN_AMOUNT).fill_null(False)
    if not is_plain.any():
        return _read_with_care(given)
    plain = given.filter(is_plain).select(
        pl.col("value").alias("value_text"),
        pl.when(pl.col("malformed_row").is_null()).then(pl.col("value").cast(pl.Decimal(20, 2))).alias("value_usd"),
        pl.lit(0, pl.UInt32).alias("_marks"),
    )
    if len(plain) == len(given):
        return plain
    # where each row of the two lies when one is set behind the other
    order = pl.concat([is_plain.arg_true(), (~is_plain).arg_true()]).arg_sort()
    return pl.concat([plain, _read_with_care(given.filter(~is_plain))])[order]


def _read_with_care(given: pl.DataFrame) -> pl.DataFrame:
    raw, text, is_read = pl.col("value"), pl.col("value_text"), pl.col("value_usd").is_not_null()
    texts = given.with_columns(unquoted(clean_text(raw)).alias("value_text"))
    usd = read_numbers(given.get_column("value"), *DOLLARS).cast(pl.Decimal(20, 2)).alias("value_usd")
    return texts.with_columns(usd).select(
        "value_text",
        pl.when(pl.col("malformed_row").is_null()).then("value_usd").alias("value_usd"),
        _marks(
            {
                "value_spaces": raw.str.contains(SPACES) & text.is_not_null(),
                "value_full_width": raw.str.contains(f"[{FULL_WIDTH}]"),
                "value_thousands": text.str.contains(THOUSANDS_NUMBER),
                "value_scientific": is_read & text.str.contains(SCIENTIFIC_NUMBER),
                "value_rounded": is_read & text.str.contains(MORE_THAN_CENTS),
            }
        ),
    )


def _parse_quantities(given: pl.DataFrame) -> pl.DataFrame:
    return given.with_columns(read_numbers(given.get_column("quantity"), 24, 4).alias("quantity_units"))


def _parse_places(given: pl.DataFrame) -> pl.DataFrame:
    raw = pl.col("production_place")
    texts = given.with_columns(clean_text(raw).str.replace(r"^([0-9]{4,6})\.0+$", "${1}").alias("place_text"))
    return texts.with_columns(_marks({"place_spaces": raw.str.contains(SPACES) & pl.col("place_text").is_not_null()}))


def _parse_districts(given: pl.DataFrame) -> pl.DataFrame:
    text = clean_text(pl.col("production_place_code"))
    return given.with_columns(text.str.extract(r"^([0-9]{5})(?:\.0+)?$").alias("district_code"))


def _mark_postcodes(given: pl.DataFrame, without: WithoutPostcodes) -> pl.DataFrame:
    is_without = pl.col("source_year").is_in(list(without.years)) | pl.col("file_sha256").is_in(list(without.files))
    return given.with_columns((~is_without).alias("has_postcode_column"))


def _by_text(
    rows: pl.DataFrame, columns: Sequence[str], parse: Callable[[pl.DataFrame], pl.DataFrame]
) -> pl.DataFrame:
    """What follows from some columns, worked out for their distinct values and handed to the rows in their order."""
    given = rows.select(columns)
    distinct = given.unique()
    found = given.join(parse(distinct), on=columns, how="left", nulls_equal=True, maintain_order="left").drop(columns)
    return found.rename({"_code": "firm_id", "_six": "postcode"}, strict=False)


def _marks(conditions: dict[str, pl.Expr]) -> pl.Expr:
    """Repairs as bits of a number, by their place in :data:`REPAIRS`."""
    bits = [
        pl.when(condition.fill_null(False)).then(pl.lit(1 << REPAIRS.index(name), pl.UInt32)).otherwise(pl.lit(0, pl.UInt32))
        for name, condition in conditions.items()
    ]
    return pl.sum_horizontal(bits).alias("_marks")


def spelt_out(bits: pl.Series, names: Sequence[str]) -> pl.Series:
    """Bits as lists of the names they stand for; few of the combinations occur."""
    distinct = bits.unique()
    spelt = [[name for place, name in enumerate(names) if number >> place & 1] for number in distinct]
    table = pl.DataFrame({"bits": distinct, "names": pl.Series(spelt, dtype=pl.List(pl.String))})
    return bits.to_frame("bits").join(table, on="bits", how="left", maintain_order="left").get_column("names")


def _with_reading_marks(repairs: pl.Series, marks: pl.Series) -> pl.Series:
    if marks.null_count() == len(marks):
        return repairs
    made, read = repairs.to_frame("made"), marks.cast(pl.List(pl.String)).to_frame("read")
    both = pl.concat_list("made", pl.col("read").fill_null(pl.lit([], pl.List(pl.String))))
    return pl.concat([made, read], how="horizontal").select(both.alias("repairs")).to_series()


def _exact_digits(text: pl.Expr) -> pl.Expr:
    """The digits of a code written as 3.204910001E9; null when the mantissa has not all of them."""
    decimals, power = text.str.extract(SCIENTIFIC_CODE, 1), text.str.extract(SCIENTIFIC_CODE, 2)
    is_exact = decimals.str.len_bytes() == power.cast(pl.UInt32, strict=False)
    return pl.when(is_exact).then(text.str.slice(0, 1) + decimals)


def _code_digits(text: pl.Expr) -> pl.Expr:
    return (
        pl.when(text.str.contains(FLOAT_CODE)).then(text.str.extract(FLOAT_CODE))
        .when(text.str.contains(DOTTED_CODE)).then(text.str.replace_all("[.-]", ""))
        .when(text.str.contains("^[0-9]+$")).then(text)
        .when(text.str.contains(SCIENTIFIC_CODE)).then(_exact_digits(text))
    )


def _eight_digits(digits: pl.Expr) -> pl.Expr:
    length = digits.str.len_bytes()
    return (
        pl.when(length == 8).then(digits)
        # chapters 01 to 09 stored as numbers
        .when(length == 7).then("0" + digits)
        .when(length == 6).then(digits + "00")
        .when(length == 5).then("0" + digits + "00")
        # ten digits of a chapter below 10, stored as a number
        .when(length == 9).then("0" + digits.str.slice(0, 7))
        .when(length == 10).then(digits.str.slice(0, 8))
    )


def _revision(year: pl.Expr) -> pl.Expr:
    """HS revision in force in a year."""
    found = pl.lit(None, pl.String)
    for first, name in REVISIONS.items():
        found = pl.when(year >= first).then(pl.lit(name)).otherwise(found)
    return found
