"""Fsck: does the lake still say of itself what is true? Reads everything, changes nothing, names the repair.

First without Spark: marker, every log entry, names, sizes and ends of all live files (``--deep``: their bytes against the
checksums of their commits). Only a lake whose files are whole is read row by row; damage is for ``repair`` to mend.

Checked for every table: columns, types and constraints are those of ``schemas``; no row breaks a constraint; keys are
unique; every data file of the latest version is there, and files that no log entry knows (left by killed writers) are
counted; rows were changed by nobody else; every build of the manifest still has its rows. Then file by file: lines
received = rows in bronze = kept + quarantined. Findings of kind ``error`` end with exit code 5, ``notice`` does not.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from conf.settings import load_settings
from jobs.core import upkeep
from jobs.core.checksums import Share
from jobs.core.damage import Damage, examine, lines_of, repair_command
from jobs.core.errors import EXIT_DONE, EXIT_UNBALANCED, NoDirectAccessError
from jobs.core.lake import Lake
from jobs.core.ledger import builds_of, files_in_force, foreign_changes, recorded_builds, years_text
from jobs.core.progress import Step, moving
from jobs.runtime.context import (
    JobContext,
    Outcome,
    command_main,
    open_context,
)
from jobs.runtime.executors import workers_elsewhere
from jobs.runtime.session import build_session, is_local
from schemas import bronze, gold, indicators, ops, silver
from schemas.catalog import TABLES
from schemas.table import Table

Kind = Literal["error", "notice"]
BUILT = (bronze.DECLARATION, silver.DECLARATION, gold.CITY_EXPORTS, indicators.CITY_FIRM, indicators.CITY_DYNAMICS)
# a file younger than this may belong to a writer that is at work
SETTLED_SECONDS = 3600.0
MAX_SHOWN = 5

log = logging.getLogger("customs_lake")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Attributes
    ----------
    kind : str
        error: numbers may be wrong; notice: worth knowing.
    table : str
    what, repair : str
        What was found, and the command or action that repairs it.
    """

    kind: Kind
    table: str
    what: str
    repair: str

    def line(self) -> str:
        """The finding as one line."""
        return f"{self.kind:<7}{self.table:<32}{self.what}. Repair: {self.repair}"


def run(context: JobContext, *, as_json: bool = False) -> Outcome:
    """Check the lake and list what was found, in words or as JSON."""
    tables = upkeep.existing_tables(context.lake)
    findings = [finding for check in CHECKS for table in tables for finding in _checked(context, check, table)]
    findings += [*check_presence(context), *check_balance(context)]
    errors = sum(finding.kind == "error" for finding in findings)
    message = f"{len(tables)} tables checked: {errors} errors, {len(findings) - errors} notices"
    detail = found_as_json((), findings) if as_json else "\n".join(finding.line() for finding in findings)
    return Outcome(message, changed=bool(errors), detail=detail)


def found_as_json(damages: Sequence[Damage], findings: Sequence[Finding]) -> str:
    """What was found for a program: damaged files, and faults of tables with their repair."""
    found = {"damages": list(map(dataclasses.asdict, damages)), "findings": list(map(dataclasses.asdict, findings))}
    return json.dumps(found, ensure_ascii=False, indent=1)


