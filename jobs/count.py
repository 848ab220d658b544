"""Count: declarations to the city x product x destination cube, then export value, products and destinations.

In: ``silver.declaration``. Out: ``gold.city_product_destination``, ``gold.city_exports``. Only years whose silver build
changed are counted again, with everything else that these two tables depend on in the fingerprint. With ``--indicators``
the indicators follow in the same session (jobs/counting/indicators.py); a run has them as a step of their own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pyarrow as pa
from pyspark.sql import functions as F

from jobs.cleaning.balance import refuse_other_counts
from jobs.cleaning.fingerprints import gold_fingerprints
from jobs.core.commits import Written
from jobs.core.data_files import DataFile
from jobs.core.direct import rows_to_arrow
from jobs.core.file_tables import live_slices, replace_years_by_files, takes_files, writing_files
from jobs.core.ledger import blocked_years, build_metadata, builds_of, record_builds, years_text
from jobs.core.progress import expect
from jobs.counting import indicators
from jobs.kernels.counting import COUNTED_DDL, count_tasks, export_rows
from jobs.reference.frames import check_user_files, city_names, names_of_cities
from jobs.runtime.context import JobContext, Outcome, command_main, exit_code, open_context, run_job
from jobs.runtime.executors import collect_tasks, explained_refusals
from jobs.transforms.counts import build_cube, count_city_exports
from schemas import gold, silver

PREFLIGHT = (check_user_files,)


def run(context: JobContext) -> Outcome:
    """Recount the years whose declarations changed; a year of which a file could not be taken waits."""
    lake = context.lake
    source = builds_of(lake, silver.DECLARATION)
    wanted = gold_fingerprints(context, {y: value for y, value in source.fingerprints.items() if context.selects(y)})
    stale = sorted(wanted) if context.rebuild else builds_of(lake, gold.CITY_EXPORTS).stale(wanted)
    blocked = blocked_years(lake)
    waiting = _waiting({year: blocked[year] for year in stale if year in blocked})
    stale = [year for year in stale if year not in blocked]
    if not stale:
        return Outcome("gold counts are up to date" if not waiting else waiting, changed=False, unfinished=waiting)
    fingerprints = {year: wanted[year] for year in stale}
    count = _count_files if takes_files(lake, silver.DECLARATION, gold.CITY_PRODUCT_DESTINATION) else _count_frames
    with lake.lock(gold.CITY_PRODUCT_DESTINATION, gold.CITY_EXPORTS):
        expect(sum(source.n_rows.get(year, 0) for year in stale), "records")
        metadata = build_metadata(context.run_id, fingerprints)
        cube, counted = count(context, stale, metadata)
        exports = lake.replace_years(gold.CITY_EXPORTS, counted, stale, metadata=metadata)
        refuse_other_counts(lake, stale)
        per_year = lake.rows_by_year(gold.CITY_EXPORTS, exports)
        record_builds(lake, context.run_id, gold.CITY_EXPORTS, exports, fingerprints, per_year)
    return Outcome(
        f"{years_text(stale)}: {exports.n_rows:,} city-years from {cube.n_rows:,} city x product x destination cells",
        n_rows=sum(source.n_rows.get(year, 0) for year in stale), unfinished=waiting,
    )


def _count_files(context: JobContext, years: Sequence[int], metadata: dict[str, Any]) -> tuple[Written, pa.Table]:
    """Write the cube and return the rows of ``gold.city_exports``, counted by executors from the lake's files."""
    lake, cube = context.lake, gold.CITY_PRODUCT_DESTINATION
    slices = live_slices(lake, silver.DECLARATION, years)
    tasks = count_tasks(slices, at_least=context.settings.spark.shuffle_partitions)
    with writing_files(lake, (cube,), umask=context.settings.privacy.umask) as (target,), explained_refusals():
        done = collect_tasks(context.spark, tasks, "jobs.kernels.counting.count_files", (target,), COUNTED_DDL)
        files = [DataFile(**item) for row in done for item in json.loads(row["files"])]
        written = replace_years_by_files(lake, cube, files, years, metadata=metadata)
    names = names_of_cities(context.settings.places)
    rows = [row for part in done for row in export_rows(bytes(part["counts"]), names)]
    return written, rows_to_arrow(gold.CITY_EXPORTS, rows)


def _count_frames(context: JobContext, years: Sequence[int], metadata: dict[str, Any]) -> tuple[Written, pa.Table]:
    """The same through Spark, where executors cannot reach the lake's files."""
    lake, cube = context.lake, gold.CITY_PRODUCT_DESTINATION
    declarations = lake.read(silver.DECLARATION).where(F.col("year").isin(list(years)))
    written = lake.replace_years(cube, declarations.transform(build_cube), years, metadata=metadata)
    cities = city_names(context.spark, context.settings.places)
    # a few thousand rows: written from the driver, without another job
    cells = lake.read(cube).where(F.col("year").isin(list(years)))
    return written, cells.transform(count_city_exports, declarations, cities).toArrow()


def _waiting(blocked: Mapping[int, Sequence[str]]) -> str:
    if not blocked:
        return ""
    files = sorted({name for names in blocked.values() for name in names})
    shown = ", ".join(files[:5]) + (" ..." if len(files) > 5 else "")
    return (
        f"{years_text(blocked)} not counted: {shown} could not be taken, a count without would be too small. Repair"
        " or move away and run again, or say --accept NAME to go on without."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point under spark-submit."""
    return command_main("count", run_command, argv, checks=PREFLIGHT)


def run_command(arguments: argparse.Namespace) -> int:
    """Count, compute the indicators too where they are asked for, and return the exit code."""
    with open_context(arguments, create=False, may_wait=True) as context:
        outcomes = [run_job("count", run, context)]
        if arguments.indicators:
            outcomes.append(run_job("indicators", indicators.run, context))
    return exit_code(outcomes)


if __name__ == "__main__":
    sys.exit(main())
