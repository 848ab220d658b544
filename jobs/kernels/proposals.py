"""A layout to edit for a file of no known layout: headings known from other layouts, others guessed from their values."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from conf.layouts import Layout, plain_heading
from jobs.core.errors import InputRefusedError
from jobs.kernels import stata_tables
from jobs.kernels.containers import members_of
from jobs.kernels.decoding import MIN_SHARE_COMMON, decode, share_common
from jobs.kernels.headings import DELIMITERS, damaged_share, first_rows
from jobs.kernels.samples import encodings_to_try, take_sample
from jobs.kernels.sources import RawFile, opened_file
from schemas.fields import RAW_COLUMNS, RAW_MEANINGS

REQUIRED = ("flow", "hs_code", "value", "production_place", "partner")
MAX_EXAMPLES = 3
#: Columns whose values are written into a proposal as they are: they say nothing of a firm or a person.
PUBLIC = (
    "period", "flow", "hs_code", "hs_name", "quantity_unit", "production_place", "production_place_code", "partner",
    "customs_port", "trade_regime", "transport", "transit_country", "firm_type",
)
# what values look like, where the heading says nothing; the first that nearly all values match
_BY_VALUES = (
    ("period", r"^(19[89]\d|20[0-3]\d)([-/.年]?(0?[1-9]|1[0-2])([-/.月]?\d{1,2}日?)?)?$"),
    ("firm_id", r"^[1-6]\d{3}[0-9A-Z]{6}$"),
    ("hs_code", r"^\d{2}(\d{6}|\d{8})$|^\d{4}\.\d{2}(\.\d{2})?$"),
    ("postcode", r"^\d{6}$"),
    ("flow", r"^(进口|出口|進口|进|出|[01](\.0)?|[IE])$"),
    ("production_place", r"^.{2,8}(省|市|自治区).*$"),
    ("partner", r"^(美国|日本|香港|韩国|德国|[1-6]\d{2})$"),
    ("firm_name", r"^.*(公司|工厂|厂|集团)$"),
)


@dataclass(frozen=True, slots=True)
class FirstTable:
    """The first rows of a file's first table, and how it is written."""

    encoding: str
    delimiter: str
    rows: Sequence[Sequence[str]]


def propose_layout(raw: RawFile, layouts: Sequence[Layout]) -> str:
    """Write a layout for a file, to be looked through and saved in the folder of one's own layouts.

    Parameters
    ----------
    raw : RawFile
    layouts : sequence of Layout
        Whose headings are known.

    Returns
    -------
    str
        TOML; what could not be told stands in comments.

    Raises
    ------
    InputRefusedError
        When no table can be found in the file.
    """
    table = _first_table(raw)
    rows = [row for row in table.rows if len(row) > 1]
    if not rows:
        raise InputRefusedError(f"{raw.source_file}: no rows with columns in it; there is nothing to make a layout of.")
    number = _heading_row(rows, layouts)
    headings = [cell.strip() for cell in rows[number]] if number is not None else []
    data = rows[number + 1 :] if number is not None else rows
    n = len(headings) or max(map(len, data))
    names = headings or [f"column {index + 1}" for index in range(n)]
    examples = [_examples(data, index) for index in range(n)]
    columns = _columns(names, examples, layouts)
    return _toml(raw.source_file, table, names, bool(headings), columns, examples)


def _first_table(raw: RawFile) -> FirstTable:
    with members_of(raw.open, raw.source_file, raw.n_bytes) as members:
        member = next((member for member in members if member.kind), None)
        if member is None:
            raise InputRefusedError(f"{raw.source_file}: of a kind that holds no records.")
        with member.open() as stream:
            if member.kind == "text":
                sample, _ = take_sample(stream, raw.source_file)
                return _text(sample)
            if member.kind == "stata":
                head = stata_tables.read_head(stream, raw.source_file)
                first = next(stata_tables.read_rows(stream, head, raw.source_file, 0, 100), None)
                columns = [column.to_pylist() for column in first.columns] if first is not None else []
                data = [[cell or "" for cell in row] for row in zip(*columns, strict=True)]
                return FirstTable(head.encoding, "", [list(head.headings), *data])
    with opened_file(raw) as opened:
        table = opened.tables(opened.members[0])[0]
        if table.first_rows:
            return FirstTable("", "", table.first_rows)
        rows = next(iter(table.read(0, len(table.headings))), None)
        columns = [column.slice(0, 100).to_pylist() for column in rows.columns] if rows is not None else []
        return FirstTable("", "", [table.headings, *([cell or "" for cell in row] for row in zip(*columns, strict=True))])


