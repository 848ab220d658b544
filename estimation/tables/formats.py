"""Write a table as terminal text, Markdown, LaTeX (booktabs), HTML, an Excel workbook or a Word document.

All formats come from one sheet of cells (`estimation.tables.layout`), of a result table or of summary statistics. LaTeX and
HTML are pandas' Styler, Excel is openpyxl, Word is python-docx (`estimation.tables.word`); the text and Markdown need the
standard library only, so a cluster driver without further wheels prints the table too.
"""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from estimation.tables.layout import SIDE_TITLES, SIDES, Layout, Sheet, Side, sheet_of
from estimation.tables.printed import PrintedTable
from estimation.tables.spec import Language

_LATEX_SPECIAL = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
})
TEXT_WIDTH = 118
#: Tables with more printed columns than three times ours, paper, truth are set smaller in HTML.
WIDE = 9
#: Characters that fit a line of LaTeX's article in its usual size, with two between columns.
LATEX_WIDTH = 62


def to_text(table: PrintedTable | Sheet, sides: tuple[Side, ...] = SIDES, language: Language = "en") -> str:
    """Return the table for a terminal, plain characters only."""
    sheet = sheet_of(table, sides, language)
    layout = sheet.layout
    label_width = max(len(label) for label, _ in layout.rows) + 1
    widths = _widths(layout)
    n_sides = len(layout.heads[0][1])
    groups = [widths[start : start + n_sides] for start in range(0, len(widths), n_sides)]
    # a group is as wide as its heading at least
    for group, (heading, _) in zip(groups, layout.heads, strict=True):
        group[0] += max(0, len(heading) + 2 - sum(group))
    rule = "-" * (label_width + sum(sum(group) + 1 for group in groups))
    top = " " * label_width + "".join(
        " " + heading.center(sum(group)) for group, (heading, _) in zip(groups, layout.heads, strict=True)
    )
    lines = [_title(sheet, language), rule, top]
    if n_sides > 1:
        lines.append(" " * label_width + "".join(
            " " + "".join(SIDE_TITLES[side].rjust(width) for side, width in zip(shown, group, strict=True))
            for group, (_, shown) in zip(groups, layout.heads, strict=True)
        ))
    lines.append(rule)
    for position, (label, cells) in enumerate(layout.rows):
        if position == layout.n_coefficient_rows:
            lines.append(rule)
        parts = [
            " " + "".join(_padded(cell, width, side) for cell, width, side in zip(
                cells[index * n_sides : (index + 1) * n_sides], group, layout.heads[index][1], strict=True))
            for index, group in enumerate(groups)
        ]
        lines.append((label.ljust(label_width) + "".join(parts)).rstrip())
    lines.append(rule)
    width = max(TEXT_WIDTH, len(rule))
    lines += [line for note in sheet.notes for line in textwrap.wrap(note, width, subsequent_indent="  ")]
    return "\n".join(lines)


