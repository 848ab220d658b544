"""Reading of the shipped reference tables, from a clone, a wheel or a zip alike."""

from __future__ import annotations

from importlib import resources

import pandas as pd

TABLE_NAMES = (
    "ambiguous_cities", "city_coordinates", "city_size_thresholds", "county_units", "customs_places",
    "development_zones", "hs6_codes", "hs6_conversions", "hs6_families", "partner_aliases", "partners", "place_names",
    "postcode_prefixes", "prefectures", "region_classes", "seaports", "trade_regimes",
)


def read_shipped(name: str) -> pd.DataFrame:
    """Return a shipped table; every column is text, empty cells are empty strings.

    Raises
    ------
    KeyError
        If no table of that name is shipped.
    """
    if name not in TABLE_NAMES:
        raise KeyError(f"reference table {name!r}: expected one of {', '.join(TABLE_NAMES)}.")
    with (resources.files("schemas") / "reference" / f"{name}.csv").open("r", encoding="utf-8") as stream:
        return pd.read_csv(stream, dtype=str, keep_default_na=False)
