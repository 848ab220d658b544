"""Reconcile: for every year and file, lines received = rows in bronze = kept + quarantined, and the same in dollars.

Each side is counted from the table it stands in: lines from the receipt, rows and readable dollars from bronze, the
rest from silver and the quarantine as written. A difference of one row or one cent ends the run (exit code 5).
"""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


from jobs.cleaning.balance import balance_text, reconcile_years
from jobs.core.errors import InputRefusedError
from jobs.core.ledger import files_in_force
from jobs.runtime.context import JobContext, Outcome, job_main


def run(context: JobContext) -> Outcome:
    """Recount every year in the lake and print the balance."""
    years = sorted({row["source_year"] for row in files_in_force(context.lake) if context.selects(row["source_year"])})
    if not years:
        raise InputRefusedError(f"{context.lake.root}: no files in force in the years asked for; load some first.")
    rows = reconcile_years(context, years)
    return Outcome(f"{len(rows)} files balance to the row and the cent", detail=balance_text(rows))


if __name__ == "__main__":
    sys.exit(job_main("reconcile", run))
