"""Which of the first lines are the headings, which layout they are of, and which encoding and separator make them so."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from conf.layouts import Layout, match_layout, nearest_layout, plain_heading
from jobs.core.errors import InputRefusedError
from jobs.kernels import limits
from jobs.kernels.decoding import DAMAGED, ENCODINGS, MIN_SHARE_COMMON, decode, share_common

DELIMITERS = (",", "\t", ";", "|", "^", "~")
#: What the sentence for a text without columns says.
NO_TABLE = "No table of records"
_BLANK = "".join(map(chr, range(33)))
# a share of damage up to here is damage; above it the text is in another encoding
MAX_SHARE_DAMAGED = 0.05
# a record under the headings: an eight-digit commodity code and a ten-digit firm code, or an amount
_CODES = re.compile(r"(?<!\d)\d{6,10}(?!\d)")
_CODE = re.compile(r"^'?\d{6,10}(\.0+)?$")


@dataclass(frozen=True, slots=True)
class Headings:
    """Where a table starts.

    Attributes
    ----------
    layout : Layout
    headings : tuple of str
        In order, surrounding space removed; empty ones where data lines have a separator more.
    n_skipped : int
        Lines (not blank) up to and including the headings and what repeats them in another language.
    notes : tuple of str
        What stood above or below them.
    """

    layout: Layout
    headings: tuple[str, ...]
    n_skipped: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextForm:
    """How a text is written: its encoding, separator and headings."""

    encoding: str
    delimiter: str
    found: Headings


def find_headings(rows: Sequence[Sequence[str]], layouts: Sequence[Layout], path: str) -> Headings | None:
    """Find the headings among the first rows of a table; None when no row is those of a layout.

    Parameters
    ----------
    rows : sequence of sequence of str
        The first rows that are not blank.
    layouts : sequence of Layout
    path : str
        Name of the file, for layouts that are for certain names.
    """
    with_headings = [item for item in layouts if not item.form.headings]
    # a layout that says how many lines stand above looks nowhere else, and as far down as it says
    depth = max([limits.MAX_LINES_ABOVE, *(item.form.skip_lines + 1 for item in with_headings)])
    for number, cells in enumerate(rows[:depth]):
        headings = tuple(cell.strip().strip("\ufeff").strip() for cell in cells)
        here = [
            item for item in with_headings
            if item.form.skip_lines == number or (item.form.skip_lines < 0 and number < limits.MAX_LINES_ABOVE)
        ]
        layout = match_layout(headings, here, path)
        if layout is not None:
            return _settled(layout, headings, rows, number)
    for layout in layouts:
        named = layout.form.headings
        if named and layout.is_for(path) and rows and _has_width(rows, len(named)):
            return Headings(layout, named, max(layout.form.skip_lines, 0))
    return None


def _has_width(rows: Sequence[Sequence[str]], n: int) -> bool:
    return sum(len(row) == n for row in rows) * 2 > len(rows)


def _settled(layout: Layout, headings: tuple[str, ...], rows: Sequence[Sequence[str]], number: int) -> Headings:
    notes: tuple[str, ...] = (f"{number} line(s) above the headings",) if number else ()
    last = number
    positions = layout.assign(headings)
    while last + 1 < len(rows) and _is_heading_too(rows[last + 1], positions):
        last += 1
    if last > number:
        notes += (f"{last - number} further heading line(s)",)
    data = [row for row in rows[last + 1 :] if len(row) > 1]
    longer = [row for row in data if len(row) == len(headings) + 1 and not row[-1].strip()]
    if data and _are_numbered(data, len(headings)):
        headings = ("", *headings)
        notes += ("data lines start with a row number",)
    elif data and len(longer) * 2 > len(data):
        headings = (*headings, "")
        notes += ("data lines end with a separator",)
    return Headings(layout, headings, last + 1, notes)


def looks_like_records(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether codes stand in the first rows of a table."""
    return any(_looks_like_data(row) for row in rows[: limits.MAX_LINES_ABOVE])


def goes_on(rows: Sequence[Sequence[str]], headings: Sequence[str], layout: Layout) -> bool:
    """Tell whether a table without headings goes on where one with these ends: as wide, with codes where codes stand."""
    at = [layout.assign(headings)[name][0] for name in ("hs_code", "firm_id") if name in layout.assign(headings)]
    few = [row for row in rows[: limits.MAX_LINES_ABOVE] if any(cell.strip() for cell in row)]
    return bool(at) and bool(few) and all(
        len(row) == len(headings) and all(_CODE.match(row[index].strip()) for index in at) for row in few
    )


