"""Land: look at every delivered file once and give it a receipt, or refuse the delivery with the reasons.

In: the raw folder. Out: ``ops.file_receipt``. A delivery is taken whole or not at all: when one file cannot be used,
all problems are named and nothing is written. A file seen before with the same content costs its hash and no more; the
same name with other content supersedes the former file; the same content under another name is the same file; a
withdrawn file stays withdrawn until other content comes under its name.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.sql import Row

from conf.layouts import Layout, load_layouts, with_aliases
from jobs.core.errors import InputRefusedError
from jobs.core.ledger import latest_receipts, utc_now, years_text
from jobs.kernels.content import Content
from jobs.kernels.parts import parts_from_json, parts_to_json
from jobs.readers.customs_files import Inspection, inspect_file, list_raw_files
from jobs.runtime.context import JobContext, Outcome, job_main
from schemas import ops

MAX_PROBLEMS_SHOWN = 8


def run(context: JobContext) -> Outcome:
    """Inspect the raw folder and append receipts of new and changed files."""
    raw = context.require_raw()
    with context.lake.lock(ops.FILE_RECEIPT):
        receipts = latest_receipts(context.lake)
        inspections = inspect_folder(raw, context, receipts)
        news = sort_delivery(inspections, receipts)
        arrived = [*news.new, *news.corrected]
        context.lake.append_rows(ops.FILE_RECEIPT, [_receipt(item, context.run_id) for item in arrived])
    lines = sum(item.n_lines for item in inspections)
    years = years_text(item.year for item in inspections)
    message = f"{len(inspections)} files of {years}, {lines:,} data lines; {len(news.new)} new"
    message += f", {len(news.corrected)} corrected" if news.corrected else ""
    message += f", {len(news.renamed)} known under another name" if news.renamed else ""
    message += f", {len(news.withdrawn)} withdrawn and left out" if news.withdrawn else ""
    # a file that is known costs its hash only: no lines were read, so there is no rate
    return Outcome(message, changed=bool(arrived), n_rows=sum(item.n_lines for item in arrived) if arrived else None)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the files of a delivery are to the lake.

    Attributes
    ----------
    new, corrected, unchanged, renamed, withdrawn : tuple of Inspection
        Never seen; known by name with other content; known by name and content; known by content only; taken back.
    """

    new: tuple[Inspection, ...]
    corrected: tuple[Inspection, ...]
    unchanged: tuple[Inspection, ...]
    renamed: tuple[Inspection, ...]
    withdrawn: tuple[Inspection, ...]


def sort_delivery(inspections: Sequence[Inspection], receipts: Sequence[Row]) -> Delivery:
    """Compare a delivery with the latest receipt of each file."""
    known = {row["source_file"]: row for row in receipts}
    in_force = {row["file_sha256"] for row in receipts if row["receipt_status"] == "received"}
    sorts: dict[str, list[Inspection]] = {item.name: [] for item in fields(Delivery)}
    for item in inspections:
        former = known.get(item.source_file)
        if former is not None and former["file_sha256"] == item.sha256:
            sorts["unchanged" if former["receipt_status"] == "received" else "withdrawn"].append(item)
        elif former is not None:
            sorts["corrected"].append(item)
        else:
            sorts["renamed" if item.sha256 in in_force else "new"].append(item)
    return Delivery(**{name: tuple(items) for name, items in sorts.items()})


def inspect_folder(raw: Path, context: JobContext, receipts: Sequence[Row] = ()) -> list[Inspection]:
    """Inspect all files in parallel and refuse the delivery if any cannot be used.

    Parameters
    ----------
    raw : Path
    context : JobContext
    receipts : sequence of Row
        Latest receipts: a file with the content of its receipt is not decoded again.

    Raises
    ------
    InputRefusedError
        With every problem found.
    """
    found: list[Inspection] = []
    problems: list[str] = []
    known = {row["source_file"]: row for row in receipts}
    paths = list_raw_files(raw)
    layouts = with_aliases(load_layouts(), context.settings.aliases.headings)
    strict = context.settings.delivery.strict
    with ThreadPoolExecutor(max_workers=4) as pool:
        for result in pool.map(lambda path: _try_inspect(path, raw, known, layouts, strict), paths):
            (found if isinstance(result, Inspection) else problems).append(result)
    problems += _outside_years(found, context) + _same_content(found)
    if problems:
        shown = "\n  - ".join(problems[:MAX_PROBLEMS_SHOWN])
        more = f"\n  ... and {len(problems) - MAX_PROBLEMS_SHOWN} more" if len(problems) > MAX_PROBLEMS_SHOWN else ""
        raise InputRefusedError(
            f"{raw}: {len(problems)} problem(s) in {len(paths)} files; nothing was loaded.\n  - {shown}{more}"
        )
    return [item for item in found if context.selects(item.year)]


def _try_inspect(
    path: Path, raw: Path, known: Mapping[str, Row], layouts: Sequence[Layout], strict: bool
) -> Inspection | str:
    try:
        receipt = known.get(path.relative_to(raw).as_posix())
        return (receipt and _as_received(path, receipt, layouts)) or inspect_file(path, raw, layouts, strict=strict)
    except InputRefusedError as error:
        return str(error)


def _as_received(path: Path, receipt: Row, layouts: Sequence[Layout]) -> Inspection | None:
    """The inspection of a file whose size, hash and layout are still those of its receipt."""
    layout = next((layout for layout in layouts if layout.name == receipt["layout"]), None)
    if layout is None or receipt["parts"] is None or path.stat().st_size != receipt["bytes"]:
        return None
    with open(path, "rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != receipt["file_sha256"]:
            return None
    return Inspection(
        receipt["source_file"], receipt["file_sha256"], receipt["bytes"], receipt["n_lines"], receipt["encoding"],
        receipt["delimiter"], tuple(receipt["headings"]), layout, receipt["source_year"], receipt["source_month"],
        parts_from_json(receipt["parts"]), Content.from_json(json.loads(receipt["content"])),
    )


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
        "parts": parts_to_json(item.parts), "content": json.dumps(item.content.to_json()),
    }


if __name__ == "__main__":
    sys.exit(job_main("land", run, __doc__))
