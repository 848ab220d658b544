"""Layouts of the firm survey, industry editions and price series: the data files behind jobs/productivity.py."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from schemas.firms import FIRM_ACCOUNT

# columns of silver that are made, not delivered
_MADE = {"year", "city_id", "prefecture_code", "unit_code", "unit_type", "firm_place_method", "industry_code",
         "source_file", "file_sha256", "source_row"}
DELIVERED_COLUMNS = tuple(name for name in FIRM_ACCOUNT.columns if name not in _MADE)


class FirmConfigError(ValueError):
    """Raised when a shipped or user file for the survey is incomplete; the message names file and line."""


@dataclass(frozen=True, slots=True)
class FirmLayout:
    """Headings of one form of the survey.

    Attributes
    ----------
    name, description : str
    encodings : tuple of str
        Tried in order.
    required : tuple of str
        Our columns that must be there.
    columns : dict
        Our column to the headings it is delivered under.
    """

    name: str
    description: str
    encodings: tuple[str, ...]
    required: tuple[str, ...]
    columns: dict[str, tuple[str, ...]] = field(hash=False)

    def assign(self, headings: Sequence[str]) -> dict[str, int]:
        """Return our columns to the position of their heading."""
        place = {heading: position for position, heading in reversed(list(enumerate(headings)))}
        found = {name: [place[alias] for alias in aliases if alias in place] for name, aliases in self.columns.items()}
        return {name: positions[0] for name, positions in found.items() if positions}

    def missing(self, headings: Sequence[str]) -> list[str]:
        """Return the first heading of each required column that is not there."""
        assigned = self.assign(headings)
        return [self.columns[name][0] for name in self.required if name not in assigned]


@cache
def load_firm_layouts() -> tuple[FirmLayout, ...]:
    """Return the layouts of ``conf/layouts`` whose kind is ``firms``.

    Raises
    ------
    FirmConfigError
    """
    layouts = []
    for item in sorted(resources.files("conf.layouts").iterdir(), key=lambda entry: entry.name):
        if not item.name.endswith(".toml"):
            continue
        entry = tomllib.loads(item.read_text("utf-8"))
        if entry.get("kind") != "firms":
            continue
        unknown = sorted(set(entry["columns"]) - set(DELIVERED_COLUMNS))
        absent = [name for name in entry["required"] if name not in entry["columns"]]
        if unknown or absent:
            raise FirmConfigError(f"{item.name}: unknown columns {unknown}, required without headings {absent}.")
        columns = {name: tuple(aliases) for name, aliases in entry["columns"].items()}
        layouts.append(
            FirmLayout(entry["name"], entry["description"], tuple(entry["encodings"]), tuple(entry["required"]), columns)
        )
    return tuple(layouts)


@dataclass(frozen=True, slots=True)
class IndustryEdition:
    """One edition of the industry classification.

    Attributes
    ----------
    name : str
    first_year, last_year : int
        Survey years that use it.
    recode : dict
        First two (or three) digits to the two-digit industry of the 2002 edition.
    """

    name: str
    first_year: int
    last_year: int
    recode: dict[str, str] = field(hash=False)


@cache
def load_industry_editions() -> tuple[IndustryEdition, ...]:
    """Return the editions of conf/industries.toml in order of years."""
    entries = tomllib.loads((resources.files("conf") / "industries.toml").read_text("utf-8"))["edition"]
    return tuple(
        IndustryEdition(entry["name"], first_year=entry["years"][0], last_year=entry["years"][1], recode=entry["recode"])
        for entry in entries
    )


def load_investment_prices() -> dict[int, float]:
    """Return the shipped investment price index, 1998 = 100 (conf/investment_prices.csv)."""
    text = (resources.files("conf") / "investment_prices.csv").read_text("utf-8")
    return {int(row["year"]): float(row["price_index"]) for row in csv.DictReader(text.splitlines())}
