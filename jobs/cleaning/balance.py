"""The balance of each file: lines received = rows in bronze = kept + quarantined = counted, and the same in dollars."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import reduce
from typing import Any

import polars as pl
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from jobs.core.direct import rows_to_arrow
from jobs.core.errors import NotBalancedError
from jobs.core.file_tables import scan_years, takes_files, tasks_of_years
from jobs.core.lake import Lake
from jobs.core.ledger import files_in_force
from jobs.kernels.cleaned_files import Totals, added_up
from jobs.kernels.content import NUMBER_READER, Content
from jobs.runtime.context import JobContext
from jobs.runtime.executors import map_batches, run_on_executors
from schemas import bronze, gold, ops, silver
from schemas.table import Table

NOTHING = Decimal("0.00")
SIDES = (("kept", silver.DECLARATION), ("quarantined", silver.QUARANTINE))


def reconcile_years(
    context: JobContext, years: Sequence[int], *, delivered: Totals | None = None
) -> list[dict[str, Any]]:
    """Recount the years, replace their rows of ops.reconciliation and refuse any difference.

    Parameters
    ----------
    context : JobContext
    years : sequence of int
    delivered : mapping, optional
        Rows and dollars of each file and year of bronze, where they were summed up as they were read just now.

    Raises
    ------
    NotBalancedError
        With the files that do not balance and by how much.
    """
    lake = context.lake
    receipts = [row for row in files_in_force(lake) if row["source_year"] in set(years)]
    totals = _totals(lake, years, receipts, delivered) if _takes_files(lake) else _totals_by_spark(lake, years)
    receipts.sort(key=lambda row: (row["source_year"], row["source_file"]))
    rows = [_balance(context.run_id, row, totals) for row in receipts]
    lake.replace_years(ops.RECONCILIATION, rows_to_arrow(ops.RECONCILIATION, rows), years)
    _refuse_unbalanced(rows, {(row["source_file"], row["source_year"]): row for row in receipts})
    return rows


def holds_received_dollars(receipt: Row, usd_in: Decimal, n_erased: int = 0) -> bool:
    """Tell whether bronze holds the dollars that were received, to the cent.

    Landing and cleaning read numbers with one function (:func:`jobs.kernels.amounts.read_numbers`). Erased records leave
    other dollars, nobody knows how many. A receipt of an older product was summed up by another reader: it is a bound where
    it read every value.
    """
    if not receipt["content"] or n_erased:
        return True
    content = Content.from_json(json.loads(receipt["content"]))
    if content.number_reader != NUMBER_READER:
        return usd_in <= content.value_usd or content.n_unreadable_values > 0
    return usd_in == content.value_usd


def refuse_other_counts(lake: Lake, years: Sequence[int]) -> None:
    """Hold the counted exports of years against the balance: every record and dollar kept is counted once.

    Raises
    ------
    NotBalancedError
        With the years that differ and by how much.
    """
    kept: dict[int, tuple[int, Decimal]] = {}
    for row in lake.rows(ops.RECONCILIATION):
        n_rows, usd = kept.get(row["year"], (0, NOTHING))
        kept[row["year"]] = (n_rows + row["n_rows_kept"], usd + row["value_kept_usd"])
    exports = lake.arrow(gold.CITY_EXPORTS, columns=("year", "n_records", "value_usd")).group_by("year")
    sums = exports.aggregate([("n_records", "sum"), ("value_usd", "sum")]).to_pylist()
    counted = {row["year"]: (row["n_records_sum"], row["value_usd_sum"]) for row in sums}
    differ = [year for year in years if year in kept and counted.get(year, (0, NOTHING)) != kept[year]]
    if differ:
        shown = "; ".join(
            f"{year}: {kept[year][0]:,} records and {kept[year][1]:,} dollars kept,"
            f" {counted.get(year, (0, NOTHING))[0]:,} and {counted.get(year, (0, NOTHING))[1]:,} counted"
            for year in differ[:5]
        )
        raise NotBalancedError(
            f"{gold.CITY_EXPORTS.name}: {shown}. silver.declaration was changed since it was balanced; `customs-lake fsck`"
            " says by whom, `customs-lake run --rebuild` builds these years anew."
        )


def balance_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The balance by year as a text table; the last column is what is lost, zero when the run went on."""
    heading = f"{'year':<6}{'files':>6}{'lines':>12}{'kept':>12}{'quarantined':>13}{'US$ in':>22}{'US$ kept':>22}"
    heading += f"{'US$ quarantined':>22}{'lost':>6}"
    lines = [heading]
    for year in sorted({row["year"] for row in rows}) + [None]:
        part = [row for row in rows if year is None or row["year"] == year]
        lost = sum(row["n_lines"] - row["n_rows_kept"] - row["n_rows_quarantined"] for row in part)
        lines.append(
            f"{year or 'all':<6}{len(part):>6}{_sum(part, 'n_lines'):>12,}{_sum(part, 'n_rows_kept'):>12,}"
            f"{_sum(part, 'n_rows_quarantined'):>13,}{_sum(part, 'value_in_usd'):>22,}{_sum(part, 'value_kept_usd'):>22,}"
            f"{_sum(part, 'value_quarantined_usd'):>22,}{lost:>6,}"
        )
    return "\n".join(lines)


def _takes_files(lake: Lake) -> bool:
    return takes_files(lake, bronze.DECLARATION, *(table for _, table in SIDES))


