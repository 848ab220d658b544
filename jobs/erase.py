"""Erase: take firms or delivered files out of the lake for good, at once, out of every table and every older version.

In: codes of firms, names of delivered files. Out: ``bronze.declaration``, the tables of silver and gold, the tables of
firms, ``ops.erasure``. A keyed hash of what was erased stays and keeps later loads from bringing it back. Erased records
of a firm stay as empty rows with their file and row number, refused with the reason ``erased``, so that every file still
balances; the records of an erased file go with its receipt. What lies outside the lake is named and not reached.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.sql import Row
from pyspark.sql import functions as F

from jobs.cleaning import rewriting
from jobs.core import upkeep
from jobs.core.errors import EXIT_DONE, EXIT_NOTHING_TO_DO, InputRefusedError, NotBalancedError, QualityError
from jobs.core.ledger import latest_receipts, recorded_builds, utc_now, years_text
from jobs.core.privacy import erasure_key, wanted_protection
from jobs.core.protection import Protection
from jobs.kernels.protection import plain_code, pseudonym
from jobs.runtime.command_line.catalogue import work_of
from jobs.runtime.context import JobContext, Outcome, command_main, open_context, run_job
from schemas import bronze, gold, indicators, ops, silver
from schemas.table import Table

#: Built anew from bronze; their older versions hold what was erased.
FOLLOWING = (
    silver.DECLARATION, silver.QUARANTINE, gold.CITY_PRODUCT_DESTINATION, gold.CITY_EXPORTS, *indicators.TABLES,
)
SHORTEST_CODE = 6
NOT_REACHED = (
    "Not reached, and to be seen to by hand: the raw folder (a later load leaves the records out), exports and reports made"
    " before, copies and backups of the lake, versions kept by an object store, logs of Spark and of a lineage listener."
)


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be erased, and where it was found.

    Attributes
    ----------
    firms : tuple of str
        Codes as they stand in the lake and in delivered files, pseudonyms among them.
    files : tuple of Row
        Latest receipts of the files.
    rows : dict
        Table to year to rows.
    """

    firms: tuple[str, ...]
    files: tuple[Row, ...]
    rows: Mapping[str, Mapping[int, int]] = field(default_factory=dict, hash=False)

    @property
    def n_rows(self) -> int:
        """Rows found, of all tables."""
        return sum(sum(years.values()) for years in self.rows.values())

    def years(self, table: Table) -> list[int]:
        """Years of a table with such rows."""
        return sorted(self.rows.get(table.name, {}))

    def text(self) -> str:
        """What was found, a line for each table; never the codes."""
        names = sorted({row["source_file"] for row in self.files})
        lines = [f"{name}: {sum(years.values()):,} rows of {years_text(years)}" for name, years in self.rows.items() if years]
        lines += [f"receipts: {', '.join(names)}"] if names else []
        return "\n".join(lines) or "nothing of it is in the lake; later loads will leave it out"


def find(context: JobContext, firms: Sequence[str], files: Sequence[str]) -> Target:
    """Look for firms and files in every table that has records or firms.

    Raises
    ------
    InputRefusedError
        If nothing is named, a code is too short to be one, or a name matches no delivered file.
    """
    codes = _codes(context, firms)
    receipts = _receipts(context, files)
    hashes = sorted({row["file_sha256"] for row in receipts})
    protection = Protection(erasure_key="search").without(codes)
    tables = [bronze.DECLARATION, *rewriting.firm_tables(context.lake)]
    rows: dict[str, dict[int, int]] = {}
    for table in tables:
        if not context.lake.exists(table):
            continue
        found = rewriting.count_rows_of_firms(context.lake, table, protection) if codes else {}
        if hashes and "file_sha256" in table.columns:
            year = table.partition_by[0]
            of_files = context.lake.read(table).where(F.col("file_sha256").isin(hashes)).groupBy(year).count().collect()
            for row in of_files:
                found[row[0]] = found.get(row[0], 0) + row[1]
        rows[table.name] = found
    return Target(codes, tuple(receipts), rows)


def erase(context: JobContext, target: Target, reason: str) -> Outcome:
    """Erase what was found; safe to repeat after an interruption, to its end.

    Raises
    ------
    InputRefusedError
        Without a reason.
    NotBalancedError
        If a search of the lake's files still finds a code afterwards.
    """
    if not reason.strip():
        raise InputRefusedError("--reason is missing: say why, in one sentence; it is kept with the erasure.")
    lake, metadata = context.lake, {"run": context.run_id, "erase": True}
    _remember(context, target, reason.strip())
    protection = wanted_protection(lake, context.settings)
    _withdraw(context, target)
    hashes = sorted({row["file_sha256"] for row in target.files})
    others = [table for table in rewriting.firm_tables(lake) if table not in FOLLOWING]
    with lake.lock_whole(bronze.DECLARATION, *others):
        if lake.exists(bronze.DECLARATION):
            # what bronze holds of persons is another command's business
            only_erased = replace(protection, personal_columns="keep", firm_codes="as_is")
            rewriting.rewrite_bronze(
                lake, only_erased, target.years(bronze.DECLARATION), without_files=hashes, metadata=metadata
            )
        for table in others:
            rewriting.rewrite_firms(lake, table, replace(protection, firm_codes="as_is"), metadata=metadata)
    notes = _build_again(context, target)
    for table in (*FOLLOWING, ops.FILE_RECEIPT, ops.LEFT_OUT):
        if lake.exists(table):
            with lake.lock_whole(table):
                upkeep.purge_history(lake, table, metadata=metadata)
    left = rewriting.files_that_name(lake, protection, target.firms)
    if left:
        raise NotBalancedError(
            f"{lake.root}: erased from every table, but {len(left)} files still name what was erased: {', '.join(left[:5])}."
            " Were they written while it was erased? Run the same command again."
        )
    n_firms, n_files = len(target.firms), len({row["source_file"] for row in target.files})
    what = " and ".join(part for part in (f"{n_firms} codes" * bool(n_firms), f"{n_files} files" * bool(n_files)) if part)
    detail = "\n".join([target.text(), *notes, NOT_REACHED])
    return Outcome(f"{what} erased: {target.n_rows:,} rows, all older versions removed", detail=detail)


