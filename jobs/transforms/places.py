"""Place every record: the production place decides the city, the postcode decides the county unit inside it.

The exporting city is where the goods are made (paper, cleaning step 2): the production-place text names the prefecture.
A postcode of another prefecture belongs to an office, not to the production site, and is set aside. Inside the prefecture
the longest prefix of the postcode that is valid in the year names the county unit, and so district, county or
county-level city (paper, cleaning step 3). Each record keeps how it was placed, by how many digits and lists, how sure
that is, and what disagreed. One broadcast join per kind of evidence, native expressions only.
Policy, constants and limits: docs/methodology/places.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.settings import EVIDENCE, FALLBACKS
from jobs.transforms.place_keys import place_key_column, without_ending_column

Evidence = Literal["place_text", "postcode", "district_code"]
Fallback = Literal["place_text", "firm_history", "address"]
Ambiguous = Literal["in", "out", "whole_city"]
AMBIGUOUS = ("in", "out", "whole_city")
PLACE_COLUMNS = (
    "city_id", "prefecture_code", "unit_code", "unit_type", "place_method", "place_digits", "place_sources",
    "place_confidence", "is_place_ambiguous", "place_conflict", "place_reason",
)

# How sure a placing is, beside the vote behind a postcode prefix (jobs/reference/place_lookups.py). Judgement,
# not estimates: they order the cases, and a study that filters on them should vary the threshold.
SURE_TEXT_UNIT = 0.85
SURE_DISTRICT_CODE = 0.70
SURE_CITY_ONLY = 0.60
SURE_CITY_AGAINST_POSTCODE = 0.50
SURE_ADDRESS = 0.50
SURE_WHOLE_CITY = 0.98
WITHOUT_TEXT = 0.90
AGAINST_TEXT_UNIT = 0.80
FROM_HISTORY = 0.85

UNIT_KINDS: dict[str | None, int] = {None: 0, "district": 1, "county": 2, "whole_city": 3, "county_city": 4}
"""Type of a unit in the number of its place: odd inside the districts, 0 where no unit is named."""
# bits of a place number below its province, prefecture, and type
PROVINCE_SHIFT, PREFECTURE_SHIFT, KIND_SHIFT = 34, 20, 16
KIND_BITS = 15
# which evidence named the unit
BY_POSTCODE, BY_TEXT, BY_DISTRICT, BY_HISTORY, BY_ADDRESS = range(1, 6)
METHODS = {BY_TEXT: "place_text", BY_DISTRICT: "district_code", BY_HISTORY: "firm_history", BY_ADDRESS: "address"}

# a yearly file has no month; by approval, a change counts for the year it held for the greater part of
MONTH_OF_YEARLY_FILES = 7
ADDRESS_PATTERN = (
    "^(?:中国)?((?:[^省市县]{2,3}省|内蒙古自治区|广西壮族自治区|宁夏回族自治区|新疆维吾尔自治区|西藏自治区)?"
    "[^省市州盟县区]{1,10}(?:市|自治州|地区|盟)(?:[^市县区旗路街道]{1,10}(?:区|县|市|旗))?)"
)


class PlacePolicyError(ValueError):
    """Raised when evidence, fallbacks or the treatment of ambiguous cities are none of the known ones."""


@dataclass(frozen=True, slots=True)
class PlaceReference:
    """Look-up frames, one row per key and span of months (jobs/reference/place_lookups.py says what is in them).

    A place is a number (bigint), so that records carry eight bytes for each witness while they are judged: prefecture code,
    type of the unit (:data:`UNIT_KINDS`) and a serial number, each in bits of its own (:func:`place_number`).

    Attributes
    ----------
    postcodes : DataFrame
        ``prefix4, from_month, to_month, place, digits``.
    shared : DataFrame
        ``key, from_month, to_month, places``: areas of which four digits do not settle the place, best candidate first.
    texts : DataFrame
        ``alias, from_month, to_month, province, place``; ``alias`` as :func:`place_key_column` makes it; ``province`` has
        two digits; ``place`` is null if it is all.
    districts : DataFrame
        ``code, from_month, to_month, place``, by the five digits of customs' list of districts.
    places : DataFrame
        What a place number stands for, one row per number: ``place, prefecture_code, city_id, is_whole,
        in_ambiguous_city, unit_code, unit_type, method, digits, n_sources, share, is_shared``.
    convention : str
        ``year_end`` or ``approval``: what the spans stand for.
    """

    postcodes: DataFrame
    shared: DataFrame
    texts: DataFrame
    districts: DataFrame
    places: DataFrame
    convention: str = "year_end"


def place_number(prefecture_code: str, unit_type: str | None, serial: int) -> int:
    """Number of a place: province, rest of the prefecture code, type of the unit, serial number."""
    prefecture = int(prefecture_code[:2]) << PROVINCE_SHIFT | int(prefecture_code[2:]) << PREFECTURE_SHIFT
    return prefecture | UNIT_KINDS[unit_type] << KIND_SHIFT | serial


def resolve_places(
    frame: DataFrame,
    reference: PlaceReference,
    *,
    evidence_order: Sequence[Evidence] = EVIDENCE,
    fallbacks: Sequence[Fallback] = FALLBACKS,
    ambiguous: Ambiguous = "in",
    firm_postcodes: DataFrame | None = None,
) -> DataFrame:
    """Add the place of every record and why a record is outside the study.

    Parameters
    ----------
    frame : DataFrame
        ``year`` (int), ``postcode`` (six digits or null), ``production_place`` (no whitespace, or null); used if there:
        ``month``, ``district_code``, ``firm_id``, ``firm_address``, ``has_postcode_column``.
    reference : PlaceReference
        Look-ups of the years.
    evidence_order : sequence of str
        The first evidence that names a prefecture decides it.
    fallbacks : sequence of str
        Evidence for the unit in years whose files carry no postcode, in order; empty switches all off.
    ambiguous : str
        Cities whose districts share postcodes with other units: ``in`` takes the best guess, ``out`` refuses their
        records, ``whole_city`` keeps every record made in them.
    firm_postcodes : DataFrame, optional
        ``firm_id, history_postcode``, one row per firm, from :func:`firm_postcode_history`; without it ``firm_history``
        finds nothing.

    Returns
    -------
    DataFrame
        The frame and ``city_id, prefecture_code, unit_code, unit_type, place_method, place_digits, place_sources,
        place_confidence, is_place_ambiguous, place_conflict, place_reason``. ``place_reason`` is null for a record to
        keep, otherwise PLACE_UNKNOWN, OUTSIDE_CITIES, COUNTY, COUNTY_CITY, POSTCODE_UNKNOWN or AMBIGUOUS_CITY.

    Raises
    ------
    PlacePolicyError
        If an option is unknown.
    """
    _check_options(evidence_order, fallbacks, ambiguous)
    kept = frame.columns
    rows = _with_defaults(frame)
    rows = rows.withColumn("_month", _record_month(reference.convention))
    rows = _join_text(rows, reference.texts, "_text", F.col("production_place"))
    rows = _join_postcode(rows, reference, "_post", "postcode")
    has_district = "district_code" in evidence_order and "district_code" in frame.columns
    rows = _join_district(rows, reference.districts, used=has_district)
    rows = _join_fallbacks(
        rows, reference, fallbacks, firm_postcodes, has_address="firm_address" in frame.columns
    )
    rows = _decide(rows, evidence_order, fallbacks)
    rows = _join_places(rows, reference.places)
    return _describe(rows, kept, evidence_order, ambiguous)


def firm_postcode_history(records: DataFrame) -> DataFrame:
    """Each firm's most frequent postcode, the latest on a tie: ``firm_id, history_postcode``, one row per firm.

    Parameters
    ----------
    records : DataFrame
        ``year, firm_id, postcode, n_records`` (how many records a row stands for) of all years that carry postcodes.
    """
    known = records.where(F.col("firm_id").isNotNull() & F.col("postcode").isNotNull())
    counted = known.groupBy("firm_id", "postcode").agg(F.sum("n_records").alias("n"), F.max("year").alias("last_year"))
    best = F.max(F.struct("n", "last_year", "postcode"))["postcode"]
    return counted.groupBy("firm_id").agg(best.alias("history_postcode"))


def address_key(address: Column) -> Column:
    """Province, city and unit at the head of a Chinese address, as place names are spelt; null when there is no city."""
    return F.nullif(F.regexp_extract(address, ADDRESS_PATTERN, 1), F.lit(""))


def _check_options(evidence_order, fallbacks, ambiguous) -> None:
    options = {
        "evidence_order": (evidence_order, EVIDENCE),
        "fallbacks": (fallbacks, FALLBACKS),
        "ambiguous": ((ambiguous,), AMBIGUOUS),
    }
    for name, (given, allowed) in options.items():
        if unknown := [value for value in given if value not in allowed]:
            raise PlacePolicyError(f"{name}: expected {', '.join(allowed)}; found {', '.join(map(repr, unknown))}.")
    if not evidence_order:
        raise PlacePolicyError("evidence_order: at least one evidence must decide the prefecture.")


def _with_defaults(frame: DataFrame) -> DataFrame:
    absent = {
        "has_postcode_column": F.lit(True), "month": F.lit(None).cast("int"), "district_code": F.lit(None).cast("string"),
        "firm_id": F.lit(None).cast("string"), "firm_address": F.lit(None).cast("string"),
    }
    return frame.withColumns({name: value for name, value in absent.items() if name not in frame.columns})


def _record_month(convention: str) -> Column:
    in_year = F.coalesce(F.col("month"), F.lit(MONTH_OF_YEARLY_FILES)) if convention == "approval" else F.lit(12)
    return F.col("year") * 12 + in_year - 1


def _join_span(rows: DataFrame, lookup: DataFrame, key: str, value: Column, names: dict[str, str]) -> DataFrame:
    """Left join to the one row whose key matches and whose span contains the record's month."""
    table = lookup.select(
        F.col(key).alias("_key"), F.col("from_month").alias("_from"), F.col("to_month").alias("_to"),
        *(F.col(name).alias(alias) for name, alias in names.items()),
    )
    within = (F.col("_month") >= F.col("_from")) & (F.col("_month") < F.col("_to"))
    found = rows.withColumn("_value", value).join(
        F.broadcast(table), on=(F.col("_value") == F.col("_key")) & within, how="left"
    )
    return found.drop("_key", "_from", "_to", "_value")


