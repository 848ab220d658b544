"""Places for people: what a postcode is in a year and why, and how the records of each city were placed.

``explain_postcode`` needs no Spark: it reads the same place book and look-ups as the cleaning job, so what it says is what
a record gets when its text names no other prefecture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from conf.settings import Convention, Places
from jobs.commands.narrow_book import Book, Rows, narrow_book, shipped_rows
from jobs.core.errors import InputRefusedError
from jobs.kernels.placing import MONTH_OF_YEARLY_FILES
from jobs.reference.place_lookups import build_postcodes
from schemas.places import INSIDE_TYPES

if TYPE_CHECKING:
    from jobs.reference.place_book import PlaceBook

LISTS = {
    "postcode_a": "libaddressinput 2010", "postcode_b": "chinese-postcode 2018", "postcode_c": "china-region 2019",
}
TYPE_WORDS = {
    "district": "municipal district", "county": "county", "county_city": "county-level city",
    "whole_city": "city without districts, wholly city",
}
FIRST_YEAR, LAST_YEAR = 2000, 2030


class PostcodeQuestionError(InputRefusedError):
    """Raised when the postcode is not six digits or the year is outside the reference."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One unit a postcode may be.

    Attributes
    ----------
    prefix : str
        Digits that match.
    unit_code, unit_name, unit_type : str
        The unit in the year.
    city_name : str
        Its prefecture in the year.
    n_agree, n_sources : int
        Sources (three lists of seats, a directory) that give the prefix, of those that have the unit; a user's row
        counts as one of one.
    n_codes : int
        Codes of the unit under the prefix in the directory.
    is_user : bool
        From the user's own directory.
    seats : dict
        Postcode of the unit's seat in each list.
    approved_on : str
        Date of the document that made the unit what it is, if it began after 2000.
    """

    prefix: str
    unit_code: str
    unit_name: str
    unit_type: str
    city_name: str
    n_agree: int
    n_sources: int
    n_codes: int
    is_user: bool
    seats: dict[str, str]
    approved_on: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a postcode is in a year.

    Attributes
    ----------
    postcode, year
        The question.
    candidates : tuple of Candidate
        Units the longest matching prefix may mean, best first; empty when no prefix matches.
    also : tuple of Candidate
        Units a shorter prefix may mean.
    unit_type : str or None
        Type the resolver gives.
    confidence : float or None
        The resolver's confidence when the text names the same city.
    is_ambiguous : bool
        The prefix means a district and a unit outside the districts alike.
    other_years : tuple of (int, int, str)
        First year, last year (:data:`LAST_YEAR` when open) and type in all years of the reference.
    """

    postcode: str
    year: int
    candidates: tuple[Candidate, ...]
    also: tuple[Candidate, ...]
    unit_type: str | None
    confidence: float | None
    is_ambiguous: bool
    other_years: tuple[tuple[int, int, str], ...]

    def __str__(self) -> str:
        return render_explanation(self)


def explain_postcode(
    postcode: str, year: int, *, book: PlaceBook | Book | None = None, convention: Convention = "year_end"
) -> Explanation:
    """Say what a postcode is in a year, by which evidence, and what else it could be.

    Parameters
    ----------
    postcode : str
        Six digits.
    year : int
        Calendar year, 2000 or later.
    book : PlaceBook, optional
        The shipped tables by default; pass the one a user's files are laid over to explain with them.

    Raises
    ------
    PostcodeQuestionError
        If the postcode is not six digits or the year is before 2000.
    """
    postcode = str(postcode)
    if not (len(postcode) == 6 and postcode.isascii() and postcode.isdigit()):
        raise PostcodeQuestionError(f"postcode: expected six digits, such as 312000; found {postcode!r}.")
    if not FIRST_YEAR <= year < LAST_YEAR:
        raise PostcodeQuestionError(f"year: expected {FIRST_YEAR} to {LAST_YEAR - 1}; found {year}.")
    book = book or narrow_book(Places(), postcodes=[postcode])
    found = _candidates(book, postcode, year)
    longest = max((len(candidate.prefix) for candidate in found), default=0)
    month = year * 12 + (MONTH_OF_YEARLY_FILES if convention == "approval" else 12) - 1
    near = Rows(row for row in book.prefixes.itertuples() if row.prefix[:4] == postcode[:4])
    spans = _spans(build_postcodes(replace(book, prefixes=near), convention=convention), postcode)
    place = next((place for start, end, place in spans if start <= month < end), None)
    return Explanation(
        postcode=postcode,
        year=year,
        candidates=tuple(candidate for candidate in found if len(candidate.prefix) == longest),
        also=_others(found, longest),
        unit_type=place["unit_type"] if place else None,
        confidence=place["share"] if place else None,
        is_ambiguous=bool(place and place["is_shared"]),
        other_years=_fold_years(spans),
    )


def render_explanation(answer: Explanation) -> str:
    """An explanation as lines of text."""
    if not answer.candidates:
        known = "; ".join(f"{a}-{b if b < LAST_YEAR else ''}: {TYPE_WORDS[t]}" for a, b, t in answer.other_years)
        return (
            f"{answer.postcode} in {answer.year}: no county-level unit of the year has this postcode."
            f"{' Other years: ' + known + '.' if known else ''}\n"
            "A postcode directory of your own can add it (setting places.user_postcodes)."
        )
    lines = _place_lines(answer)
    if answer.is_ambiguous:
        lines.append("  ambiguous: districts and other units share these digits; see the setting places.ambiguous")
    lines += [_candidate_line("  is", candidate) for candidate in answer.candidates]
    lines += [_candidate_line("  by fewer digits also", candidate) for candidate in answer.also]
    if len(answer.other_years) > 1:
        lines.append("  over the years: " + "; ".join(
            f"{a}-{b if b < LAST_YEAR else ''} {TYPE_WORDS[kind]}" for a, b, kind in answer.other_years
        ))
    return "\n".join(lines)