def _codes(context: JobContext, firms: Sequence[str]) -> tuple[str, ...]:
    codes = [plain_code(code) or "" for code in firms]
    short = [code for code in codes if len(code) < SHORTEST_CODE or not code.isalnum()]
    if short:
        raise InputRefusedError(
            f"--firm: {len(short)} of {len(codes)} codes cannot be one: expected {SHORTEST_CODE} letters and digits or more."
        )
    key = str(context.settings.privacy.key)
    aliases = [pseudonym(code, key) for code in codes] if context.settings.privacy.firm_codes == "pseudonymise" else []
    return tuple(dict.fromkeys([*codes, *aliases]))


def _receipts(context: JobContext, files: Sequence[str]) -> list[Row]:
    known = latest_receipts(context.lake)
    idle = [name for name in files if not any(fnmatchcase(row["source_file"], name) for row in known)]
    if idle:
        shown = ", ".join(sorted({row["source_file"] for row in known})[:5]) or "none"
        raise InputRefusedError(f"--file: {', '.join(idle)} matches no delivered file. There are {shown}.")
    return [row for row in known if any(fnmatchcase(row["source_file"], name) for name in files)]


def _remember(context: JobContext, target: Target, reason: str) -> None:
    """First of all the hashes: what is loaded from now on leaves it out."""
    lake, now = context.lake, utc_now()
    protection = Protection(erasure_key=erasure_key(lake, context.settings.privacy))
    hashed = [("firm", protection.hash_of_firm(code), len(code)) for code in target.firms]
    hashed += [("file", protection.hash_of_file(sha), 0) for sha in sorted({row["file_sha256"] for row in target.files})]
    lake.append_rows(
        ops.ERASURE,
        [
            {
                "tombstone": tombstone, "erasure_kind": kind, "code_length": length, "erasure_reason": reason,
                "n_rows_erased": target.n_rows, "erased_at": now, "run_id": context.run_id,
            }
            for kind, tombstone, length in hashed
        ],
    )


def _withdraw(context: JobContext, target: Target) -> None:
    """Take erased files out of force."""
    now = utc_now()
    changed = {"receipt_status": "withdrawn", "receipt_reason": "erased", "received_at": now, "run_id": context.run_id}
    rows = [row.asDict() | changed for row in target.files if row["receipt_status"] == "received"]
    with context.lake.lock(ops.FILE_RECEIPT):
        context.lake.append_rows(ops.FILE_RECEIPT, rows)


def _build_again(context: JobContext, target: Target) -> list[str]:
    """Silver and the counts of the years concerned, from bronze as it is now; what must wait, in words."""
    lake = context.lake
    years = {year for table in (bronze.DECLARATION, silver.DECLARATION, silver.QUARANTINE) for year in target.years(table)}
    built = years & set(recorded_builds(lake, silver.DECLARATION).fingerprints)
    notes = []
    if built:
        again = replace(context, years=frozenset(built), rebuild=True)
        for name in ("clean", "count", *(["indicators"] if lake.exists(indicators.CITY_FIRM) else [])):
            try:
                outcome = run_job(name, work_of(name).run, again)
                notes += [outcome.unfinished] if outcome.unfinished else []
            except QualityError as error:
                notes.append(str(error))
        notes.append("the panel and the results follow with the next `customs-lake run`")
    return notes


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point under spark-submit."""
    return command_main("erase", run_command, argv)


def run_command(arguments: argparse.Namespace) -> int:
    """Find, say and, unless ``dry_run``, erase; return the exit code."""
    if not arguments.firm and not arguments.file:
        raise InputRefusedError("erase: say --firm CODE or --file NAME.")
    if not arguments.reason.strip() and not arguments.dry_run:
        raise InputRefusedError("--reason is missing: say why, in one sentence; it is kept with the erasure.")
    with open_context(arguments, create=False) as context:
        target = find(context, arguments.firm, arguments.file)
        if arguments.dry_run:
            print(f"{target.text()}\n{NOT_REACHED}")
            return EXIT_DONE if target.n_rows else EXIT_NOTHING_TO_DO
        outcome = run_job("erase", lambda given: erase(given, target, arguments.reason), context)
    print(outcome.detail)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
