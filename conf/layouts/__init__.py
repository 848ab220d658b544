"""Raw layouts as data: which headings a vintage delivers, recognised by the headings and never by the year.

The shipped ones, and those of a folder named by ``CUSTOMS_LAKE_LAYOUTS``: a vintage nobody here has seen needs no release.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

from schemas.fields import RAW_COLUMNS

USER_LAYOUTS = "CUSTOMS_LAKE_LAYOUTS"


class LayoutError(ValueError):
    """Raised when a layout file is incomplete or names a column the bronze table does not have."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One raw layout.

    Attributes
    ----------
    name, description : str
        For receipts and messages.
    period : str
        ``month`` or ``year``: what one file's rows cover.
    encodings : tuple of str
        Encodings the vintage circulates in, tried in order.
    required : tuple of str
        Our column names that must be present.
    columns : dict
        Our column name to the headings it is delivered under.
    """

    name: str
    description: str
    period: str
    encodings: tuple[str, ...]
    required: tuple[str, ...]
    columns: dict[str, tuple[str, ...]] = field(hash=False)

    def assign(self, headings: Sequence[str]) -> dict[str, list[int]]:
        """Return our column names to the positions of their headings (several when a column came twice)."""
        positions: dict[str, list[int]] = {}
        for column, aliases in self.columns.items():
            found = [index for index, heading in enumerate(headings) if heading in aliases]
            if found:
                positions[column] = found
        return positions

    def missing(self, headings: Sequence[str]) -> list[str]:
        """Return the headings (first spelling) of required columns that are not there."""
        assigned = self.assign(headings)
        return [self.columns[column][0] for column in self.required if column not in assigned]

    def fits(self, headings: Sequence[str]) -> bool:
        """Tell whether every required column is there."""
        return not self.missing(headings)


@cache
def load_layouts() -> tuple[Layout, ...]:
    """Return all layouts of ``conf/layouts`` and of the user's folder, in the order of their names.

    Raises
    ------
    LayoutError
        If a file is incomplete, two have the same name, or the user's folder is not there.
    """
    folders = [resources.files("conf.layouts")]
    given = os.environ.get(USER_LAYOUTS)
    if given:
        if not Path(given).is_dir():
            raise LayoutError(f"{USER_LAYOUTS}: expected a folder with layout files; found {given!r}, which is none.")
        folders.append(Path(given))
    found = [item for folder in folders for item in folder.iterdir() if item.name.endswith(".toml")]
    files = sorted(found, key=lambda item: item.name)
    layouts = []
    for item in files:
        entry = tomllib.loads(item.read_text("utf-8"))
        if entry.get("kind", "customs") == "customs":
            layouts.append(parse_layout(entry, item.name))
    names = [layout.name for layout in layouts]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise LayoutError(f"layouts: {', '.join(repeated)} is defined twice; give yours another name.")
    return tuple(layouts)


def parse_layout(entry: dict, where: str) -> Layout:
    """Turn one TOML document into a layout, checking every name in it."""
    expected = {"name", "description", "period", "encodings", "required", "columns"}
    if set(entry) - {"kind"} != expected:
        raise LayoutError(f"{where}: expected keys {sorted(expected)}; found {sorted(entry)}.")
    columns = {name: tuple(aliases) for name, aliases in entry["columns"].items()}
    unknown = [name for name in columns if name not in RAW_COLUMNS]
    absent = [name for name in entry["required"] if name not in columns]
    if unknown or absent or entry["period"] not in ("month", "year"):
        raise LayoutError(
            f"{where}: unknown columns {unknown}, required without headings {absent}, period {entry['period']!r}"
            " (month or year)."
        )
    return Layout(
        entry["name"], entry["description"], entry["period"], tuple(entry["encodings"]), tuple(entry["required"]), columns
    )


def match_layout(headings: Sequence[str]) -> Layout | None:
    """Return the layout whose required headings are all there; with several, the one that knows most headings."""
    fitting = [layout for layout in load_layouts() if layout.fits(headings)]
    return max(fitting, key=lambda layout: len(layout.assign(headings)), default=None)


def nearest_layout(headings: Sequence[str]) -> tuple[Layout, list[str]]:
    """Return the layout that lacks the fewest required headings, and those headings."""
    layout = min(load_layouts(), key=lambda item: (len(item.missing(headings)), -len(item.assign(headings))))
    return layout, layout.missing(headings)
