"""Repair: mend what `fsck` names, by building the smallest damaged part again from what is whole.

Gold from silver, silver from bronze, bronze from the raw files with the recorded hash, receipts from the same files, the
manifest from what the tables' commits say. A lake is a function of raw files and configuration: whatever cannot be proven
whole is built again, under the present settings. Records of what happened (runs, quality, pins) that were lost stay lost
and are counted. First everything is made readable without Java (jobs/core/mending.py), then the jobs fill the gaps; an
interrupted repair keeps the lake closed until it is run again.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.sql import functions as F

from conf.settings import load_settings
from jobs.cleaning.balance import reconcile_years
from jobs.cleaning.quality import record_quality
from jobs.core.damage import Examined, examine, lines_of, repair_command
from jobs.core.delta_log import read_log
from jobs.core.errors import EXIT_DONE, EXIT_NOTHING_TO_DO, EXIT_UNBALANCED, InputRefusedError
from jobs.core.ledger import files_in_force, forget_builds, recorded_builds, rows_of_commits, years_text
from jobs.core.mending import Scope, alone, finish, lost_rows, make_readable, scopes_of
from jobs.core.stored_files import StoredFiles
from jobs.readers.receipts import receipts_again
from jobs.runtime.command_line.catalogue import work_of
from jobs.runtime.context import JobContext, command_main, open_context, run_job, shut_lake
from schemas import bronze, firms, gold, ops, panel, results, silver
from schemas import yearbook as yearbook_tables
from schemas.indicators import CITY_DIVERSITY, CITY_DYNAMICS, CITY_FIRM, CITY_MARGINS, TRADE_MIX
from schemas.places import TABLES as REFERENCES
from schemas.table import Table

log = logging.getLogger("customs_lake")

#: Job, the tables it writes together, and the one under which the manifest knows its years; in the order of the pipeline.
MAKERS: tuple[tuple[str, tuple[Table, ...], Table | None], ...] = (
    ("ingest", (bronze.DECLARATION,), bronze.DECLARATION),
    ("references", REFERENCES, None),
    ("clean", (silver.DECLARATION, silver.QUARANTINE), silver.DECLARATION),
    ("count", (gold.CITY_PRODUCT_DESTINATION, gold.CITY_EXPORTS), gold.CITY_EXPORTS),
    ("indicators", (CITY_FIRM, TRADE_MIX, CITY_MARGINS, CITY_DIVERSITY), CITY_FIRM),
    ("indicators", (CITY_DYNAMICS,), CITY_DYNAMICS),
    ("yearbook", yearbook_tables.TABLES, yearbook_tables.YEARBOOK),
    ("productivity", firms.TABLES, firms.CITY_PRODUCTIVITY),
    ("panel", (panel.CITY_PANEL, panel.PANEL_CONSTANTS, panel.PANEL_MISSING), panel.CITY_PANEL),
    ("estimate", results.TABLES, None),
)
BY_YEAR = frozenset({"ingest", "clean", "count", "indicators"})
NEED_RAW = frozenset({"ingest", "yearbook", "productivity"})
LEDGER_NEEDS_RAW = (ops.FILE_RECEIPT.name, ops.LEFT_OUT.name)


def planned_lines(found: Examined, scopes: Mapping[str, Scope]) -> list[str]:
    """What a repair would do, a line for each table."""
    lines = [f"damaged  {damage.sentence}" for damage in found.damages]
    for job, tables, _ in MAKERS:
        for table in tables:
            if table.name in scopes:
                lines.append(f"rebuild  {table.name}: {_what(scopes[table.name])}, by {job} from {_sources(table)}")
    words = {
        ops.BUILD.name: "written anew from what the tables' commits say; years they do not speak of are built again",
        ops.FILE_RECEIPT.name: "receipts in force written anew from the raw files with the recorded hash",
        ops.RECONCILIATION.name: "counted again from bronze, silver and quarantine",
        ops.FILE_QUALITY.name: "measured again on silver and quarantine",
        ops.QUALITY.name: "measured again on silver and quarantine",
        ops.LEFT_OUT.name: "written anew from the raw folder",
    }
    for name in scopes:
        if name.startswith("ops."):
            n_rows = lost_rows(found, name)
            lost = f"what was recorded is lost{f' ({n_rows:,} rows)' if n_rows else ''}; the whole files of it stay"
            lines.append(f"restore  {name}: {words.get(name, lost)}")
    light = sorted({damage.table for damage in found.damages} - set(scopes))
    lines += [f"tidy     {name}: moved aside or written anew; no row is touched" for name in light]
    return lines


def repair(context: JobContext, scopes: Mapping[str, Scope]) -> list[str]:
    """Fill the gaps of a lake that can be read again; returns what could not be done."""
    lake = context.lake
    lake.replaces_foreign = True
    unfinished: list[str] = []
    if ops.BUILD.name in scopes:
        _write_manifest(context)
    _forget(context, scopes)
    if ops.FILE_RECEIPT.name in scopes:
        written = receipts_again(context)
        log.info("repair    %d receipts written anew", written)
    for job, tables, _ in MAKERS:
        touched = [scopes[table.name] for table in tables if table.name in scopes]
        is_unproven = ops.BUILD.name in scopes and any(lake.exists(table) for table in tables)
        if touched or is_unproven:
            outcome = run_job(job, work_of(job).run, _for_job(context, job, touched, is_unproven))
            unfinished += [outcome.unfinished] if outcome.unfinished else []
    _measure_again(context, scopes)
    if ops.LEFT_OUT.name in scopes:
        run_job("land", work_of("land").run, context)
    return unfinished


def _for_job(context: JobContext, job: str, touched: Sequence[Scope], is_unproven: bool) -> JobContext:
    """The context of one job: the years that are to be made anew, of a job that works by year."""
    years = frozenset(year for scope in touched for year in scope.years or ())
    if job not in BY_YEAR or is_unproven or any(scope.years is None for scope in touched):
        years = _known_years(context) if job in BY_YEAR else frozenset()
    # the manifest may call up to date what is gone: these jobs do not look at it under rebuild
    return replace(context, years=years or context.years, rebuild=job in ("productivity",) and bool(touched), repairs=True)


def _known_years(context: JobContext) -> frozenset[int]:
    return frozenset(row["source_year"] for row in files_in_force(context.lake))


def _forget(context: JobContext, scopes: Mapping[str, Scope]) -> None:
    """Take back what the manifest says of years that are to be built again."""
    lake = context.lake
    for _, tables, known_as in MAKERS:
        for table in tables:
            if table.name in scopes:
                entry = known_as or table
                recorded = set(recorded_builds(lake, entry).fingerprints)
                years = scopes[table.name].years
                if wanted := sorted(recorded if years is None else recorded & years):
                    forget_builds(lake, context.run_id, entry, wanted)


def _write_manifest(context: JobContext) -> None:
    """Add the builds that the commits of the tables speak of and the manifest does not."""
    lake, files, rows = context.lake, StoredFiles(context.lake.root), []
    for _, _, table in MAKERS:
        if table is not None and table.partition_by and lake.exists(table):
            known = recorded_builds(lake, table).versions
            found = rows_of_commits(
                table.name, read_log(files, table.relative_path, every_entry=True).commits, table.partition_by[0]
            )
            rows += [row for row in found if row["table_version"] > known.get(row["year"], -1)]
    lake.append_rows(ops.BUILD, rows)
    log.info("repair    manifest: %d builds written anew from the tables' commits", len(rows))


def _measure_again(context: JobContext, scopes: Mapping[str, Scope]) -> None:
    """Balance and quality of the built years, where their record was lost."""
    builds = recorded_builds(context.lake, silver.DECLARATION)
    known = _known_years(context)
    years = sorted(year for year in builds.fingerprints if year in known)
    if not years:
        return
    if ops.RECONCILIATION.name in scopes:
        wanted = scopes[ops.RECONCILIATION.name].years
        reconcile_years(context, years if wanted is None else sorted(set(years) & wanted))
    lost = [table for table in (ops.QUALITY, ops.FILE_QUALITY) if table.name in scopes]
    if lost:
        rows = context.lake.read(silver.DECLARATION).groupBy("year").agg(F.count("*").alias("n")).collect()
        kept: dict[int, int] = {row["year"]: row["n"] for row in rows}
        record_quality(context, {year: kept.get(year, 0) for year in years}, tables=lost)


def _what(scope: Scope) -> str:
    return "all of it" if scope.years is None else f"{years_text(scope.years)}"


def _sources(table: Table) -> str:
    if table is bronze.DECLARATION:
        return "the raw files with the recorded hash"
    return ", ".join(table.made_from) or "delivered or shipped files"


def _require_raw(raw: Path | None, scopes: Mapping[str, Scope]) -> None:
    needing = [table.name for job, tables, _ in MAKERS if job in NEED_RAW for table in tables if table.name in scopes]
    needing += [name for name in LEDGER_NEEDS_RAW if name in scopes]
    if needing and raw is None:
        raise InputRefusedError(
            f"--raw is missing: {', '.join(needing[:5])} can only be built again from the delivered files. Nothing was"
            " changed."
        )
    if needing and raw is not None and "://" not in str(raw) and not raw.is_dir():
        raise InputRefusedError(f"{raw}: no such folder; the delivered files are needed. Nothing was changed.")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return command_main("repair", run_command, argv)


def run_command(arguments: argparse.Namespace) -> int:
    """Examine, say what is to be done, do it, and look again."""
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    n_shut = 0 if arguments.dry_run else shut_lake(arguments.lake, settings)
    found = examine(arguments.lake, "log" if arguments.quick else "deep")
    scopes = scopes_of(found)
    if not found.damages:
        print("nothing is damaged; `customs-lake fsck` checks the rows, too")
        return EXIT_DONE if n_shut else EXIT_NOTHING_TO_DO
    _print(planned_lines(found, scopes))
    _require_raw(arguments.raw, scopes)
    if arguments.dry_run:
        return EXIT_DONE
    with alone(arguments.lake):
        make_readable(found, scopes)
    unfinished: list[str] = []
    if scopes:
        with open_context(arguments, create=False, is_checked=True) as context:
            unfinished = repair(context, scopes)
    return _conclude(arguments, unfinished)


def _conclude(arguments: argparse.Namespace, unfinished: Iterable[str]) -> int:
    left = [damage for damage in examine(arguments.lake, "log").damages if damage.kind != "unfinished"]
    if left:
        _print(lines_of(left, repair_command(arguments.lake, arguments.raw)))
        print(f"{len(left)} damages are left")
        return EXIT_UNBALANCED
    finish(StoredFiles(arguments.lake))
    for sentence in unfinished:
        print(sentence, file=sys.stderr)
    print("Mended. `customs-lake fsck` checks the rows, too.")
    return EXIT_DONE


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


if __name__ == "__main__":
    sys.exit(main())
