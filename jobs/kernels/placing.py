"""Place every record: the production place decides the city, the postcode decides the county unit inside it.

The exporting city is where the goods are made (paper, cleaning step 2): the production-place text names the prefecture.
A postcode of another prefecture belongs to an office, not to the production site, and is set aside. Inside the prefecture
the longest prefix of the postcode that is valid in the year names the county unit, and so district, county or
county-level city (paper, cleaning step 3). Each record keeps how it was placed, by how many digits and sources, how sure
that is, and what disagreed. These rules are the only ones: batches come from jobs/kernels/cleaning.py, and
``places explain`` a record. Policy, constants and limits: docs/methodology/places.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import polars as pl

from conf.settings import EVIDENCE, FALLBACKS, TREATMENTS, UNKNOWN_POSTCODE, Places
from schemas.reference.place_keys import place_key, without_ending

PLACE_COLUMNS = (
    "city_id", "prefecture_code", "unit_code", "unit_type", "place_method", "place_digits", "place_sources",
    "place_confidence", "is_place_ambiguous", "place_conflict", "place_reason",
)
PLACE_INPUTS = {
    "year": pl.Int32, "month": pl.Int32, "postcode": pl.String, "production_place": pl.String,
    "district_code": pl.String, "firm_address": pl.String, "history_postcode": pl.String,
    "has_postcode_column": pl.Boolean,
}

# How sure a placing is, beside the vote behind a postcode prefix (jobs/reference/place_lookups.py). Judgement,
# not estimates: they order the cases, and a study that filters on them should vary the threshold.
SURE_TEXT_UNIT = 0.85
SURE_DISTRICT_CODE = 0.70
SURE_CITY_ONLY = 0.60
SURE_CITY_AGAINST_POSTCODE = 0.50
SURE_CITY_POSTCODE_UNKNOWN = 0.40
SURE_ADDRESS = 0.50
SURE_WHOLE_CITY = 0.98
WITHOUT_TEXT = 0.90
AGAINST_TEXT_UNIT = 0.80
FROM_HISTORY = 0.85

UNIT_KINDS: dict[str | None, int] = {None: 0, "district": 1, "county": 2, "whole_city": 3, "county_city": 4}
"""Type of a unit in the number of its place: odd inside the districts, 0 where no unit is named."""
# a place number: province, rest of the prefecture code, type of the unit, serial number, each in bits of its own
PROVINCE, PREFECTURE, KIND = 1 << 34, 1 << 20, 1 << 16
KINDS = 16
# which evidence named the unit
BY_POSTCODE, BY_TEXT, BY_DISTRICT, BY_HISTORY, BY_ADDRESS = range(1, 6)
METHODS = {BY_TEXT: "place_text", BY_DISTRICT: "district_code", BY_HISTORY: "firm_history", BY_ADDRESS: "address"}

# a yearly file has no month; by approval, a change counts for the year it held for the greater part
MONTH_OF_YEARLY_FILES = 7
ADDRESS_PATTERN = (
    "^(?:中国)?((?:[^省市县]{2,3}省|内蒙古自治区|广西壮族自治区|宁夏回族自治区|新疆维吾尔自治区|西藏自治区)?"
    "[^省市州盟县区]{1,10}(?:市|自治州|地区|盟)(?:[^市县区旗路街道]{1,10}(?:区|县|市|旗))?)"
)


class PlacePolicyError(ValueError):
    """Raised when evidence, fallbacks or the treatment of ambiguous cities are not known."""


@dataclass(frozen=True, slots=True)
class PlaceTables:
    """Look-ups, one row per key and span of months ``[from_month, to_month)``; under one key no two spans overlap.

    A place is a number: prefecture code, type of the unit (:data:`UNIT_KINDS`) and a serial number, each in bits of its
    own (:func:`place_number`).

    Attributes
    ----------
    postcodes : DataFrame
        ``prefix`` (four to six digits), ``from_month, to_month, places``: what it may be, best candidate first.
    texts : DataFrame
        ``alias, from_month, to_month, province, place``; ``alias`` as :func:`schemas.reference.place_keys.place_key`
        makes it; ``province`` has two digits; ``place`` is null if it is all.
    districts : DataFrame
        ``code, from_month, to_month, place``, by the five digits of customs' list of districts.
    places : DataFrame
        What a number stands for, one row each: ``place, prefecture_code, city_id, is_whole, in_ambiguous_city,
        unit_code, unit_type, method, digits, n_sources, share, is_shared``.
    convention : str
        ``year_end`` or ``approval``: what the spans stand for.
    """

    postcodes: pl.DataFrame
    texts: pl.DataFrame
    districts: pl.DataFrame
    places: pl.DataFrame
    convention: str = "year_end"


@dataclass(frozen=True, slots=True)
class PlacePolicy:
    """What is decided by configuration.

    Attributes
    ----------
    evidence_order : sequence of str
        The first evidence that names a prefecture decides it.
    fallbacks : sequence of str
        Evidence for the unit in years whose files carry no postcode, in order; empty switches all off.
    ambiguous : str
        Cities whose districts share postcodes with other units: ``in`` takes the best guess, ``out`` refuses their
        records, ``whole_city`` keeps every record made in them.
    unknown_postcode : str
        A postcode that no source knows in a city that is known: ``keep`` or ``refuse`` the record.

    Raises
    ------
    PlacePolicyError
        If an option is unknown.
    """

    evidence_order: Sequence[str] = EVIDENCE
    fallbacks: Sequence[str] = FALLBACKS
    ambiguous: str = "in"
    unknown_postcode: str = "keep"

    @classmethod
    def of(cls, places: Places) -> PlacePolicy:
        """The policy of the settings."""
        return cls(places.evidence_order, places.fallbacks, places.ambiguous, places.unknown_postcode)

    def __post_init__(self) -> None:
        options = {
            "evidence_order": (self.evidence_order, EVIDENCE),
            "fallbacks": (self.fallbacks, FALLBACKS),
            "ambiguous": ((self.ambiguous,), TREATMENTS),
            "unknown_postcode": ((self.unknown_postcode,), UNKNOWN_POSTCODE),
        }
        for name, (given, allowed) in options.items():
            if unknown := [value for value in given if value not in allowed]:
                raise PlacePolicyError(f"{name}: expected {', '.join(allowed)}; found {', '.join(map(repr, unknown))}.")
        if not self.evidence_order:
            raise PlacePolicyError("evidence_order: at least one evidence must decide the prefecture.")


DEFAULT_POLICY = PlacePolicy()


def place_number(prefecture_code: str, unit_type: str | None, serial: int) -> int:
    """Number of a place: province, rest of the prefecture code, type of the unit, serial number."""
    prefecture = int(prefecture_code[:2]) * PROVINCE + int(prefecture_code[2:]) * PREFECTURE
    return prefecture + UNIT_KINDS[unit_type] * KIND + serial


def place_records(rows: pl.DataFrame, tables: PlaceTables, policy: PlacePolicy = DEFAULT_POLICY) -> pl.DataFrame:
    """Decide the place of every record and why a record is outside the study.

    Parameters
    ----------
    rows : DataFrame
        :data:`PLACE_INPUTS`, of which only ``year`` must be there: ``postcode`` has six digits, ``production_place`` no
        whitespace, ``history_postcode`` is the firm's postcode of other years; without ``has_postcode_column`` every
        record's file had one.
    tables : PlaceTables
        Look-ups of the years.
    policy : PlacePolicy, optional
        What is decided by configuration.

    Returns
    -------
    DataFrame
        :data:`PLACE_COLUMNS` in the order of the rows. ``place_reason`` is null for a record to keep, otherwise
        PLACE_UNKNOWN, OUTSIDE_CITIES, COUNTY, COUNTY_CITY, POSTCODE_UNKNOWN or AMBIGUOUS_CITY.
    """
    rows = _with_inputs(rows).with_columns(_record_month(tables.convention).alias("_month")).with_row_index("_row")
    rows = _find_text(rows.sort("_month"), tables.texts, pl.col("production_place"), "_text", "_province")
    rows = _find_postcode(rows, tables.postcodes, "postcode", "_post")
    rows = _find_district(rows, tables.districts, is_used="district_code" in policy.evidence_order)
    rows = _find_fallbacks(rows, tables, policy.fallbacks)
    rows = _decide(rows, policy)
    return _describe(_join_places(rows, tables.places), policy).sort("_row").select(PLACE_COLUMNS)


def _with_inputs(rows: pl.DataFrame) -> pl.DataFrame:
    absent = [pl.lit(None, kind).alias(name) for name, kind in PLACE_INPUTS.items() if name not in rows.columns]
    return rows.with_columns(absent).select(
        *(pl.col(name).cast(kind) for name, kind in PLACE_INPUTS.items() if name != "has_postcode_column"),
        pl.col("has_postcode_column").fill_null(True),
    )


def _record_month(convention: str) -> pl.Expr:
    in_year = pl.col("month").fill_null(MONTH_OF_YEARLY_FILES) if convention == "approval" else pl.lit(12)
    return (pl.col("year") * 12 + in_year - 1).cast(pl.Int32)


def _look_up(rows: pl.DataFrame, lookup: pl.DataFrame, key: pl.Expr, names: dict[str, str]) -> pl.DataFrame:
    """Add, from the one row of the key whose span contains the record's month; rows are in the order of months."""
    (key_name, *_) = lookup.columns
    table = lookup.select(
        pl.col(key_name).alias("_key"), pl.col("from_month").alias("_from"), pl.col("to_month").alias("_to"),
        *(pl.col(name).alias(alias) for name, alias in names.items()),
    ).sort("_from")
    found = rows.with_columns(key.alias("_key")).join_asof(
        table, left_on="_month", right_on="_from", by="_key", strategy="backward", check_sortedness=False
    )
    is_within = pl.col("_month") < pl.col("_to")
    return found.with_columns(pl.when(is_within).then(pl.col(name)).alias(name) for name in names.values()).drop(
        "_key", "_from", "_to", strict=False
    )