def _join_text(rows: DataFrame, texts: DataFrame, name: str, value: Column) -> DataFrame:
    """The place of a text as it stands, otherwise without the words for zones and rests at its end."""
    place, province = f"{name}_as_written", f"{name}_province_as_written"
    rows = rows.withColumn("_spelling", place_key_column(value))
    rows = _join_span(rows, texts, "alias", F.col("_spelling"), {"place": place, "province": province})
    # null where the text is known as it stands, and a null key costs no look-up
    shorter = F.when(F.col(province).isNull(), without_ending_column(F.col("_spelling")))
    rows = _join_span(rows, texts, "alias", shorter, {"place": name, "province": f"{name}_province"})
    return rows.withColumns(
        {name: F.coalesce(place, name), f"{name}_province": F.coalesce(province, f"{name}_province")}
    ).drop("_spelling", place, province)


def _join_postcode(rows: DataFrame, reference: PlaceReference, name: str, column: str) -> DataFrame:
    """The place of the longest matching prefix: by four digits, and by more where four do not settle it."""
    settled = _join_span(
        rows, reference.postcodes, "prefix4", F.substring(column, 1, 4), {"place": "_settled", "digits": "_digits"}
    )
    # null where four digits settle it, and a null key costs no look-up
    head = F.when(F.col("_digits").isNotNull(), F.col(column).substr(F.lit(1), F.col("_digits")))
    found = _join_span(settled, reference.shared, "key", head, {"places": "_candidates"})
    place = F.coalesce("_settled", _choose_candidate(F.col("_candidates")))
    return found.withColumn(name, place).drop("_settled", "_digits", "_candidates")


