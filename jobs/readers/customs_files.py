"""Look once at a delivered file: hash, layout, encoding, years, and the content of every table in it. No Spark.

The bytes are read by the kernels (jobs/kernels/sources.py), the same code that loads them afterwards: what is looked at is
what is loaded. The headings decide the layout; the file's name decides year and month, because the date column is
unreliable before 2006.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from conf.file_names import flow_in_name
from conf.layouts import Layout, load_layouts
from jobs.core.errors import InputRefusedError
from jobs.kernels.content import Content
from jobs.kernels.parts import Part, path_of
from jobs.kernels.sources import Look, RawFile, local_file, look_at


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one look at a file found.

    Attributes
    ----------
    source_file : str
        Path below the raw folder, with forward slashes.
    sha256 : str
        Hash of the file's bytes.
    n_bytes, n_lines : int
        Size, and data lines without heading and blank lines.
    encoding, delimiter : str
        Python codec that decodes the whole file, and the field separator (empty for a Stata file, which has none).
    headings : tuple of str
        Headings in order, surrounding space removed.
    layout : Layout
        The layout they matched.
    year : int
    month : int or None
        None for yearly files.
    parts : tuple of Part
        The tables in the file and how they are read.
    content : Content
        The records summed up.
    left_out : tuple of (str, str)
        Members, sheets and tables without records, and why.
    contents : tuple of Content
        Of each part.
    """

    source_file: str
    sha256: str
    n_bytes: int
    n_lines: int
    encoding: str
    delimiter: str
    headings: tuple[str, ...]
    layout: Layout
    year: int
    month: int | None
    parts: tuple[Part, ...] = ()
    content: Content = field(default_factory=Content)
    left_out: tuple[tuple[str, str], ...] = ()
    contents: tuple[Content, ...] = ()


def inspect_file(
    path: Path, raw: Path, layouts: Sequence[Layout] | None = None, *, strict: bool = False
) -> Inspection:
    """Look at a file of this machine: every row of every table in it, once.

    Parameters
    ----------
    path, raw : Path
        The file, and the folder below which it is named.
    layouts : sequence of Layout, optional
        All known ones when not given.
    strict : bool
        Refuse a file with a damaged byte.

    Raises
    ------
    InputRefusedError
        Nothing in it can be loaded, it changed meanwhile, or no name speaks of a year.
    """
    raw_file = local_file(path, raw)
    known = load_layouts() if layouts is None else tuple(layouts)
    look = look_at(raw_file, known, strict=strict, flow_in_name=flow_in_name)
    sha256, n_bytes = hash_file(raw_file)
    if n_bytes != raw_file.n_bytes:
        raise InputRefusedError(
            f"{raw_file.source_file}: it had {raw_file.n_bytes:,} bytes and has {n_bytes:,} now: it is still being written."
            " Run again when it is complete."
        )
    return inspection_of(raw_file, look, known, sha256)


def inspection_of(raw_file: RawFile, look: Look, layouts: Sequence[Layout], sha256: str) -> Inspection:
    """Put together what is known of a file.

    Raises
    ------
    InputRefusedError
        When neither a name nor a date says of what year a table is.
    """
    by_name = {layout.name: layout for layout in layouts}
    parts = tuple(_dated(part, raw_file.source_file, by_name[part.layout]) for part in look.parts)
    main = max(parts, key=lambda part: part.n_rows)
    layout = by_name[main.layout]
    years = {part.year for part in parts} - {None}
    year = main.year if len(years) == 1 else _year_of_rows(look.content) or main.year
    if year is None:
        raise InputRefusedError(
            f"{raw_file.source_file}: no year in the file's name. Expected a name with YYYY or YYYYMM, such as data200301.csv"
            " or 2007_1.txt; rename the file."
        )
    months = {part.month for part in parts}
    return Inspection(
        raw_file.source_file, sha256, raw_file.n_bytes, look.n_rows, main.encoding, main.delimiter, main.headings, layout,
        year, main.month if len(months) == 1 else None, parts, look.content, look.left_out, look.contents,
    )


def hash_file(raw_file: RawFile) -> tuple[str, int]:
    """SHA-256 of a file's bytes, and how many they are."""
    digest, n_bytes = hashlib.sha256(), 0
    with raw_file.open() as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
            n_bytes += len(block)
    return digest.hexdigest(), n_bytes


def _dated(part: Part, source_file: str, layout: Layout) -> Part:
    if layout.year_from == "rows":
        return part
    period = layout.period_of(path_of(part, source_file))
    return replace(part, year=period.year, month=period.month_under(layout.period))


def _year_of_rows(content: Content) -> int | None:
    years = {year: n for year, n in content.years.items() if year is not None}
    return max(years, key=lambda year: years[year]) if years else None
