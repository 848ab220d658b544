"""Say for every city-year and model variable that is missing why it is missing.

From the assembled panel, which carries the numbers behind its variables, and the quarantine of the yearbook: a number
that was never printed, one that was refused (and at which cell), one that has no logarithm, a base year without growth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from conf.panel import Panel
from schemas.panel import BASELINE, OUTCOMES

# variables of the baseline model, in its order; other resilience measures have tables and samples of their own
COLUMNS = ("city_id", "year", "city_name", "variable", "missing_reason", "missing_detail")


@dataclass(frozen=True, slots=True)
class MissingReport:
    """What is missing and why.

    Attributes
    ----------
    reasons : DataFrame
        ``city_id, year, city_name, variable, missing_reason, missing_detail``, one row per missing cell.
    missing_variables : list of list of str
        Missing baseline variables of every row of the panel, in the model's order.
    """

    reasons: pd.DataFrame
    missing_variables: list[list[str]]

    def losses(self) -> pd.DataFrame:
        """City-years lost by variable: missing there, missing there only, and how many for which reason."""
        columns = ["variable", "missing", "only_this", "by_reason"]
        if self.reasons.empty:
            return pd.DataFrame(columns=columns)
        alone = {tuple(names)[0] for names in self.missing_variables if len(names) == 1}
        counts = {name: sum(names == [name] for names in self.missing_variables) for name in alone}
        rows = [
            (name, len(part), counts.get(name, 0), ", ".join(f"{n} {reason}" for reason, n in _counted(part)))
            for name, part in self.reasons.groupby("variable", sort=False)
        ]
        table = pd.DataFrame(rows, columns=columns)
        return table.sort_values("missing", ascending=False, kind="stable", ignore_index=True)


def _counted(part: pd.DataFrame) -> list[tuple[str, int]]:
    return list(part["missing_reason"].value_counts().sort_index().sort_values(ascending=False, kind="stable").items())


def variable_inputs(options: Panel) -> dict[str, tuple[str, ...]]:
    """Yearbook indicators behind each variable under the given options."""
    growth = {"published_rate": ("gdp_growth",), "index": ("gdp_index",), "deflated": ("gdp", "gdp_deflator")}
    return {
        "lnAgg": (options.agglomeration,),
        "lnRes": growth[options.growth],
        "lnphumc": ("students_per_10k",) if options.human_capital == "published" else ("students", options.heads),
        "lnrd": ("science_spending",),
        "lnfdi": ("fdi",),
        "lnroadper": ("road_area_per_head",) if options.roads == "published" else ("road_area", options.heads),
        "land_area": ("land_area",),
    }


def explain_missing(panel: pd.DataFrame, refused: pd.DataFrame, options: Panel) -> MissingReport:
    """Find a reason for every missing baseline variable.

    Parameters
    ----------
    panel : DataFrame
        The assembled panel with the yearbook columns, exports, ``cny_per_usd``, ``base_growth`` and ``in_yearbook``.
    refused : DataFrame
        ``silver.yearbook_quarantine`` of the areas in use: city_id, year, indicator, primary_reason, source_cell.
    options : Panel
        How the variables were made.
    """
    refusals = {
        (row.city_id, int(row.year), row.indicator): f"{row.primary_reason} at {row.source_cell}"
        for row in refused.dropna(subset=["city_id", "year", "indicator"]).itertuples()
    }
    inputs = variable_inputs(options)
    is_missing = panel[list(BASELINE)].isna()
    rows = []
    for position in range(len(panel)):
        line = is_missing.iloc[position]
        if not line.any():
            continue
        city_year = panel.iloc[position]
        for name in line.index[line]:
            reason, detail = _reason(name, city_year, inputs, refusals)
            rows.append((city_year["city_id"], int(city_year["year"]), city_year["city_name"], name, reason, detail))
    names = [[name for name, gone in zip(BASELINE, line, strict=True) if gone] for line in is_missing.to_numpy()]
    return MissingReport(pd.DataFrame(rows, columns=list(COLUMNS)), names)


def _reason(
    name: str, row: pd.Series, inputs: Mapping[str, tuple[str, ...]], refusals: Mapping[tuple[str, int, str], str]
) -> tuple[str, str | None]:
    if name in {outcome.name for outcome in OUTCOMES}:
        return ("no_exports", None) if pd.isna(row["value_usd"]) else ("not_positive", "no destination economy")
    if name == "lnPro":
        return "no_firms", None
    if name == "lnseadis":
        return "no_coordinates", None
    if name == "ETDZ":
        return "no_list", "etdz.csv"
    if pd.isna(row["in_yearbook"]):
        return _refusal(name, row, inputs, refusals) or ("city_not_in_yearbook", None)
    absent = [indicator for indicator in inputs[name] if pd.isna(row.get(indicator))]
    if absent:
        return _refusal(name, row, inputs, refusals) or ("not_printed", ", ".join(absent))
    if name == "lnRes":
        return _resilience_reason(row)
    if name == "lnfdi" and pd.isna(row["cny_per_usd"]):
        return "no_exchange_rate", str(int(row["year"]))
    return "not_positive", ", ".join(f"{indicator} = {row[indicator]:g}" for indicator in inputs[name])


def _refusal(
    name: str, row: pd.Series, inputs: Mapping[str, tuple[str, ...]], refusals: Mapping[tuple[str, int, str], str]
) -> tuple[str, str] | None:
    keys = [(row["city_id"], int(row["year"]), indicator) for indicator in inputs[name]]
    found = [f"{key[2]}: {refusals[key]}" for key in keys if key in refusals and pd.isna(row.get(key[2]))]
    return ("refused", "; ".join(found)) if found else None


def _resilience_reason(row: pd.Series) -> tuple[str, str | None]:
    if pd.isna(row["growth_share"]):
        return "no_growth_base", "no output of the year before"
    if pd.isna(row["base_growth"]):
        return "no_base_year", "no growth in the base year"
    return "not_positive", f"growth {row['growth_share']:g}, base year {row['base_growth']:g}"