def _find_text(rows: pl.DataFrame, texts: pl.DataFrame, text: pl.Expr, place: str, province: str) -> pl.DataFrame:
    """The place of a text as it stands, otherwise without the words for zones and rests at its end."""
    rows = rows.with_columns(text.alias("_spelling"))
    spellings = rows["_spelling"].drop_nulls().unique()
    keys = [place_key(spelling) for spelling in spellings]
    spelt = pl.DataFrame(
        {"_spelling": spellings, "_whole": keys, "_stem": [without_ending(key) for key in keys]},
        schema=dict.fromkeys(("_spelling", "_whole", "_stem"), pl.String),
    )
    rows = rows.join(spelt, on="_spelling", how="left", maintain_order="left")
    rows = _look_up(rows, texts, pl.col("_whole"), {"place": "_place", "province": "_own"})
    rows = _look_up(rows, texts, pl.col("_stem"), {"place": place, "province": province})
    is_known = pl.col("_own").is_not_null()
    return rows.with_columns(
        pl.when(is_known).then("_place").otherwise(place).alias(place),
        pl.when(is_known).then("_own").otherwise(province).alias(province),
    ).drop("_spelling", "_whole", "_stem", "_place", "_own")


def _find_postcode(rows: pl.DataFrame, postcodes: pl.DataFrame, column: str, name: str) -> pl.DataFrame:
    """The place of the longest matching prefix."""
    for digits in (6, 5, 4):
        of_length = postcodes.filter(pl.col("prefix").str.len_bytes() == digits)
        rows = _look_up(rows, of_length, pl.col(column).str.slice(0, digits), {"places": f"_by{digits}"})
    most = max(postcodes["places"].list.len(), default=0)
    candidates = pl.coalesce("_by6", "_by5", "_by4")
    return rows.with_columns(_choose(candidates, most).alias(name)).drop("_by6", "_by5", "_by4")


