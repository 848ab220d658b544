"""Year and month of a delivered file, from its name and from the folders it lies in, by the patterns below and no others.

The date column of the customs files is unreliable before 2006, so the name speaks first. Names as they circulate
(public programs that read the files): ``data200301``, ``2000-01``, ``200601cn``, ``tradedata_2003_1`` (a month) but
``tradedata_2007_18`` (a part of the year), ``海关2005年3月``, ``2003/m01``, ``export1_2012``, ``data_2003_0`` (exports),
``custom_0015_exp`` (all years), ``HS2007版_2003`` (the year is 2003). What the pattern cannot tell, the layout decides:
a number behind the year is a month in a vintage of monthly files and a part in a vintage of yearly ones.
"""

from __future__ import annotations

import calendar
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal

#: Customs records by firm exist from 2000 on; a wider window so that a wrong year is named and not overlooked.
FIRST_YEAR, LAST_YEAR = 1980, 2039
Flow = Literal["", "export", "import"]

_CHINESE_DIGITS = str.maketrans("〇○零一二三四五六七八九", "000123456789")
_CHINESE_YEAR = re.compile(r"[一二][〇○零一二三四五六七八九]{3}(?=年)")
_CHINESE_MONTHS = {"十二": "12", "十一": "11", "十": "10"} | {
    word: str(number) for number, word in enumerate("一二三四五六七八九", 1)
}
_CHINESE_MONTH = re.compile(r"(十[一二]?|[一二三四五六七八九])(?=月)")
_ENGLISH_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_YEAR = r"(?:19[89]\d|20[0-3]\d)"
_MONTH = r"(?:0[1-9]|1[0-2])"
_DAY = r"(?:0[1-9]|[12]\d|3[01])"

#: Marks whose number is not a year of the records: editions of a nomenclature, versions, dates of a download, copies.
VERSION_MARKS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?:HS|SITC|ISIC|BEC|CPC|GB/?T?|GBT|CN)[ _\-.]?(?:code|rev|版|编码)?[ _\-.]?(?:\d{4,5}[ _\-.])??" + _YEAR
        + r"(?:\s*(?:年?版本?|年版本|edition|revision))?(?!\d)(?![_\-.]?\d{2}(?!\d))",
        r"(?<!\d)(?:H[0-6]|HS\d{2})(?![\dA-Za-z])",
        _YEAR + r"\s*年?\s*(?:版本|版|修订|edition|rev(?:ision)?\b|整理|下载|更新|制作|导出)",
        r"(?:rev(?:ision)?|ver(?:sion)?|edition|更新|整理|下载|修订|制作|导出|updated?|download(?:ed)?|exported|created|"
        r"released?|as[ _]of)[ _\-.:于]*" + _YEAR + r"(?:[-_.年]?\d{1,2}(?:[-_.月]?\d{1,2}日?)?)?(?!\d)",
        r"(?<![A-Za-z])v[ _.]?\d+(?:\.\d+)*(?![\dA-Za-z])",
        r"\s*\(\d\)$",
        r"(?:GB|Big|UTF-?|cp)\d{1,5}(?![\d])",
    )
)


@dataclass(frozen=True, slots=True)
class Period:
    """What the names of a file and of its folders say about its records.

    Attributes
    ----------
    years : tuple of int
        The year; the first and the last of a range; empty when no name has one.
    month : int or None
        Month where a name says it beyond doubt.
    number : int or None
        Number behind the year: a month under a vintage of monthly files, a part under one of yearly files.
    last_month : int or None
        Last month of a span (``2003年1-6月``, ``2003Q2``); ``month`` is None then and ``number`` its first.
    flow : str
        ``export`` or ``import`` when the name says that the file holds nothing else.
    rivals : tuple of int
        Further years the same name speaks of: it does not decide.
    """

    years: tuple[int, ...] = ()
    month: int | None = None
    number: int | None = None
    last_month: int | None = None
    flow: Flow = ""
    rivals: tuple[int, ...] = ()

    @property
    def year(self) -> int | None:
        """The one year the names speak of; None for none, several or a range."""
        return self.years[0] if len(self.years) == 1 and not self.rivals else None

    def month_under(self, layout_period: str) -> int | None:
        """Month of the file under a layout whose files cover a ``month`` or a ``year``.

        Parameters
        ----------
        layout_period : str
            ``month`` or ``year``.
        """
        if layout_period != "month" or self.last_month is not None:
            return None
        if self.month is not None:
            return self.month
        return self.number if self.number is not None and 1 <= self.number <= 12 else None


