"""Files that hold the same records: found by their content, whatever their names, forms and order.

Files are compared within a year and month. Of files that are equal one is kept; of a year's file and the months it is made
of, the months, unless it holds more than they do. What is shared in part is set aside beyond a bound and named below it.
Only files that share a sampled record are compared, so that a folder of very many files stays quick.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from jobs.kernels.content import Part, shared_records

#: Share of a file's records found in another from which on all of them are taken to be there: the sample has an error.
ALL = 0.98
#: Below this share records in common are chance: small round amounts repeat.
CHANCE = 0.05
#: A record in the sample of more files than this says nothing.
MAX_FILES_OF_A_RECORD = 50
SHOWN = 5
#: What copying leaves in a name.
COPY_MARK = re.compile(r"copy|副本|复件|拷贝|\(\d\)|[-_ ](old|bak|backup)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Holding:
    """The records of one year in one file.

    Attributes
    ----------
    name : str
    year : int
    months : dict
        Month, or None where it is not known, to its records.
    is_in_force : bool
        The lake holds it already.
    is_accepted : bool
        Somebody said that it is to be taken.
    rank : int
        Of equal files the lowest is kept.
    """

    name: str
    year: int
    months: Mapping[int | None, Part]
    is_in_force: bool
    is_accepted: bool
    rank: int

    @property
    def total(self) -> Part:
        """All records."""
        return sum(self.months.values(), Part())

    @property
    def preference(self) -> tuple:
        """Order in which files are kept."""
        is_copy = COPY_MARK.search(self.name) is not None
        return (not self.is_accepted, not self.is_in_force, len(self.months), self.rank, is_copy, self.name)


@dataclass(frozen=True, slots=True)
class SetAside:
    """A file whose records others hold."""

    name: str
    kind: Literal["duplicate", "overlap"]
    reason: str


@dataclass(frozen=True, slots=True)
class Overlaps:
    """What was found.

    Attributes
    ----------
    set_aside : tuple of SetAside
        One for each file, by name.
    replaced : tuple of str
        Files in force whose place an accepted file takes.
    notes : tuple of str
        Sentences on records in common within the bound.
    """

    set_aside: tuple[SetAside, ...] = ()
    replaced: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_overlaps(holdings: Sequence[Holding], *, max_share: float) -> Overlaps:
    """Find the files that hold records of other files.

    Parameters
    ----------
    holdings : sequence of Holding
        Of all files that would be in force.
    max_share : float
        Share of its records that a file may have in common with another.
    """
    years: dict[int, list[Holding]] = {}
    for holding in holdings:
        years.setdefault(holding.year, []).append(holding)
    found = [_of_year(sorted(items, key=lambda item: item.preference), max_share) for _, items in sorted(years.items())]
    aside: dict[str, SetAside] = {}
    for item in (item for overlaps in found for item in overlaps.set_aside):
        aside.setdefault(item.name, item)
    in_force = {holding.name for holding in holdings if holding.is_in_force}
    return Overlaps(
        tuple(item for name, item in sorted(aside.items()) if name not in in_force),
        tuple(sorted(set(aside) & in_force)),
        tuple(note for overlaps in found for note in overlaps.notes),
    )


def shared(small: Holding, large: Holding) -> float:
    """Share of one file's records of a year that another holds too, month by month where both say months."""
    n_rows = sum(part.n_rows for part in small.months.values())
    n_shared = 0.0
    for month, part in small.months.items():
        other = large.total if month is None else large.months.get(month, large.months.get(None))
        if other is not None and part.n_rows:
            fewer = min(part.n_rows, other.n_rows)
            n_shared += (1.0 if part.is_same(other) else shared_records(part, other)) * fewer
    return n_shared / n_rows if n_rows else 0.0


def _of_year(holdings: list[Holding], max_share: float) -> Overlaps:
    """Overlaps among files of one year, in the order of their preference."""
    kept, aside = _without_equals(holdings)
    pairs = {
        (a, b): share
        for a, b in _candidates(kept)
        for a, b, share in ((a, b, shared(kept[a], kept[b])), (b, a, shared(kept[b], kept[a])))
        if share > CHANCE
    }
    gone: set[int] = set()
    _settle_wholes(kept, pairs, gone, aside)
    notes: list[str] = []
    _settle_rest(kept, pairs, gone, aside, notes, max_share)
    return Overlaps(tuple(aside), (), tuple(notes))


