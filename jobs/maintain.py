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
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.sql import Window
from pyspark.sql import functions as F

from jobs.core.errors import EXIT_DONE, EXIT_NOTHING_TO_DO, InputRefusedError
from jobs.core.lake import Lake
from jobs.core.ledger import utc_now
from jobs.runtime.context import (
    JobContext,
    Outcome,
    add_arguments,
    configure_logging,
    explained,
    open_context,
    program,
    run_job,
)
from schemas import ops
from schemas.catalog import TABLES
from schemas.table import Table

MEGABYTE = 1 << 20
# columns that readers search inside a year; ordering by them lets Delta skip files
SEARCHED = ("city_id", "hs6_code")
PINNED_LAYERS = ("silver", "gold")
ACTIONS = ("health", "compact", "vacuum", "checkpoint")

log = logging.getLogger("customs_lake")


@dataclass(frozen=True, slots=True)
class Health:
    """State of one table's files.

    Attributes
    ----------
    table : str
    version : int
    n_files, n_small, n_bytes : int
        Data files of the latest version, those below ``operations.small_file_mb``, and their size.
    crowded : tuple of str
        Partitions with more than ``operations.max_small_files`` small files; an empty text stands for the whole table.
    skew : float
        Largest file over the mean file, worst partition with at least three files.
    n_log_entries : int
        Log entries since the last checkpoint.
    has_statistics : bool
        Delta keeps minimum and maximum for at least one column.
    """

    table: str
    version: int
    n_files: int
    n_small: int
    n_bytes: int
    crowded: tuple[str, ...]
    skew: float
    n_log_entries: int
    has_statistics: bool

    @property
    def crowded_years(self) -> str:
        """In how many years small files stand; nothing for a table that knows no years."""
        return f" in {len(self.crowded)} years" if self.crowded != ("",) else ""

    def findings(self, *, max_log_entries: int, max_skew: float) -> list[str]:
        """What deserves attention, each with what helps."""
        found = []
        if self.crowded:
            found.append(f"{self.n_small} small files{self.crowded_years}: compact")
        if self.skew > max_skew:
            found.append(f"largest file {self.skew:.1f} times the mean: compact")
        if self.n_log_entries > max_log_entries:
            found.append(f"{self.n_log_entries} log entries since the last checkpoint: checkpoint")
        if not self.has_statistics and self.n_files:
            found.append("no column statistics: readers open every file")
        return found


def existing_tables(lake: Lake, names: Sequence[str] = ()) -> list[Table]:
    """Tables that exist, all or the named ones."""
    unknown = [name for name in names if name not in TABLES]
    if unknown:
        raise InputRefusedError(f"--table: {', '.join(unknown)} is no table; expected one of {', '.join(TABLES)}.")
    return [table for name, table in sorted(TABLES.items()) if (not names or name in names) and lake.exists(table)]


def table_health(context: JobContext, table: Table) -> Health:
    """Look at the files of a table's latest version; no data are read."""
    lake, options = context.lake, context.settings.operations
    files = active_files(lake, table)
    limit = options.small_file_mb * MEGABYTE
    groups: dict[str, list[int]] = {}
    for path, n_bytes in files.items():
        groups.setdefault(path.rpartition("/")[0] if table.partition_by else "", []).append(n_bytes)
    small = {name: sum(size < limit for size in sizes) for name, sizes in groups.items()}
    skews = [max(sizes) * len(sizes) / max(sum(sizes), 1) for sizes in groups.values() if len(sizes) >= 3]
    names = lake.store.names(f"{table.relative_path}/_delta_log")
    checkpoints = [int(name[:20]) for name in names if ".checkpoint" in name and name[:20].isdigit()]
    version = lake.version(table)
    indexed = table.properties.get("delta.dataSkippingStatsColumns", ",".join(table.columns))
    return Health(
        table.name, version, len(files), sum(small.values()), sum(files.values()),
        tuple(sorted(name for name, n in small.items() if n > options.max_small_files)),
        max(skews, default=1.0), version - max(checkpoints, default=-1), bool(indexed),
    )


def active_files(lake: Lake, table: Table) -> dict[str, int]:
    """Data files of the latest version, path below the table to bytes."""
    stored = {item.path: item.n_bytes for item in lake.store.walk(table.relative_path)}
    frame = lake.spark.read.format("delta").load(lake.path(table))
    paths = (unquote(name).split(f"{table.relative_path}/", 1)[-1] for name in frame.inputFiles())
    return {path: stored.get(path, 0) for path in paths}