def _join_district(rows: DataFrame, districts: DataFrame, *, used: bool) -> DataFrame:
    if not used:
        return rows.withColumn("_district", _no_place())
    # four digits alone stand for the rest of their place
    code = F.rpad(F.substring("district_code", 1, 5), 5, "9")
    return _join_span(rows, districts, "code", code, {"place": "_district"})


def _join_fallbacks(
    rows: DataFrame, reference: PlaceReference, fallbacks: Sequence[str], firm_postcodes: DataFrame | None,
    *, has_address: bool,
) -> DataFrame:
    """Evidence of years without postcodes; keys are null elsewhere, so the joins cost next to nothing there."""
    needed = ~F.col("has_postcode_column")
    if "firm_history" in fallbacks and firm_postcodes is not None:
        rows = rows.withColumn("_firm", F.when(needed, F.col("firm_id"))).join(
            firm_postcodes.select(F.col("firm_id").alias("_history_firm"), "history_postcode"),
            on=F.col("_firm") == F.col("_history_firm"), how="left",
        )
        rows = _join_postcode(rows, reference, "_history", "history_postcode")
    else:
        rows = rows.withColumn("_history", _no_place())
    if "address" in fallbacks and has_address:
        key = F.when(needed & F.col("firm_address").isNotNull(), address_key(F.col("firm_address")))
        return _join_text(rows, reference.texts, "_address", key)
    return rows.withColumn("_address", _no_place())


