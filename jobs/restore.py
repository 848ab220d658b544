"""Restore: one table to a version, or the whole lake to the state after a run or at a moment.

The lake's state is the receipts, the builds, the balance, silver and gold; they go back together. Bronze is append only
and stays (rows without a receipt in force do not count), and so do the run manifest and the quality history, which are
records of what happened. The targets are written down before the first table is touched: an interrupted restore keeps
the lake closed until it is finished with ``--resume``. What was restored can be undone: restore is a commit like others.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from conf.settings import load_settings
from jobs.core import upkeep
from jobs.core.damage import refuse_damage
from jobs.core.errors import EXIT_DONE, InputRefusedError, LakeError
from jobs.core.lake import UNFINISHED_RESTORE, Lake
from jobs.core.ledger import builds_of, forget_builds, new_run_id, record_run, utc_now
from jobs.runtime.context import (
    Outcome,
    command_main,
)
from jobs.runtime.session import build_session
from schemas import gold, ops, silver
from schemas.catalog import TABLES
from schemas.indicators import CITY_FIRM
from schemas.table import Table

# what happened stays on record; bronze keeps every delivery
KEPT = ("ops.run", "ops.quality", "ops.pin", "ops.erasure")
# tables whose rows are worth dollars, and the column that says how many
MONEY_COLUMNS = dict.fromkeys((silver.DECLARATION, silver.QUARANTINE, gold.CITY_EXPORTS, CITY_FIRM), "value_usd")


def state_tables(lake: Lake) -> list[Table]:
    """Tables that make up the lake's state and exist, in the order they are restored."""
    return [
        table for name, table in sorted(TABLES.items())
        if table.layer != "bronze" and name not in KEPT and lake.exists(table)
    ]


def versions_at(lake: Lake, moment: dt.datetime) -> dict[str, int]:
    """Version of every state table at a moment (UTC); a table created later goes back to its empty first version.

    Raises
    ------
    LakeError
        If the moment lies before the lake's first rows, or before the present shape of a table.
    """
    limit = int(moment.replace(tzinfo=dt.UTC).timestamp() * 1000)
    _refuse_before_first_run(lake, moment, limit)
    floors = lake.marker().get("floors", {})
    targets, below = {}, []
    for table in state_tables(lake):
        commits = lake.commits(table)
        versions = [commit.version for commit in commits if commit.timestamp_ms <= limit]
        target = max(versions, default=commits[0].version)
        if target < floors.get(table.name, 0):
            below.append(f"{table.name} (version {target}, shape since {floors[table.name]})")
        targets[table.name] = target
    if below:
        raise LakeError(
            f"{lake.root}: {moment:%Y-%m-%d %H:%M:%S} UTC lies before a migration of {', '.join(below)}; going back would"
            " bring back the old shape. Choose a later moment, or read the old versions with `customs-lake export"
            " --version`."
        )
    return targets


def _refuse_before_first_run(lake: Lake, moment: dt.datetime, limit: int) -> None:
    """Going back to before anything was loaded would empty every table: nobody means that."""
    wrote = [commit.timestamp_ms for table in state_tables(lake) for commit in lake.commits(table) if commit.changes_rows]
    first = min(wrote, default=None)
    if first is None or limit < first:
        since = f"its first rows were written at {_moment_text(first)}" if first is not None else "it holds no rows yet"
        raise LakeError(
            f"{lake.root}: {moment:%Y-%m-%d %H:%M:%S} UTC lies before the lake's first run ({since}); every table would be"
            " empty. Nothing was changed. Choose a later moment, or begin a new lake in another folder."
        )


