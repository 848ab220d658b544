"""The result tables estimated and written as text, Markdown, LaTeX, HTML and Excel; shared by estimate and report."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from conf.tables import STUDY_PROFILES
from estimation.errors import SpecificationError
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
)
from estimation.tables.layout import SIDES, Side
from estimation.tables.spec import Language
from jobs.core.errors import InputRefusedError
from jobs.core.progress import advance, expect
from jobs.runtime.context import (
    JobContext,
)
from jobs.study.handoff import (
    HandOff,
    city_classes,
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
            panel, notes = own_panel(handed.panel, table.extra)
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
        workbook = place / "tables.xlsx"
        if find_spec("openpyxl") is not None and (changed > before or not workbook.exists()):
            write_excel(mine, workbook, sides, language)
    return changed


def _formats(table: PrintedTable, sides: tuple[Side, ...], language: Language) -> dict[str, str]:
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
    """Options of this job as keywords of `run`."""
    return {
        "tables": arguments.tables, "profiles": [part for part in arguments.study_profile.split(",") if part],
        "at": arguments.at, "table_files": arguments.table_files,
        "layout": arguments.layout, "language": arguments.language,
    }
