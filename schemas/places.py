"""Reference tables of the lake: units, prefectures, postcodes, names, partners, products, classes, ports, zones.

Each mirrors the CSV of its name in ``schemas/reference``; PROVENANCE.md there says where it comes from. Intervals are
``[valid_from, valid_to)`` in years, state at 31 December; an open end is null.
"""

from __future__ import annotations

from schemas.fields import define, fields
from schemas.table import Table

PARTNER_KINDS = (
    "normal", "territory", "self", "superseded", "historic", "residual", "unknown", "organisation",
)
ZONE_TYPES = (
    "special_economic_zone", "development_zone", "high_tech_zone", "bonded_zone", "export_processing_zone", "bonded_port",
    "bonded_logistics_park", "other",
)
PREFECTURE_KINDS = (
    "municipality", "prefecture_city", "prefecture", "autonomous_prefecture", "league", "province_direct",
)

#: Unit types inside a city's municipal districts; a city without districts is wholly city.
INSIDE_TYPES = ("district", "whole_city")
USER_NAME = "user"
"""Kind of the names that come with a user's cities."""
#: Kinds of prefecture that are cities of the study.
CITY_KINDS = ("municipality", "prefecture_city")
#: End of an interval that is still open, where integers are compared.
OPEN_END = 9999

define("valid_from", "int", "First year the row holds; 2000 means 2000 or earlier", unit="year")
define("valid_to", "int", "First year the row no longer holds; null while it holds", unit="year")
define("unit_name", "string", "Name of the county-level unit")
define("approved_on", "date", "Date of the document that made the unit what it is; null when not known")
define("ended_on", "date", "Date of the document that ended the unit; null when not known")
define("source", "string", "Where the row comes from")
define("name_zh", "string", "Chinese name")
define("name_en", "string", "English name, or pinyin without the ending")
define("kind", "string", "Kind of the row (kinds are listed in the table's description)")
define("province_name", "string", "Name of the province")
define("prefix", "string", "First four, five or six digits of a postcode")
define("n_sources", "int", "Sources that have the unit: lists of seats, the directory; 0 if the row follows from its zone")
define("n_agree", "int", "Of these, the sources that have it under this prefix")
define("n_codes", "int", "Codes of the unit under this prefix in the directory")
define("is_ambiguous", "int", "1 when the prefix also belongs to a unit of other standing or prefecture")
define("units_outside", "string", "Codes of the units outside the districts that share six digits with a district")
define("alias", "string", "Spelling, whitespace removed; letters in upper case")
define("code", "string", "Code in the list the table carries")
define("name", "string", "Name in the list the table carries")
define("zone_type", "string", "Sort of zone by the fifth digit; other for what is not a zone", allowed=ZONE_TYPES)
define(
    "side", "string",
    "Side of the district line; mixed where the list does not say and the postcode decides. The type of the unit, if there is"
    " one, comes first",
    allowed=("inside", "outside", "mixed"),
)
define("needs_province", "int", "1 when the spelling means the entry only with the province in front")
define("note", "string", "Remark")
define("iso3", "string", "ISO 3166 alpha-3 code of the economy")
define("from_revision", "string", "Newer HS revision")
define("to_revision", "string", "Older HS revision")
define("from_hs6", "string", "Code in the newer revision")
define("to_hs6", "string", "The one code of the older revision it converts to")
define("revision", "string", "HS revision")
define("family", "string", "Family of codes linked over the revisions; the code itself when it never changed")
for _revision in ("1996", "2002", "2007", "2012", "2017", "2022"):
    define(f"in_hs{_revision}", "int", f"1 when the code is valid in HS {_revision}")
for _variant, _meaning in {
    "region_11_8_12": "East, central, west with 11, 8 and 12 provinces",
    "region_12_9_10_1986": "East, central, west of the Seventh Five-Year Plan (1986): 12, 9 and 10",
    "region_4_nbs2011": "East, central, west, northeast of the statistical bureau, 2011",
    "region_best_fit_paper": "Split that comes closest to the paper's numbers of cities; inferred",
}.items():
    define(_variant, "string", _meaning)
