"""Verify: compare the lake with the truth of a generated world, row by row and dollar by dollar, with zero tolerance.

In: ``gold.city_exports``, ``silver.quarantine``, ``gold.city_panel`` (when it is there) and the folder ``truth/`` beside
``raw/``. Only generated worlds have a truth; real files are held against their receipts by reconcile.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd

from conf.panel import Panel
from jobs.core.errors import InputRefusedError, NotBalancedError
from jobs.core.ledger import files_in_force, recorded_builds
from jobs.kernels.raw_folder import raw_folder
from jobs.runtime.context import JobContext, Outcome, job_main
from schemas import gold, silver
from schemas.indicators import CITY_FIRM
from schemas.panel import CITY_PANEL

COUNTS = ("value_usd", "n_products", "n_products_family", "n_destinations", "n_partner_codes", "n_firms", "n_records")
# variables made from the yearbook, ports and zones; outcomes are compared as counts, productivity by its own tests
PANEL_VARIABLES = ("lnAgg", "lnRes", "lnphumc", "lnrd", "lnseadis", "lnfdi", "lnroadper", "ETDZ", "land_area")
# logarithms of the same decimal number taken by the JVM and by numpy: the last digits of a double near 10
PANEL_TOLERANCE = 1e-12
MAX_SHOWN = 5


def run(context: JobContext) -> Outcome:
    """Compare all loaded years.

    Raises
    ------
    NotBalancedError
        With the first differences, when a city-year or the reason of a record is not the truth's.
    """
    truth = truth_folder(context)
    years = sorted({row["source_year"] for row in files_in_force(context.lake) if context.selects(row["source_year"])})
    exports = compare_city_years(context, pd.read_csv(truth / "city_year_truth.csv", dtype={"city_id": str}), years)
    exports = exports.with_(compare_firms(context, pd.read_csv(truth / "city_year_truth.csv", dtype={"city_id": str}), years))
    reasons = compare_reasons(context, pd.read_parquet(truth / "ledger.parquet"), years)
    panel = compare_panel(context, truth, years)
    problems = exports.problems + reasons.problems + panel.problems
    if problems:
        raise NotBalancedError(
            f"{len(problems)} differences from the truth in {truth}: " + "; ".join(problems[:MAX_SHOWN]) + "."
        )
    return Outcome(
        f"{exports.compared:,} city-years and {reasons.compared:,} refused records equal the generated truth"
        + (f", so do {panel.compared:,} values of the panel" if panel.compared else ""),
        detail=f"Truth: {exports.compared:,} city-years x {len(COUNTS)} measures compared, 0 differ;"
        f" {reasons.compared:,} refused records compared by file, row and primary reason, 0 differ;"
        f" {panel.compared:,} values of the panel's variables compared, 0 differ by more than {PANEL_TOLERANCE:g}.",
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

    def with_(self, other: Comparison) -> Comparison:
        """The same rows compared in another table."""
        return Comparison(self.compared, self.problems + other.problems)


def truth_folder(context: JobContext) -> Path:
    """Return ``truth/`` beside the raw folder.

    Raises
    ------
    InputRefusedError
        If there is none: the files are not a generated world's.
    """
    folder = raw_folder(context.require_raw()).path.resolve().parent / "truth"
    if not (folder / "city_year_truth.csv").is_file():
        raise InputRefusedError(
            f"{folder}: no truth there. Only a generated world has one; real files are checked with `reconcile`."
        )
    return folder


def compare_city_years(context: JobContext, truth: pd.DataFrame, years: list[int]) -> Comparison:
    """Hold value and counts of every city-year against the truth."""
    found = context.lake.arrow(gold.CITY_EXPORTS, columns=("city_id", "year", *COUNTS)).to_pandas()
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


def compare_firms(context: JobContext, truth: pd.DataFrame, years: list[int]) -> Comparison:
    """Hold the rows of the firm cube against the true number of firms, where indicators were computed."""
    built = set(recorded_builds(context.lake, CITY_FIRM).fingerprints) & set(years)
    if not built:
        return Comparison(0, [])
    firms = context.lake.arrow(CITY_FIRM, columns=("city_id", "year")).to_pandas()
    found = firms.groupby(["city_id", "year"]).size().rename("count").reset_index()
    both = truth[truth["year"].isin(built)].merge(
        found[found["year"].isin(built)], on=["city_id", "year"], how="outer", suffixes=("_truth", "")
    )
    differing = both[both["count"].fillna(0) != both["n_firms"].fillna(0)]
    return Comparison(len(both), [
        f"{row.city_id} {row.year}: {CITY_FIRM.name} has {row.count_of:,.0f} firms, the truth is {row.n_firms:,.0f}"
        for row in differing.fillna(0).rename(columns={"count": "count_of"}).itertuples()
    ])


def compare_reasons(context: JobContext, ledger: pd.DataFrame, years: list[int]) -> Comparison:
    """Hold the primary reason of every refused record against the ledger of defects."""
    refused = ledger[(ledger["kind"] == "reject") & ledger["year"].isin(years)].astype({"primary": str, "file": str})
    names = {row["file_sha256"]: row["source_file"] for row in files_in_force(context.lake)}
    columns = ("file_sha256", "source_row", "year", "primary_reason")
    found = context.lake.arrow(silver.QUARANTINE, columns=columns).to_pandas()
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


def compare_panel(context: JobContext, truth: Path, years: list[int]) -> Comparison:
    """Hold the panel's variables against the latent panel; other than the paper's options have no truth."""
    if context.settings.panel != Panel() or not context.lake.exists(CITY_PANEL):
        return Comparison(0, [])
    found = context.lake.arrow(CITY_PANEL, columns=("city_id", "year", *PANEL_VARIABLES)).to_pandas()
    latent = pd.read_csv(truth / "latent_panel.csv", dtype={"city_id": str})
    # a smaller world prints no yearbook for its other cities, and lists no zones for them
    in_world = found["year"].isin(years) & found["land_area"].notna()
    return compare_variables(found[in_world], latent)


def compare_variables(found: pd.DataFrame, latent: pd.DataFrame) -> Comparison:
    """Compare every value that is in both; a city-year without truth, or a variable nowhere found, is a difference."""
    both = found.merge(latent, on=["city_id", "year"], how="left", suffixes=("", "_truth"), validate="one_to_one")
    problems, compared = [], 0
    for name in PANEL_VARIABLES:
        present = both[both[name].notna()]
        compared += len(present)
        if present.empty:
            problems.append(f"{name}: missing in every city-year of the panel")
        gap = (present[name] - present[f"{name}_truth"]).abs()
        # NaN, a value the truth does not know, is a difference too
        differing = present[~(gap <= PANEL_TOLERANCE * present[name].abs().clip(lower=1))]
        problems += [
            f"{row['city_id']} {row['year']}: {name} is {row[name]!r}, the truth is {row[f'{name}_truth']!r}"
            for _, row in differing.iterrows()
        ]
    return Comparison(compared, problems)


if __name__ == "__main__":
    sys.exit(job_main("verify", run))
