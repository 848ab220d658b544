"""Indicators of the city yearbook: headings, units with their factors, plausible range, from ``conf/yearbook.toml``.

The decision worth knowing: factors are exact decimals, so a number that is printed in another unit in another edition
comes back to the same value; and there is no default factor: a unit that is not declared is refused, never guessed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib import resources
from pathlib import Path
from typing import Any, Literal

Area = Literal["whole_city", "districts"]
AREAS: tuple[Area, ...] = ("whole_city", "districts")
_KNOWN_KEYS = {
    "name", "meaning", "zh", "en", "headings", "unit", "units", "areas", "table", "low", "high", "max_ratio",
    "printed_units", "printed_headings",
}  # fmt: skip
_BRACKETS = str.maketrans({"（": "(", "）": ")", "：": ":", "％": "%", "＃": "#", "［": "(", "］": ")"})


class YearbookConfigError(ValueError):
    """Raised when conf/yearbook.toml (or the user's file in its place) contradicts itself; usually a typing slip."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """One indicator of the yearbook.

    Attributes
    ----------
    name : str
        Canonical name.
    meaning, zh, en : str
        What it is, and its Chinese and English heading.
    headings : frozenset of str
        Headings it is printed under, squeezed by :func:`squeeze`, unit left out.
    unit : str
        Canonical unit.
    units : mapping of str to Decimal
        Printed unit to the factor that gives the canonical unit.
    areas : tuple of str
        Areas it is printed for.
    table : str
        Table of the yearbook the generator prints it in; the reader does not use it.
    low, high : float or None
        Values outside are refused.
    max_ratio : float or None
        A value this many times its neighbouring years is a typing error; None leaves the check out.
    printed_units, printed_headings : mapping of int to str
        What the generator prints from an edition on.
    """

    name: str
    meaning: str
    zh: str
    en: str
    headings: frozenset[str]
    unit: str
    units: Mapping[str, Decimal]
    areas: tuple[str, ...]
    table: str
    low: float | None
    high: float | None
    max_ratio: float | None
    printed_units: Mapping[int, str]
    printed_headings: Mapping[int, str]

    def printed_unit(self, edition: int) -> str:
        """Unit the generator prints in this edition."""
        return _in_force(self.printed_units, edition)

    def printed_heading(self, edition: int) -> str:
        """Heading the generator prints in this edition, unit left out."""
        return _in_force(self.printed_headings, edition)


@dataclass(frozen=True, slots=True)
class YearbookConfig:
    """All indicators, the lag of the edition behind its data, and how far a neighbouring year may be.

    Attributes
    ----------
    indicators : mapping of str to Indicator
        By canonical name, in the file's order.
    titles : mapping of str to tuple of str
        Chinese and English sheet titles, for the generator.
    edition_lag : int
        Edition minus data year, in years.
    neighbour_years : int
        Greatest distance, in years, of a value used to judge another.
    """

    indicators: Mapping[str, Indicator]
    titles: Mapping[str, tuple[str, str]]
    edition_lag: int
    neighbour_years: int

    def by_heading(self) -> dict[str, Indicator]:
        """Return squeezed heading to indicator."""
        return {heading: one for one in self.indicators.values() for heading in one.headings}


def load_yearbook_config(path: Path | None = None) -> YearbookConfig:
    """Read the indicators.

    Parameters
    ----------
    path : Path, optional
        A file in the place of the shipped ``conf/yearbook.toml``.

    Raises
    ------
    YearbookConfigError
        If a key is unknown, a heading belongs to two indicators or a unit has no factor.
    """
    source = path if path is not None else resources.files("conf").joinpath("yearbook.toml")
    document = tomllib.loads(source.read_text(encoding="utf-8"))
    indicators = [_to_indicator(entry) for entry in document.get("indicator", [])]
    _refuse_shared_headings(indicators)
    return YearbookConfig(
        indicators={one.name: one for one in indicators},
        titles={table: (names[0], names[1]) for table, names in document.get("titles", {}).items()},
        edition_lag=int(document.get("edition_lag", 1)),
        neighbour_years=int(document.get("neighbour_years", 2)),
    )


def squeeze(text: object) -> str:
    """Remove all white space (full-width too) and make brackets, colon and per cent half-width."""
    if text is None:
        return ""
    return re.sub(r"[\s\u3000\u00a0\ufeff]+", "", str(text)).translate(_BRACKETS)


def _to_indicator(entry: Mapping[str, Any]) -> Indicator:
    name = str(entry.get("name", "?"))
    unknown, missing = set(entry) - _KNOWN_KEYS, {"name", "headings", "unit", "units", "table"} - set(entry)
    if unknown or missing:
        raise YearbookConfigError(
            f"Indicator {name!r}: unknown keys {sorted(unknown)}, missing keys {sorted(missing)};"
            f" allowed are {', '.join(sorted(_KNOWN_KEYS))}."
        )
    try:
        units = {squeeze(unit): Decimal(str(factor)) for unit, factor in entry["units"].items()}
    except InvalidOperation as error:
        raise YearbookConfigError(
            f"Indicator {name!r}: every unit needs a number as factor; found {entry['units']}."
        ) from error
    unit = squeeze(entry["unit"])
    areas = tuple(entry.get("areas", AREAS))
    if units.get(unit) != 1 or any(factor <= 0 for factor in units.values()) or not set(areas) <= set(AREAS):
        raise YearbookConfigError(
            f"Indicator {name!r}: its own unit {unit!r} must be listed with factor 1, factors must be positive and"
            f" areas among {AREAS}; found units {entry['units']}, areas {areas}."
        )
    return Indicator(
        name=name,
        meaning=str(entry.get("meaning", "")),
        zh=str(entry.get("zh", "")),
        en=str(entry.get("en", "")),
        headings=frozenset(squeeze(heading) for heading in entry["headings"]),
        unit=unit,
        units=units,
        areas=areas,
        table=str(entry["table"]),
        low=_number(entry.get("low")),
        high=_number(entry.get("high")),
        max_ratio=_number(entry.get("max_ratio")),
        printed_units=_by_edition(entry.get("printed_units", {"0": unit})),
        printed_headings=_by_edition(entry.get("printed_headings", {"0": entry.get("zh", name)})),
    )


def _refuse_shared_headings(indicators: list[Indicator]) -> None:
    owner: dict[str, str] = {}
    for one in indicators:
        for heading in one.headings:
            if owner.setdefault(heading, one.name) != one.name:
                raise YearbookConfigError(
                    f"Heading {heading!r} belongs to both {owner[heading]!r} and {one.name!r}; keep it in one of them."
                )


def _by_edition(entry: Mapping[str, str]) -> dict[int, str]:
    return {int(edition): squeeze(text) for edition, text in entry.items()}


def _in_force(by_edition: Mapping[int, str], edition: int) -> str:
    started = [first for first in by_edition if first <= edition]
    return by_edition[max(started)] if started else by_edition[min(by_edition)]


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
