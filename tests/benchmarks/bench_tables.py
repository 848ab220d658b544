"""The 30 columns of the paper on generated panels: seconds for all of them, and how often the truth is in the interval.

    python tests/benchmarks/bench_tables.py [--worlds 200] [--first-seed 500] [--markdown FILE]

For every seed and every column of the paper a world is drawn that obeys THAT column's printed coefficients (ten worlds a
seed: three measures of resilience, seven further samples), with the gaps of its yearbook, and the column is estimated on
it in both profiles. Counted is whether each of the 12 slopes' truths lies in its 95% interval. The simulation error of a
column's rate is the standard deviation over worlds of the world's share, over the root of the number of worlds: slopes of
one fit are correlated. No Spark and no files: the panel is the latent one, whose numbers are those of the sheets.

Exit code 1 when all columns in both profiles take longer than LIMIT_SECONDS once the panel exists, or a column of the
defensible profile is not estimated.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

# before NumPy loads its BLAS
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from conf.tables import read_table_files
from estimation.tables import CityClasses, StudyPanel, estimate_column, estimate_tables, parse_tables
from estimation.tables.columns import CONSTANT_TERM
from jobs.world.equation import standardised_truth
from jobs.world.latent import AVERAGE_YEARS, WorldModel, simulate
from jobs.world.reference import ALL_YEARS, WorldReference
from jobs.world.world import World
from jobs.world.yearbook import published_indicators

PROFILES = ("defensible", "paper")
LIMIT_SECONDS = 20.0
LEVEL = 0.95


def make_study(seed: int, reference: WorldReference, *, resilience: str = "lnRes", sample: str = "full", **drawn):
    """Return (StudyPanel, truth by outcome) of a generated panel with the gaps of its yearbook."""
    model = WorldModel(seed=seed, resilience=resilience, sample=sample, **drawn)
    latent = simulate(model, reference)
    frame = latent.panel[(latent.panel["year"] >= ALL_YEARS[0]) & latent.panel["is_city"]]
    frame = frame.merge(_complete(seed, reference), on=["city_id", "year"])
    frame["province_code"] = frame["city_id"].str[:2] + "0000"
    # a panel that starts in 2003 has no three years before 2005
    frame["lnResc"] = frame["lnResc"].where(frame["year"] >= ALL_YEARS[0] + AVERAGE_YEARS - 1)
    panel = StudyPanel.from_natural(frame)
    truth = {
        outcome: standardised_truth(equation, {name: panel.constant(name) for name in equation.variables})
        for outcome, equation in latent.equations.items()
    }
    return panel, truth


def _complete(seed: int, reference: WorldReference, _known: dict = {}) -> pd.DataFrame:  # noqa: B006 (a memory)
    """City-years whose yearbook lacks nothing; the gaps do not depend on the coefficients."""
    if seed not in _known:
        _known.clear()
        frame = published_indicators(World(WorldModel(seed=seed), reference))
        wide = frame[frame["area"] == "districts"].pivot(index=["city_id", "year"], columns="indicator", values="value")
        _known[seed] = wide.dropna().index.to_frame(index=False)
    return _known[seed]


def covered(column, panel: StudyPanel, truth: dict[str, float], classes: CityClasses) -> dict[str, object]:
    """Estimate a column and say for each slope whether its truth is inside the interval."""
    fit = estimate_column(column, panel, classes)
    if fit.results is None:
        return {"failure": fit.failure}
    bounds = fit.results.conf_int(LEVEL)
    inside = [
        bounds.loc[fit.parameter(term)].between(-np.inf, np.inf).all()
        and bounds.loc[fit.parameter(term)].iloc[0] <= value <= bounds.loc[fit.parameter(term)].iloc[1]
        for term, value in truth.items() if term != CONSTANT_TERM
    ]
    return {"failure": "", "share": float(np.mean(inside)), "cities": fit.results.n_groups, "n_raw": fit.n_raw,
            "hansen": float(fit.results.hansen.pvalue)}


def measure_coverage(seeds: range, reference: WorldReference, classes: CityClasses, profiles=PROFILES) -> pd.DataFrame:
    """One row per seed, profile and column."""
    columns = [
        (profile, table.number, column)
        for profile in profiles for table in parse_tables(*read_table_files(), profile=profile)
        for column in table.columns
    ]
    worlds = dict.fromkeys((column.resilience, column.sample.name) for _, _, column in columns)
    rows = []
    for seed in seeds:
        for resilience, sample in worlds:
            panel, truth = make_study(seed, reference, resilience=resilience, sample=sample)
            rows += [
                {"seed": seed, "profile": profile, "table": number, "column": column.position,
                 "dependent": column.dependent, "sample": column.sample.title or sample}
                | covered(column, panel, truth[column.dependent], classes)
                for profile, number, column in columns
                if (column.resilience, column.sample.name) == (resilience, sample)
            ]
    return pd.DataFrame(rows)


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Rate and simulation error by column and profile."""
    kept = rows[rows["failure"] == ""]
    grouped = kept.groupby(["table", "column", "dependent", "sample", "profile"], sort=True)
    found = grouped.agg(
        rate=("share", "mean"), spread=("share", "std"), worlds=("share", "size"), cities=("cities", "mean"),
        n_raw=("n_raw", "mean"), hansen_rejects=("hansen", lambda p: float((p < 0.05).mean())),
    ).reset_index()
    found["error"] = found.pop("spread") / np.sqrt(found["worlds"])
    found["z"] = (found["rate"] - LEVEL) / found["error"]
    return found


