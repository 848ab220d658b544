"""Maintain: compact, vacuum, checkpoint and look at the health of every table; each can be shown first with --dry-run.

Compaction rewrites only years with many small files and orders them by what studies search (city, product). Vacuum
keeps replaced files for the layer's retention (``operations.*_retention_days``) and, beyond it, everything that a
pinned version needs: Delta keeps files by time, so the retention is stretched to the oldest pin. Full vacuum, not LITE:
only it sees the files of killed writers. Neither changes a row; the commits carry our mark.
"""

from __future__ import annotations

import argparse
import datetime as dt
import logging
import math
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.sql import Window
from pyspark.sql import functions as F

from jobs.core import upkeep
from jobs.core.errors import EXIT_DONE, EXIT_NOTHING_TO_DO, InputRefusedError
from jobs.core.health import MEGABYTE, Health, table_health
from jobs.core.lake import Lake
from jobs.core.ledger import utc_now
from jobs.runtime.command_line.keeping import MAINTENANCE
from jobs.runtime.context import (
    JobContext,
    Outcome,
    command_main,
    open_context,
    run_job,
)
from schemas import ops
from schemas.table import Table

# columns that readers search inside a year; ordering by them lets Delta skip files
SEARCHED = ("city_id", "hs6_code")
PINNED_LAYERS = ("silver", "gold")

log = logging.getLogger("customs_lake")


def compact_years(context: JobContext, table: Table, crowded: Sequence[str]) -> int:
    """Compact the crowded years of a table, ordered by what studies search; return the number of files taken away."""
    searched = [name for name in SEARCHED if name in table.columns and name not in table.partition_by]
    years = [name.partition("=")[2] for name in crowded]
    return upkeep.compact(context.lake, table, years, order_by=searched, metadata={"run": context.run_id})


def retention_hours(context: JobContext, table: Table) -> int:
    """Hours of replaced files to keep: the layer's retention, or back to the oldest pinned version."""
    # Delta refuses less than the table itself promises its readers
    hours = max(context.settings.operations.retention_hours(table.layer), 24 * table.promised_days)
    pinned = [version for name, version in pins_in_force(context.lake).items() if name[1] == table.name]
    if pinned:
        # files of the pinned version that were replaced later were replaced after the commit that followed it
        later = context.lake.commits(table, after=min(pinned))
        if later:
            age = utc_now().replace(tzinfo=dt.UTC).timestamp() - later[0].timestamp_ms / 1000
            hours = max(hours, math.ceil(age / 3600) + 1)
    return hours


def pins_in_force(lake: Lake) -> dict[tuple[str, str], int]:
    """Pinned versions: (study, table) to version."""
    latest = Window.partitionBy("pin_name", "table_name").orderBy(F.col("pinned_at").desc())
    rows = (
        lake.read(ops.PIN).withColumn("rank", F.row_number().over(latest))
        .where((F.col("rank") == 1) & (F.col("pin_status") == "pinned")).collect()
    )
    return {(row["pin_name"], row["table_name"]): row["table_version"] for row in rows}


def pin(context: JobContext, name: str) -> Outcome:
    """Pin the present versions of silver and gold for a study, so that vacuum keeps their files."""
    if not name.strip():
        raise InputRefusedError("pin: give the study a name, such as --name paper-2015.")
    lake, now = context.lake, utc_now()
    tables = [table for table in upkeep.existing_tables(lake) if table.layer in PINNED_LAYERS]
    if not tables:
        raise InputRefusedError(f"{lake.root}: there is no silver or gold table to pin; run the pipeline first.")
    rows = [
        {
            "pin_name": name, "table_name": table.name, "table_version": lake.version(table), "pin_status": "pinned",
            "pinned_at": now, "run_id": context.run_id,
        }
        for table in tables
    ]
    lake.append_rows(ops.PIN, rows)
    shown = ", ".join(f"{row['table_name']}@{row['table_version']}" for row in rows)
    return Outcome(f"{name}: {shown}")


