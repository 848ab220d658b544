"""Count: declarations to the city x product x destination cube, then export value, products and destinations.

In: ``silver.declaration``. Out: ``gold.city_product_destination``, ``gold.city_exports``. Only years whose silver build
changed are counted again, with everything else that these two tables depend on in the fingerprint. With ``--indicators``
the indicators follow in the same session (jobs/counting/indicators.py); a run has them as a step of their own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.sql import functions as F

from jobs.cleaning.balance import refuse_other_counts
from jobs.cleaning.fingerprints import gold_fingerprints
from jobs.core.ledger import blocked_years, build_metadata, builds_of, record_builds, years_text
from jobs.core.progress import expect
from jobs.counting import indicators
from jobs.reference.frames import check_user_files, city_names
from jobs.runtime.context import JobContext, Outcome, command_main, exit_code, open_context, run_job
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
    with lake.lock(gold.CITY_PRODUCT_DESTINATION, gold.CITY_EXPORTS):
        expect(sum(source.n_rows.get(year, 0) for year in stale), "records")
        metadata = build_metadata(context.run_id, {year: wanted[year] for year in stale})
        declarations = lake.read(silver.DECLARATION).where(F.col("year").isin(stale))
        cube = lake.replace_years(
            gold.CITY_PRODUCT_DESTINATION, declarations.transform(build_cube), stale, metadata=metadata
        )
        written_cube = lake.read(gold.CITY_PRODUCT_DESTINATION).where(F.col("year").isin(stale))
        cities = city_names(context.spark, context.settings.places)
        # a few thousand rows: written from here, without another job
        counted = written_cube.transform(count_city_exports, declarations, cities).toArrow()
        exports = lake.replace_years(gold.CITY_EXPORTS, counted, stale, metadata=metadata)
        refuse_other_counts(lake, stale)
        per_year = lake.rows_by_year(gold.CITY_EXPORTS, exports)
        record_builds(lake, context.run_id, gold.CITY_EXPORTS, exports, {year: wanted[year] for year in stale}, per_year)
    return Outcome(
        f"{years_text(stale)}: {exports.n_rows:,} city-years from {cube.n_rows:,} city x product x destination cells",
        n_rows=sum(source.n_rows.get(year, 0) for year in stale), unfinished=waiting,
    )


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
    with open_context(arguments, create=False) as context:
        outcomes = [run_job("count", run, context)]
        if arguments.indicators:
            outcomes.append(run_job("indicators", indicators.run, context))
    return exit_code(outcomes)


if __name__ == "__main__":
    sys.exit(main())