def _moment_text(timestamp_ms: int) -> str:
    return f"{dt.datetime.fromtimestamp(timestamp_ms / 1000, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def differences(lake: Lake, table: Table, version: int) -> list[str]:
    """What going back to a version takes away from a table and brings back: rows, and dollars where it has them, by year."""
    now, then = _totals(lake, table, lake.version(table)), _totals(lake, table, version)
    lines = []
    for year in sorted({*now, *then}, key=lambda year: (year is None, year)):
        (n_now, usd_now), (n_then, usd_then) = now.get(year, (0, None)), then.get(year, (0, None))
        if (n_now, usd_now) != (n_then, usd_then):
            dollars = f", US$ {usd_now or 0:,.2f} -> {usd_then or 0:,.2f}" if table in MONEY_COLUMNS else ""
            at = f"{year}: " if year is not None else ""
            lines.append(f"  {at}{n_now:,} -> {n_then:,} rows ({n_then - n_now:+,}){dollars}")
    return lines or ["  the same number of rows in every year"]


def _totals(lake: Lake, table: Table, version: int) -> dict[int | None, tuple[int, Decimal | None]]:
    """Rows and dollars of a version by year; under None for a table that knows no years."""
    frame = lake.read(table, version=version)
    money = MONEY_COLUMNS.get(table)
    usd = F.sum(F.col(money).cast("decimal(38,2)")) if money else F.lit(None)
    year = F.col(table.partition_by[0]) if table.partition_by else F.lit(None).cast("int")
    rows = frame.groupBy(year.alias("year")).agg(F.count("*").alias("n"), usd.alias("usd")).collect()
    return {row["year"]: (row["n"], row["usd"]) for row in rows}


def moment_of_run(lake: Lake, run_id: str) -> dt.datetime:
    """End of the last job of a run.

    Raises
    ------
    InputRefusedError
        If the manifest does not know the run.
    """
    row = lake.read(ops.RUN).where(F.col("run_id") == run_id).agg(F.max("ended_at").alias("end")).collect()[0]
    if row["end"] is None:
        runs = lake.read(ops.RUN).select("run_id").distinct().orderBy(F.desc("run_id")).limit(5).collect()
        known = ", ".join(item["run_id"] for item in runs) or "none"
        raise InputRefusedError(f"--run: {run_id!r} is not in the run manifest; the latest are {known}.")
    return row["end"]


def restore(lake: Lake, targets: Mapping[str, int]) -> Outcome:
    """Restore tables to versions, all or, when interrupted, on the next ``resume``.

    Raises
    ------
    LakeError
        If a version is gone (vacuumed or never there); nothing is changed then.
    """
    unknown = [name for name in targets if name not in TABLES]
    if unknown:
        raise InputRefusedError(
            f"--table: {', '.join(unknown)} is not a table of the lake; expected one of {', '.join(TABLES)}."
        )
    tables = [TABLES[name] for name in sorted(targets)]
    with lake.lock_whole(*tables):
        needed = {table.name: targets[table.name] for table in tables if _differs(lake, table, targets[table.name])}
        for name, version in needed.items():
            _refuse_lost_version(lake, TABLES[name], version)
        if needed:
            lake.store.write_text(UNFINISHED_RESTORE, json.dumps({"targets": needed}, sort_keys=True))
        _apply(lake, needed)
        if ops.BUILD.name not in targets:
            _forget_lost_builds(lake, targets)
    moves = ", ".join(f"{name} to version {version}" for name, version in needed.items())
    return Outcome(f"restored {moves}" if needed else "every table is at that state already", changed=bool(needed))


def resume(lake: Lake) -> Outcome:
    """Finish a restore that was interrupted."""
    text = lake.store.read_text(UNFINISHED_RESTORE)
    if text is None:
        return Outcome("no restore is unfinished", changed=False)
    targets = {name: int(version) for name, version in json.loads(text)["targets"].items()}
    with lake.lock_whole(*(TABLES[name] for name in sorted(targets))):
        _apply(lake, targets)
    return Outcome(f"finished the restore of {len(targets)} tables")


def _apply(lake: Lake, targets: Mapping[str, int]) -> None:
    for name, version in targets.items():
        table = TABLES[name]
        upkeep.restore_version(lake, table, version)
    if targets:
        lake.store.delete(UNFINISHED_RESTORE)