def release(context: JobContext, name: str) -> Outcome:
    """Let vacuum take a study's versions again."""
    pinned = {table: version for (study, table), version in pins_in_force(context.lake).items() if study == name}
    if not pinned:
        known = sorted({study for study, _ in pins_in_force(context.lake)})
        raise InputRefusedError(f"release: no study {name!r} is pinned; pinned are: {', '.join(known) or 'none'}.")
    now = utc_now()
    context.lake.append_rows(
        ops.PIN,
        [
            {
                "pin_name": name, "table_name": table, "table_version": version, "pin_status": "released",
                "pinned_at": now, "run_id": context.run_id,
            }
            for table, version in sorted(pinned.items())
        ],
    )
    return Outcome(f"{name}: {len(pinned)} tables released")


def maintain(context: JobContext, actions: Sequence[str], *, tables: Sequence[str] = (), dry_run: bool = False) -> Outcome:
    """Carry out the chosen actions on the chosen tables (default: all); a dry run says whether there is something to do."""
    unknown = [action for action in actions if action not in MAINTENANCE]
    if unknown or not actions:
        found = ", ".join(unknown) or "none"
        raise InputRefusedError(f"maintain: expected actions out of {', '.join(MAINTENANCE)}; found {found}.")
    lines, changed = [], False
    for table in upkeep.existing_tables(context.lake, tables):
        health = table_health(context.lake, table, context.settings.operations)
        done = []
        if "compact" in actions and health.crowded:
            done.append(
                f"would compact{health.crowded_years}" if dry_run
                else f"compacted{health.crowded_years}, {compact_years(context, table, health.crowded)} files fewer"
            )
        if "checkpoint" in actions and health.n_log_entries > 1:
            if not dry_run:
                upkeep.checkpoint(context.lake, table)
            verb = "would write a checkpoint" if dry_run else "checkpoint"
            done.append(f"{verb} at version {context.lake.version(table)}")
        if "vacuum" in actions:
            hours = retention_hours(context, table)
            n_files = upkeep.vacuum(context.lake, table, hours, dry_run=dry_run, metadata={"run": context.run_id})
            verb = "would remove" if dry_run else "removed"
            done += [f"{verb} {n_files} files older than {hours} h"] if n_files else []
        if done:
            changed, health = True, health if dry_run else table_health(context.lake, table, context.settings.operations)
        lines.append(_health_line(context, health, done))
    heading = f"{'table':<32}{'version':>8}{'files':>7}{'small':>7}{'MB':>10}{'log':>5}  "
    word = "looked at" if dry_run or actions == ("health",) else "maintained"
    return Outcome(f"{len(lines)} tables {word}", changed=changed, detail="\n".join([heading, *lines]))


def _health_line(context: JobContext, health: Health, done: Sequence[str]) -> str:
    options = context.settings.operations
    remarks = [*health.findings(max_log_entries=options.max_log_entries, max_skew=options.max_skew), *done]
    return (
        f"{health.table:<32}{health.version:>8}{health.n_files:>7}{health.n_small:>7}{health.n_bytes / MEGABYTE:>10.2f}"
        f"{health.n_log_entries:>5}  {'; '.join(remarks)}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return command_main("maintain", run_command, argv)


def run_command(arguments: argparse.Namespace) -> int:
    """Carry out the command and return the exit code."""

    def act(context: JobContext) -> Outcome:
        if "pin" in arguments.action:
            return pin(context, arguments.name)
        if "release" in arguments.action:
            return release(context, arguments.name)
        return maintain(context, tuple(arguments.action), tables=arguments.table, dry_run=arguments.dry_run)

    with open_context(arguments, create=False) as context:
        outcome = run_job("maintain", act, context)
    if outcome.detail:
        print(outcome.detail)
    return EXIT_DONE if outcome.changed or arguments.action == ["health"] else EXIT_NOTHING_TO_DO


if __name__ == "__main__":
    sys.exit(main())