def to_markdown(table: PrintedTable | Sheet, sides: tuple[Side, ...] = SIDES, language: Language = "en") -> str:
    """Return the table as Markdown."""
    sheet = sheet_of(table, sides, language)
    layout = sheet.layout
    several = len(layout.heads[0][1]) > 1
    heads = [
        f"{heading} {SIDE_TITLES[side]}" if several else heading for heading, shown in layout.heads for side in shown
    ]
    lines = [f"## {sheet.title} · {sheet.title_zh}", "", f"| | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    lines += [f"| {_marked(label)} | {' | '.join(map(_marked, cells))} |" for label, cells in layout.rows]
    lines += ["", *(f"- {note}" for note in sheet.notes), ""]
    return "\n".join(lines)


def to_latex(table: PrintedTable | Sheet, sides: tuple[Side, ...] = SIDES, language: Language = "en") -> str:
    """Return the table as LaTeX with booktabs rules (pandas Styler; needs jinja2), to be taken in with ``\\input``.

    The caption is the title alone: LaTeX counts tables itself.
    """
    sheet = sheet_of(table, sides, language)
    layout = sheet.layout
    frame = _frame(layout, _latex_cell, head=_latex_head)
    label = "-".join(part for part in (sheet.name, sheet.profile if sheet.profile != "defensible" else "") if part)
    body = frame.style.hide(names=True).to_latex(
        hrules=True, multicol_align="c", column_format="l" + "r" * frame.shape[1],
        caption=_latex(sheet.caption if language == "en" else sheet.caption_zh), label=f"tab:{label}", position="htbp",
        position_float="centering",
    )
    lines = body.splitlines()
    if layout.n_coefficient_rows < len(layout.rows):
        first = next(i for i, line in enumerate(lines) if line.startswith(r"\midrule"))
        lines.insert(first + layout.n_coefficient_rows + 1, r"\midrule")
    start = next(i for i, line in enumerate(lines) if line.startswith(r"\begin{tabular}"))
    end = next(i for i, line in enumerate(lines) if line.startswith(r"\end{tabular}"))
    # a star behind a line's end would be taken for part of it
    joined_notes = r" \\{}".join(map(_latex, sheet.notes))
    notes = [r"\par\smallskip\begin{minipage}{\linewidth}\footnotesize", joined_notes, r"\end{minipage}"]
    lines[end + 1 : end + 1] = notes if sheet.notes else []
    needs = r"% \usepackage{booktabs}"
    if _n_characters(layout) > LATEX_WIDTH:
        lines[end] += "}"
        lines[start] = r"\resizebox{\linewidth}{!}{" + lines[start]
        needs += r"\usepackage{graphicx}"
    return "\n".join([needs + (r"\usepackage{ctex}" if language == "zh" else ""), *lines]) + "\n"


def to_html(table: PrintedTable | Sheet, sides: tuple[Side, ...] = SIDES, language: Language = "en") -> str:
    """Return the table as an HTML fragment: a figure with both titles, the table and its notes (pandas Styler)."""
    sheet = sheet_of(table, sides, language)
    layout = sheet.layout
    frame = _frame(layout, _html_cell)
    # integer labels: the Styler needs unique rows, the shown label is written by format_index
    labels = [html.escape(label) for label, _ in layout.rows]
    frame.index = range(len(labels))
    styler = (
        frame.style.format_index(lambda position: labels[position], axis=0)
        .set_table_attributes('class="results wide"' if frame.shape[1] > WIDE else 'class="results"')
        .set_uuid(f"{sheet.name}_{sheet.profile}")
        .set_td_classes(_cell_classes(layout, frame))
    )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in sheet.notes)
    return (
        f'<figure class="result-table" id="{sheet.name}-{sheet.profile}">'
        f'<figcaption><span lang="en">{html.escape(sheet.title)}</span> '
        f'<span lang="zh">{html.escape(sheet.title_zh)}</span></figcaption>'
        f'<div class="scroll">{styler.to_html()}</div><ul class="notes">{notes}</ul></figure>'
    )


def write_excel(
    tables: Sequence[PrintedTable | Sheet], path: Path, sides: tuple[Side, ...] = SIDES, language: Language = "en"
) -> None:
    """Write one workbook, a sheet per table, numbers as text exactly as printed."""
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Border, Font
    from openpyxl.styles import Side as Line

    book = Workbook()
    book.remove(book.active)
    line = Line(style="thin")
    for table in tables:
        given = sheet_of(table, sides, language)
        layout = given.layout
        sheet = book.create_sheet(given.name[:31])
        sheet.append([given.title])
        sheet.append([given.title_zh])
        sheet.append(["", *(heading if i == 0 else "" for heading, shown in layout.heads for i, _ in enumerate(shown))])
        sheet.append(["", *(SIDE_TITLES[side] for _, shown in layout.heads for side in shown)])
        for label, cells in layout.rows:
            sheet.append([label, *cells])
        for note in given.notes:
            sheet.append([note])
        sheet["A1"].font = sheet["A2"].font = Font(bold=True)
        last = 4 + len(layout.rows)
        for row in (3, 5, 5 + layout.n_coefficient_rows):
            for cell in sheet[row][: 1 + len(layout.rows[0][1])]:
                cell.border = Border(top=line)
        for row in sheet.iter_rows(min_row=3, max_row=last, min_col=2):
            for cell in row:
                cell.alignment = Alignment(horizontal="right")
        sheet.column_dimensions["A"].width = 30
        sheet.freeze_panes = "B5"
    book.save(path)