def _no_place() -> Column:
    return F.lit(None).cast("bigint")


def _prefecture(place: Column) -> Column:
    return F.shiftright(place, PREFECTURE_SHIFT)


def _standing(place: Column) -> Column:
    """Prefecture and type of the unit."""
    return F.shiftright(place, KIND_SHIFT)


def _kind(place: Column) -> Column:
    return _standing(place).bitwiseAND(KIND_BITS)


def _choose_candidate(places: Column) -> Column:
    """Of the candidates the one of the text's type and prefecture, then the best of its prefecture, then the best."""
    text = F.col("_text")
    return F.coalesce(
        F.get(F.filter(places, lambda place: _standing(place) == _standing(text)), F.lit(0)),
        F.get(F.filter(places, lambda place: _prefecture(place) == _prefecture(text)), F.lit(0)),
        F.get(places, F.lit(0)),
    )


def _decide(rows: DataFrame, evidence_order: Sequence[str], fallbacks: Sequence[str]) -> DataFrame:
    """Add the place that decides the city, the place that names the unit, and what disagreed."""
    text, post, province = F.col("_text"), F.col("_post"), F.col("_text_province")
    rows = rows.withColumns(
        {
            # the text names only a province, and the postcode lies in another one
            "_is_elsewhere": _known(text.isNull() & (F.shiftright(post, PROVINCE_SHIFT) != province)),
            # text and postcode put the record in the same prefecture, one inside the districts and the other outside
            "_differs": _known(
                (_kind(text) != 0) & (_kind(post) != 0)
                & (_standing(text.bitwiseXOR(post)).bitwiseAND(~KIND_BITS | 1) == 1)
            ),
        }
    )
    rows = rows.withColumn("_city", F.coalesce(*(_deciding()[name] for name in evidence_order)))
    named = {
        BY_POSTCODE: post, BY_TEXT: text, BY_DISTRICT: F.col("_district"), BY_HISTORY: F.col("_history"),
        BY_ADDRESS: F.col("_address"),
    }
    order = {"place_text": BY_TEXT, "firm_history": BY_HISTORY, "address": BY_ADDRESS}
    usual = (BY_POSTCODE, BY_TEXT, BY_DISTRICT)
    without_postcode = (BY_POSTCODE, *(order[name] for name in fallbacks), BY_DISTRICT)

    def first_usable(witnesses: Sequence[int]) -> Column:
        usable = [(by, (_kind(named[by]) != 0) & (_prefecture(named[by]) == _prefecture(F.col("_city")))) for by in witnesses]
        return F.coalesce(*(F.when(is_usable, F.lit(by)) for by, is_usable in usable))

    unit_by = F.when(F.col("has_postcode_column"), first_usable(usual)).otherwise(first_usable(without_postcode))
    rows = rows.withColumns({"_unit_by": unit_by, "_conflicts": _conflicts()})
    return rows.withColumn("_unit", F.coalesce(*(F.when(F.col("_unit_by") == by, place) for by, place in named.items())))


def _deciding() -> dict[str, Column]:
    """Evidence to the place by which it decides the city."""
    return {
        "place_text": F.col("_text"), "postcode": F.when(~F.col("_is_elsewhere"), F.col("_post")),
        "district_code": F.col("_district"),
    }


def _known(condition: Column) -> Column:
    return F.coalesce(condition, F.lit(False))


def _join_places(rows: DataFrame, places: DataFrame) -> DataFrame:
    """What the two place numbers stand for."""
    of_city = places.select(
        F.col("place").alias("_city_place"), "prefecture_code", "city_id", "is_whole", "in_ambiguous_city"
    )
    of_unit = places.select(
        F.col("place").alias("_unit_place"), "unit_code", "unit_type", "method", "digits", "n_sources", "share", "is_shared"
    )
    return rows.join(F.broadcast(of_city), on=F.col("_city") == F.col("_city_place"), how="left").join(
        F.broadcast(of_unit), on=F.col("_unit") == F.col("_unit_place"), how="left"
    )


def _conflicts() -> Column:
    city, post = F.col("_city"), F.col("_post")
    found = {
        "text_prefecture": _prefecture(F.col("_text")) != _prefecture(city),
        "postcode_prefecture": _prefecture(post) != _prefecture(city),
        "postcode_province": F.col("_is_elsewhere"),
        "postcode_unknown": F.col("postcode").isNotNull() & post.isNull(),
        "text_unit": F.col("_differs"),
        "district_code": _prefecture(F.col("_district")) != _prefecture(city),
    }
    return F.array_compact(F.array(*(F.when(condition, F.lit(name)) for name, condition in found.items())))