def _place_lines(answer: Explanation) -> list[str]:
    best = answer.candidates[0]
    if answer.unit_type is None:
        # its units were approved later in the year than the month that a yearly file is placed in
        return [f"{answer.postcode} in {answer.year}: no unit yet in month {MONTH_OF_YEARLY_FILES}; later, {best.city_name}"]
    kept = "kept" if answer.unit_type in INSIDE_TYPES else "outside the municipal districts"
    return [
        f"{answer.postcode} in {answer.year}: {TYPE_WORDS[answer.unit_type]}, {best.city_name}",
        f"  {kept}; {len(best.prefix)} digits ({best.prefix}), confidence {answer.confidence:.2f}",
    ]


def _candidates(book: PlaceBook | Book, postcode: str, year: int) -> list[Candidate]:
    prefixes = [row for row in _in_force(book.prefixes, year) if postcode.startswith(row.prefix)]
    units = {row.unit_code: row for row in _in_force(book.units, year)}
    names = {row.prefecture_code: row.name_zh for row in _in_force(book.prefectures, year)}
    seats = _seats(year)
    found = [
        Candidate(
            prefix=row.prefix,
            unit_code=row.unit_code,
            unit_name=units[row.unit_code].unit_name,
            unit_type=units[row.unit_code].unit_type,
            city_name=names.get(units[row.unit_code].prefecture_code, ""),
            n_agree=int(row.n_agree),
            n_sources=int(row.n_sources),
            n_codes=int(row.n_codes),
            is_user=bool(row.is_user),
            seats=seats.get(row.unit_code, {}),
            approved_on=units[row.unit_code].approved_on,
        )
        for row in prefixes
        if row.unit_code in units
    ]
    return sorted(found, key=lambda c: (-len(c.prefix), -c.n_codes - c.n_agree, c.unit_type not in INSIDE_TYPES, c.unit_code))


def _in_force(table: Any, year: int) -> Iterator[Any]:
    return (row for row in table.itertuples() if row.valid_from <= year < row.valid_to)


def _others(found: Sequence[Candidate], longest: int) -> tuple[Candidate, ...]:
    """Units that only shorter prefixes name, each once."""
    seen = {candidate.unit_code for candidate in found if len(candidate.prefix) == longest}
    others = []
    for candidate in found:
        if candidate.unit_code not in seen:
            seen.add(candidate.unit_code)
            others.append(candidate)
    return tuple(others)


def _seats(year: int) -> dict[str, dict[str, str]]:
    rows = [row for name in ("seat_postcodes", "seat_additions") for row in shipped_rows(f"sources/{name}")]
    return {
        row.unit_code: {label: getattr(row, column) for column, label in LISTS.items() if getattr(row, column)}
        for row in rows
        if row.valid_from <= year < row.valid_to
    }


def _spans(postcodes: Sequence[dict], postcode: str) -> list[tuple[int, int, dict]]:
    """Months and the place the resolver takes in them when the text adds nothing."""
    rows = sorted((row for row in postcodes if postcode.startswith(row["prefix"])), key=lambda row: row["prefix"])
    months = sorted({month for row in rows for month in (row["from_month"], row["to_month"])})
    spans = []
    for start, end in pairwise(months):
        held = [row for row in rows if row["from_month"] <= start < row["to_month"]]
        if held:
            spans.append((start, end, held[-1]["places"][0]))
    return spans


def _fold_years(spans: Sequence[tuple[int, int, dict]]) -> tuple[tuple[int, int, str], ...]:
    folded: list[tuple[int, int, str]] = []
    for start, end, place in sorted(spans, key=lambda span: span[0]):
        # a year in which the place changes goes to the state of its end, as in the tables of statistics
        first, last = start // 12, min((end - 1) // 12 if end % 12 == 0 else end // 12 - 1, LAST_YEAR)
        if folded and folded[-1][2] == place["unit_type"] and folded[-1][1] == first - 1:
            folded[-1] = (folded[-1][0], last, place["unit_type"])
        elif first <= last:
            folded.append((first, last, place["unit_type"]))
    return tuple(folded)


def _candidate_line(lead: str, candidate: Candidate) -> str:
    vote = "your own directory" if candidate.is_user else f"{candidate.n_agree} of {candidate.n_sources} sources"
    if candidate.n_codes and not candidate.is_user:
        vote += f", {candidate.n_codes} code{'s' if candidate.n_codes > 1 else ''} in the directory"
    if not candidate.is_user and candidate.n_sources == 0:
        whole = candidate.unit_type == "whole_city"
        vote = "delivery area of the whole city" if whole else "in no source; a core prefix of the city"
    since = f", so since {candidate.approved_on}" if candidate.approved_on else ""
    seats = ", ".join(f"{label} {code}" for label, code in candidate.seats.items())
    return (
        f"{lead} {candidate.prefix}: {candidate.unit_code} {candidate.unit_name} ({TYPE_WORDS[candidate.unit_type]}{since});"
        f" {vote}{' [seat: ' + seats + ']' if seats else ''}"
    )