def _checked(
    context: JobContext, check: Callable[[JobContext, Table], Iterator[Finding]], table: Table
) -> list[Finding]:
    """The findings of one check; a table that Spark cannot read is a finding, too."""
    try:
        return list(check(context, table))
    except (PySparkException, Py4JJavaError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        repair = repair_command(context.lake.root, context.raw)
        return [Finding("error", table.name, f"cannot be read ({reason})", f"{repair}; `fsck --deep` names the file")]


def check_presence(context: JobContext) -> Iterator[Finding]:
    """Tables that the manifest says were built and that are not there."""
    lake = context.lake
    for name in sorted({row["table_name"] for row in lake.rows(ops.BUILD)} & set(TABLES)):
        if not lake.exists(TABLES[name]):
            yield Finding("error", name, "the manifest says it was built, the table is not there", _rebuild(lake))


def check_shape(context: JobContext, table: Table) -> Iterator[Finding]:
    """Columns and constraints of the table against its definition."""
    lake = context.lake
    found = upkeep.column_types(lake, table)
    wanted = {column.name: column.dataType.simpleString() for column in table.struct()}
    absent, strange = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    other = [f"{name} {found[name]} instead of {kind}" for name, kind in wanted.items() if found.get(name, kind) != kind]
    if absent or other:
        problems = "; ".join([*(f"no column {name}" for name in absent), *other])
        yield Finding("error", table.name, problems, f"customs-lake migrate --lake {lake.root}")
    if strange:
        yield Finding("notice", table.name, f"columns the product does not know: {', '.join(strange)}", "none needed")
    present = upkeep.constraints(lake, table)
    lost = sorted(set(table.check_constraints()) - {name for name in table.check_constraints() if name.lower() in present})
    if lost:
        yield Finding(
            "error", table.name, f"constraints are gone: {', '.join(lost)}",
            upkeep.constraint_statement(lake, table, lost[0]),
        )


def check_rows(context: JobContext, table: Table) -> Iterator[Finding]:
    """Constraints, NOT NULL and key of every row."""
    frame = context.lake.read(table)
    rules = table.check_constraints() | {
        f"{column.name}_not_null": f"{column.name} IS NOT NULL" for column in table.fields if column.required
    }
    broken = {
        name: F.sum(F.when(F.coalesce(F.expr(expression), F.lit(True)), 0).otherwise(1)).alias(name)
        for name, expression in rules.items()
        if name.removesuffix("_not_null") in frame.columns or not name.endswith("_not_null")
    }
    counted = frame.agg(*broken.values()).collect()[0].asDict() if broken else {}
    for name, n_rows in counted.items():
        if n_rows:
            yield Finding("error", table.name, f"{n_rows:,} rows break {name}", _rebuild(context.lake))
    repeated = frame.groupBy(*table.key).count().where("count > 1").agg(F.sum(F.col("count") - 1), F.count("*")).collect()[0]
    if repeated[0]:
        problems = f"{repeated[0]:,} rows too many for {repeated[1]:,} keys ({', '.join(table.key)})"
        yield Finding("error", table.name, problems, _rebuild(context.lake))


def check_files(context: JobContext, table: Table) -> Iterator[Finding]:
    """Data files that are missing, and files that nobody refers to."""
    lake = context.lake
    stored = {item.path: item for item in lake.store.walk(table.relative_path)}
    active = upkeep.data_files(lake, table)
    missing = sorted(active - set(stored))
    if missing:
        yield Finding(
            "error", table.name, f"{len(missing)} data files are gone, such as {missing[0]}",
            f"copy them back, or {_rebuild(lake)}",
        )
    settled = (time.time() - SETTLED_SECONDS) * 1000
    known = upkeep.paths_in_log(lake, table) | active
    orphans = [
        item for path, item in stored.items()
        if upkeep.is_data_file(path) and not path.endswith(".crc") and path not in known and item.modified_ms < settled
    ]
    litter = [path for path, item in stored.items() if path.startswith("_delta_log/") and path.endswith(".tmp")]
    if orphans:
        size = sum(item.n_bytes for item in orphans) / 1e6
        yield Finding(
            "notice", table.name, f"{len(orphans)} orphan files ({size:.1f} MB) left by writers that were killed",
            f"customs-lake maintain vacuum --lake {lake.root}",
        )
    if litter:
        yield Finding("notice", table.name, f"{len(litter)} unfinished log entries (*.tmp)", "harmless; may be deleted")


def check_writers(context: JobContext, table: Table) -> Iterator[Finding]:
    """Commits that changed rows and are not ours, since the table has its present shape and all its years were built."""
    lake = context.lake
    floor = max(lake.marker().get("floors", {}).get(table.name, -1), recorded_builds(lake, table).oldest_version)
    for commit in foreign_changes(lake, table, after=floor)[:MAX_SHOWN]:
        yield Finding(
            "error", table.name, f"version {commit.version} is a {commit.operation} of someone else",
            f"customs-lake restore --lake {lake.root} --table {table.name} --version {commit.version - 1}",
        )


def check_builds(context: JobContext, table: Table) -> Iterator[Finding]:
    """What the manifest says of each year against the rows that are there."""
    if table.name not in {item.name for item in BUILT} or list(check_writers(context, table)):
        return
    lake = context.lake
    builds = builds_of(lake, table)
    newest = lake.version(table)
    ahead = sorted(year for year, version in builds.versions.items() if version > newest)
    if ahead:
        yield Finding(
            "error", table.name, f"the manifest knows newer versions than the table has ({newest}) for {years_text(ahead)}",
            _rebuild(lake),
        )
    if table is bronze.DECLARATION:
        return
    rows: dict[int, int] = dict(lake.read(table).groupBy("year").count().collect())
    problems = [
        f"{year}: {builds.n_rows[year]:,} rows recorded, {rows.get(year, 0):,} found"
        for year, parts in sorted(builds.inputs.items())
        if "forgotten" not in parts and builds.n_rows[year] != rows.get(year, 0)
    ]
    stray = sorted(set(rows) - set(builds.fingerprints))
    if problems:
        yield Finding("error", table.name, "; ".join(problems[:MAX_SHOWN]), _rebuild(lake))
    if stray:
        yield Finding(
            "notice", table.name, f"{years_text(stray)}: rows of a build that was interrupted",
            "customs-lake run finishes it",
        )


def check_balance(context: JobContext) -> Iterator[Finding]:
    """Lines received = rows in bronze = kept + quarantined, for every file of a built year."""
    lake = context.lake
    is_known = lake.exists(silver.DECLARATION) and not list(check_writers(context, silver.DECLARATION))
    built = set(builds_of(lake, silver.DECLARATION).fingerprints) if is_known else set()
    receipts = [row for row in files_in_force(lake) if row["source_year"] in built]
    if not receipts:
        return
    frame = lake.spark.createDataFrame(
        [(row["source_file"], row["file_sha256"], row["source_year"], row["n_lines"]) for row in receipts],
        "source_file string, file_sha256 string, year int, n_lines bigint",
    )
    for name, table in (("bronze", bronze.DECLARATION), ("kept", silver.DECLARATION), ("quarantined", silver.QUARANTINE)):
        rows = lake.read(table).withColumnRenamed("source_year", "year")
        counted = rows.groupBy("file_sha256", "year").agg(F.count("*").alias(name))
        frame = frame.join(counted, ["file_sha256", "year"], "left")
    unequal = (F.col("n_lines") != F.col("bronze")) | (F.col("bronze") != F.col("kept") + F.col("quarantined"))
    for row in frame.na.fill(0).where(unequal).orderBy("source_file").limit(MAX_SHOWN).collect():
        yield Finding(
            "error", "ops.reconciliation",
            f"{row['source_file']}: {row['n_lines']:,} lines, {row['bronze']:,} in bronze, {row['kept']:,} kept,"
            f" {row['quarantined']:,} quarantined",
            "customs-lake run when the file is new or corrected, else " + _rebuild(lake),
        )


CHECKS: tuple[Callable[[JobContext, Table], Iterator[Finding]], ...] = (
    check_shape, check_rows, check_files, check_writers, check_builds,
)


def _rebuild(lake: Lake) -> str:
    return f"customs-lake run --rebuild --lake {lake.root}"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return command_main("fsck", run_command, argv)


def run_command(arguments: argparse.Namespace) -> int:
    """Print the findings; exit code 5 when there is an error."""
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    # executors of a cluster read what one machine would read for hours
    share = workers_elsewhere(build_session(settings)) if arguments.deep and not is_local(settings) else None
    damages = find_damages(arguments.lake, deep=arguments.deep, share=share)
    if damages and arguments.json:
        print(found_as_json(damages, ()))
        return EXIT_UNBALANCED
    if damages:
        print("\n".join(lines_of(damages, repair_command(arguments.lake, arguments.raw))))
        print(f"{len(damages)} damages. Rows are checked when they are mended: run fsck again then.")
        return EXIT_UNBALANCED
    with open_context(arguments, create=False) as context:
        outcome = run(context, as_json=arguments.json)
    print("\n".join(part for part in (outcome.detail, "" if arguments.json else outcome.message) if part))
    return EXIT_UNBALANCED if outcome.changed else EXIT_DONE


def find_damages(root: str, *, deep: bool, share: Share | None = None) -> list[Damage]:
    """What is damaged, without Spark; nothing when only Java can open the store."""
    try:
        with moving("fsck") as step:
            return examine(root, "deep" if deep else "log", progress=partial(_verified, step), share=share).damages
    except NoDirectAccessError as error:
        log.info("fsck: %s Files are checked by Spark alone.", error)
        return []


def _verified(step: Step, done: int, total: int) -> None:
    step.bytes_done, step.n_bytes = done, total


if __name__ == "__main__":
    sys.exit(main())