def _choose(candidates: pl.Expr, most: int) -> pl.Expr:
    """Of the candidates the one of the text's type and prefecture, then the best of its prefecture, then the best."""
    each = [candidates.list.get(position, null_on_oob=True) for position in range(most)]
    text = pl.col("_text")
    return pl.coalesce(
        *(pl.when(_standing(place) == _standing(text)).then(place) for place in each),
        *(pl.when(_prefecture(place) == _prefecture(text)).then(place) for place in each),
        *each[:1], _no_place(),
    )


def _find_district(rows: pl.DataFrame, districts: pl.DataFrame, *, is_used: bool) -> pl.DataFrame:
    if not is_used:
        return rows.with_columns(_no_place().alias("_district"))
    # four digits alone stand for the rest of their place
    code = pl.col("district_code").str.slice(0, 5).str.pad_end(5, "9")
    return _look_up(rows, districts, code, {"place": "_district"})


def _find_fallbacks(rows: pl.DataFrame, tables: PlaceTables, fallbacks: Sequence[str]) -> pl.DataFrame:
    """Evidence of records whose file carried no postcode."""
    needed = ~pl.col("has_postcode_column")
    nothing = [_no_place().alias("_history"), _no_place().alias("_address")]
    if not rows.select(needed.any()).item():
        return rows.with_columns(nothing)
    history = pl.when(needed & ("firm_history" in fallbacks)).then(pl.col("history_postcode"))
    rows = rows.with_columns(history.alias("history_postcode"))
    rows = _find_postcode(rows, tables.postcodes, "history_postcode", "_history")
    address = pl.when(needed & ("address" in fallbacks)).then(address_key(pl.col("firm_address")))
    return _find_text(rows, tables.texts, address, "_address", "_address_province")


