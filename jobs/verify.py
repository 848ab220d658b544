"""Verify: compare the lake with the truth of a generated world, row by row and dollar by dollar, with zero tolerance.

In: ``gold.city_exports``, ``silver.quarantine`` and the folder ``truth/`` beside ``raw/``. Only generated worlds have a
truth; real files are held against their receipts by reconcile.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd

from jobs.context import JobContext, Outcome, job_main
from jobs.errors import InputRefusedError, NotBalancedError
from jobs.ledger import files_in_force
from schemas import gold, silver

COUNTS = ("value_usd", "n_products", "n_products_family", "n_destinations", "n_partner_codes", "n_firms", "n_records")
MAX_SHOWN = 5


def run(context: JobContext) -> Outcome:
    """Compare all loaded years.

    Raises
    ------
    NotBalancedError
        With the first differences, when a city-year or the reason of a record is not the truth's.
    """
    truth = truth_folder(context)
    years = sorted(
        row["source_year"] for row in files_in_force(context.lake).select("source_year").distinct().collect()
        if context.selects(row["source_year"])
    )
    exports = compare_city_years(context, pd.read_csv(truth / "city_year_truth.csv", dtype={"city_id": str}), years)
    reasons = compare_reasons(context, pd.read_parquet(truth / "ledger.parquet"), years)
    problems = exports.problems + reasons.problems
    if problems:
        raise NotBalancedError(
            f"{len(problems)} differences from the truth in {truth}: " + "; ".join(problems[:MAX_SHOWN]) + "."
        )
    return Outcome(
        f"{exports.compared:,} city-years and {reasons.compared:,} refused records equal the generated truth",
        detail=f"Truth: {exports.compared:,} city-years x {len(COUNTS)} measures compared, 0 differ;"
        f" {reasons.compared:,} refused records compared by file, row and primary reason, 0 differ.",
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared and what differs.

    Attributes
    ----------
    compared : int
        Rows compared.
    problems : list of str
        One sentence per difference.
    """

    compared: int
    problems: list[str]


def truth_folder(context: JobContext) -> Path:
    """Return ``truth/`` beside the raw folder.

    Raises
    ------
    InputRefusedError
        If there is none: the files are not a generated world's.
    """
    folder = context.require_raw().resolve().parent / "truth"
    if not (folder / "city_year_truth.csv").is_file():
        raise InputRefusedError(
            f"{folder}: no truth there. Only a generated world has one; real files are checked with `reconcile`."
        )
    return folder


def compare_city_years(context: JobContext, truth: pd.DataFrame, years: list[int]) -> Comparison:
    """Hold value and counts of every city-year against the truth."""
    found = context.lake.read(gold.CITY_EXPORTS).select("city_id", "year", *COUNTS).toPandas()
    found = found[found["year"].isin(years)]
    both = truth[truth["year"].isin(years)].merge(
        found, on=["city_id", "year"], how="outer", suffixes=("_truth", ""), indicator=True
    )
    problems = _unmatched(both)
    matched = both[both["_merge"] == "both"]
    for name in COUNTS:
        differing = matched[matched[name].astype("object") != matched[f"{name}_truth"].astype("object")]
        problems += [
            f"{row['city_id']} {row['year']}: {name} is {row[name]:,}, the truth is {row[f'{name}_truth']:,}"
            for _, row in differing.iterrows()
        ]
    return Comparison(len(matched), problems)


def _unmatched(both: pd.DataFrame) -> list[str]:
    side = {"left_only": "missing in", "right_only": "only in"}
    rows = both[both["_merge"] != "both"]
    return [
        f"{city} {year}: {side[merge]} gold.city_exports"
        for city, year, merge in zip(rows["city_id"], rows["year"], rows["_merge"], strict=True)
    ]


def compare_reasons(context: JobContext, ledger: pd.DataFrame, years: list[int]) -> Comparison:
    """Hold the primary reason of every refused record against the ledger of defects."""
    refused = ledger[(ledger["kind"] == "reject") & ledger["year"].isin(years)].astype({"primary": str, "file": str})
    names = {row["file_sha256"]: row["source_file"] for row in files_in_force(context.lake).collect()}
    found = context.lake.read(silver.QUARANTINE).select("file_sha256", "source_row", "year", "primary_reason").toPandas()
    found = found[found["year"].isin(years)].assign(file=lambda frame: frame["file_sha256"].map(names))
    both = refused[["file", "source_row", "primary"]].merge(
        found[["file", "source_row", "primary_reason"]], on=["file", "source_row"], how="outer"
    )
    differing = both[both["primary"].fillna("kept") != both["primary_reason"].fillna("kept")]
    problems = [
        f"{row.file} row {row.source_row}: {row.primary_reason if isinstance(row.primary_reason, str) else 'kept'},"
        f" the truth is {row.primary if isinstance(row.primary, str) else 'kept'}"
        for row in differing.itertuples()
    ]
    return Comparison(len(both), problems)


if __name__ == "__main__":
    sys.exit(job_main("verify", run, __doc__))
