"""What a delivered file holds, as plain values that travel: parts, their pieces, and what was noticed while reading.

A part is one table: the file itself, a member of an archive, a sheet, a table of a database. A piece is a share of a part
that one task reads. Both go into a receipt as JSON, so that loading reads exactly what landing looked at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

Kind = Literal["text", "stata", "parquet", "arrow", "sas", "spss", "excel", "access"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A share of a part.

    Attributes
    ----------
    start, stop : int
        Bytes of a text that is not packed, rows of a Stata file; 0 and -1 for a part that is read in one go.
    rows_before, n_rows : int
        Data rows of the part before this piece and in it; -1 while they are not counted.
    cents : int or None
        Sum of its readable values in US cents; None while it is not known.
    """

    start: int = 0
    stop: int = -1
    rows_before: int = 0
    n_rows: int = -1
    cents: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One table of a delivered file.

    Attributes
    ----------
    member : str
        Empty for the file itself; otherwise its path inside the archive.
    table : str
        Sheet of a workbook or table of a database; empty for other kinds.
    kind : str
        What reads it.
    encoding, delimiter : str
        Of a text; of other kinds the encoding of their texts, and no separator.
    headings : tuple of str
        As delivered, in order.
    layout : str
        Name of the layout they matched.
    n_skipped : int
        Lines (rows of a sheet) before the first data line: titles and headings.
    n_rows : int
        Data rows.
    n_rows_before : int
        Data rows of the parts before this one in the file: ``source_row`` counts through.
    year, month : int or None
        What its name says it covers; rows may say otherwise (``row_year``, ``row_month`` of a batch).
    flow : str
        Direction of trade that the name gives where no column does.
    pieces : tuple of Piece
    noticed : dict
        What was noticed or repaired, in words, and how often.
    reading : str
        Hash of what the layout makes of these headings (:meth:`conf.layouts.Layout.reading_of`); empty: not known.
    """

    member: str
    kind: Kind
    table: str = ""
    encoding: str = ""
    delimiter: str = ""
    headings: tuple[str, ...] = ()
    layout: str = ""
    n_skipped: int = 0
    n_rows: int = 0
    n_rows_before: int = 0
    year: int | None = None
    month: int | None = None
    flow: str = ""
    pieces: tuple[Piece, ...] = (Piece(),)
    noticed: Mapping[str, int] = field(default_factory=dict, hash=False)
    reading: str = ""


def parts_to_json(parts: Sequence[Part]) -> str:
    """Write parts as JSON, for a receipt or a task."""
    return json.dumps([asdict(part) for part in parts], ensure_ascii=False, separators=(",", ":"))


def parts_from_json(text: str) -> tuple[Part, ...]:
    """Read what :func:`parts_to_json` wrote."""
    found = []
    for entry in json.loads(text):
        pieces = tuple(Piece(**piece) for piece in entry.pop("pieces"))
        found.append(Part(**entry | {"headings": tuple(entry["headings"]), "pieces": pieces}))
    return tuple(found)


def reading_of_parts(text: str | None) -> str:
    """How a receipt's file was read, all of its parts together; empty when a receipt of an older product does not say it."""
    readings = [entry.get("reading", "") for entry in json.loads(text)] if text else []
    return hashlib.sha256("".join(readings).encode()).hexdigest()[:16] if all(readings) and readings else ""


def path_of(part: Part, source_file: str) -> str:
    """How a part is called in messages: file, member and table joined by ``/``."""
    return "/".join(name for name in (source_file, part.member, part.table) if name)


def number_through(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Give each part the number of rows before it."""
    numbered, before = [], 0
    for part in parts:
        numbered.append(replace(part, n_rows_before=before))
        before += part.n_rows
    return tuple(numbered)


def add_counts(*counts: Mapping[str, int]) -> dict[str, int]:
    """Sum what was noticed, key by key."""
    total: dict[str, int] = {}
    for count in counts:
        for key, value in count.items():
            total[key] = total.get(key, 0) + value
    return total