def _text(sample: bytes) -> FirstTable:
    encodings, length = encodings_to_try(sample, (), "")
    texts = {encoding: decode(sample[length:], encoding) for encoding in encodings}
    encoding = min(
        texts, key=lambda name: (damaged_share(texts[name]) > 0.05, share_common(texts[name], name) <= MIN_SHARE_COMMON)
    )
    head = texts[encoding][: 1 << 14]
    delimiter = max(DELIMITERS, key=head.count)
    return FirstTable(encoding, delimiter, first_rows(texts[encoding], delimiter))


def _known_headings(layouts: Sequence[Layout]) -> dict[str, str]:
    known: dict[str, str] = {}
    for layout in layouts:
        for column, aliases in layout.columns.items():
            for alias in aliases:
                known.setdefault(plain_heading(alias), column)
    return known


def _heading_row(rows: Sequence[Sequence[str]], layouts: Sequence[Layout]) -> int | None:
    """The row with most known headings; else the first of words only; None when the first row is a record."""
    known = _known_headings(layouts)
    scores = [sum(plain_heading(cell) in known for cell in row) for row in rows[:10]]
    if max(scores) >= 2:
        return scores.index(max(scores))
    return 0 if not any(re.search(r"\d{4}", cell) for cell in rows[0]) else None


def _examples(data: Sequence[Sequence[str]], index: int) -> list[str]:
    seen = dict.fromkeys(row[index].strip() for row in data if index < len(row) and row[index].strip())
    return list(seen)


def _columns(names: Sequence[str], examples: Sequence[Sequence[str]], layouts: Sequence[Layout]) -> dict[str, list[int]]:
    known = _known_headings(layouts)
    found: dict[str, list[int]] = {}
    left = []
    for index, name in enumerate(names):
        column = known.get(plain_heading(name))
        if column and column not in found:
            found[column] = [index]
        else:
            left.append(index)
    for column, pattern in _BY_VALUES:
        for index in left:
            values = examples[index][:50]
            fitting = sum(re.fullmatch(pattern, value) is not None for value in values)
            if column not in found and values and fitting >= 0.9 * len(values):
                found[column] = [index]
                left.remove(index)
                break
    return found


def form_of(text: str) -> str:
    """A text by its form, for a layout that is passed on must hold no name and no number: 9 digit, a letter, 字 character.

    Examples
    --------
    >>> form_of("常州甲公司 tel. 13912345678")
    '字字字字字 aaa. 99999999999'
    """
    return re.sub(r"[^\W\d_a-zA-Z]", "字", re.sub(r"[a-zA-Z]", "a", re.sub(r"\d", "9", text)))


def _toml(
    source_file: str, table: FirstTable, names: Sequence[str], has_headings: bool, columns: dict[str, list[int]],
    examples: Sequence[Sequence[str]],
) -> str:
    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)

    public = {index for column in PUBLIC for index in columns.get(column, ())}

    def shown(index: int) -> str:
        few = [example[:20] for example in examples[index][:MAX_EXAMPLES]]
        return ", ".join(few if index in public else map(form_of, few))

    name = re.sub(r"\W+", "_", PurePosixPath(source_file).name.split(".")[0]).strip("_").lower() or "mine"
    lines = [
        f"# Proposed for {source_file}: look through every line, then save this as a .toml file in the folder that",
        "# CUSTOMS_LAKE_LAYOUTS names. What each column is: docs/operations/layouts.md.",
        f"name = {quoted(name)}", f"description = {quoted('headings of ' + PurePosixPath(source_file).name)}",
        "# month: a file holds one month; year: a file holds a year", 'period = "month"',
        f"required = [{', '.join(quoted(column) for column in REQUIRED if column in columns)}]", "[columns]",
    ]
    for column in RAW_COLUMNS:
        for index in columns.get(column, ()):
            lines.append(f"{column} = [{quoted(names[index])}]  # e.g. {shown(index)}")
    taken = {index for positions in columns.values() for index in positions}
    others = [index for index in range(len(names)) if index not in taken]
    lines += [f"# not told: {quoted(names[index])}, e.g. {shown(index)}" for index in others]
    lines += [f"# missing: {column} ({RAW_MEANINGS[column]})" for column in REQUIRED if column not in columns]
    if "flow" not in columns:
        lines += ["# a file of exports only: take the marks off the next two lines", "# [constants]", '# flow = "出口"']
    if not has_headings:
        lines += ["[file]", f"headings = [{', '.join(quoted(name) for name in names)}]"]
        lines += [f"names = [{quoted(re.escape(PurePosixPath(source_file).name))}]  # regular expressions"]
        if table.delimiter:
            lines.append(f"delimiter = {quoted(table.delimiter)}")
    return "\n".join(lines) + "\n"
