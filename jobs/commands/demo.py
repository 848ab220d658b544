"""Demo: a generated world from raw files to Table 1, checked against its truth, with one command."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

from rich.console import Console

from jobs.core.errors import EXIT_DONE, EXIT_QUALITY
from jobs.core.progress import moving
from jobs.pipeline import STEPS, run_through
from jobs.runtime.context import look_into, open_context, run_job


def run_demo(out: Path, *, records: int, seed: int, console: Console) -> int:
    """Generate, run all steps, reconcile, compare with the truth and the world's totals, and print Table 1.

    Parameters
    ----------
    out : Path
        Gets ``raw/``, ``truth/``, ``lake/`` and ``tables/``; files of a former demo with the same seed and size are used
        again.
    records : int
        Customs records, about; those of all cities are 279,000 at least.
    seed : int
        Root of all random numbers.
    console : rich.console.Console
        Where to print.

    Returns
    -------
    int
        Exit code 0; 6 when the lake does not hold what the world's totals say.

    Raises
    ------
    NotBalancedError
        When anything differs from the truth (exit code 5).
    """
    from jobs import plausible, reconcile, report, verify
    from jobs.generate import generate, usable_processes
    from jobs.world.reference import WorldReference

    start = time.monotonic()
    console.print(f"customs-lake demo: {records:,} generated customs records, seed {seed}, in {out}", style="bold")
    with moving("generate"):
        # all cities, whatever the records: the tables that follow are about cities
        n_cities = len(WorldReference().cities)
        world = generate(
            out, seed=seed, records=records, n_cities=n_cities, overwrite=True, processes=usable_processes(records)
        )
    console.print(f"world     {world} ({time.monotonic() - start:.1f} s)")
    arguments = Namespace(
        lake=str(out / "lake"), raw=out / "raw", years=None, profile=None, config=None, set=[], out=out / "tables"
    )
    with open_context(arguments, may_wait=True) as context:
        outcomes = run_through(context, STEPS[-1])
        balance = run_job("reconcile", reconcile.run, context)
        # again in full, so that a demo that goes on from a former one ends with its table, too
        published = outcomes[STEPS.index("plausible")]
        published = published if published.detail else run_job("plausible", plausible.compare, context)
        truth = run_job("verify", verify.run, context)
    with moving("report"), look_into(arguments) as looking:
        report.run(looking)
    for detail in (balance.detail, truth.detail, outcomes[-1].detail, published.detail):
        console.print()
        console.print(detail, highlight=False, soft_wrap=True, markup=False)
    seconds = time.monotonic() - start
    console.print(f"\nDone in {seconds:.0f} s; raw files, truth, lake and tables are in {out}.", soft_wrap=True)
    console.print(f"Now open the report: {out / 'tables' / 'report.html'}", soft_wrap=True, highlight=False)
    if published.alarm:
        console.print(f"\n{published.alarm}", highlight=False, soft_wrap=True, markup=False)
    return EXIT_QUALITY if published.alarm else EXIT_DONE


def run_command(arguments: Namespace) -> int:
    """Run the demo and return its exit code."""
    # data is printed as it is, never as markup of the terminal library
    console = Console(markup=False, emoji=False, highlight=False)
    return run_demo(arguments.out, records=arguments.records, seed=arguments.seed, console=console)