def period_of(source_file: str) -> Period:
    """Read a file's path below the raw folder; the file's own name speaks before its folders, the nearest folder first.

    Parameters
    ----------
    source_file : str
        With forward slashes, such as ``customs/2003/m01.csv``.

    Examples
    --------
    >>> period_of("customs/海关2005年3月.csv").years, period_of("customs/海关2005年3月.csv").month
    ((2005,), 3)
    >>> period_of("2003/m01.csv").month, period_of("HS2007版_2003.csv").year
    (1, 2003)
    """
    path = PurePosixPath(source_file)
    found = _of_name(_stem(path.name))
    for folder in reversed(path.parts[:-1]):
        found = _completed(found, _of_name(_tidy(folder)), path)
    return found


def flow_in_name(source_file: str) -> Flow:
    """Direction of trade that the names of a file and its folders say; empty when they do not."""
    return period_of(source_file).flow


def _completed(own: Period, folder: Period, path: PurePosixPath) -> Period:
    """Fill what a file's name leaves open with what its folder says."""
    if not own.years and folder.years:
        # 2003/m01.csv, 2003/1月.csv, 2003/01.csv: under a year a bare number is the month
        bare = _bare_number(_stem(path.name)) if own.month is None else None
        number = own.number if own.number is not None else bare
        month = own.month if own.month is not None else folder.month
        return replace(
            folder, month=month, number=number if number is not None else folder.number, flow=own.flow or folder.flow
        )
    if own.year is not None and own.month is None and own.number is None and folder.years in ((), own.years):
        return replace(own, month=folder.month, number=folder.number, flow=own.flow or folder.flow)
    if own.month is None and not folder.years:
        # 2003/3月/data.csv and 2003/03/data.csv: the month is a folder of its own
        of_folder = path.parent.name if folder.month is None else ""
        month = int(of_folder) if re.fullmatch(r"0?[1-9]|1[0-2]", of_folder) and not own.number else folder.month
        return replace(own, month=month, flow=own.flow or folder.flow)
    return replace(own, flow=own.flow or folder.flow)


def _bare_number(stem: str) -> int | None:
    match = re.fullmatch(r"\D*?(\d{1,2})\D*", stem)
    return int(match[1]) if match else None


def _stem(name: str) -> str:
    """The name without its endings: ``data200301.csv.gz`` is ``data200301``."""
    tidy = _tidy(name)
    while match := re.fullmatch(r"(.+)\.([A-Za-z][A-Za-z0-9]{1,9}|7z)", tidy):
        tidy = match[1]
    return tidy


def _tidy(name: str) -> str:
    """Full-width and Chinese digits as ASCII, marks of versions taken out."""
    text = unicodedata.normalize("NFKC", name)
    text = _CHINESE_YEAR.sub(lambda match: match[0].translate(_CHINESE_DIGITS), text)
    text = _CHINESE_MONTH.sub(lambda match: _CHINESE_MONTHS[match[1]], text)
    for mark in VERSION_MARKS:
        text = mark.sub(" ", text)
    return text


def _of_name(text: str) -> Period:
    flow = _flow(text)
    span = _span_of_years(text)
    if span:
        return Period(years=span, flow=flow)
    found = [found for read in _READERS for found in read(text)]
    years = list(dict.fromkeys(item.years[0] for item in found if item.years))
    if not years:
        return Period(month=_lone_month(text), flow=flow)
    best = next(item for item in found if item.years)
    if best.month is None and best.number is None and best.last_month is None:
        best = replace(best, month=_lone_month(text))
    if flow and best.number in (0, 1) and re.search(rf"{_YEAR}_[01]$", text):
        best = replace(best, number=None)
    return replace(best, flow=flow, rivals=tuple(year for year in years if year != best.years[0]))


def _span_of_years(text: str) -> tuple[int, ...]:
    match = re.search(rf"(?<!\d)({_YEAR})(?:{_MONTH})?年?\s*[-_~—–至到]+\s*({_YEAR})(?:{_MONTH})?(?!\d)", text)
    if not match or int(match[1]) >= int(match[2]):
        return ()
    return int(match[1]), int(match[2])


def _dates(text: str) -> Iterator[Period]:
    for match in re.finditer(rf"(?<!\d)({_YEAR})([-_.]?)({_MONTH})\2{_DAY}(?!\d)", text):
        yield Period((int(match[1]),), int(match[3]))


