"""Plausible: the value of all records against published totals, and what is likely wrong where they differ.

In: ``bronze.declaration`` (files in force, kept and refused records alike). Out: text, and ``ops.quality``. Held against
official totals 2000-2016 and the descriptive statistics that the literature prints of 2000-2006; on a generated world
against that world's own totals; beside them against a file of your own (``--totals``). A figure outside its bounds ends
with exit code 6. As a step of a run only years are compared whose files, or what is published of them, changed.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.cleaning.judging import read_declarations, without_postcodes
from jobs.cleaning.plausibility import EXTRACT, OFF, Figure, found_figures, judge
from jobs.cleaning.plausible_reasons import explain, lost_chapters
from jobs.cleaning.plausible_text import table_text
from jobs.cleaning.published import read_totals, shipped_totals, world_totals
from jobs.core.commits import Written
from jobs.core.errors import EXIT_DONE, EXIT_QUALITY, InputRefusedError
from jobs.core.file_tables import takes_files, tasks_of_years
from jobs.core.ledger import Fingerprint, files_in_force, fingerprint, record_builds, recorded_builds, utc_now
from jobs.kernels.trade_sums import SUMS_DDL, sums_of_tasks
from jobs.reference.frames import references_for
from jobs.runtime.context import JobContext, Outcome, command_main, open_context, run_job
from jobs.runtime.executors import collect_tasks
from jobs.transforms.trade_sums import RECORD_COLUMNS, exporter_statistics, trade_records, trade_sums
from schemas import bronze, ops

#: What sums of records answer; anything else is a statistic of exporters, which needs each firm's records.
OF_SUMS = ("value", "share")
#: Figures that an alarm names.
SHOWN = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Plausibility:
    """What was compared.

    Attributes
    ----------
    figures : list of Figure
        Judged and explained.
    notes : dict
        Year to what shows without a published figure.
    """

    figures: list[Figure]
    notes: dict[int, str]

    def of_years(self, years: Sequence[int]) -> Plausibility:
        """What concerns some years only."""
        return Plausibility(
            [item for item in self.figures if item.year in years],
            {year: note for year, note in self.notes.items() if year in years},
        )

    @property
    def problems(self) -> list[str]:
        """A sentence for each figure that is off, totals first, and for each note."""
        off = sorted((item for item in self.figures if item.verdict == OFF), key=lambda item: (not item.is_total, item.year))
        return [f"{item.year} {item.name}: ratio {item.ratio:.4f}, {item.reason}" for item in off] + [
            f"{year}: {note}" for year, note in self.notes.items()
        ]


def check_totals(arguments: argparse.Namespace, _: object) -> None:
    """Read the totals named on the command line, before anything starts."""
    if arguments.totals is not None:
        read_totals(arguments.totals)


PREFLIGHT = (check_totals,)


def run(context: JobContext) -> Outcome:
    """Compare the years that changed since they were compared; what is off is an alarm, and the run goes on."""
    published = published_for(context.raw, context.settings.plausible.totals)
    if context.lake.origin() == "generated" and world_totals(context.raw) is None:
        return Outcome("records are generated and the totals of their world are not at hand (--raw)", changed=False)
    receipts = [row for row in files_in_force(context.lake) if context.selects(row["source_year"])]
    wanted = _fingerprints(context, receipts, published)
    years = sorted(wanted) if context.rebuild else recorded_builds(context.lake, ops.QUALITY).stale(wanted)
    if not years:
        return Outcome("held against what is published before", changed=False)
    # entry and exit need the years beside
    beside = frozenset(year + step for year in years for step in (-1, 0, 1))
    found = compare_with_published(dataclasses.replace(context, years=beside)).of_years(years)
    _record(context, found.figures)
    built = Written(context.lake.version(ops.QUALITY), 0)
    record_builds(context.lake, context.run_id, ops.QUALITY, built, {year: wanted[year] for year in years}, {})
    return Outcome(_message(found), detail=table_text(found.figures, found.notes), alarm=_alarm(found))


def compare(context: JobContext) -> Outcome:
    """Compare all years, record and print; ``changed`` is true when a figure is off."""
    found = compare_with_published(context)
    _record(context, found.figures)
    detail = table_text(found.figures, found.notes)
    return Outcome(_message(found), changed=bool(found.problems), detail=detail, alarm=_alarm(found))


def _fingerprints(context: JobContext, receipts: Sequence[Any], published: pd.DataFrame) -> dict[int, Fingerprint]:
    """What each year's comparison depends on: files of the year and the years beside it, figures, bounds."""
    files: dict[int, list[str]] = {}
    for row in receipts:
        files.setdefault(row["source_year"], []).append(row["file_sha256"])
    bounds = dataclasses.asdict(context.settings.plausible)
    return {
        year: fingerprint(
            files={year + step: sorted(files.get(year + step, [])) for step in (-1, 0, 1)}, bounds=bounds,
            published=published[published["year"] == year].to_csv(index=False),
        )
        for year in sorted(files)
    }


