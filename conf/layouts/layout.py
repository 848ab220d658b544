"""What one raw layout says, and how headings are compared with it.

A heading counts as the same when it differs only in spaces, letter case, full-width forms or a unit in brackets that
changes nothing (``金额（美元）``). A unit that changes the value (``千美元``) does not: say it in ``[units]``.
"""

from __future__ import annotations

import calendar
import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache

from conf.file_names import Period, period_of

# what brackets may say without changing the meaning of a number: the unit is the expected one, the quantity is the first
_SAME_UNIT = re.compile(
    r"[(\[](?:单位[:：])?(?:美元|usd|us\$|u\.s\.dollars?|第一|第一数量|fob)[)\]]$|[_:/-](?:单位[:：])?(?:美元|usd|us\$)$"
    r"|^(?:美元|usd_?)(?=金额|value|amount)"
)
# what joins the words of a heading where others put a space: exp_or_imp, Exp or Imp; not the underscore before a Chinese one
_JOINTS = re.compile(r"(?<=[a-z0-9])[_.-]+(?=[a-z0-9])")
_SPACES = re.compile(r"[\s\u00a0\u3000\u200b\ufeff]+")

#: Columns without which no city can be given its exports; any one of a group will do.
STUDY_COLUMNS = (("flow",), ("hs_code",), ("value",), ("production_place", "production_place_code"), ("partner",))
_WORDS = {
    "flow": "the direction of trade", "hs_code": "the commodity code", "value": "the value",
    "production_place": "the production place", "partner": "the destination",
}


@dataclass(frozen=True, slots=True)
class FileForm:
    """How a file of a layout is written, where that is not to be found out from the file itself.

    Attributes
    ----------
    encoding, delimiter, sheet : str
        Empty: found out.
    decimal : str
        ``,`` for numbers with a decimal comma; empty for a point.
    skip_lines : int
        Lines above the headings, or above the records of a file without; blank ones do not count. -1: found out.
    headings : tuple of str
        Names of the columns of a file that has no heading line.
    names : tuple of str
        Regular expressions, one of which the file's path must contain; empty: any name.
    """

    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""
    decimal: str = ""
    skip_lines: int = -1
    headings: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


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
        Encodings the vintage circulates in, the likeliest first.
    required : tuple of str
        Our column names that must be present for a file to be of this layout.
    columns : dict
        Our column name to the headings it is delivered under.
    constants : dict
        Our column name to the text that stands in every row.
    values : dict
        Our column name to {delivered text: what it means}; a text that is not among them stays as it is.
    units : dict
        ``value`` or ``quantity`` to the number its figures are multiplied by.
    from_name : dict
        Our column name to {regular expression: text}: the first that is found in the file's name gives the column.
    form : FileForm
        How the file is written.
    year_from : str
        ``name``, ``rows`` or empty (compared; the name decides).
    name_pattern : str
        Regular expression with the group ``year`` (four digits or two) and, if names say it, ``month`` (a number or an
        English name), searched in the file's path; names it is not found in are read as all others.
    script : str
        ``traditional``: names of places, partners and the like are written in traditional characters.
    note : str
        What a user should know who loads this vintage.
    """

    name: str
    description: str
    period: str
    encodings: tuple[str, ...]
    required: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]] = field(hash=False)
    constants: Mapping[str, str] = field(default_factory=dict, hash=False)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)
    units: Mapping[str, float] = field(default_factory=dict, hash=False)
    from_name: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)
    form: FileForm = FileForm()
    year_from: str = ""
    name_pattern: str = ""
    script: str = ""
    note: str = ""

    def assign(self, headings: Sequence[str]) -> dict[str, list[int]]:
        """Return our column names to the positions of their headings (several when a column came twice)."""
        spelt = _columns_by_heading(self)
        found: dict[str, list[int]] = {}
        for index, heading in enumerate(headings):
            for column in spelt.get(plain_heading(heading), ()):
                found.setdefault(column, []).append(index)
        return {column: found[column] for column in self.columns if column in found}

    def missing(self, headings: Sequence[str]) -> list[str]:
        """Return the headings (first spelling) of required columns that are not there."""
        assigned = self.assign(headings)
        return [self.columns[column][0] for column in self.required if column not in assigned]

    def fits(self, headings: Sequence[str], path: str | None = None) -> bool:
        """Tell whether every required column is there, and the file's name is one the layout is for."""
        return not self.missing(headings) and (path is None or self.is_for(path))

    def is_for(self, path: str) -> bool:
        """Tell whether a file of this name may be of the layout."""
        return not self.form.names or any(re.search(pattern, path) for pattern in self.form.names)

    def period_of(self, path: str) -> Period:
        """What the file's path says of year and month: by the layout's own pattern, else by those of all names."""
        found = period_of(path)
        match = re.search(self.name_pattern, path, re.IGNORECASE) if self.name_pattern else None
        if match is None or not match["year"]:
            return found
        month = _month_number(match.groupdict().get("month") or "")
        return Period((_full_year(int(match["year"])),), month, flow=found.flow)

    def flow_of(self, path: str) -> str | None:
        """What the file's name says of a column given by names, such as the direction of trade."""
        return next((text for pattern, text in self.from_name.get("flow", {}).items() if re.search(pattern, path)), None)

    def reading_of(self, headings: Sequence[str]) -> str:
        """Hash of all that decides what becomes of the records of a file with these headings.

        Two layouts, or a layout before and after a change, read a file alike when this is the same; what they say of other
        headings does not count.
        """
        assigned = self.assign(headings)
        values = {column: sorted(words.items()) for column, words in sorted(self.values.items()) if column in assigned}
        units = {column: unit for column, unit in sorted(self.units.items()) if column in assigned and unit != 1}
        from_name = [(column, list(words.items())) for column, words in sorted(self.from_name.items())]
        decisive = (
            sorted(assigned.items()), sorted(self.constants.items()), sorted(values.items()), sorted(units.items()), from_name,
            self.form, self.period, self.year_from, self.name_pattern, self.script,
        )
        return hashlib.sha256(repr(decisive).encode()).hexdigest()[:16]

    def carries(self, headings: Sequence[str]) -> frozenset[str]:
        """Our columns that a file with these headings gives, from whatever source."""
        return frozenset(self.assign(headings)) | frozenset(self.constants) | frozenset(self.from_name)

    def lacks(self, headings: Sequence[str]) -> list[str]:
        """Words for what the study needs and files with these headings do not carry."""
        carried = self.carries(headings)
        return [_WORDS[group[0]] for group in STUDY_COLUMNS if not carried.intersection(group)]


def _full_year(number: int) -> int:
    return number if number > 99 else number + (2000 if number < 80 else 1900)


def _month_number(text: str) -> int | None:
    name = text[:3].title()
    number = int(text) if text.isdecimal() else list(calendar.month_abbr).index(name) if name in calendar.month_abbr else 0
    return number if 1 <= number <= 12 else None


@lru_cache(maxsize=256)
def _columns_by_heading(layout: Layout) -> dict[str, tuple[str, ...]]:
    known: dict[str, tuple[str, ...]] = {}
    for column, aliases in layout.columns.items():
        for heading in dict.fromkeys(plain_heading(alias) for alias in aliases):
            known[heading] = (*known.get(heading, ()), column)
    return known


@cache
def plain_heading(heading: str) -> str:
    """A heading without what varies between copies of one vintage: spaces, case, full-width forms, joints, the usual unit."""
    text = _SPACES.sub("", unicodedata.normalize("NFKC", heading)).casefold().strip("\"'")
    return _JOINTS.sub("", _SAME_UNIT.sub("", text) or text)
