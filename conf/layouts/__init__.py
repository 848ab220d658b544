"""Raw layouts as data: which headings a vintage delivers, recognised by the headings and never by the year.

The shipped ones, and those of a folder named by ``CUSTOMS_LAKE_LAYOUTS``: a vintage nobody here has seen needs no
release. One of the user's under a shipped name takes its place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from conf.layouts.layout import FileForm, Layout, plain_heading
from conf.layouts.parsing import MULTIPLIED, LayoutError, parse_layout, read_toml
from schemas.fields import RAW_COLUMNS

USER_LAYOUTS = "CUSTOMS_LAKE_LAYOUTS"


@cache
def load_layouts() -> tuple[Layout, ...]:
    """Return all layouts of ``conf/layouts`` and of the user's folder, in the order of their names.

    Raises
    ------
    LayoutError
        If a file is incomplete, two of one folder have the same name, or the user's folder is not there.
    """
    shipped = _of_folder(resources.files("conf.layouts"))
    given = os.environ.get(USER_LAYOUTS)
    if given and not Path(given).is_dir():
        raise LayoutError(f"{USER_LAYOUTS}: expected a folder with layout files; found {given!r}, which is not one.")
    found = shipped | (_of_folder(Path(given)) if given else {})
    return tuple(found[name] for name in sorted(found))


def match_layout(
    headings: Sequence[str], layouts: Sequence[Layout] | None = None, path: str | None = None
) -> Layout | None:
    """Return the layout whose required headings are all there; with several, the one that knows most headings.

    Parameters
    ----------
    headings : sequence of str
    layouts : sequence of Layout, optional
        Those to choose from; all known ones when not given.
    path : str, optional
        Name of the file, for layouts that are for certain names only.
    """
    fitting = [layout for layout in (load_layouts() if layouts is None else layouts) if layout.fits(headings, path)]
    return max(fitting, key=lambda layout: (len(layout.assign(headings)), len(layout.required)), default=None)


def nearest_layout(headings: Sequence[str], layouts: Sequence[Layout] | None = None) -> tuple[Layout, list[str]]:
    """Return the layout that lacks the fewest required headings, and those headings."""
    known = load_layouts() if layouts is None else layouts

    def distance(layout: Layout) -> tuple[float, int]:
        return len(layout.missing(headings)) / max(len(layout.required), 1), -len(layout.assign(headings))

    layout = min(known, key=distance)
    return layout, layout.missing(headings)


def with_aliases(layouts: tuple[Layout, ...], aliases: Mapping[str, str]) -> tuple[Layout, ...]:
    """Let further headings stand for columns, in every layout: the section ``[aliases]`` of a configuration.

    Parameters
    ----------
    layouts : tuple of Layout
    aliases : dict
        Heading as delivered to our column name.

    Raises
    ------
    LayoutError
        If a column is unknown.
    """
    for heading, column in aliases.items():
        if column not in RAW_COLUMNS:
            raise LayoutError(
                f"[aliases]: {heading!r} stands for the unknown column {column!r}; expected one of {', '.join(RAW_COLUMNS)}."
            )
    if not aliases:
        return layouts

    def extended(layout: Layout) -> Layout:
        columns = {
            column: (*headings, *(heading for heading, named in aliases.items() if named == column))
            for column, headings in layout.columns.items()
        }
        return replace(layout, columns=columns)

    return tuple(extended(layout) for layout in layouts)


@cache
def simplified_characters() -> dict[int, str]:
    """Traditional characters that occur in names of places and partners, for ``str.translate``."""
    lines = (resources.files("conf.layouts") / "traditional.csv").read_text("utf-8").splitlines()[1:]
    return {ord(line[0]): line[2] for line in lines}


def _of_folder(folder: Any) -> dict[str, Layout]:
    """Layouts of a folder by name; the faults of all its files are raised together."""
    layouts: dict[str, Layout] = {}
    faults = []
    for item in sorted((item for item in folder.iterdir() if item.name.endswith(".toml")), key=lambda item: item.name):
        try:
            layout = _of_file(item)
            if layout is not None and layout.name in layouts:
                raise LayoutError(f"{item.name}: the name {layout.name!r} is used twice in this folder; rename one.")
        except LayoutError as error:
            faults.append(str(error))
            continue
        if layout is not None:
            layouts[layout.name] = layout
    if faults:
        raise LayoutError("\n".join(faults))
    return layouts


def _of_file(item: Any) -> Layout | None:
    """The layout of a file; None for one of another kind of table."""
    try:
        text = item.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise LayoutError(f"{item.name}: not UTF-8 (byte {error.start}). Save it as UTF-8.") from error
    return parse_layout(text, item.name) if read_toml(text, item.name).get("kind", "customs") == "customs" else None


__all__ = [
    "MULTIPLIED", "USER_LAYOUTS", "FileForm", "Layout", "LayoutError", "load_layouts", "match_layout", "nearest_layout",
    "parse_layout", "plain_heading", "simplified_characters", "with_aliases",
]