def _chinese(text: str) -> Iterator[Period]:
    for match in re.finditer(
        rf"(?<!\d)({_YEAR}|\d\d)\s*年度?\s*(?:第?([1-4])季度?|(上|下)半年|(1[0-2]|0?[1-9])\s*[-~—至到]\s*(1[0-2]|0?[1-9])\s*月"
        r"|(1[0-2]|0?[1-9])\s*月份?)?",
        text,
    ):
        year = int(match[1]) if len(match[1]) == 4 else 2000 + int(match[1])
        if match[2]:
            yield _span(year, int(match[2]) * 3 - 2, int(match[2]) * 3)
        elif match[3]:
            yield _span(year, 1, 6) if match[3] == "上" else _span(year, 7, 12)
        elif match[4]:
            yield _span(year, int(match[4]), int(match[5]))
        else:
            yield Period((year,), int(match[6]) if match[6] else None)


def _months(text: str) -> Iterator[Period]:
    """``200301``, ``2003-01``, ``2003m1``, ``2003Q2``, ``2003_Jan``, ``Jan2003``, ``012003``."""
    names = "|".join(_ENGLISH_MONTHS)
    for match in re.finditer(rf"(?<!\d)({_YEAR})[-_. ]?({_MONTH})(?!\d)", text):
        yield Period((int(match[1]),), int(match[2]))
    for match in re.finditer(rf"(?<!\d)({_YEAR})[-_. ]?m(?:onth)?[-_. ]?(1[0-2]|0?[1-9])(?!\d)", text, re.IGNORECASE):
        yield Period((int(match[1]),), int(match[2]))
    for match in re.finditer(rf"(?<!\d)({_YEAR})[-_. ]?Q([1-4])(?!\d)", text, re.IGNORECASE):
        yield _span(int(match[1]), int(match[2]) * 3 - 2, int(match[2]) * 3)
    for match in re.finditer(rf"(?<!\d)({_YEAR})[-_. ]?({names})[a-z]*", text, re.IGNORECASE):
        yield Period((int(match[1]),), _ENGLISH_MONTHS[match[2].lower()])
    for match in re.finditer(rf"(?<![a-z])({names})[a-z]*[-_. ]?({_YEAR})(?!\d)", text, re.IGNORECASE):
        yield Period((int(match[2]),), _ENGLISH_MONTHS[match[1].lower()])
    for match in re.finditer(rf"(?<!\d)({_MONTH})[-_.]?({_YEAR})(?!\d)(?![-_.]\d)", text):
        yield Period((int(match[2]),), int(match[1]))


def _numbered(text: str) -> Iterator[Period]:
    """``tradedata_2007_18``, ``2007_1``, ``2003-1``: a month or a part, as the layout says."""
    for match in re.finditer(rf"(?<!\d)({_YEAR})[-_. ](?:part)?[-_ ]?(\d{{1,2}})(?!\d)", text, re.IGNORECASE):
        yield Period((int(match[1]),), number=int(match[2]))


def _years(text: str) -> Iterator[Period]:
    for match in re.finditer(rf"(?<!\d)({_YEAR})(?!\d)", text):
        yield Period((int(match[1]),))


# the most telling first: the first reader that finds a year decides its month
_READERS = (_dates, _chinese, _months, _numbered, _years)


def _span(year: int, first: int, last: int) -> Period:
    return Period((year,), number=first, last_month=last) if first < last else Period((year,), first)


def _lone_month(text: str) -> int | None:
    """A month that stands apart from the year: ``m01``, ``3月``, ``Jan``."""
    names = "|".join(_ENGLISH_MONTHS)
    patterns = (r"(?<!\d)(1[0-2]|0?[1-9])\s*月", r"(?<![A-Za-z])m(?:onth)?[-_ ]?(1[0-2]|0?[1-9])(?!\d)")
    for pattern in patterns:
        if match := re.search(pattern, text, re.IGNORECASE):
            return int(match[1])
    match = re.search(rf"(?<![a-z])({names})(?:uary|ruary|ch|il|e|y|ust|tember|ober|ember)?(?![a-z])", text, re.IGNORECASE)
    return _ENGLISH_MONTHS[match[1].lower()] if match else None


def _flow(text: str) -> Flow:
    """A file of exports or of imports only, by its name: ``export1_2012``, ``Raw_import_200001``, ``data_2003_0``."""
    is_export = re.search(r"出口|(?<![a-z])exp(?:ort)?s?(?![a-z])", text, re.IGNORECASE) is not None
    is_import = re.search(r"进口|進口|(?<![a-z])imp(?:ort)?s?(?![a-z])", text, re.IGNORECASE) is not None
    if is_export == is_import:
        # Khandelwal, Schott and Wei's files: _0 behind the year is exports, _1 imports, as the records mark them
        match = re.search(rf"^data_{_YEAR}_([01])$", text.strip())
        return ("export" if match[1] == "0" else "import") if match and not is_export else ""
    return "export" if is_export else "import"