def _without_equals(holdings: Sequence[Holding]) -> tuple[list[Holding], list[SetAside]]:
    """Of files that hold the same records only the first; two that are in force both stay, that was decided before."""
    first_of: dict[tuple[int, int], Holding] = {}
    kept: list[Holding] = []
    aside: list[SetAside] = []
    for item in holdings:
        total = item.total
        first = first_of.setdefault((total.n_rows, total.key_hash), item)
        if first is item or (item.is_in_force and first.is_in_force):
            kept.append(item)
        else:
            aside.append(SetAside(item.name, "duplicate", f"the same {total.n_rows:,} records as {first.name}, counted once"))
    return kept, aside


def _candidates(holdings: Sequence[Holding]) -> set[tuple[int, int]]:
    """Pairs of files with a sampled record in common."""
    holders: dict[int, list[int]] = {}
    for number, item in enumerate(holdings):
        for value in {value for part in item.months.values() for value in part.sketch}:
            holders.setdefault(value, []).append(number)
    return {
        (a, b)
        for numbers in holders.values()
        if 1 < len(numbers) <= MAX_FILES_OF_A_RECORD
        for position, a in enumerate(numbers)
        for b in numbers[position + 1 :]
    }


def _settle_wholes(
    kept: Sequence[Holding], pairs: Mapping[tuple[int, int], float], gone: set[int], aside: list[SetAside]
) -> None:
    """A year's file and the files whose records are all in it: the smaller ones are kept if they are the whole of it."""
    within: dict[int, list[int]] = {}
    for (small, large), share in sorted(pairs.items()):
        decided = kept[small].is_in_force and kept[large].is_in_force
        if share >= ALL and kept[small].total.n_rows < kept[large].total.n_rows and not decided:
            within.setdefault(large, []).append(small)
    for large in sorted(within, key=lambda k: (-kept[k].total.n_rows, k)):
        inside = [small for small in within[large] if small not in gone]
        if large in gone or not inside:
            continue
        pieces = sum((kept[small].total for small in inside), Part())
        is_whole = pieces.is_same(kept[large].total) or pieces.n_rows >= ALL * kept[large].total.n_rows
        names = _names(kept[small].name for small in inside)
        if kept[large].is_accepted or (kept[large].is_in_force and not any(kept[k].is_accepted for k in inside)):
            drop = inside
        elif is_whole and pieces.n_rows <= kept[large].total.n_rows:
            drop = [large]
        elif any(kept[small].is_in_force or kept[small].is_accepted for small in inside):
            gone.add(large)
            aside.append(
                SetAside(
                    kept[large].name, "overlap",
                    f"it holds the records of {names} and {kept[large].total.n_rows - pieces.n_rows:,} others; taken together"
                    f" they would count twice. Say --accept with its name to take it in their place",
                )
            )
            continue
        else:
            drop = inside
        gone.update(drop)
        for number in drop:
            reason = (
                f"its {kept[large].total.n_rows:,} records are those of {names}, counted once" if number == large
                else f"its records are all in {kept[large].name}, counted once"
            )
            aside.append(SetAside(kept[number].name, "duplicate", reason))


def _settle_rest(
    kept: Sequence[Holding], pairs: Mapping[tuple[int, int], float], gone: set[int], aside: list[SetAside],
    notes: list[str], max_share: float,
) -> None:
    """Files with part of their records in common: the one that comes later in preference is set aside beyond the bound."""
    earlier: dict[int, list[int]] = {}
    for later, first in pairs:
        if first < later and not (kept[later].is_in_force and kept[first].is_in_force):
            earlier.setdefault(later, []).append(first)
    for later in sorted(earlier):
        others = [(pairs[later, first], first) for first in sorted(earlier[later]) if first not in gone]
        if later in gone or not others:
            continue
        share, first = max(others)
        sentence = f"about {min(share, 1):.0%} of its {kept[later].total.n_rows:,} records are in {kept[first].name} too"
        if max(share, pairs.get((first, later), 0)) > max_share:
            gone.add(later)
            aside.append(
                SetAside(
                    kept[later].name, "overlap",
                    f"{sentence}; taken together they would count twice. Say --accept with its name to take it in place of"
                    " that one",
                )
            )
        else:
            notes.append(f"{kept[later].name}: {sentence}")


def _names(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:SHOWN]) + (f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else "")
