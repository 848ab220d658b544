"""Counties and county-level cities that became districts of their city, from the official changes of divisions."""

from __future__ import annotations

import hashlib
from functools import cache

from schemas.reference.builders.common import read_source

#: Changes that put a unit inside the municipal districts.
CONVERSIONS = ("county->district", "county_city->district", "special_county->district")
_EVENTS = "division_events"


@cache
def annexed_units() -> dict[str, int]:
    """Unit code to the first year (at 31 December) in which the unit is a district; under each number it had before."""
    events = read_source(_EVENTS)
    became = {row.old_code: int(row.year) for row in events.itertuples() if row.change in CONVERSIONS}
    renumbered = [
        (row.old_code, row.new_code) for row in events.itertuples()
        if row.change not in CONVERSIONS and row.new_code and row.old_code != row.new_code
    ]
    # a number may have changed several times before the conversion
    for _ in renumbered:
        found = {old: became[new] for old, new in renumbered if new in became and old not in became}
        if not found:
            break
        became |= found
    return became


def annexations_hash() -> str:
    """Hash of what :func:`annexed_units` returns, for fingerprints."""
    return hashlib.sha256(repr(sorted(annexed_units().items())).encode()).hexdigest()
