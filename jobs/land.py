"""Land: look at every delivered file once and give it a receipt, or refuse the delivery with the reasons.

In: the raw folder. Out: ``ops.file_receipt``. A delivery is taken whole or not at all: when one file cannot be used,
all problems are named and nothing is written. A file seen before with the same content costs its hash and no more; the
same name with other content supersedes the former file.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from jobs.context import JobContext, Outcome, job_main
from jobs.errors import InputRefusedError
from jobs.inspection import Inspection, inspect_file, list_raw_files
from jobs.ledger import files_in_force, utc_now, years_text
from schemas import ops

MAX_PROBLEMS_SHOWN = 8


def run(context: JobContext) -> Outcome:
    """Inspect the raw folder and append receipts of new and changed files."""
    raw = context.require_raw()
    inspections = inspect_folder(raw, context)
    with context.lake.lock(ops.FILE_RECEIPT):
        known = {
            row["source_file"]: row["file_sha256"]
            for row in files_in_force(context.lake).select("source_file", "file_sha256").collect()
        }
        new = [item for item in inspections if known.get(item.source_file) != item.sha256]
        context.lake.append_rows(ops.FILE_RECEIPT, [_receipt(item, context.run_id) for item in new])
    superseded = sum(item.source_file in known for item in new)
    lines = sum(item.n_lines for item in inspections)
    years = years_text(item.year for item in inspections)
    message = f"{len(inspections)} files of {years}, {lines:,} data lines; {len(new) - superseded} new"
    message += f", {superseded} corrected" if superseded else ""
    return Outcome(message, changed=bool(new))


def inspect_folder(raw: Path, context: JobContext) -> list[Inspection]:
    """Inspect all files in parallel and refuse the delivery if any cannot be used.

    Raises
    ------
    InputRefusedError
        With every problem found.
    """
    found: list[Inspection] = []
    problems: list[str] = []
    with ThreadPoolExecutor(max_workers=4) as pool:
        for result in pool.map(lambda path: _try_inspect(path, raw), list_raw_files(raw)):
            (found if isinstance(result, Inspection) else problems).append(result)
    problems += _outside_years(found, context) + _same_content(found)
    if problems:
        shown = "\n  - ".join(problems[:MAX_PROBLEMS_SHOWN])
        more = f"\n  ... and {len(problems) - MAX_PROBLEMS_SHOWN} more" if len(problems) > MAX_PROBLEMS_SHOWN else ""
        raise InputRefusedError(
            f"{raw}: {len(problems)} problem(s) in {len(found) + len(problems)} files; nothing was loaded.\n  - {shown}{more}"
        )
    return [item for item in found if context.selects(item.year)]


def _try_inspect(path: Path, raw: Path) -> Inspection | str:
    try:
        return inspect_file(path, raw)
    except InputRefusedError as error:
        return str(error)


def _outside_years(found: list[Inspection], context: JobContext) -> list[str]:
    if context.years is not None:
        return []
    study = context.settings.study
    return [
        f"{item.source_file}: year {item.year} is outside the configured years {study.first_year}-{study.last_year}."
        f" Say --years to choose years, or widen them with --set study.first_year=... or --set study.last_year=..."
        for item in found
        if item.year not in study.years
    ]


def _same_content(found: list[Inspection]) -> list[str]:
    first: dict[str, str] = {}
    problems = []
    for item in found:
        if item.sha256 in first:
            problems.append(
                f"{item.source_file}: same content as {first[item.sha256]}; counted twice it would double its records."
                " Move one of them away."
            )
        first.setdefault(item.sha256, item.source_file)
    return problems


def _receipt(item: Inspection, run_id: str) -> dict[str, object]:
    return {
        "source_file": item.source_file, "file_sha256": item.sha256, "bytes": item.n_bytes,
        "layout": item.layout.name, "encoding": item.encoding, "delimiter": item.delimiter,
        "headings": list(item.headings), "source_year": item.year, "source_month": item.month,
        "n_lines": item.n_lines, "receipt_status": "received", "received_at": utc_now(), "run_id": run_id,
    }


if __name__ == "__main__":
    sys.exit(job_main("land", run, __doc__))