define("standard", "string", "Size standard: 1989 or 2014")
define("class_zh", "string", "Chinese name of the size class")
define("class_en", "string", "Name of the size class")
define("min_10k_inclusive", "double", "Least population of the class", unit="10,000 persons")
define("max_10k_exclusive", "double", "Population from which the next class begins", unit="10,000 persons")
define("measure", "string", "Population the standard speaks of")
define("basis", "string", "Law or document")
define("locode", "string", "UN/LOCODE of the port")
define("lat", "double", "Latitude of the point", unit="degrees north")
define("lon", "double", "Longitude of the point", unit="degrees east")
define("is_major", "int", "1 for the ports we count as major")
define("coordinate_source", "string", "Origin of the point")
define("geonames_id", "string", "GeoNames id of the city's point")
define("km_nearest_port", "double", "Great-circle distance to the nearest port of the list", unit="km")
define("nearest_port", "string", "UN/LOCODE of that port")
define("km_nearest_major_port", "double", "Great-circle distance to the nearest major port", unit="km")
define("nearest_major_port", "string", "UN/LOCODE of that port")
define("zone_name", "string", "Name of the national economic and technological development zone")


def _table(name: str, key: tuple[str, ...], columns: tuple[str, ...], description: str, *caveats: str) -> Table:
    marked = tuple(f"{column}!" if column in key else column for column in columns)
    return Table(
        f"ref.{name}", fields(*marked), key, description, caveats=caveats, made_by=("references",)
    )