def compact(context: JobContext, table: Table, crowded: Sequence[str]) -> int:
    """Rewrite the crowded years of a table into files of full size; return the number of files taken away."""
    lake = context.lake
    searched = [name for name in SEARCHED if name in table.columns and name not in table.partition_by]
    with lake.lock_whole(table), lake.committing(table, {"run": context.run_id}):
        builder = lake.delta(table).optimize()
        if table.partition_by:
            years = ", ".join(name.partition("=")[2] for name in crowded)
            builder = builder.where(f"{table.partition_by[0]} IN ({years})")
        metrics = (builder.executeZOrderBy(*searched) if searched else builder.executeCompaction()).first()["metrics"]
    return int(metrics["numFilesRemoved"]) - int(metrics["numFilesAdded"])


def vacuum(context: JobContext, table: Table, *, dry_run: bool) -> int:
    """Remove (or with ``dry_run`` count) files that no version within the retention needs; return their number."""
    lake, hours = context.lake, retention_hours(context, table)
    mode = " DRY RUN" if dry_run else ""
    before = 0 if dry_run else _n_data_files(lake, table)
    with lake.lock_whole(table), lake.committing(table, {"run": context.run_id}):
        result = lake.spark.sql(f"VACUUM delta.`{lake.path(table)}` RETAIN {hours} HOURS{mode}")
        if dry_run:
            return result.count()
    return before - _n_data_files(lake, table)


def _n_data_files(lake: Lake, table: Table) -> int:
    # vacuum itself adds to the log
    return sum(not item.path.startswith("_delta_log/") for item in lake.store.walk(table.relative_path))


def retention_hours(context: JobContext, table: Table) -> int:
    """Hours of replaced files to keep: the layer's retention, or back to the oldest pinned version."""
    promised = re.match(r"interval (\d+) days", table.properties.get("delta.deletedFileRetentionDuration", ""))
    # Delta refuses less than the table itself promises its readers
    hours = max(context.settings.operations.retention_hours(table.layer), 24 * int(promised.group(1)) if promised else 0)
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
    tables = [table for table in existing_tables(lake) if table.layer in PINNED_LAYERS]
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
    unknown = [action for action in actions if action not in ACTIONS]
    if unknown or not actions:
        found = ", ".join(unknown) or "none"
        raise InputRefusedError(f"maintain: expected actions out of {', '.join(ACTIONS)}; found {found}.")
    lines, changed = [], False
    for table in existing_tables(context.lake, tables):
        health = table_health(context, table)
        done = []
        if "compact" in actions and health.crowded:
            done.append(
                f"would compact{health.crowded_years}" if dry_run
                else f"compacted{health.crowded_years}, {compact(context, table, health.crowded)} files fewer"
            )
        if "checkpoint" in actions and health.n_log_entries > 1:
            if not dry_run:
                checkpoint(context.lake, table)
            verb = "would write a checkpoint" if dry_run else "checkpoint"
            done.append(f"{verb} at version {context.lake.version(table)}")
        if "vacuum" in actions:
            n_files = vacuum(context, table, dry_run=dry_run)
            verb = "would remove" if dry_run else "removed"
            done += [f"{verb} {n_files} files older than {retention_hours(context, table)} h"] if n_files else []
        if done:
            changed, health = True, health if dry_run else table_health(context, table)
        lines.append(_health_line(context, health, done))
    heading = f"{'table':<32}{'version':>8}{'files':>7}{'small':>7}{'MB':>10}{'log':>5}  "
    word = "looked at" if dry_run or actions == ("health",) else "maintained"
    return Outcome(f"{len(lines)} tables {word}", changed=changed, detail="\n".join([heading, *lines]))


def checkpoint(lake: Lake, table: Table) -> None:
    """Write a checkpoint of the log, so that readers need not replay it."""
    log_of = lake.spark._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(lake.spark._jsparkSession, lake.path(table))
    # Scala's default arguments, under the names they have in the JVM
    at_any_time, no_catalog = (getattr(log_of, f"update$default${number}")() for number in (2, 3))
    log_of.checkpoint(log_of.update(False, at_any_time, no_catalog), no_catalog)


def _health_line(context: JobContext, health: Health, done: Sequence[str]) -> str:
    options = context.settings.operations
    remarks = [*health.findings(max_log_entries=options.max_log_entries, max_skew=options.max_skew), *done]
    return (
        f"{health.table:<32}{health.version:>8}{health.n_files:>7}{health.n_small:>7}{health.n_bytes / MEGABYTE:>10.2f}"
        f"{health.n_log_entries:>5}  {'; '.join(remarks)}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    configure_logging()
    parser = argparse.ArgumentParser(prog=program("maintain"), description=(__doc__ or "").split("\n\n")[0])
    add_arguments(parser)
    parser.add_argument("action", nargs="+", choices=(*ACTIONS, "pin", "release"))
    parser.add_argument("--table", action="append", default=[], help="only this table (repeat for more)")
    parser.add_argument("--name", default="", help="name of the study, for pin and release")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done")
    arguments = parser.parse_args(argv)
    return explained(lambda: run_command(arguments))


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
