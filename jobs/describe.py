"""Describe: what is in the panel before anything is estimated.

In: ``gold.city_panel``, ``gold.panel_missing``, ``gold.panel_constants``. Out: tables on the terminal, and with ``--out``
``panel_summary.csv``, ``panel_correlations.csv``, ``panel_coverage.csv`` and ``panel_coverage.png`` (city x year); summary and
correlations also as tables for a paper: text, Markdown, LaTeX, HTML, Excel and Word.

Besides mean and deviation the summary splits variance between cities and within them: system GMM lives on the second,
and a variable without it (distance, land, mostly zones) is known from level equations only. The correlation of the
first difference of resilience with that of growth is printed because a value near one means they are the same thing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd

from estimation.report.words import variable_word
from estimation.tables import correlation_sheet, summary_sheet
from estimation.tables.layout import Sheet
from estimation.tables.spec import LANGUAGES, Language
from jobs.core.errors import EXIT_DONE, InputRefusedError
from jobs.runtime.context import JobContext, Outcome, command_main, look_into
from jobs.study.coverage_map import draw_coverage
from jobs.study.result_tables import write_sheets
from schemas import panel as tables
from schemas.panel import BASELINE

DESCRIBED = tuple(tables.MODEL_VARIABLES)
# correlation above this: resilience in differences cannot be told from growth
SAME_AS_GROWTH = 0.99


@dataclass(frozen=True, slots=True)
class PanelDescription:
    """Tables about a panel.

    Attributes
    ----------
    summary : DataFrame
        By variable: n, n_cities, mean_years, mean, sd, sd_between, sd_within, share_within, min, p10, median, p90, max.
    correlations : DataFrame
        Pairwise correlations of the baseline variables over complete rows.
    coverage : DataFrame
        City by year: 1 complete, 0 something missing, missing where the city did not exist.
    years : DataFrame
        By year: cities, complete city-years, and missing city-years of each baseline variable.
    counts : dict
        n_rows, n_complete, n_cities, n_level (rows with last year too), n_difference (with the two years before).
    res_is_growth : float
        Correlation of the first differences of lnRes and lnGrowth; NaN without two such rows.
    """

    summary: pd.DataFrame
    correlations: pd.DataFrame
    coverage: pd.DataFrame
    years: pd.DataFrame
    counts: dict[str, int]
    res_is_growth: float


def run(context: JobContext, language: Language = "en") -> Outcome:
    """Print the description and write its files when ``--out`` is given, tables for a paper in a language."""
    if not context.lake.exists(tables.CITY_PANEL):
        raise InputRefusedError(
            f"{tables.CITY_PANEL.name}: not in {context.lake.root} yet. Run `customs-lake panel` first."
        )
    panel = context.lake.arrow(tables.CITY_PANEL).to_pandas()
    description = describe_panel(panel)
    files = write_description(description, panel, context.out, language) if context.out is not None else []
    counts = description.counts
    return Outcome(
        f"{counts['n_complete']:,} of {counts['n_rows']:,} city-years complete, {counts['n_cities']} cities;"
        f" {counts['n_level']:,} with the year before, {counts['n_difference']:,} with two years before"
        + (f"; {len(files)} files in {context.out}" if files else ""),
        detail=render(description),
    )


def describe_panel(panel: pd.DataFrame) -> PanelDescription:
    """Summarise a panel.

    Parameters
    ----------
    panel : DataFrame
        ``city_id, year, is_complete, missing_variables`` and the model's variables.
    """
    panel = panel.sort_values(["city_id", "year"], ignore_index=True)
    complete = panel[panel["is_complete"]]
    present = [name for name in BASELINE if panel[name].notna().any()]
    return PanelDescription(
        summary=pd.DataFrame([summarise_variable(panel, name) for name in DESCRIBED if panel[name].notna().any()]),
        correlations=complete[present].corr(),
        coverage=panel.assign(one=panel["is_complete"].astype(float)).pivot(index="city_id", columns="year", values="one"),
        years=_by_year(panel),
        counts=count_observations(panel),
        res_is_growth=_difference_correlation(panel, "lnRes", "lnGrowth"),
    )


def summarise_variable(panel: pd.DataFrame, name: str) -> dict[str, object]:
    """Moments of one variable, and its variance between cities and within them.

    Notes
    -----
    As Stata's ``xtsum``: between is the deviation of city means, within that of ``x - city mean + mean``. The share within
    is of the sum of squares, which adds up also in an unbalanced panel.
    """
    values = panel.dropna(subset=[name])
    x, cities = values[name].astype(float), values["city_id"]
    city_means = x.groupby(cities).transform("mean")
    total, within = float(((x - x.mean()) ** 2).sum()), float(((x - city_means) ** 2).sum())
    n_cities = int(cities.nunique())
    return {
        "variable": name, "n": len(x), "n_cities": n_cities, "mean_years": len(x) / n_cities, "mean": x.mean(),
        "sd": x.std(ddof=1), "sd_between": x.groupby(cities).mean().std(ddof=1),
        "sd_within": float(np.sqrt(within / (len(x) - 1))) if len(x) > 1 else float("nan"),
        "share_within": within / total if total > 0 else float("nan"), "min": x.min(), "p10": x.quantile(0.1),
        "median": x.median(), "p90": x.quantile(0.9), "max": x.max(),
    }  # fmt: skip


def count_observations(panel: pd.DataFrame) -> dict[str, int]:
    """Rows by what a dynamic model can use: complete, with a complete year before, with two; gaps are never bridged."""
    complete = panel[panel["is_complete"]]
    known = set(zip(complete["city_id"], complete["year"], strict=True))
    level = [(city, year) for city, year in known if (city, year - 1) in known]
    return {
        "n_rows": len(panel),
        "n_complete": len(complete),
        "n_cities": int(complete["city_id"].nunique()),
        "n_level": len(level),
        "n_difference": sum((city, year - 2) in known for city, year in level),
    }


def write_description(
    description: PanelDescription, panel: pd.DataFrame, out: Path, language: Language = "en"
) -> list[Path]:
    """Write the tables and the coverage map; returns the files."""
    out.mkdir(parents=True, exist_ok=True)
    frames = {
        "panel_summary.csv": description.summary.set_index("variable"),
        "panel_correlations.csv": description.correlations,
        "panel_coverage.csv": description.coverage,
        "panel_years.csv": description.years,
    }
    files = []
    for name, frame in frames.items():
        frame.to_csv(out / name)
        files.append(out / name)
    files.append(draw_coverage(panel, out / "panel_coverage.png"))
    return files + write_sheets(paper_sheets(description, language), out, stem="panel", language=language)


def paper_sheets(description: PanelDescription, language: Language = "en") -> list[Sheet]:
    """Summary statistics and correlations as tables for a paper, variables in words."""
    place = LANGUAGES.index(language)

    def label(name: str) -> str:
        return variable_word(name)[place]

    counts = description.counts
    n_cities = len(description.coverage)
    notes = (f"{counts['n_rows']:,} city-years of {n_cities} cities; SD between cities and within them over time.",)
    complete = (f"Over {counts['n_complete']:,} city-years with all variables.",)
    shown = description.summary[[*("variable", "n", "mean", "sd", "sd_between", "sd_within", "min", "median", "max")]]
    return [
        summary_sheet(shown, label, language=language, notes=notes),
        correlation_sheet(description.correlations, label, notes=complete),
    ]


def render(description: PanelDescription) -> str:
    """Description as text for a terminal of 100 columns."""
    shown = {"variable": "variable", "n": "n", "n_cities": "cities", "mean": "mean", "sd": "sd", "sd_between": "between",
             "sd_within": "within", "share_within": "share", "min": "min", "max": "max"}  # fmt: skip
    summary = description.summary[list(shown)].rename(columns=shown)
    with pd.option_context("display.width", 100, "display.max_columns", 30, "display.float_format", "{:.3f}".format):
        parts = [
            "Variables (sd between cities and within them over time; share: of the variance within)",
            summary.to_string(index=False), "",
            "Correlations over complete rows", _lower_triangle(description.correlations), "",
            "City-years by year: cities, complete ones, and those that lack a variable",
            description.years.rename(columns=lambda name: name.removeprefix("no_")).to_string(), "",
            _growth_note(description.res_is_growth),
        ]  # fmt: skip
    return "\n".join(parts)


def _by_year(panel: pd.DataFrame) -> pd.DataFrame:
    missing = panel[list(BASELINE)].isna().groupby(panel["year"]).sum()
    table = panel.groupby("year")["is_complete"].agg(cities="size", complete="sum").astype(int)
    return table.join(missing.loc[:, missing.sum() > 0].add_prefix("no_"))


def _difference_correlation(panel: pd.DataFrame, first: str, second: str) -> float:
    """Correlation of first differences over consecutive calendar years."""
    ordered = panel.sort_values(["city_id", "year"])
    follows = ordered["year"].diff().eq(1) & ordered["city_id"].eq(ordered["city_id"].shift())
    changes = ordered[[first, second]].astype(float).diff()[follows].dropna()
    if len(changes) < 3 or (changes.std() == 0).any():
        return float("nan")
    return float(changes[first].corr(changes[second]))


def _growth_note(correlation: float) -> str:
    if np.isnan(correlation):
        return "Differences of lnRes and lnGrowth: too few to compare."
    verdict = (
        "in differences resilience IS growth; only levels and interactions can tell them apart"
        if correlation > SAME_AS_GROWTH
        else "resilience is not only growth here"
    )
    return f"Correlation of differences, lnRes and lnGrowth: {correlation:.4f} ({verdict})."


def _lower_triangle(correlations: pd.DataFrame) -> str:
    """Rows named and numbered, columns by number only: twelve names do not fit side by side."""
    names = list(correlations.index)
    width = max(map(len, names))
    lines = [" " * (width + 5) + "".join(f"{f'({number})':>7}" for number in range(1, len(names)))]
    for row, name in enumerate(names):
        cells = "".join(f"{round(correlations.iloc[row, column], 2) + 0.0:>7.2f}" for column in range(row))
        lines.append(f"{f'({row + 1})':>4} {name:<{width}}{cells}".rstrip())
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return command_main("describe", run_command, argv)


def run_command(arguments: argparse.Namespace) -> int:
    """Print the description and return the exit code."""
    with look_into(arguments) as context:
        outcome = run(context, arguments.language)
    print(f"{outcome.detail}\n{outcome.message}")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