COUNTY_UNITS = _table(
    "county_units", ("unit_code", "valid_from"),
    (
        "unit_code", "unit_name", "unit_type", "prefecture_code", "valid_from", "valid_to", "approved_on", "source",
        "ended_on",
    ),
    "One row per county-level unit and span of years with its type; cities without districts are whole_city rows.",
    "A code may be used again under another name or type; join on code and year.",
)
PREFECTURES = _table(
    "prefectures", ("prefecture_code", "valid_from"),
    (
        "prefecture_code", "city_id", "name_zh", "name_en", "kind", "province_code", "province_name", "valid_from",
        "valid_to",
    ),
    f"One row per prefecture and span of years. Kinds: {', '.join(PREFECTURE_KINDS)}; city_id only for cities.",
)
POSTCODE_PREFIXES = _table(
    "postcode_prefixes", ("prefix", "unit_code", "valid_from"),
    ("prefix", "unit_code", "n_sources", "n_agree", "n_codes", "is_ambiguous", "valid_from", "valid_to"),
    "One row per postcode prefix, county unit it may mean and span of years, by vote of three lists and a directory.",
    "The directory stands for about 2007; codes given out or withdrawn in other years are known only from the lists.",
)
AMBIGUOUS_CITIES = _table(
    "ambiguous_cities", ("city_id", "valid_from"), ("city_id", "units_outside", "valid_from", "valid_to"),
    "One row per city and span of years in which six digits do not tell its districts from other units of it.",
)
PLACE_NAMES = _table(
    "place_names", ("alias", "valid_from"),
    ("alias", "prefecture_code", "unit_code", "kind", "valid_from", "valid_to"),
    "One row per spelling of a place and span of years; kind province means prefecture_code holds a province.",
    "A spelling with its province in front is understood, too; it is listed only where it tells places apart.",
)
CUSTOMS_DISTRICTS = _table(
    "customs_districts", ("code", "valid_from"),
    ("code", "name", "zone_type", "prefecture_code", "unit_code", "side", "valid_from", "valid_to"),
    "One row per entry of customs' list of districts and span of years in which its place stays the same.",
    "The first four digits are not those of GB/T 2260: 3310 is 丽水 and 3311 台州, the other way round there.",
)
CUSTOMS_DISTRICT_NAMES = _table(
    "customs_district_names", ("alias", "code"), ("alias", "code", "needs_province"),
    "One row per spelling of an entry of customs' list; entries of two provinces may share one that needs the province.",
)
PARTNERS = _table(
    "partners", ("code",), ("code", "name_zh", "name_en", "iso3", "kind", "valid_from", "valid_to"),
    f"One row per customs partner code of either vintage. Kinds: {', '.join(PARTNER_KINDS)}.",
    "The years are informative: a code is understood in every year.",
)
PARTNER_ALIASES = _table(
    "partner_aliases", ("alias",), ("alias", "code"), "One row per spelling of a partner, codes among them.",
)
HS6_CODES = _table(
    "hs6_codes", ("hs6_code",),
    ("hs6_code", "in_hs1996", "in_hs2002", "in_hs2007", "in_hs2012", "in_hs2017", "in_hs2022"),
    "One row per HS six-digit code with the revisions it is valid in.",
)
HS6_CONVERSIONS = _table(
    "hs6_conversions", ("from_revision", "from_hs6"), ("from_revision", "to_revision", "from_hs6", "to_hs6"),
    "One row per code and the code it has in the revision before.",
    "Backward only: some older codes are reached by no newer one.",
)
HS6_FAMILIES = _table(
    "hs6_families", ("revision", "hs6_code"), ("hs6_code", "revision", "family"),
    "One row per revision and code with its family over HS 1996 to 2012.",
)
TRADE_REGIMES = _table("trade_regimes", ("code",), ("code", "name_zh"), "One row per trade-mode code.")
REGION_CLASSES = _table(
    "region_classes", ("province_code",),
    (
        "province_code", "province_name", "region_11_8_12", "region_12_9_10_1986", "region_4_nbs2011",
        "region_best_fit_paper",
    ),
    "One row per province with its region in four variants.",
)
CITY_SIZE_THRESHOLDS = _table(
    "city_size_thresholds", ("standard", "class_en"),
    ("standard", "class_zh", "class_en", "min_10k_inclusive", "max_10k_exclusive", "measure", "basis"),
    "One row per size class of the standards of 1989 and 2014.",
)
SEAPORTS = _table(
    "seaports", ("locode",),
    ("locode", "name_zh", "name_en", "city_id", "lat", "lon", "is_major", "coordinate_source"),
    "One row per seaport.", "Which ports are major is our mark.",
)
CITY_COORDINATES = _table(
    "city_coordinates", ("city_id",),
    (
        "city_id", "city_name", "lat", "lon", "geonames_id", "km_nearest_port", "nearest_port",
        "km_nearest_major_port", "nearest_major_port",
    ),
    "One row per city with its point and its distance to the sea.",
    "Straight lines on the sphere, over land and sea alike.",
)
DEVELOPMENT_ZONES = _table(
    "development_zones", ("zone_name",), ("zone_name", "city_id", "approved_year", "zone_source"),
    "One row per national economic and technological development zone approved by the end of 2011 in a prefecture-level"
    " city, those with the same rights included.",
    "Zones in counties and county-level cities count for their prefecture-level city.",
    "Quzhou's zone is left out: its year of approval was found nowhere.",
)
TABLES = (
    COUNTY_UNITS, PREFECTURES, POSTCODE_PREFIXES, AMBIGUOUS_CITIES, PLACE_NAMES, CUSTOMS_DISTRICTS,
    CUSTOMS_DISTRICT_NAMES, PARTNERS, PARTNER_ALIASES, HS6_CODES, HS6_CONVERSIONS, HS6_FAMILIES,
    TRADE_REGIMES, REGION_CLASSES, CITY_SIZE_THRESHOLDS, SEAPORTS, CITY_COORDINATES, DEVELOPMENT_ZONES,
)
