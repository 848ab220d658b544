"""Silver: typed, repaired, placed declarations, and the quarantine of all that was refused."""

from __future__ import annotations

from schemas.fields import CARRIED_COLUMNS, fields
from schemas.table import Table

DECLARATION = Table(
    name="silver.declaration",
    made_by=("clean",),
    made_from=("bronze.declaration", "ops.file_receipt"),
    fields=fields(
        "year!", "month", "city_id!", "prefecture_code!", "unit_code", "unit_type", "hs8_code!", "hs6_code!",
        "hs_revision!", "hs6_converted", "hs6_family!", "partner_code!", "country_iso3", "partner_kind!",
        "is_destination!", "value_usd!", "quantity_units", *CARRIED_COLUMNS, "place_method!", "place_digits",
        "place_sources", "place_confidence", "is_place_ambiguous!", "place_conflict", "repairs!", "file_sha256!",
        "source_row!", "load_id!",
    ),
    key=("file_sha256", "source_row"),
    partition_by=("year",),
    description="One row per accepted export declaration made in the municipal districts of a prefecture-level city.",
    checks={
        "value_usd_positive": "value_usd > 0",
        "hs6_code_digits": "length(hs6_code) = 6",
        "hs8_code_digits": "length(hs8_code) = 8",
        "month_range": "month IS NULL OR month BETWEEN 1 AND 12",
        "inside_districts": "unit_type IS NULL OR unit_type IN ('district', 'whole_city')",
    },
    caveats=("Yearly files (2007 on) carry no month.",),
    properties={"delta.dataSkippingStatsColumns": "city_id,hs6_code,partner_code,value_usd,file_sha256,source_row"},
)
QUARANTINE = Table(
    name="silver.quarantine",
    made_by=("clean",),
    made_from=("bronze.declaration", "ops.file_receipt"),
    fields=fields(
        "year!", "month", "primary_reason!", "reasons!", "value_usd", "flow", "hs_code", "value", "quantity",
        "partner", "production_place", "postcode", "firm_id", "firm_name", "city_id", "unit_code", "unit_type",
        "file_sha256!", "source_row!", "load_id!",
    ),
    key=("file_sha256", "source_row"),
    partition_by=("year",),
    description="One row per refused record: all reasons, the first as primary, and the values as delivered.",
    caveats=(
        "Imports are here too, with the reason import: every delivered line is either kept or explained.",
        "value_usd is null when the delivered value cannot be read.",
        "Rows that cannot be split, or whose fields are shifted so that a person may stand in them, keep file, row number and"
        " reasons, not values; `customs-lake explain FILE#ROW --raw RAW` shows the line to whoever can read the raw folder.",
    ),
    checks={"has_a_reason": "primary_reason <> ''"},
    properties={"delta.dataSkippingStatsColumns": "primary_reason,value_usd,file_sha256,source_row"},
)
TABLES = (DECLARATION, QUARANTINE)
