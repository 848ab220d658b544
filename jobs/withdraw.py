"""Withdraw: take delivered files back, or take the withdrawal back.

In: names of files with a receipt. Out: ``ops.file_receipt``. Nothing is deleted: bronze keeps the rows, the receipt
says that they count no more, and the next run rebuilds exactly the years concerned. A correction needs no withdrawal:
deliver the file again under its name. A withdrawn file that stays in the raw folder stays withdrawn.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.sql import Row

from jobs.core.errors import EXIT_DONE, InputRefusedError
from jobs.core.ledger import latest_receipts, utc_now, years_text
from jobs.runtime.context import (
    JobContext,
    Outcome,
    command_main,
    open_context,
    run_job,
)
from schemas import ops

MAX_SHOWN = 5


def withdraw(context: JobContext, patterns: Sequence[str], reason: str) -> Outcome:
    """Withdraw the files in force that match any of the patterns (``customs/data2005*.csv``).

    Raises
    ------
    InputRefusedError
        If a pattern matches no file in force, or no reason is given.
    """
    return _change(context, patterns, reason, present="received", future="withdrawn")


def reinstate(context: JobContext, patterns: Sequence[str], reason: str) -> Outcome:
    """Put withdrawn files in force again."""
    return _change(context, patterns, reason, present="withdrawn", future="received")


def _change(context: JobContext, patterns: Sequence[str], reason: str, *, present: str, future: str) -> Outcome:
    if not reason.strip():
        raise InputRefusedError("--reason is missing: say why, in one sentence; it is kept with the receipt.")
    with context.lake.lock(ops.FILE_RECEIPT):
        receipts = [row for row in latest_receipts(context.lake) if row["receipt_status"] == present]
        chosen = _matching(receipts, patterns, present)
        # one moment for all: a file of several years has a receipt for each, and they are of one look
        now = utc_now()
        context.lake.append_rows(
            ops.FILE_RECEIPT,
            [
                row.asDict()
                | {
                    "receipt_status": future, "receipt_reason": reason.strip(), "received_at": now,
                    "run_id": context.run_id,
                }
                for row in chosen
            ],
        )
    years = years_text(row["source_year"] for row in chosen)
    n_files = len({row["source_file"] for row in chosen})
    return Outcome(f"{n_files} files of {years} {future}: {reason.strip()}; the next run rebuilds these years")


def _matching(receipts: Sequence[Row], patterns: Sequence[str], present: str) -> list[Row]:
    idle = [name for name in patterns if not any(fnmatchcase(row["source_file"], name) for row in receipts)]
    if idle or not patterns:
        known = ", ".join(sorted(row["source_file"] for row in receipts)[:MAX_SHOWN]) or "none"
        raise InputRefusedError(
            f"--file: {', '.join(idle) or 'no name given'} matches no {present} file. There are {len(receipts)}, such as:"
            f" {known}."
        )
    return [row for row in receipts if any(fnmatchcase(row["source_file"], name) for name in patterns)]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point under spark-submit."""
    return command_main("withdraw", run_command, argv)


def run_command(arguments: argparse.Namespace) -> int:
    """Change the receipts and return the exit code."""
    change = reinstate if arguments.undo else withdraw
    with open_context(arguments, create=False) as context:
        run_job("withdraw", lambda given: change(given, arguments.file, arguments.reason), context)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