def _alarm(found: Plausibility) -> str:
    if not found.problems:
        return ""
    more = f" ({len(found.problems) - SHOWN} more)" * (len(found.problems) > SHOWN)
    return (
        f"Not plausible: {'; '.join(found.problems[:SHOWN])}{more}. Everything is written; `customs-lake plausible` prints all"
        " figures."
    )


def _message(found: Plausibility) -> str:
    off, extract = (sum(item.verdict == verdict for item in found.figures) for verdict in (OFF, EXTRACT))
    if not found.figures:
        message = "nothing is published for the years of this lake"
    elif extract:
        message = f"{extract} figures not judged: the lake holds an extract of the country's trade"
    else:
        message = f"{len(found.figures)} published figures compared, {off} off"
    if found.notes:
        message += "; " + "; ".join(f"{year}: {note}" for year, note in found.notes.items())
    return message


def compare_with_published(context: JobContext) -> Plausibility:
    """Sum the records of all files in force and hold them against everything that is published.

    Raises
    ------
    InputRefusedError
        If the lake has no records of the years asked for, or a file of totals cannot be used.
    """
    receipts = [
        row for row in files_in_force(context.lake) if context.years is None or row["source_year"] in context.years
    ]
    if not receipts:
        raise InputRefusedError(f"{context.lake.root}: no files in force in the years asked for; load some first.")
    bounds = context.settings.plausible
    published = published_for(context.raw, bounds.totals)
    sums, statistics = _sums(context, receipts, published)
    figures = judge(found_figures(sums, statistics), published, bounds)
    names = {row["file_sha256"]: row["source_file"] for row in receipts}
    explained = explain(figures, sums, names, bounds)
    # an extract may well be without food for a year
    is_extract = any(item.verdict == EXTRACT for item in explained)
    # where chapters are published, their figures tell; a small world may well be without food for a year
    judged = {item.year for item in explained if item.dimension in ("chapter", "section")}
    notes = {} if is_extract else {year: note for year, note in lost_chapters(sums).items() if year not in judged}
    return Plausibility(explained, notes)


def published_for(raw: object, own: str) -> pd.DataFrame:
    """What is published for a lake: its world's totals or the shipped figures, and a file of one's own beside them."""
    world = world_totals(raw)
    tables = [shipped_totals() if world is None else world, *([read_totals(own)] if own else [])]
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def _sums(
    context: JobContext, receipts: Sequence[Any], published: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Sums of all records, and statistics of exporters where some are published for the years."""
    years = {row["source_year"] for row in receipts}
    asked = published[published["year"].isin(years) & ~published["measure"].isin(OF_SUMS)]
    # the statistics of exporters need each firm's records together: with them all is summed through Spark
    if asked.empty and takes_files(context.lake, bronze.DECLARATION):
        return _sums_by_files(context, receipts), None
    records = _records(context, receipts)
    sums = trade_sums(records).toPandas()
    return sums, None if asked.empty else exporter_statistics(records).toPandas()


def _sums_by_files(context: JobContext, receipts: Sequence[Any]) -> pd.DataFrame:
    """Sums of all records that executors read from the lake's files themselves."""
    tasks = tasks_of_years(context.lake, bronze.DECLARATION, {row["source_year"] for row in receipts})
    arguments = (
        references_for(context).codes, without_postcodes(receipts), sorted({row["file_sha256"] for row in receipts}),
    )
    done = collect_tasks(context.spark, tasks, "jobs.kernels.trade_sums.sum_files", arguments, SUMS_DDL)
    return sums_of_tasks(bytes(row["sums"]) for row in done).to_pandas()


def _records(context: JobContext, receipts: Sequence[Any]) -> DataFrame:
    """The same records through Spark, with the members they count for."""
    years, files = {row["source_year"] for row in receipts}, {row["file_sha256"] for row in receipts}
    rows = context.lake.read(bronze.DECLARATION).where(
        F.col("source_year").isin(sorted(years)) & F.col("file_sha256").isin(sorted(files))
    )
    return trade_records(read_declarations(context, rows, receipts, RECORD_COLUMNS))


def _record(context: JobContext, figures: Sequence[Figure]) -> None:
    """Keep totals, and parts that are off, in ops.quality, which holds the history of all such figures."""
    now = utc_now()
    context.lake.append_rows(
        ops.QUALITY,
        [
            {
                "run_id": context.run_id, "year": item.year, "metric": item.metric, "metric_value": item.ratio,
                "metric_low": item.low, "metric_high": item.high, "is_within": item.verdict != OFF, "built_at": now,
            }
            for item in figures
            if item.is_total or item.verdict == OFF
        ],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return command_main("plausible", run_command, argv, checks=PREFLIGHT)


def run_command(arguments: argparse.Namespace) -> int:
    """Print the comparison; exit code 6 when a figure is off."""
    with open_context(arguments, create=False, may_wait=True) as context:
        if arguments.totals is not None:
            settings = context.settings.replaced("plausible", totals=str(arguments.totals))
            context = dataclasses.replace(context, settings=settings)
        outcome = run_job("plausible", compare, context)
    print(outcome.detail)
    return EXIT_QUALITY if outcome.changed else EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
