"""The result tables estimated and written as text, Markdown, LaTeX, HTML and Excel; shared by estimate and report."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from conf.tables import STUDY_PROFILES
from estimation.errors import SpecificationError
from estimation.report.words import VARIABLES, term_word
from estimation.tables import (
    PrintedTable,
    StudyPanel,
    compare,
    count_agreement,
    estimate_tables,
    print_table,
    table_panel,
    to_html,
    to_latex,
    to_markdown,
    to_text,
    write_excel,
    write_word,
)
from estimation.tables.layout import LAYOUTS, SIDES, Sheet, Side
from estimation.tables.spec import Language
from jobs.core.errors import InputRefusedError
from jobs.core.progress import advance, expect
from jobs.runtime.context import (
    JobContext,
)
from jobs.study.handoff import (
    HandOff,
    city_classes,
    measured_panel,
    origin_of,
    paper_numbers,
    result_tables,
    truth_of,
)

log = logging.getLogger("customs_lake")


def print_tables(
    context: JobContext, handed: HandOff, *, tables: str = "all", profiles: Sequence[str] = STUDY_PROFILES,
    table_files: Path | None = None,
) -> list[PrintedTable]:
    """Estimate the tables of all profiles, in the order of profiles and numbers."""
    classes, paper = city_classes(context.settings.places), paper_numbers()
    truth = truth_of(context, handed.panel)
    generated = origin_of(context) in ("generated", "mixed")
    printed = []
    chosen = {profile: result_tables(tables, profile, table_files) for profile in profiles}
    expect(sum(len(table.columns) for tables_of in chosen.values() for table in tables_of), "columns")
    for profile in profiles:
        for table in chosen[profile]:
            advance(0, note=f"{table.name} ({profile})")
            panel, notes = own_panel(measured_panel(context.lake, handed, table), table.extra)
            fits = estimate_tables([table], panel, classes)[table.name]
            printed.append(
                print_table(table, fits, paper=paper, truth=truth, generated=generated, notes=notes)
            )
            advance(len(table.columns), note=f"{table.name} ({profile})")
    return printed


def own_panel(panel: StudyPanel, extra: str) -> tuple[StudyPanel, Sequence[str]]:
    """Return the panel with a table's own columns.

    Raises
    ------
    InputRefusedError
    """
    try:
        return table_panel(panel, extra)
    except SpecificationError as error:
        raise InputRefusedError(str(error)) from error


def write_files(
    printed: Sequence[PrintedTable], folder: Path | None, *, tag: str = "", sides: tuple[Side, ...] = SIDES,
    language: Language = "en",
) -> int:
    """Write every format of every table, a folder per profile; returns how many files changed."""
    if folder is None:
        return 0
    if find_spec("jinja2") is None:
        log.info("jinja2 is not installed: no LaTeX and HTML tables; pip install jinja2 adds them")
    changed = 0
    printed = [_in_words(table) for table in printed] if sides == LAYOUTS["plain"] else printed
    for profile in dict.fromkeys(table.table.profile for table in printed):
        mine = [table for table in printed if table.table.profile == profile]
        place = folder / "-".join(part for part in (profile, tag) if part)
        place.mkdir(parents=True, exist_ok=True)
        before = changed
        for table in mine:
            for ending, text in _formats(table, sides, language).items():
                changed += _write_if_changed(place / f"{table.table.name}.{ending}", text)
        comparison = compare(mine)
        changed += _write_if_changed(place / "comparison.csv", comparison.to_csv(index=False))
        changed += _write_if_changed(place / "agreement.csv", count_agreement(comparison).to_csv(index=False))
        changed += _write_documents(mine, place, sides, language, stale=changed > before)
    return changed


def _write_documents(
    tables: Sequence[PrintedTable | Sheet], place: Path, sides: tuple[Side, ...] = SIDES, language: Language = "en", *,
    stale: bool, stem: str = "tables",
) -> int:
    """Write a workbook and a Word document of some tables where they changed, or such a file is not there."""
    written = 0
    for name, package, write in ((f"{stem}.xlsx", "openpyxl", write_excel), (f"{stem}.docx", "docx", write_word)):
        if find_spec(package) is None:
            log.info("%s is not installed: no %s", package, name)
        elif stale or not (place / name).exists():
            write(tables, place / name, sides, language)
            written += 1
    return written


def write_sheets(sheets: Sequence[Sheet], folder: Path, *, stem: str, language: Language = "en") -> list[Path]:
    """Write tables of other things than estimates in every format; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for sheet in sheets:
        for ending, text in _formats(sheet, SIDES, language).items():
            _write_if_changed(folder / f"{stem}_{sheet.name}.{ending}", text)
    _write_documents(sheets, folder, SIDES, language, stale=True, stem=stem)
    names = [f"{stem}_{sheet.name}.{ending}" for sheet in sheets for ending in ("txt", "md", "tex", "html")]
    return [folder / name for name in (*names, f"{stem}.xlsx", f"{stem}.docx") if (folder / name).exists()]


def _in_words(table: PrintedTable) -> PrintedTable:
    """A table for a paper names variables in words, unless its file gives names of its own."""
    used = {name for column in table.table.columns for name in (column.dependent, *column.regressors)}
    names = {factor for name in used for factor in name.split("*")} & set(VARIABLES)
    words = {name: (VARIABLES[name].name.en, VARIABLES[name].name.zh) for name in names}
    others = [term for term in table.terms if term.endswith(".y") or term == "Constant"]
    words |= {term: (term_word(term).en, term_word(term).zh) for term in others}
    return replace(table, table=replace(table.table, labels={**words, **table.table.labels}))


def _formats(table: PrintedTable | Sheet, sides: tuple[Side, ...], language: Language) -> dict[str, str]:
    formats = {"txt": to_text(table, sides, language) + "\n", "md": to_markdown(table, sides, language)}
    if find_spec("jinja2") is not None:
        formats |= {"tex": to_latex(table, sides, language), "html": to_html(table, sides, language)}
    return formats


def _write_if_changed(path: Path, text: str) -> bool:
    if path.exists() and path.read_text("utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8")
    return True


def estimate_options(arguments: argparse.Namespace) -> dict:
    """Options of commands on result tables as keywords of their `run`."""
    return {
        "tables": arguments.tables, "profiles": [part for part in arguments.study_profile.split(",") if part],
        "at": arguments.at, "table_files": arguments.table_files,
    }