def address_key(address: pl.Expr) -> pl.Expr:
    """Province, city and unit at the head of a Chinese address, as place names are spelt; null when there is no city."""
    return address.str.extract(ADDRESS_PATTERN, 1)


def _no_place() -> pl.Expr:
    return pl.lit(None, pl.Int64)


def _prefecture(place: pl.Expr) -> pl.Expr:
    return place // PREFECTURE


def _standing(place: pl.Expr) -> pl.Expr:
    """Prefecture and type of the unit."""
    return place // KIND


def _kind(place: pl.Expr) -> pl.Expr:
    return _standing(place) % KINDS


def _decide(rows: pl.DataFrame, policy: PlacePolicy) -> pl.DataFrame:
    """Add the place that decides the city, the place that names the unit, and what disagreed."""
    text, post, district = pl.col("_text"), pl.col("_post"), pl.col("_district")
    rows = rows.with_columns(
        # the text names only a province, and the postcode lies in another one
        (text.is_null() & (post // PROVINCE != pl.col("_province"))).fill_null(False).alias("_is_elsewhere"),
        # text and postcode put the record in the same prefecture, one inside the districts and the other outside
        (
            (_kind(text) != 0) & (_kind(post) != 0) & (_prefecture(text) == _prefecture(post))
            & (_kind(text) % 2 != _kind(post) % 2)
        ).fill_null(False).alias("_differs"),
    )
    deciding = {
        "place_text": text, "postcode": pl.when(~pl.col("_is_elsewhere")).then(post), "district_code": district,
    }
    city = pl.coalesce(*(deciding[name] for name in policy.evidence_order))
    decided_by = pl.coalesce(*(pl.when(deciding[name].is_not_null()).then(pl.lit(name)) for name in policy.evidence_order))
    rows = rows.with_columns(city.alias("_city"), decided_by.alias("_decided_by"))
    named = {
        BY_POSTCODE: post, BY_TEXT: text, BY_DISTRICT: district, BY_HISTORY: pl.col("_history"),
        BY_ADDRESS: pl.col("_address"),
    }
    order = {"place_text": BY_TEXT, "firm_history": BY_HISTORY, "address": BY_ADDRESS}
    usual = (BY_POSTCODE, BY_TEXT, BY_DISTRICT)
    without_postcode = (BY_POSTCODE, *(order[name] for name in policy.fallbacks), BY_DISTRICT)

    def first_usable(witnesses: Sequence[int]) -> pl.Expr:
        is_usable = {
            by: (_kind(named[by]) != 0) & (_prefecture(named[by]) == _prefecture(pl.col("_city"))) for by in witnesses
        }
        return pl.coalesce(*(pl.when(usable).then(pl.lit(by)) for by, usable in is_usable.items()))

    unit_by = pl.when("has_postcode_column").then(first_usable(usual)).otherwise(first_usable(without_postcode))
    rows = rows.with_columns(unit_by.alias("_unit_by"), _conflicts().alias("_conflict"))
    unit = pl.coalesce(*(pl.when(pl.col("_unit_by") == by).then(place) for by, place in named.items()))
    return rows.with_columns(unit.alias("_unit"))


def _conflicts() -> pl.Expr:
    city, post = pl.col("_city"), pl.col("_post")
    found = {
        "text_prefecture": _prefecture(pl.col("_text")) != _prefecture(city),
        "postcode_prefecture": _prefecture(post) != _prefecture(city),
        "postcode_province": pl.col("_is_elsewhere"),
        "postcode_unknown": pl.col("postcode").is_not_null() & post.is_null(),
        "text_unit": pl.col("_differs"),
        "district_code": _prefecture(pl.col("_district")) != _prefecture(city),
    }
    names = pl.concat_str(
        [pl.when(condition).then(pl.lit(name)) for name, condition in found.items()], separator="+", ignore_nulls=True
    )
    return pl.when(names != "").then(names)


def _join_places(rows: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """What the two place numbers stand for."""
    of_city = places.select(
        pl.col("place").alias("_city"), "prefecture_code", "city_id", "is_whole", "in_ambiguous_city"
    )
    of_unit = places.select(
        pl.col("place").alias("_unit"), "unit_code", "unit_type", "method", "digits", "n_sources", "share", "is_shared"
    )
    return rows.join(of_city, on="_city", how="left").join(of_unit, on="_unit", how="left")


def _describe(rows: pl.DataFrame, policy: PlacePolicy) -> pl.DataFrame:
    whole = pl.col("is_whole").fill_null(False)
    in_ambiguous = pl.col("in_ambiguous_city").fill_null(False)
    is_wholly_kept = whole | (in_ambiguous & (policy.ambiguous == "whole_city"))
    by_postcode = pl.col("_unit_by") == BY_POSTCODE
    method = reduce(
        lambda rest, by: pl.when(pl.col("_unit_by") == by).then(pl.lit(METHODS[by])).otherwise(rest), METHODS,
        pl.when(by_postcode).then(pl.col("method")).otherwise(pl.lit(None, pl.String)),
    )
    return rows.select(
        "_row", "city_id", "prefecture_code",
        pl.when(whole).then("prefecture_code").otherwise("unit_code").alias("unit_code"),
        pl.when(is_wholly_kept).then(pl.lit("whole_city")).otherwise("unit_type").alias("unit_type"),
        pl.coalesce(method, "_decided_by").alias("place_method"),
        pl.when(by_postcode).then("digits").when(pl.col("_city").is_not_null()).then(0).cast(pl.Int32).alias("place_digits"),
        pl.when(by_postcode).then("n_sources").cast(pl.Int32).alias("place_sources"),
        _confidence().cast(pl.Float64).alias("place_confidence"),
        (in_ambiguous | pl.col("is_shared").fill_null(False)).alias("is_place_ambiguous"),
        pl.col("_conflict").alias("place_conflict"),
        _reason(policy).alias("place_reason"),
    )


def _confidence() -> pl.Expr:
    district_only = pl.col("_decided_by") == "district_code"
    return _first_case(
        (pl.col("_city").is_null(), pl.lit(None, pl.Float64)),
        (pl.col("is_whole"), pl.lit(SURE_WHOLE_CITY)),
        (pl.col("_unit").is_not_null(), _unit_confidence()),
        (_is_postcode_unknown(), pl.lit(SURE_CITY_POSTCODE_UNKNOWN)),
        (district_only, pl.lit(SURE_DISTRICT_CODE * SURE_CITY_ONLY)),
        (pl.col("_post").is_not_null(), pl.lit(SURE_CITY_AGAINST_POSTCODE)),
        otherwise=pl.lit(SURE_CITY_ONLY),
    )


def _unit_confidence() -> pl.Expr:
    by, share = pl.col("_unit_by"), pl.col("share")
    by_postcode = pl.when(pl.col("_text").is_not_null()).then(share).otherwise(share * WITHOUT_TEXT)
    by_postcode = pl.when("_differs").then(by_postcode * AGAINST_TEXT_UNIT).otherwise(by_postcode)
    return _first_case(
        (by == BY_POSTCODE, by_postcode),
        (by == BY_TEXT, pl.lit(SURE_TEXT_UNIT)),
        (by == BY_DISTRICT, pl.lit(SURE_DISTRICT_CODE)),
        (by == BY_HISTORY, share * FROM_HISTORY),
        otherwise=pl.lit(SURE_ADDRESS),
    )


def _is_postcode_unknown() -> pl.Expr:
    return pl.col("has_postcode_column") & pl.col("postcode").is_not_null() & pl.col("_post").is_null()


def _reason(policy: PlacePolicy) -> pl.Expr:
    city_unknown, unit_type = pl.col("_city").is_null(), pl.col("unit_type")
    in_ambiguous = pl.col("in_ambiguous_city").fill_null(False)
    is_refused = policy.unknown_postcode == "refuse"
    cases: Iterable[tuple[pl.Expr, str | None]] = (
        # the text names a province, and nothing tells which of its cities
        (city_unknown & _is_postcode_unknown() & pl.col("_province").is_not_null(), "POSTCODE_UNKNOWN"),
        (city_unknown, "PLACE_UNKNOWN"),
        (pl.col("city_id").is_null(), "OUTSIDE_CITIES"),
        (pl.col("is_whole"), None),
        (in_ambiguous & (policy.ambiguous == "whole_city"), None),
        (unit_type == "county", "COUNTY"),
        (unit_type == "county_city", "COUNTY_CITY"),
        (_is_postcode_unknown() & pl.col("_unit").is_null() & is_refused, "POSTCODE_UNKNOWN"),
        (in_ambiguous & (policy.ambiguous == "out"), "AMBIGUOUS_CITY"),
    )
    return _first_case(*((case, pl.lit(name, pl.String)) for case, name in cases), otherwise=pl.lit(None, pl.String))


def _first_case(*cases: tuple[pl.Expr, pl.Expr], otherwise: pl.Expr) -> pl.Expr:
    """The value of the first case that holds."""
    return reduce(lambda rest, case: pl.when(case[0]).then(case[1]).otherwise(rest), reversed(cases), otherwise)