def _totals(
    lake: Lake, years: Sequence[int], receipts: Sequence[Row], delivered: Totals | None
) -> dict[tuple[str, int, str], tuple[int, int, Decimal]]:
    """Rows, erased ones among them, and dollars of each file and year on each side; the written ones as they are written."""
    if delivered is None:
        tasks = tasks_of_years(lake, bronze.DECLARATION, years)
        in_force = [row["file_sha256"] for row in receipts]
        results = run_on_executors(lake.spark)(tasks, "jobs.kernels.cleaned_files.total_values", (in_force,))
        delivered = added_up([json.loads(result) for result in results])
    totals = {(*of_file, "in"): found for of_file, found in delivered.items()}
    for side, table in SIDES:
        for sha256, year, n_rows, usd in sums_written(lake, table, years):
            totals[sha256, year, side] = n_rows, 0, usd or NOTHING
    return totals


def sums_written(lake: Lake, table: Table, years: Sequence[int]) -> list[tuple[str, int, int, Decimal | None]]:
    """File, year, rows and dollars of a table of silver, of its files as they are written."""
    written = scan_years(lake, table, years).group_by("file_sha256", "year").agg(
        pl.len().alias("n_rows"), pl.col("value_usd").cast(pl.Decimal(38, 2)).sum()
    )
    return written.collect(engine="streaming").rows()


def _totals_by_spark(lake: Lake, years: Sequence[int]) -> dict[tuple[str, int, str], tuple[int, int, Decimal]]:
    """Rows, erased ones among them, and dollars of each file and year on each side, counted in one pass."""
    chosen = list(years)
    rows = lake.read(bronze.DECLARATION).where(F.col("source_year").isin(chosen))
    delivered = map_batches(
        rows.select("file_sha256", "source_year", "value", "malformed_row"), "jobs.kernels.cleaning.value_totals", (),
        "file_sha256 string, year int, n_rows bigint, n_erased bigint, usd decimal(38,2)",
    )
    sides = {"in": delivered}
    for side, table in SIDES:
        usd = F.col("value_usd").cast("decimal(38,2)").alias("usd")
        written = lake.read(table).where(F.col("year").isin(chosen))
        one, nothing = F.lit(1).cast("bigint"), F.lit(0).cast("bigint")
        sides[side] = written.select("file_sha256", "year", one.alias("n_rows"), nothing.alias("n_erased"), usd)
    marked = [frame.withColumn("side", F.lit(side)) for side, frame in sides.items()]
    counted = (
        reduce(DataFrame.unionByName, marked).groupBy("file_sha256", "year", "side")
        .agg(F.sum("n_rows").alias("n_rows"), F.sum("n_erased").alias("n_erased"), F.sum("usd").alias("usd")).collect()
    )
    return {
        (row["file_sha256"], row["year"], row["side"]): (row["n_rows"], row["n_erased"], row["usd"] or NOTHING)
        for row in counted
    }


def _balance(run_id: str, receipt: Row, totals: Mapping[tuple[str, int, str], tuple[int, int, Decimal]]) -> dict[str, Any]:
    """One row of ops.reconciliation."""
    of_file = receipt["file_sha256"], receipt["source_year"]
    (n_in, n_erased, usd_in), (n_kept, _, usd_kept), (n_refused, _, usd_refused) = (
        totals.get((*of_file, side), (0, 0, NOTHING)) for side in ("in", "kept", "quarantined")
    )
    is_balanced = receipt["n_lines"] == n_in == n_kept + n_refused and usd_in == usd_kept + usd_refused
    is_balanced = is_balanced and holds_received_dollars(receipt, usd_in, n_erased)
    return {
        "run_id": run_id, "year": receipt["source_year"], "source_file": receipt["source_file"],
        "file_sha256": receipt["file_sha256"], "n_lines": receipt["n_lines"], "n_rows_in": n_in, "n_rows_kept": n_kept,
        "n_rows_quarantined": n_refused, "value_in_usd": usd_in, "value_kept_usd": usd_kept,
        "value_quarantined_usd": usd_refused, "is_balanced": is_balanced,
    }


def _sum(rows: Sequence[Mapping[str, Any]], name: str) -> Any:
    return sum(row[name] for row in rows)


def _refuse_unbalanced(rows: Sequence[Mapping[str, Any]], receipts: Mapping[tuple[str, int], Row]) -> None:
    bad = [row for row in rows if not row["is_balanced"]]
    if bad:
        shown = "; ".join(
            f"{row['source_file']}: {row['n_lines']:,} lines, {row['n_rows_in']:,} in bronze, {row['n_rows_kept']:,} kept,"
            f" {row['n_rows_quarantined']:,} quarantined,"
            f" {_received(receipts[row['source_file'], row['year']])} dollars received, {row['value_in_usd']:,} in,"
            f" {row['value_kept_usd']:,} kept, {row['value_quarantined_usd']:,} quarantined"
            for row in bad[:5]
        )
        raise NotBalancedError(
            f"{len(bad)} of {len(rows)} files do not balance: {shown}. The tables were changed from outside, or a rule is"
            " wrong; rebuild the year with `customs-lake run --rebuild` and compare."
        )


def _received(receipt: Row) -> str:
    return f"{Content.from_json(json.loads(receipt['content'])).value_usd:,}" if receipt["content"] else "unknown"
