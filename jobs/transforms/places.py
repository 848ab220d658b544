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

Evidence = Literal["place_text", "postcode", "district_code"]
Fallback = Literal["place_text", "firm_history", "address"]
Ambiguous = Literal["in", "out", "whole_city"]
EVIDENCE = ("place_text", "postcode", "district_code")
FALLBACKS = ("place_text", "firm_history", "address")
AMBIGUOUS = ("in", "out", "whole_city")

# How sure a placing is, beside the vote behind a postcode prefix (jobs/lookups.py). Judgement, not estimates: they order
# the cases, and a study that filters on them should vary the threshold.
SURE_TEXT_UNIT = 0.85
SURE_DISTRICT_CODE = 0.70
SURE_CITY_ONLY = 0.60
SURE_CITY_AGAINST_POSTCODE = 0.50
SURE_ADDRESS = 0.50
SURE_WHOLE_CITY = 0.98
WITHOUT_TEXT = 0.90
AGAINST_TEXT_UNIT = 0.80
FROM_HISTORY = 0.85

MAX_CANDIDATES = 3
"""Places a shared postcode is told apart between: district, county and county-level city; the shipped table needs two."""

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
    """Look-up frames, one row per key and span of months (jobs/lookups.py says what is in them).

    Attributes
    ----------
    postcodes : DataFrame
        ``prefix4, from_month, to_month, place, digits``.
    shared : DataFrame
        ``key, from_month, to_month, place1 ... place3``: areas of which four digits do not settle the place.
    texts : DataFrame
        ``alias, from_month, to_month, province_code, place``.
    districts : DataFrame
        ``code4, from_month, to_month, place``.
    convention : str
        ``year_end`` or ``approval``: what the spans stand for.
    """

    postcodes: DataFrame
    shared: DataFrame
    texts: DataFrame
    districts: DataFrame
    convention: str = "year_end"


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
    rows = _join_text(rows, reference.texts, "_text", F.upper("production_place"))
    rows = _join_postcode(rows, reference, "_post", "postcode")
    has_district = "district_code" in evidence_order and "district_code" in frame.columns
    rows = _join_district(rows, reference.districts, used=has_district)
    rows = rows.withColumn("_city", _decide_prefecture(evidence_order))
    rows = _join_fallbacks(
        rows, reference, fallbacks, firm_postcodes, has_address="firm_address" in frame.columns
    )
    rows = rows.withColumn("_unit", _decide_unit(fallbacks))
    return _describe(rows, kept, ambiguous)


def firm_postcode_history(records: DataFrame) -> DataFrame:
    """Each firm's most frequent postcode, the latest on a tie: ``firm_id, history_postcode``, one row per firm.

    Parameters
    ----------
    records : DataFrame
        ``year, firm_id, postcode`` of all years that carry postcodes.
    """
    known = records.where(F.col("firm_id").isNotNull() & F.col("postcode").isNotNull())
    counted = known.groupBy("firm_id", "postcode").agg(F.count("*").alias("n"), F.max("year").alias("last_year"))
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
    return _join_span(rows, texts, "alias", value, {"place": name, "province_code": f"{name}_province"})


def _join_postcode(rows: DataFrame, reference: PlaceReference, name: str, column: str) -> DataFrame:
    """The place of the longest matching prefix: by four digits, and by more where four do not settle it."""
    settled = _join_span(
        rows, reference.postcodes, "prefix4", F.substring(column, 1, 4), {"place": "_settled", "digits": "_digits"}
    )
    candidates = {f"place{n}": f"_place{n}" for n in range(1, MAX_CANDIDATES + 1)}
    # null where four digits settle it, and a null key costs no look-up
    head = F.when(F.col("_digits").isNotNull(), F.col(column).substr(F.lit(1), F.col("_digits")))
    found = _join_span(settled, reference.shared, "key", head, candidates)
    place = F.when(F.col("_digits").isNull(), F.col("_settled")).otherwise(_choose_candidate([*candidates.values()]))
    return found.withColumn(name, place).drop("_settled", "_digits", *candidates.values())


def _join_district(rows: DataFrame, districts: DataFrame, *, used: bool) -> DataFrame:
    if not used:
        return rows.withColumn("_district", F.lit(None).cast(districts.schema["place"].dataType))
    return _join_span(rows, districts, "code4", F.substring("district_code", 1, 4), {"place": "_district"})


