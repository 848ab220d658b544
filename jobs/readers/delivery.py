"""A delivery judged: which files are new, corrected or known, and which are set aside or refused, each with its reason.

Pure: what was found in the files (:class:`DeliveredFile`) and the latest receipts go in, a :class:`Delivery` comes out.
Files are taken or not one by one; a file that cannot be taken blocks the counts of its own years only.

The same records in another form (csv, csv.gz, dta; months beside the year's file) are told by their content
(jobs/kernels/content.py) and taken once: the files in force stay, then months go before years, text before copies of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Literal, Protocol

from jobs.kernels.content import Content, Part
from jobs.kernels.parts import reading_of_parts
from jobs.readers.overlaps import Holding, find_overlaps

Kind = Literal[
    "useless", "link", "empty", "unsuitable", "other_year", "duplicate", "overlap", "correction", "refused"
]
#: What a user should look at; the other kinds say what is left out as a matter of course.
NOTABLE = ("refused", "correction", "overlap", "link", "unsuitable")


class Receipt(Protocol):
    """A row of ``ops.file_receipt`` or ``ops.left_out``: Spark's, or a dictionary."""

    def __getitem__(self, name: str, /) -> Any:
        """Value of a column."""


@dataclass(frozen=True, slots=True)
class FileYear:
    """The records of one year in a file.

    Attributes
    ----------
    year : int
    month : int or None
        When all of them are of one month.
    n_lines : int
    content : Content
    """

    year: int
    month: int | None
    n_lines: int
    content: Content

    def by_month(self) -> dict[int | None, Part]:
        """Month, or None where it is not known, to its records."""
        if self.month is not None:
            return {self.month: self.content.total}
        months: dict[int | None, Part] = {}
        for (_, month), part in self.content.parts.items():
            months[month] = months.get(month, Part()) + part
        return months