def _are_numbered(data: Sequence[Sequence[str]], n: int) -> bool:
    """Lines with one field more than the headings that count through: R writes row names without a heading."""
    firsts = [row[0].strip() for row in data if len(row) == n + 1]
    numbers = [int(first) for first in firsts if first.isdecimal() and len(first) < 18]
    counts_through = all(b == a + 1 for a, b in zip(numbers, numbers[1:], strict=False))
    return len(firsts) * 2 > len(data) and len(numbers) == len(firsts) and numbers[:1] in ([0], [1]) and counts_through


def _is_heading_too(cells: Sequence[str], positions: dict[str, list[int]]) -> bool:
    """Neither a code nor an amount where these stand, but words: headings again, or in another language."""
    at = [positions[name][0] for name in ("hs_code", "value") if name in positions]
    keys = [cells[index] for index in at if index < len(cells)]
    return bool(keys) and all(key.strip() and not re.search(r"\d", key) and len(key) < 40 for key in keys) and not any(
        _CODE.match(cell.strip()) for cell in cells
    )


def first_rows(text: str, delimiter: str) -> list[list[str]]:
    """The first rows of a text that are not blank; a line whose quotes do not close is one line."""
    lines = [line for line in re.split(r"\r\n|\n|\r", text) if line.strip(_BLANK)]
    rows = []
    for line in lines[: limits.MAX_LINES_ABOVE * 4]:
        try:
            rows.append(next(csv.reader([line], delimiter=delimiter), []))
        except csv.Error:
            rows.append(line.split(delimiter))
    return rows


def find_text_form(
    sample: bytes, encodings: Sequence[str], layouts: Sequence[Layout], path: str, *, is_whole: bool
) -> TextForm:
    """Find encoding, separator and headings of a text from a sample of its lines.

    Parameters
    ----------
    sample : bytes
        Whole lines from the start, then lines that are not ASCII from further on.
    encodings : sequence of str
        Those to try; one when a mark or a layout names it.
    layouts : sequence of Layout
    path : str
    is_whole : bool
        The sample is all there is.

    Raises
    ------
    InputRefusedError
        Naming what was found and the nearest layout.
    """
    tried: list[tuple[str, str, list[list[str]]]] = []
    found: list[tuple[float, int, TextForm]] = []
    if _is_utf8(sample, encodings):
        encodings = ("utf-8",)
    for order, encoding in enumerate(encodings):
        text = decode(sample, encoding).lstrip("\ufeff")
        share = damaged_share(text)
        for delimiter in _delimiters(text):
            rows = first_rows(text, delimiter)
            here = find_headings(rows, [item for item in layouts if _allows(item, encoding, delimiter)], path)
            if here is not None:
                form = TextForm(encoding, delimiter, here)
                is_plausible = share <= MAX_SHARE_DAMAGED and share_common(text, encoding) > MIN_SHARE_COMMON
                penalty = 0.0 if is_plausible else 1.0 + share
                if not penalty:
                    # nothing that is tried later would be preferred
                    return form
                found.append((penalty, order, form))
                break
            tried.append((encoding, delimiter, rows))
    if found:
        return min(found, key=lambda item: item[:2])[2]
    raise InputRefusedError(no_layout(path, tried, layouts, sample))


def _is_utf8(sample: bytes, encodings: Sequence[str]) -> bool:
    """A text that is wholly UTF-8 is nothing else; in another encoding hardly a line would be."""
    if "utf-8" not in encodings:
        return False
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def damaged_share(text: str) -> float:
    """Share of the characters beyond ASCII that are marks of damage."""
    beyond = len(text) - len(text.encode("ascii", "ignore"))
    return text.count(DAMAGED) / beyond if beyond else 0.0


def _allows(layout: Layout, encoding: str, delimiter: str) -> bool:
    form = layout.form
    return form.encoding in ("", encoding) and form.delimiter in ("", delimiter)


def _delimiters(text: str) -> Iterator[str]:
    head = text[: 1 << 14]
    counted = sorted(DELIMITERS, key=lambda item: -head.count(item))
    yield from [item for item in counted if item in head] or [","]