def _forget_lost_builds(lake: Lake, targets: Mapping[str, int]) -> None:
    """A single table went back below what is recorded as built: those years are to be built again."""
    for name, version in targets.items():
        lost = [year for year, built in builds_of(lake, TABLES[name]).versions.items() if built > version]
        forget_builds(lake, f"restore-{version}", TABLES[name], lost)


def _differs(lake: Lake, table: Table, version: int) -> bool:
    return any(commit.changes_rows for commit in lake.commits(table, after=version)) or version > lake.version(table)


def _refuse_lost_version(lake: Lake, table: Table, version: int) -> None:
    commits = lake.commits(table)
    if not commits:
        raise LakeError(f"{table.name} is not in {lake.root}; build it with `customs-lake run`.")
    oldest, newest = commits[0].version, commits[-1].version
    if table.append_only:
        raise LakeError(f"{table.name} is append only and is not restored; withdraw files with `customs-lake withdraw`.")
    if not 0 <= version <= newest:
        raise LakeError(f"{table.name} has versions {oldest} to {newest}; found {version}. Choose one of them.")
    try:
        needed = upkeep.data_files(lake, table, version=version)
    except PySparkException as error:
        raise LakeError(
            f"{table.name}: version {version} cannot be read any more ({str(error).splitlines()[0][:160]})."
            f" Versions {oldest} to {newest} are in its log."
        ) from error
    stored = {item.path for item in lake.store.walk(table.relative_path)}
    lost = sorted(path for path in needed if path not in stored)
    if lost:
        raise LakeError(
            f"{table.name}: {len(lost)} data files of version {version} were vacuumed, such as {lost[0]}."
            " Restore a younger version, or rebuild from bronze with `customs-lake run --rebuild`."
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return command_main("restore", run_command, argv)


def run_command(arguments: argparse.Namespace) -> int:
    """Carry out the command; opens a lake whose restore is unfinished, which no other job does."""
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    refuse_damage(arguments.lake, raw=arguments.raw)
    spark = build_session(settings)
    try:
        if arguments.resume:
            lake = Lake(spark, arguments.lake)
            lake.format()
            print(resume(lake).message)
            return EXIT_DONE
        lake = Lake.open(spark, arguments.lake)
        targets = _targets(lake, arguments)
        known = {TABLES[name]: version for name, version in targets.items() if name in TABLES}
        moved = {table: version for table, version in known.items() if _differs(lake, table, version)}
        for table, version in moved.items():
            print(f"{table.name:<34} version {lake.version(table)} -> {version}")
            print("\n".join(_differences_if_readable(lake, table, version)))
        if len(targets) > len(moved):
            print(f"{len(targets) - len(moved)} of {len(targets)} tables are at that state already")
        if arguments.dry_run:
            return EXIT_DONE
        started_at = utc_now()
        outcome = restore(lake, targets)
        record_run(
            lake, settings, run_id=new_run_id(), job="restore", arguments=targets, started_at=started_at, status="done",
            message=outcome.message,
        )
        print(f"{outcome.message}. The next `customs-lake run` rebuilds what does not fit the files in force.")
        return EXIT_DONE
    finally:
        spark.stop()


def _differences_if_readable(lake: Lake, table: Table, version: int) -> list[str]:
    """The differences, or that the version is gone: ``restore`` refuses it with its reason."""
    try:
        return differences(lake, table, version)
    except PySparkException:
        return [f"  version {version} cannot be read any more"]


def _targets(lake: Lake, arguments: argparse.Namespace) -> dict[str, int]:
    if arguments.table and arguments.version is not None:
        return {arguments.table: arguments.version}
    if arguments.run:
        return versions_at(lake, moment_of_run(lake, arguments.run))
    if arguments.at:
        try:
            return versions_at(lake, dt.datetime.fromisoformat(arguments.at))
        except ValueError as error:
            raise InputRefusedError(f"--at: expected a moment such as 2024-05-01T12:00:00; found {arguments.at!r}.") from error
    raise InputRefusedError("say what to go back to: --run RUN, --at MOMENT, or --table TABLE --version N.")


if __name__ == "__main__":
    sys.exit(main())
