"""Of which years and months a file's records are: its name and its date column, held against each other.

The name decides where it has a year, and the date column is compared with it; beyond a bound the file is refused, because
either may be wrong and only a person knows which: the layout says it (``year_from = "name"`` or ``"rows"``). Where the
name has no year, or a range of years, the rows' own dates decide, and a file of several years is split by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from conf.file_names import LAST_YEAR, Period
from conf.layouts import Layout
from jobs.core.errors import InputRefusedError
from jobs.kernels.content import Content
from jobs.kernels.parts import Part, parts_to_json, path_of
from jobs.readers.customs_files import Inspection
from jobs.readers.delivery import DeliveredFile, FileYear

SHOWN = 3


def date_records(item: Inspection, layouts: Sequence[Layout], *, max_share: float) -> DeliveredFile:
    """Give every record of a file its year.

    Parameters
    ----------
    item : Inspection
    layouts : sequence of Layout
    max_share : float
        Share of dated records that may speak of another year or month than the name.

    Raises
    ------
    InputRefusedError
        When name and dates disagree beyond the bound, or neither says the year.
    """
    by_name = {layout.name: layout for layout in layouts}
    named = {part: by_name[part.layout].period_of(path_of(part, item.source_file)) for part in item.parts}
    decides = {by_name[part.layout].year_from for part in item.parts}
    if "rows" not in decides and all(period.year is not None for period in named.values()):
        years, parts, note = _by_name(item, named, by_name, max_share, is_final="name" in decides)
    else:
        years, parts, note = _by_rows(item, named, by_name, max_share)
    parts = tuple(replace(part, reading=by_name[part.layout].reading_of(part.headings)) for part in parts)
    return DeliveredFile(
        item.source_file, item.sha256, item.n_bytes, item.layout.name, item.encoding, item.delimiter, item.headings, years,
        parts_to_json(parts), item.content.n_postcodes > 0, _noticed(item), (note,) if note else (),
    )


def _by_name(
    item: Inspection, named: Mapping[Part, Period], layouts: Mapping[str, Layout], max_share: float, *, is_final: bool
) -> tuple[tuple[FileYear, ...], tuple[Part, ...], str]:
    parts = tuple(
        replace(part, year=period.year, month=period.month_under(layouts[part.layout].period))
        for part, period in named.items()
    )
    n_dated, wrong = _disagreement(item.content, parts)
    n_wrong = sum(wrong.values())
    note = ""
    if n_wrong and not is_final:
        in_name = _in_words(parts)
        months = _months_text(wrong)
        conflict = f"the name says {in_name}, the date column {months} in {n_wrong:,} of {n_dated:,} dated records"
        if n_wrong > max_share * n_dated:
            raise InputRefusedError(
                f"{item.source_file}: {conflict}. One of the two is wrong. Rename the file, or say which decides in a layout"
                f' of your own: year_from = "name" or year_from = "rows".'
            )
        note = f"{item.source_file}: {conflict}; the name decides"
    years = sorted({part.year for part in parts if part.year is not None})
    return tuple(_file_year(year, parts, item.contents) for year in years), parts, note


def _file_year(year: int, parts: Sequence[Part], contents: Sequence[Content]) -> FileYear:
    """The records that names put into a year, whatever their dates: bronze counts them there."""
    own = [(part, content) for part, content in zip(parts, contents, strict=True) if part.year == year]
    months = {part.month for part, _ in own}
    return FileYear(
        year, months.pop() if len(months) == 1 else None, sum(part.n_rows for part, _ in own),
        sum((content for _, content in own), Content()),
    )


def _disagreement(content: Content, parts: Sequence[Part]) -> tuple[int, dict[tuple[int, int | None], int]]:
    """Dated records, and those that speak of a month that no name speaks of."""
    years = {part.year for part in parts}
    months = {(part.year, part.month) for part in parts}
    wrong: dict[tuple[int, int | None], int] = {}
    n_dated = 0
    for (year, month), records in content.parts.items():
        if year is None:
            continue
        n_dated += records.n_rows
        is_named = year in years and (month is None or (year, None) in months or (year, month) in months)
        if not is_named:
            wrong[year, month] = wrong.get((year, month), 0) + records.n_rows
    return n_dated, wrong


def _by_rows(
    item: Inspection, named: Mapping[Part, Period], layouts: Mapping[str, Layout], max_share: float
) -> tuple[tuple[FileYear, ...], tuple[Part, ...], str]:
    content = item.content
    counted = {year: n for year, n in content.years.items() if year is not None and year <= LAST_YEAR}
    n_dated, n_rows = sum(counted.values()), content.n_rows
    if not counted or n_rows - n_dated > max_share * n_rows:
        raise InputRefusedError(f"{item.source_file}: {_no_year(named, n_dated, n_rows)}")
    ranges = [period.years for period in named.values() if len(period.years) == 2]
    outside: dict[tuple[int, int | None], int] = {
        (year, None): n for year, n in counted.items() if ranges and not any(a <= year <= b for a, b in ranges)
    }
    if sum(outside.values()) > max_share * n_dated:
        raise InputRefusedError(
            f"{item.source_file}: the name says {ranges[0][0]}-{ranges[0][1]}, the date column {_months_text(outside)} in"
            f" {sum(outside.values()):,} of {n_dated:,} dated records. One of the two is wrong. Rename the file."
        )
    # bronze keeps a row without a readable date with the first year of its file, marked (jobs/kernels/loading.py)
    first = min(counted)
    years: list[FileYear] = []
    for year in sorted(counted):
        own = content.of_year(year)
        if year == first:
            own = own + content.of_year(None)
        months = {month for _, month in own.parts}
        is_one_month = len(months) == 1 and len(counted) == 1 and layouts[item.layout.name].period == "month"
        years.append(FileYear(year, months.pop() if is_one_month else None, own.n_rows, own))
    if len(years) == 1:
        years = [replace(years[0], content=content)]
    parts = tuple(replace(part, year=None, month=None) for part in item.parts)
    note = f"{item.source_file}: its rows' dates decide the year" if len(years) == 1 else (
        f"{item.source_file}: split by its rows' dates into {len(years)} years, {years[0].year}-{years[-1].year}"
    )
    if n_rows > n_dated:
        undated = f"; {n_rows - n_dated:,} records without a readable date"
        note += f"{undated} are of {first} too" if len(years) == 1 else f"{undated} are not counted (quarantine: year_unknown)"
    return tuple(years), parts, note


def _no_year(named: Mapping[Part, Period], n_dated: int, n_rows: int) -> str:
    rivals = next((period for period in named.values() if period.rivals), None)
    if rivals:
        in_name = f"its name speaks of several years ({', '.join(map(str, (*rivals.years, *rivals.rivals)))})"
    else:
        in_name = "no year in the file's name or its folders'"
    dated = "no readable date column" if not n_dated else f"only {n_dated:,} of {n_rows:,} records with a readable date"
    return (
        f"{in_name}, and {dated}. Expected a name with YYYY or YYYYMM, such as data200301.csv or 2007_1.txt, or a folder such"
        " as 2003; rename the file."
    )


def _in_words(parts: Sequence[Part]) -> str:
    return _months_text({(part.year, part.month): 1 for part in parts if part.year is not None})


def _months_text(months: Mapping[tuple[int, int | None], int]) -> str:
    """The most frequent months, as ``2003-01``."""
    most = sorted(months, key=lambda month: (-months[month], month[0], month[1] or 0))
    texts = [f"{year}-{month:02d}" if month else str(year) for year, month in most]
    return ", ".join(texts[:SHOWN]) + (f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else "")


def _noticed(item: Inspection) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in item.parts:
        for what, n in part.noticed.items():
            total[what] = total.get(what, 0) + n
    return total


