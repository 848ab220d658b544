"""Yearbook tables: one number per city, year, indicator and area, and what was refused."""

from __future__ import annotations

from schemas.fields import define, fields
from schemas.table import Table

define("indicator", "string", "Yearbook indicator, canonical name (conf/yearbook.toml)")
define("area", "string", "Area a yearbook number is for", allowed=("whole_city", "districts"))
define("indicator_value", "double", "Value in the canonical unit", unit="indicator_unit")
define("indicator_unit", "string", "Canonical unit of the indicator")
define("value_printed", "string", "Number as printed; null when only a correction gives it")
define("unit_printed", "string", "Unit as printed in the heading")
define("city_printed", "string", "Name of the city as printed, white space removed")
define("edition", "int", "Edition of the yearbook; edition t+1 holds year t")
define("source_cell", "string", "File, sheet and cell, such as 2005.xlsx!2-18!C17")
define("is_corrected", "boolean", "True when a line of the correction file replaced or added the value")
define("correction_source", "string", "Source named by the correction; null when not corrected")
define("detail", "string", "What was expected and what was found")

YEARBOOK = Table(
    name="silver.yearbook",
    made_by=("yearbook",),
    fields=fields(
        "city_id!", "year!", "indicator!", "area!", "indicator_value!", "indicator_unit!", "value_printed",
        "unit_printed!", "city_printed!", "edition!", "source_cell!", "is_corrected!", "correction_source",
    ),
    key=("city_id", "year", "indicator", "area"),
    description="One row per city, year, indicator and area of the city yearbook, in the canonical unit.",
    caveats=(
        "Non-agricultural population is not printed after data year 2014.",
        "Typing errors are in silver.yearbook_quarantine; two slips in neighbouring years of one city pass unseen.",
    ),
    checks={"corrections_have_a_source": "NOT is_corrected OR correction_source IS NOT NULL"},
)
YEARBOOK_QUARANTINE = Table(
    name="silver.yearbook_quarantine",
    made_by=("yearbook",),
    fields=fields(
        "primary_reason!", "detail", "source_cell!", "edition", "year", "city_id", "city_printed", "indicator", "area",
        "value_printed", "unit_printed",
    ),
    key=("source_cell",),
    description="One row per yearbook cell, sheet or file that was refused, with the reason.",
    caveats=("A cell refused as a whole sheet or file has no city or indicator.",),
)
define("closed_year", "int", "First year without one again; null when it still has one")
define("series", "string", "Yearly series", allowed=("cny_per_usd", "gdp_deflator"))
define("series_value", "double", "Yuan per US dollar (annual average), or the deflator of output on any base")
define("series_source", "string", "File the series is taken from")

DEVELOPMENT_ZONE = Table(
    name="silver.development_zone",
    made_by=("yearbook",),
    fields=fields("city_id!", "approved_year!", "closed_year", "zone_source!"),
    key=("city_id",),
    description="One row per city with a national economic and technological development zone: own list, else the shipped.",
    caveats=(
        "The shipped list ends with 2011 and has one zone less than were approved (docs/methodology/variables.md).",
        "A user's list without a line means no list: the variable ETDZ is then missing, not zero.",
    ),
)
YEARLY_SERIES = Table(
    name="silver.yearly_series",
    made_by=("yearbook",),
    fields=fields("series!", "province_code!", "year!", "series_value!", "series_source!"),
    key=("series", "province_code", "year"),
    description="One row per series, province (000000 = nation) and year: exchange rate and deflators.",
    checks={"series_value_positive": "series_value > 0"},
)
TABLES = (YEARBOOK, YEARBOOK_QUARANTINE, DEVELOPMENT_ZONE, YEARLY_SERIES)