def to_markdown(found: pd.DataFrame) -> str:
    """The table of docs/methodology/tables.md."""
    lines = ["| column | cities | defensible | paper |", "|---|---:|---:|---:|"]
    for (table, column, dependent, sample), rows in found.groupby(["table", "column", "dependent", "sample"]):
        by_profile = rows.set_index("profile")
        cells = [
            f"{row.rate:.3f} ({row.error:.3f}){' *' if abs(row.z) > 2 else ''}"
            for row in (by_profile.loc[profile] for profile in PROFILES if profile in by_profile.index)
        ]
        first = by_profile.iloc[0]
        lines.append(f"| T{table}({column}) {dependent}, {sample} | {first['cities']:.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def time_all_columns(reference: WorldReference, classes: CityClasses) -> float:
    """Seconds for 30 columns in both profiles on one panel, best of three."""
    panel, _ = make_study(7, reference)
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        for profile in PROFILES:
            estimate_tables(parse_tables(*read_table_files(), profile=profile), panel, classes)
        best = min(best, time.perf_counter() - start)
    return best


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--worlds", type=int, default=15)
    parser.add_argument("--first-seed", type=int, default=500)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    reference = WorldReference()
    classes = CityClasses.from_frames(reference.table("region_classes"), reference.table("city_size_thresholds"))
    seconds = time_all_columns(reference, classes)
    print(f"30 columns in {len(PROFILES)} profiles: {seconds:.1f} s (limit {LIMIT_SECONDS:.0f})")
    start = time.perf_counter()
    rows = measure_coverage(range(options.first_seed, options.first_seed + options.worlds), reference, classes)
    print(f"{options.worlds} seeds, {len(rows):,} fits in {time.perf_counter() - start:.0f} s")
    found = summarise(rows)
    with pd.option_context("display.width", 160, "display.max_rows", 100, "display.float_format", "{:.3f}".format):
        print(found.to_string(index=False))
    failed = rows[rows["failure"] != ""]
    print(f"not estimated: {len(failed)} fits", *failed["failure"].drop_duplicates().head(3), sep="\n  ")
    if options.markdown:
        options.markdown.write_text(to_markdown(found) + "\n", encoding="utf-8")
    return int(seconds > LIMIT_SECONDS or (failed["profile"] == "defensible").any())


if __name__ == "__main__":
    sys.exit(main())
