"""Gold: what a study reads, the city x product x destination cube and the city-year exports."""

from __future__ import annotations

from schemas.fields import fields
from schemas.table import Table

CITY_PRODUCT_DESTINATION = Table(
    name="gold.city_product_destination",
    made_by=("count",),
    made_from=("silver.declaration",),
    fields=fields(
        "year!", "city_id!", "hs6_code!", "partner_code!", "hs_revision!", "hs6_converted", "hs6_family!",
        "country_iso3", "is_destination!", "value_usd!", "n_records!",
    ),
    key=("year", "city_id", "hs6_code", "partner_code"),
    partition_by=("year",),
    description="One row per year, city, HS6 product and partner: value and records, exact.",
    checks={"value_usd_positive": "value_usd > 0", "n_records_positive": "n_records > 0"},
)
CITY_EXPORTS = Table(
    name="gold.city_exports",
    made_by=("count",),
    made_from=("silver.declaration", "gold.city_product_destination"),
    fields=fields(
        "year!", "city_id!", "city_name", "province_code", "value_usd!", "n_products!", "n_products_converted!",
        "n_products_family!", "n_destinations!", "n_partner_codes!", "n_pairs!", "n_firms!", "n_records!",
        "share_value_by_fallback", "share_value_ambiguous", "n_records_postcode_unknown", "share_value_postcode_unknown",
    ),
    key=("year", "city_id"),
    partition_by=("year",),
    description="One row per city and year: export value, products and destinations of its municipal districts.",
    checks={
        "value_usd_positive": "value_usd > 0",
        "pairs_cover": "n_pairs >= n_products AND n_pairs >= n_partner_codes",
        "destinations_within_codes": "n_destinations <= n_partner_codes",
    },
    caveats=("n_products breaks in 2007 (HS 2002 gives way to HS 2007); compare n_products_family across it.",),
    properties={"delta.logRetentionDuration": "interval 3650 days", "delta.deletedFileRetentionDuration": "interval 365 days"},
)
TABLES = (CITY_PRODUCT_DESTINATION, CITY_EXPORTS)
