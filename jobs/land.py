"""Land: look at every delivered file once and give it a receipt; what is not taken is named with its reason.

In: the raw folder. Out: ``ops.file_receipt``, ``ops.left_out``. A bad file blocks the counts of its own year and nothing
else (``--all-or-nothing``: the delivery). A file seen before with the same content costs no more than its hash; the same
name with other content supersedes the former file, unless it lost too much (``--accept``); the same records under another
name or in another form are taken once; a withdrawn file stays withdrawn until other content comes under its name.
"""

from __future__ import annotations

import datetime as dt
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.sql import Row

from conf.secrets import redact
from jobs.core.ledger import latest_receipts, left_out_files, utc_now, years_text
from jobs.readers.delivery import DeliveredFile, Delivery, LeftOut
from jobs.readers.receipts import receipt_rows, without_erased
from jobs.readers.receiving import carry_over, left_out_lines, look_at_folder, receive, unfinished_text
from jobs.runtime.context import JobContext, Outcome, job_main
from jobs.runtime.executors import workers_elsewhere
from schemas import ops

log = logging.getLogger("customs_lake")


def run(context: JobContext) -> Outcome:
    """Look at the raw folder and append receipts of new and changed files."""
    raw = context.require_raw()
    with context.lake.lock(ops.FILE_RECEIPT):
        receipts = latest_receipts(context.lake)
        former = left_out_files(context.lake)
        found = look_at_folder(raw, context.settings, receipts=receipts, run=workers_elsewhere(context.spark))
        looked = without_erased(context.lake, context.settings, found)
        delivery = receive(
            looked, receipts, context.settings, years=context.years, accepted=context.accepted, former=former,
            all_or_nothing=context.all_or_nothing, where=str(raw),
        )
        now = utc_now()
        completed = [*delivery.arrived, *_without_content(delivery.unchanged, receipts)]
        rows = [row for item in completed for row in receipt_rows(item, context.run_id, now)]
        rows += [_replaced(row, context.run_id, now) for row in receipts if row["source_file"] in delivery.replaced]
        context.lake.append_rows(ops.FILE_RECEIPT, rows)
        left_out = carry_over(delivery.left_out, former, context.years)
        is_new = _record_left_out(context, left_out, former, now)
    for line in left_out_lines(delivery.left_out):
        log.info("%s", line)
    for note in delivery.notes:
        log.info("  - noted: %s", note)
    arrived = delivery.arrived
    return Outcome(
        _message(delivery), changed=bool(rows) or is_new, unfinished=unfinished_text(delivery),
        # a file that is known costs its hash only: no lines were read, so there is no rate
        n_rows=sum(item.n_lines for item in arrived) if arrived else None,
    )


def _without_content(unchanged: Sequence[DeliveredFile], receipts: Sequence[Row]) -> list[DeliveredFile]:
    """Files in force whose receipts, of an older product, do not say what they hold."""
    lacking = {row["source_file"] for row in receipts if row["content"] is None}
    return [item for item in unchanged if item.source_file in lacking]


def _replaced(receipt: Row, run_id: str, now: dt.datetime) -> dict[str, object]:
    reason = "an accepted file holds its records"
    return receipt.asDict() | {
        "receipt_status": "withdrawn", "receipt_reason": reason, "received_at": now, "run_id": run_id
    }


def _record_left_out(
    context: JobContext, left_out: Sequence[LeftOut], former: Sequence[Row], now: dt.datetime
) -> bool:
    """Append what was left out, if it is not what was left out the last time; tell whether it was written."""
    recorded = {_key(row) for row in former}
    if {_key(_left_out_row(item)) for item in left_out} == recorded:
        return False
    nothing: dict[str, object] = {"source_file": "", "left_out_kind": "nothing", "left_out_reason": "everything was taken"}
    rows = [_left_out_row(item) for item in left_out] or [nothing]
    context.lake.append_rows(ops.LEFT_OUT, [row | {"run_id": context.run_id, "looked_at": now} for row in rows])
    return True


def _left_out_row(item: LeftOut) -> dict[str, object]:
    return {
        "source_file": item.source_file, "left_out_kind": item.kind, "left_out_reason": redact(item.reason),
        "blocked_years": list(item.blocked_years), "is_accepted": item.is_accepted,
    }


def _key(row: Mapping | Row) -> tuple:
    return (
        row["source_file"], row["left_out_kind"], row["left_out_reason"], tuple(row["blocked_years"] or ()),
        bool(row["is_accepted"]),
    )


def _message(delivery: Delivery) -> str:
    taken = [*delivery.arrived, *delivery.unchanged, *delivery.renamed, *delivery.withdrawn]
    years = years_text(year.year for item in taken for year in item.years)
    lines = sum(item.n_lines for item in taken)
    counts = {
        "corrected": len(delivery.corrected), "read by another layout now": len(delivery.reread),
        "known under another name": len(delivery.renamed),
        "withdrawn and left out": len(delivery.withdrawn), "withdrawn for an accepted one": len(delivery.replaced),
        "not taken": len(delivery.left_out),
    }
    more = "".join(f", {n} {words}" for words, n in counts.items() if n)
    return f"{len(taken)} files of {years or 'no year'}, {lines:,} data lines; {len(delivery.new)} new{more}"


if __name__ == "__main__":
    sys.exit(job_main("land", run))