def no_layout(
    path: str, tried: Sequence[tuple[str, str, Sequence[Sequence[str]]]], layouts: Sequence[Layout], sample: bytes = b""
) -> str:
    """The sentence for a table whose headings are those of no layout."""
    # what is shown is read in the encoding that damages least
    readable = [rows for _, _, rows in sorted(tried, key=lambda item: str(item[2][:1]).count(DAMAGED))]
    rows = [row for rows in readable for row in rows[:5] if len(row) > 1]
    if not rows or any(DAMAGED in cell for cell in rows[0]) and sample:
        if all(DAMAGED in decode(sample[:4096].rpartition(b"\n")[0], encoding) for encoding in ENCODINGS):
            return (
                f"{path}: the first line is neither UTF-8 nor GB18030 nor Big5 nor UTF-16; it starts with bytes"
                f" {sample[:4].hex(' ')}. Convert the file (for example `iconv -f ENCODING -t UTF-8`)."
            )
    if any(row and row[0].lstrip().startswith("<") for row in readable[0][:1] if readable):
        return (
            f"{path}: a web page or XML under the name of a table. Open it in a spreadsheet program and save the table as CSV"
            " UTF-8."
        )
    if not rows:
        marks = " ".join("tab" if mark == "\t" else mark for mark in DELIMITERS)
        if any(len(_CODES.findall(cell)) > 1 for found in readable for row in found[:20] for cell in row):
            return (
                f"{path}: none of {marks} separates its columns, though codes stand in its lines. Write it with one of them,"
                " or as CSV UTF-8."
            )
        return f"{path}: a text without columns: none of {marks} separates any. {NO_TABLE}; move it away."
    headings = min(rows, key=lambda row: (_lacking(row, layouts), -len(row)))
    if _looks_like_data(rows[0]) and len(nearest_layout(headings, layouts)[1]) > 2:
        return (
            f"{path}: no heading line: the first line is a record already, of {len(rows[0])} fields. Name its columns in a"
            " layout of your own, `[file] headings = [...]`; `customs-lake sniff --propose` writes one to edit"
            " (docs/operations/layouts.md)."
        )
    layout, missing = nearest_layout(headings, layouts)
    if not missing:
        return (
            f"{path}: the headings are those of layout {layout.name}, but its [file] section asks for another encoding,"
            " separator, name or number of lines above. Change it, or give the file the name it asks for."
        )
    unit = _other_unit(headings, missing)
    if unit:
        return (
            f"{path}: the heading {unit} names another unit than layout {layout.name} expects. Say it in a layout of your own:"
            f" the heading under [columns], and the number to multiply by under `[units]` (docs/operations/layouts.md)."
        )
    return (
        f"{path}: its headings match none of the {len(layouts)} known layouts. Found: {_shown(headings, layout)}. The nearest,"
        f" {layout.name} ({layout.description}), also needs: {', '.join(missing)}. If one heading is spelt differently, say so"
        " in [aliases] of your configuration; for a new vintage `customs-lake sniff --propose` writes a layout to edit"
        " (docs/operations/layouts.md)."
    )


def _other_unit(headings: Sequence[str], missing: Sequence[str]) -> str:
    """A heading that is a missing one but for the unit behind it."""
    wanted = tuple(plain_heading(heading) for heading in missing)
    plain = {heading: re.sub(r"[\[(_:][^()\[\]]*[\])]?$", "", plain_heading(heading)) for heading in headings}
    return next((heading for heading, text in plain.items() if text in wanted and plain_heading(heading) not in wanted), "")


def _shown(headings: Sequence[str], layout: Layout) -> str:
    """Headings for a message, at most a dozen; a line that holds no heading we know may be a record and is not shown."""
    if not layout.assign(headings) and any(re.search(r"\d{2}|[^\x00-\x7f]{7}", cell) for cell in headings):
        return f"a line of {len(headings)} fields that is not shown, for it may be a record"
    return ", ".join(headings[:12]) + (" ..." if len(headings) > 12 else "")


def _lacking(row: Sequence[str], layouts: Sequence[Layout]) -> float:
    layout, missing = nearest_layout(row, layouts)
    return len(missing) / max(len(layout.required), 1)


def _looks_like_data(row: Sequence[str]) -> bool:
    return sum(bool(_CODE.match(cell.strip())) for cell in row) >= 2