def _unit_confidence() -> Column:
    by, share = F.col("_unit_by"), F.col("share")
    by_postcode = F.when(F.col("_text").isNotNull(), share).otherwise(share * WITHOUT_TEXT)
    return (
        F.when(by == BY_POSTCODE, F.when(F.col("_differs"), by_postcode * AGAINST_TEXT_UNIT).otherwise(by_postcode))
        .when(by == BY_TEXT, F.lit(SURE_TEXT_UNIT))
        .when(by == BY_DISTRICT, F.lit(SURE_DISTRICT_CODE))
        .when(by == BY_HISTORY, share * FROM_HISTORY)
        .when(by == BY_ADDRESS, F.lit(SURE_ADDRESS))
    )


def _confidence(decided_by: Column) -> Column:
    return (
        F.when(F.col("_city").isNull(), F.lit(None).cast("double"))
        .when(F.col("is_whole"), F.lit(SURE_WHOLE_CITY))
        .when(F.col("_unit").isNotNull(), _unit_confidence())
        .when(decided_by == "district_code", F.lit(SURE_DISTRICT_CODE * SURE_CITY_ONLY))
        .when(F.col("_post").isNotNull(), F.lit(SURE_CITY_AGAINST_POSTCODE))
        .otherwise(F.lit(SURE_CITY_ONLY))
    )


def _reason(ambiguous: Ambiguous) -> Column:
    unit_type = F.col("unit_type")
    postcode_unknown = F.col("has_postcode_column") & F.col("postcode").isNotNull() & F.col("_post").isNull()
    in_ambiguous = _known(F.col("in_ambiguous_city"))
    cases = [
        (F.col("_city").isNull() & postcode_unknown & F.col("_text_province").isNotNull(), "POSTCODE_UNKNOWN"),
        (F.col("_city").isNull(), "PLACE_UNKNOWN"),
        (F.col("city_id").isNull(), "OUTSIDE_CITIES"),
        (F.col("is_whole"), None),
        (in_ambiguous if ambiguous == "whole_city" else F.lit(False), None),
        (unit_type == "county", "COUNTY"),
        (unit_type == "county_city", "COUNTY_CITY"),
        (postcode_unknown & F.col("_unit").isNull(), "POSTCODE_UNKNOWN"),
        (in_ambiguous if ambiguous == "out" else F.lit(False), "AMBIGUOUS_CITY"),
    ]
    return reduce(
        lambda rest, case: F.when(case[0], F.lit(case[1]).cast("string")).otherwise(rest),
        reversed(cases), F.lit(None).cast("string"),
    )


def _describe(rows: DataFrame, kept: Sequence[str], evidence_order: Sequence[str], ambiguous: Ambiguous) -> DataFrame:
    whole = _known(F.col("is_whole"))
    city_kept = _known(F.col("in_ambiguous_city")) if ambiguous == "whole_city" else F.lit(False)
    by_postcode = F.col("_unit_by") == BY_POSTCODE
    decided_by = F.coalesce(*(F.when(_deciding()[name].isNotNull(), F.lit(name)) for name in evidence_order))
    method = F.when(by_postcode, F.col("method"))
    for by, name in METHODS.items():
        method = method.when(F.col("_unit_by") == by, F.lit(name))
    return rows.select(
        *(F.col(name) for name in kept),
        F.col("city_id"),
        F.col("prefecture_code"),
        F.when(whole, F.col("prefecture_code")).otherwise(F.col("unit_code")).alias("unit_code"),
        F.when(whole | city_kept, F.lit("whole_city")).otherwise(F.col("unit_type")).alias("unit_type"),
        F.coalesce(method, decided_by).alias("place_method"),
        F.when(by_postcode, F.col("digits")).otherwise(F.when(F.col("_city").isNotNull(), F.lit(0))).alias("place_digits"),
        F.when(by_postcode, F.col("n_sources")).alias("place_sources"),
        _confidence(decided_by).alias("place_confidence"),
        _known(F.col("in_ambiguous_city") | _known(F.col("is_shared"))).alias("is_place_ambiguous"),
        F.nullif(F.array_join("_conflicts", "+"), F.lit("")).alias("place_conflict"),
        _reason(ambiguous).alias("place_reason"),
    )
