"""Pipeline: all jobs in order, from delivered files to Table 1, with progress, counts and seconds."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from jobs.context import JobContext, Outcome, job_main, run_job

STEPS = ("land", "ingest", "references", "clean", "count", "yearbook", "productivity", "panel", "estimate")


def run_through(context: JobContext, last: str, announce: Callable[[str], None] = lambda name: None) -> list[Outcome]:
    """Run the steps up to and including ``last``."""
    outcomes = []
    for name in STEPS[: STEPS.index(last) + 1]:
        announce(name)
        outcomes.append(run_job(name, importlib.import_module(f"jobs.{name}").run, context))
    return outcomes


def run(context: JobContext) -> Outcome:
    """Run all steps."""
    outcomes = run_through(context, STEPS[-1])
    changed = any(outcome.changed for outcome in outcomes)
    return Outcome("all steps done" if changed else "nothing new", changed, outcomes[-1].detail)


if __name__ == "__main__":
    sys.exit(job_main("pipeline", run, __doc__))
