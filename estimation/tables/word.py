"""Tables as a Word document: a caption, three rules as journals print them, notes below (python-docx)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from estimation.tables.layout import SIDE_TITLES, SIDES, Layout, Sheet, Side, sheet_of
from estimation.tables.printed import PrintedTable
from estimation.tables.spec import Language

if TYPE_CHECKING:
    from docx.document import Document
    from docx.table import Table

FONT, SIZE, SMALL = "Times New Roman", 10, 8
CHINESE_FONT = "SimSun"
#: Width of a rule in eighths of a point.
THICK, THIN = 12, 6
#: More printed columns than fit an upright page.
WIDE_WORD = 7


def write_word(
    tables: Sequence[PrintedTable | Sheet], path: Path, sides: tuple[Side, ...] = SIDES, language: Language = "en"
) -> None:
    """Write one document, a page per table, cells as text exactly as printed."""
    from docx import Document

    document = Document()
    _set_up(document)
    for position, table in enumerate(tables):
        sheet = sheet_of(table, sides, language)
        if position:
            document.add_page_break()
        title = document.add_paragraph(sheet.title if language == "en" else sheet.title_zh, style="Caption")
        title.paragraph_format.keep_with_next = True
        _add_table(document, sheet.layout)
        for note in sheet.notes:
            paragraph = document.add_paragraph(style="Note")
            paragraph.add_run(note)
    document.save(str(path))


def _set_up(document: Document) -> None:
    from docx.enum.style import WD_STYLE_TYPE
    from docx.oxml.ns import qn
    from docx.shared import Pt, RGBColor

    styles = document.styles
    note = styles.add_style("Note", WD_STYLE_TYPE.PARAGRAPH)
    note.base_style = styles["Normal"]
    for style, size in ((styles["Normal"], SIZE), (styles["Caption"], SIZE), (note, SMALL)):
        style.font.name, style.font.size = FONT, Pt(size)
        style.font.color.rgb = RGBColor(0, 0, 0)
        style.element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), CHINESE_FONT)
        style.paragraph_format.space_before = style.paragraph_format.space_after = Pt(2)


def _add_table(document: Document, layout: Layout) -> None:
    several = len(layout.heads[0][1]) > 1
    sides = [side for _, shown in layout.heads for side in shown]
    if len(sides) > WIDE_WORD:
        _turn_page(document)
    n_heads = 2 if several else 1
    table = document.add_table(rows=n_heads + len(layout.rows), cols=1 + len(sides))
    at = 1
    for heading, shown in layout.heads:
        cell = table.cell(0, at)
        if len(shown) > 1:
            cell = cell.merge(table.cell(0, at + len(shown) - 1))
        _write(cell, heading, centred=True)
        at += len(shown)
    if several:
        for column, side in enumerate(sides, start=1):
            _write(table.cell(1, column), SIDE_TITLES[side], centred=True)
    for row, (label, cells) in enumerate(layout.rows, start=n_heads):
        # a row's cells once: finding each by its place is quadratic
        found = table.rows[row].cells
        _write(found[0], label)
        for cell, text in zip(found[1:], cells, strict=True):
            _write(cell, text, centred=True)
    last = n_heads + len(layout.rows) - 1
    rules = [(0, "top", THICK), (n_heads - 1, "bottom", THIN), (last, "bottom", THICK)]
    if layout.n_coefficient_rows < len(layout.rows):
        rules.append((n_heads + layout.n_coefficient_rows - 1, "bottom", THIN))
    for row, edge, width in rules:
        _rule(table, row, edge, width)
    _repeat_heads(table, n_heads)


def _turn_page(document: Document) -> None:
    from docx.enum.section import WD_ORIENT

    section = document.sections[-1]
    if section.orientation != WD_ORIENT.LANDSCAPE:
        section.orientation = WD_ORIENT.LANDSCAPE
        section.page_width, section.page_height = section.page_height, section.page_width


def _write(cell: Any, text: str, *, centred: bool = False) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import Pt

    paragraph = cell.paragraphs[0]
    paragraph.add_run(text)
    paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(0)
    if centred:
        paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER


def _rule(table: Table, row: int, edge: str, width: int) -> None:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    for cell in table.rows[row].cells:
        properties = cell._tc.get_or_add_tcPr()
        borders = properties.find(qn("w:tcBorders"))
        if borders is None:
            borders = OxmlElement("w:tcBorders")
            properties.append(borders)
        line = borders.find(qn(f"w:{edge}"))
        if line is None:
            line = OxmlElement(f"w:{edge}")
            borders.append(line)
        for name, value in (("val", "single"), ("sz", str(width)), ("color", "000000")):
            line.set(qn(f"w:{name}"), value)


def _repeat_heads(table: Table, n_heads: int) -> None:
    """Show the heading rows again where a table goes on over a page."""
    from docx.oxml import OxmlElement

    for row in list(table.rows)[:n_heads]:
        row._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