@dataclass(frozen=True, slots=True)
class DeliveredFile:
    """A file that can be loaded, and what was found in it.

    Attributes
    ----------
    source_file : str
        Path below the raw folder.
    sha256 : str
    n_bytes : int
    layout, encoding, delimiter : str
        Of its first table.
    headings : tuple of str
    years : tuple of FileYear
        Ascending.
    parts : str
        How it is read, as JSON (jobs/kernels/parts.py).
    has_postcodes : bool
    noticed : dict
        What was mended or is odd, in words, and how often.
    notes : tuple of str
        Sentences for the reader of a delivery.
    """

    source_file: str
    sha256: str
    n_bytes: int
    layout: str
    encoding: str
    delimiter: str
    headings: tuple[str, ...]
    years: tuple[FileYear, ...]
    parts: str = ""
    has_postcodes: bool = True
    noticed: Mapping[str, int] = field(default_factory=dict, hash=False)
    notes: tuple[str, ...] = ()

    @property
    def n_lines(self) -> int:
        """Data lines of all years."""
        return sum(item.n_lines for item in self.years)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A delivered file that is not taken.

    Attributes
    ----------
    source_file : str
    kind : str
    reason : str
        A sentence; without the file's name, so that equal faults can be grouped.
    blocked_years : tuple of int
        Years whose counts wait for the file.
    is_accepted : bool
        Somebody said that the years are to be built without it.
    """

    source_file: str
    kind: Kind
    reason: str
    blocked_years: tuple[int, ...] = ()
    is_accepted: bool = False


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may be odd (section ``delivery`` of the settings), and what was said on the command line.

    Attributes
    ----------
    max_share_overlap, max_share_lost : float
    accepted : tuple of str
        Names or patterns of ``--accept``.
    """

    max_share_overlap: float = 0.5
    max_share_lost: float = 0.25
    accepted: tuple[str, ...] = ()

    def accepts(self, source_file: str) -> bool:
        """Tell whether a file was accepted by its name, its path or a pattern."""
        name = source_file.rsplit("/", 1)[-1]
        return any(
            given in (source_file, name) or fnmatchcase(source_file, given) or fnmatchcase(name, given)
            for given in self.accepted
        )


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the files of a delivery are to the lake.

    Attributes
    ----------
    new, corrected, reread, unchanged, renamed, withdrawn : tuple of DeliveredFile
        Never seen; known by name with other content; known by both and read by another layout now; known by name and
        content; known by content only; taken back.
    left_out : tuple of LeftOut
        Files that are not taken, by name.
    replaced : tuple of str
        Files in force that an accepted file takes the place of.
    notes : tuple of str
        What is odd within its bounds.
    """

    new: tuple[DeliveredFile, ...] = ()
    corrected: tuple[DeliveredFile, ...] = ()
    reread: tuple[DeliveredFile, ...] = ()
    unchanged: tuple[DeliveredFile, ...] = ()
    renamed: tuple[DeliveredFile, ...] = ()
    withdrawn: tuple[DeliveredFile, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    replaced: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def arrived(self) -> tuple[DeliveredFile, ...]:
        """Files that get a receipt."""
        return (*self.new, *self.corrected, *self.reread)

    @property
    def blocked_years(self) -> tuple[int, ...]:
        """Years whose counts wait for a file that is not taken."""
        return tuple(sorted({year for item in self.left_out if not item.is_accepted for year in item.blocked_years}))


def judge(
    files: Sequence[DeliveredFile], left_out: Sequence[LeftOut], receipts: Sequence[Receipt], bounds: Bounds
) -> Delivery:
    """Judge a delivery against the latest receipts.

    Parameters
    ----------
    files : sequence of DeliveredFile
        Files of the years asked for that can be loaded.
    left_out : sequence of LeftOut
        Files that cannot, found so far.
    receipts : sequence of mapping
        Latest receipts (``jobs.core.ledger.latest_receipts``), one for each year of a file.
    bounds : Bounds
    """
    sorted_files = sort_delivery(files, receipts)
    aside: list[LeftOut] = [
        replace(item, is_accepted=bounds.accepts(item.source_file)) if item.blocked_years else item for item in left_out
    ]
    kept: dict[str, list[DeliveredFile]] = {"corrected": [], "reread": []}
    for sort, item in [(name, item) for name in kept for item in getattr(sorted_files, name)]:
        loss = _loss(item, [row for row in receipts if row["source_file"] == item.source_file], bounds.max_share_lost)
        if loss and not bounds.accepts(item.source_file):
            aside.append(LeftOut(item.source_file, "correction", loss))
        else:
            kept[sort].append(item)
    taken = [*sorted_files.new, *kept["corrected"], *kept["reread"]]
    found = find_overlaps(_holdings(taken, receipts, bounds), max_share=bounds.max_share_overlap)
    aside += [LeftOut(item.name, item.kind, item.reason) for item in found.set_aside]
    dropped = {item.name for item in found.set_aside}
    return replace(
        sorted_files,
        new=tuple(item for item in sorted_files.new if item.source_file not in dropped),
        **{sort: tuple(item for item in items if item.source_file not in dropped) for sort, items in kept.items()},
        left_out=tuple(sorted(aside, key=lambda item: item.source_file)),
        replaced=found.replaced,
        notes=(*(note for item in taken for note in item.notes), *found.notes),
    )


def sort_delivery(files: Iterable[DeliveredFile], receipts: Sequence[Receipt]) -> Delivery:
    """Compare a delivery with the latest receipts of each file, by name, hash and how it is read."""
    known = {row["source_file"]: row for row in receipts}
    in_force = {row["file_sha256"] for row in receipts if row["receipt_status"] == "received"}
    sorts: dict[str, list[DeliveredFile]] = {
        name: [] for name in ("new", "corrected", "reread", "unchanged", "renamed", "withdrawn")
    }
    for item in files:
        former = known.get(item.source_file)
        if former is not None and former["file_sha256"] == item.sha256:
            sorts[_sort_of_known(item, former)].append(item)
        elif former is not None:
            sorts["corrected"].append(item)
        else:
            sorts["renamed" if item.sha256 in in_force else "new"].append(item)
    new, corrected, reread, unchanged, renamed, withdrawn = (tuple(items) for items in sorts.values())
    return Delivery(new, corrected, reread, unchanged, renamed, withdrawn)


def _sort_of_known(item: DeliveredFile, former: Receipt) -> str:
    if former["receipt_status"] != "received":
        return "withdrawn"
    readings = {reading_of_parts(item.parts), reading_of_parts(former["parts"])}
    # a receipt of an older product does not say how its file was read
    return "reread" if len(readings) == 2 and "" not in readings else "unchanged"


def grouped(left_out: Iterable[LeftOut]) -> list[tuple[Kind, str, list[str]]]:
    """Group files left out by what is wrong with them: kind, sentence, names; those to look at first."""
    groups: dict[tuple[Kind, str], list[str]] = {}
    for item in left_out:
        groups.setdefault((item.kind, item.reason), []).append(item.source_file)
    order = {kind: position for position, kind in enumerate(NOTABLE)}
    listed = [(kind, reason, sorted(names)) for (kind, reason), names in groups.items()]
    return sorted(listed, key=lambda group: (order.get(group[0], len(order)), group[0], group[2]))


def _loss(item: DeliveredFile, former: Sequence[Receipt], bound: float) -> str:
    """What a file lost against the one it would replace, if it is more than may be; in words."""
    former = [row for row in former if row["receipt_status"] == "received"]
    if not former:
        return ""
    lines = sum(row["n_lines"] for row in former)
    lost = []
    if lines - item.n_lines > bound * lines:
        lost.append(f"{item.n_lines:,} lines instead of {lines:,}")
    before = {row["source_year"]: stored_content(row) for row in former}
    if all(content is not None for content in before.values()):
        old = sum((content for content in before.values() if content is not None), Content())
        new = sum((year.content for year in item.years), Content())
        if old.value_usd - new.value_usd > bound * float(old.value_usd):
            lost.append(f"US$ {new.value_usd:,} instead of {old.value_usd:,}")
        gone = sorted({month for month in old.parts if None not in month} - set(new.parts))
        if gone:
            lost.append(f"no records of {', '.join(f'{year}-{month:02d}' for year, month in gone)} any more")
    if not lost:
        return ""
    return (
        f"it would take the place of a file of this name that is in force, with {', '.join(lost)}. The former stays; if the"
        " new one is right, say --accept with its name"
    )


def stored_content(receipt: Receipt) -> Content | None:
    """Content of a receipt; None for receipts of older products."""
    stored = receipt["content"]
    return Content.from_json(json.loads(stored)) if stored else None


def _holdings(taken: Sequence[DeliveredFile], receipts: Sequence[Receipt], bounds: Bounds) -> list[Holding]:
    """Everything that would be in force, file by file and year by year."""
    names = {item.source_file for item in taken}
    holdings = [
        Holding(item.source_file, year.year, year.by_month(), False, bounds.accepts(item.source_file), form_rank(item))
        for item in taken
        for year in item.years
    ]
    for row in receipts:
        content = stored_content(row) if row["receipt_status"] == "received" and row["source_file"] not in names else None
        if content is not None:
            year = FileYear(row["source_year"], row["source_month"], row["n_lines"], content)
            holdings.append(Holding(row["source_file"], year.year, year.by_month(), True, False, 0))
    return holdings


def form_rank(item: DeliveredFile) -> int:
    """Which form of the same records is taken first: text, packed text, other containers, then copies for programs."""
    name = item.source_file.lower()
    if item.delimiter:
        return 0 if name.endswith((".csv", ".txt", ".tsv")) else 1
    return 3 if name.endswith((".dta", ".sav", ".sas7bdat")) else 2