def _choose_candidate(places: Sequence[str]) -> Column:
    """Of the candidates the one of the text's type and prefecture, then the best of its prefecture, then the best."""
    in_city = {name: F.col(name)["prefecture_code"] == F.col("_text.prefecture_code") for name in places}
    of_type = {name: in_city[name] & (F.col(name)["unit_type"] == F.col("_text.unit_type")) for name in places}
    return F.coalesce(
        *(F.when(of_type[name], F.col(name)) for name in places),
        *(F.when(in_city[name], F.col(name)) for name in places),
        F.col(places[0]),
    )


def _province_disagrees() -> Column:
    """The text names only a province, and the postcode lies in another one."""
    only_province = F.col("_text").isNull() & F.col("_text_province").isNotNull()
    return only_province & (F.substring("_text_province", 1, 2) != F.substring("_post.prefecture_code", 1, 2))


def _decide_prefecture(evidence_order: Sequence[str]) -> Column:
    found = {
        "place_text": F.col("_text"),
        "postcode": F.when(~F.coalesce(_province_disagrees(), F.lit(False)), F.col("_post")),
        "district_code": F.col("_district"),
    }
    return F.coalesce(
        *(
            F.when(
                found[name].isNotNull(),
                F.struct(
                    *(found[name][f].alias(f) for f in ("prefecture_code", "city_id", "is_whole", "in_ambiguous_city")),
                    F.lit(name).alias("decided_by"),
                ),
            )
            for name in evidence_order
        )
    )


def _join_fallbacks(
    rows: DataFrame, reference: PlaceReference, fallbacks: Sequence[str], firm_postcodes: DataFrame | None,
    *, has_address: bool,
) -> DataFrame:
    """Evidence of years without postcodes; keys are null elsewhere, so the joins cost next to nothing there."""
    nothing = F.lit(None).cast(reference.texts.schema["place"].dataType)
    needed = ~F.col("has_postcode_column")
    if "firm_history" in fallbacks and firm_postcodes is not None:
        rows = rows.withColumn("_firm", F.when(needed, F.col("firm_id"))).join(
            firm_postcodes.select(F.col("firm_id").alias("_history_firm"), "history_postcode"),
            on=F.col("_firm") == F.col("_history_firm"), how="left",
        )
        rows = _join_postcode(rows, reference, "_history", "history_postcode")
    else:
        rows = rows.withColumn("_history", nothing)
    if "address" in fallbacks and has_address:
        key = F.when(needed & F.col("firm_address").isNotNull(), address_key(F.col("firm_address")))
        return _join_text(rows, reference.texts, "_address", key)
    return rows.withColumns({"_address": nothing})


def _unit_of(name: str, sure: Column, method: Column) -> Column:
    """A county unit if the evidence names one in the decided prefecture."""
    place = F.col(name)
    usable = place["unit_type"].isNotNull() & (place["prefecture_code"] == F.col("_city.prefecture_code"))
    return F.when(
        usable,
        F.struct(
            place["unit_code"].alias("unit_code"), place["unit_type"].alias("unit_type"), method.alias("method"),
            F.length(place["prefix"]).alias("digits"), place["n_sources"].alias("sources"), sure.alias("sure"),
            place["is_shared"].alias("is_shared"),
        ),
    )


def _decide_unit(fallbacks: Sequence[str]) -> Column:
    text_known = F.col("_text").isNotNull()
    by_postcode = F.when(text_known, F.col("_post.share")).otherwise(F.col("_post.share") * WITHOUT_TEXT)
    by_postcode = F.when(_text_unit_differs(), by_postcode * AGAINST_TEXT_UNIT).otherwise(by_postcode)
    post = _unit_of("_post", by_postcode, F.concat(F.lit("postcode"), F.length("_post.prefix")))
    text = _unit_of("_text", F.lit(SURE_TEXT_UNIT), F.lit("place_text"))
    district = _unit_of("_district", F.lit(SURE_DISTRICT_CODE), F.lit("district_code"))
    fallback = {
        "place_text": text,
        "firm_history": _unit_of("_history", F.col("_history.share") * FROM_HISTORY, F.lit("firm_history")),
        "address": _unit_of("_address", F.lit(SURE_ADDRESS), F.lit("address")),
    }
    without_postcode = [post, *(fallback[name] for name in fallbacks), district]
    return F.when(F.col("has_postcode_column"), F.coalesce(post, text, district)).otherwise(F.coalesce(*without_postcode))