def _title(sheet: Sheet, language: Language) -> str:
    return sheet.title if language == "en" else sheet.title_zh


def _widths(layout: Layout) -> list[int]:
    """Width of each printed column, with room for three stars kept apart from the digits."""
    sides = [side for _, shown in layout.heads for side in shown]
    return [
        max(len(SIDE_TITLES[side]), *(len(_padded(cells[index], 0, side)) for _, cells in layout.rows)) + 1
        for index, side in enumerate(sides)
    ]


def _padded(cell: str, width: int, side: Side) -> str:
    """Right-align a cell so that digits, not stars or brackets, line up; three places are kept for stars."""
    if not cell or side == "truth":
        return cell.rjust(width)
    digits = cell.rstrip("*)")
    return (digits + cell[len(digits) :].ljust(3)).rjust(width)


def _frame(
    layout: Layout, escape: Callable[[str], str], head: Callable[[str], str] | None = None
) -> pd.DataFrame:
    several, head = len(layout.heads[0][1]) > 1, head or escape
    heads = [
        (head(heading), SIDE_TITLES[side]) if several else head(heading)
        for heading, shown in layout.heads for side in shown
    ]
    columns = pd.MultiIndex.from_tuples(heads) if several else pd.Index(heads)
    return pd.DataFrame(
        [[escape(cell) for cell in cells] for _, cells in layout.rows],
        index=[escape(label) for label, _ in layout.rows], columns=columns,
    )


def _cell_classes(layout: Layout, frame: pd.DataFrame) -> pd.DataFrame:
    sides = [side for _, shown in layout.heads for side in shown]
    kinds = [
        "error" if not label else "statistic" if row >= layout.n_coefficient_rows else "coefficient"
        for row, (label, _) in enumerate(layout.rows)
    ]
    return pd.DataFrame([[f"{side} {kind}" for side in sides] for kind in kinds], index=frame.index, columns=frame.columns)


def _html_cell(text: str) -> str:
    """Escape a cell; stars get an element of their own, so that a style sheet can let them hang and digits line up."""
    digits = text.rstrip("*")
    stars = f'<span class="stars">{text[len(digits):]}</span>' if len(digits) < len(text) else ""
    return html.escape(digits) + stars


def _marked(text: str) -> str:
    """Escape what Markdown reads as emphasis."""
    return text.replace("*", r"\*").replace("|", r"\|")


def _n_characters(layout: Layout) -> int:
    """Width of a table in characters; a heading may be as wide as the columns under it."""
    widths = [max((len(cells[at]) for _, cells in layout.rows), default=0) for at in range(len(layout.rows[0][1]))]
    at, total = 0, max(len(label) for label, _ in layout.rows)
    for heading, shown in layout.heads:
        total += max(max(map(len, _head_lines(heading))), sum(widths[at : at + len(shown)]) + 2 * (len(shown) - 1)) + 2
        at += len(shown)
    return total


def _head_lines(heading: str) -> list[str]:
    """Position, outcome and sample of a column, a line each."""
    return re.split(r"(?<=\)) |, ", heading)


def _latex_head(heading: str) -> str:
    lines = [_latex(line) for line in _head_lines(heading)]
    return lines[0] if len(lines) == 1 else r"\shortstack{" + r" \\ ".join(lines) + "}"


def _latex(text: str) -> str:
    return text.translate(_LATEX_SPECIAL)


def _latex_cell(text: str) -> str:
    """Escape a cell or a label: a minus is one, a product has its sign."""
    escaped = _latex(text).replace("×", r"$\times$")
    if text.startswith("-"):
        return f"$-${escaped[1:]}"
    return escaped.replace("*", r" $\times$ ") if text[:1].isalpha() else escaped