def _text_unit_differs() -> Column:
    """Text and postcode put the record in the same prefecture, one inside the districts and the other outside."""
    inside = [F.col(f"{name}.unit_type").isin("district", "whole_city") for name in ("_text", "_post")]
    same_city = F.col("_text.prefecture_code") == F.col("_post.prefecture_code")
    return F.coalesce(same_city & (inside[0] != inside[1]), F.lit(False))


def _conflicts() -> Column:
    city = F.col("_city.prefecture_code")
    found = {
        "text_prefecture": F.col("_text.prefecture_code") != city,
        "postcode_prefecture": F.col("_post.prefecture_code") != city,
        "postcode_province": _province_disagrees(),
        "postcode_unknown": F.col("postcode").isNotNull() & F.col("_post").isNull(),
        "text_unit": _text_unit_differs(),
        "district_code": F.col("_district.prefecture_code") != city,
    }
    names = [F.when(condition, F.lit(name)) for name, condition in found.items()]
    return F.nullif(F.concat_ws("+", *names), F.lit(""))


def _confidence() -> Column:
    against = F.col("_post").isNotNull()
    return (
        F.when(F.col("_city").isNull(), F.lit(None).cast("double"))
        .when(F.col("_city.is_whole"), F.lit(SURE_WHOLE_CITY))
        .when(F.col("_unit").isNotNull(), F.col("_unit.sure"))
        .when(F.col("_city.decided_by") == "district_code", F.lit(SURE_DISTRICT_CODE * SURE_CITY_ONLY))
        .when(against, F.lit(SURE_CITY_AGAINST_POSTCODE))
        .otherwise(F.lit(SURE_CITY_ONLY))
    )


def _reason(ambiguous: Ambiguous) -> Column:
    city, unit = F.col("_city"), F.col("_unit")
    postcode_unknown = F.col("has_postcode_column") & F.col("postcode").isNotNull() & F.col("_post").isNull()
    in_ambiguous = F.coalesce(city["in_ambiguous_city"], F.lit(False))
    cases = [
        (city.isNull() & postcode_unknown & F.col("_text_province").isNotNull(), "POSTCODE_UNKNOWN"),
        (city.isNull(), "PLACE_UNKNOWN"),
        (city["city_id"].isNull(), "OUTSIDE_CITIES"),
        (city["is_whole"], None),
        (in_ambiguous if ambiguous == "whole_city" else F.lit(False), None),
        (unit["unit_type"] == "county", "COUNTY"),
        (unit["unit_type"] == "county_city", "COUNTY_CITY"),
        (postcode_unknown & unit.isNull(), "POSTCODE_UNKNOWN"),
        (in_ambiguous if ambiguous == "out" else F.lit(False), "AMBIGUOUS_CITY"),
    ]
    return reduce(
        lambda rest, case: F.when(case[0], F.lit(case[1]).cast("string")).otherwise(rest),
        reversed(cases), F.lit(None).cast("string"),
    )


def _describe(rows: DataFrame, kept: Sequence[str], ambiguous: Ambiguous) -> DataFrame:
    city, unit = F.col("_city"), F.col("_unit")
    whole = F.coalesce(city["is_whole"], F.lit(False))
    city_kept = F.coalesce(city["in_ambiguous_city"], F.lit(False)) if ambiguous == "whole_city" else F.lit(False)
    by_postcode = unit["method"].startswith("postcode")
    return rows.select(
        *(F.col(name) for name in kept),
        city["city_id"].alias("city_id"),
        city["prefecture_code"].alias("prefecture_code"),
        F.when(whole, city["prefecture_code"]).otherwise(unit["unit_code"]).alias("unit_code"),
        F.when(whole | city_kept, F.lit("whole_city")).otherwise(unit["unit_type"]).alias("unit_type"),
        F.coalesce(unit["method"], city["decided_by"]).alias("place_method"),
        F.when(by_postcode, unit["digits"]).otherwise(F.when(city.isNotNull(), F.lit(0))).alias("place_digits"),
        F.when(by_postcode, unit["sources"]).alias("place_sources"),
        _confidence().alias("place_confidence"),
        F.coalesce(city["in_ambiguous_city"] | F.coalesce(unit["is_shared"], F.lit(False)), F.lit(False)).alias(
            "is_place_ambiguous"
        ),
        _conflicts().alias("place_conflict"),
        _reason(ambiguous).alias("place_reason"),
    )
