"""Which class of the controls holds its truth when cities that are rich in everything also export more?

    python tests/benchmarks/study_controls.py --worlds 60

For each correlation of the controls' city means with the city effect and each class that ``options.controls`` offers: the
share of truths inside the 95% interval, for the controls, for agglomeration, resilience and productivity, and for the two
channels; beside it the mean length of the channels' intervals. Columns of Table 1, the west of Table 6 and large cities of
Table 4, defensible profile otherwise. docs/methodology/tables.md has the result and what was chosen.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench_tables import make_study

from conf.tables import read_table_files
from estimation.tables import CityClasses, estimate_column, parse_tables
from estimation.tables.robustness import CONTROL_CLASSES
from jobs.world.reference import WorldReference

CORRELATIONS = (0.0, 0.3, 0.6)
WHERE = {("table1", 1), ("table1", 2), ("table1", 3), ("table4", 1), ("table6", 3)}
TERMS = {
    "controls": ("lnphumc", "lnrd", "lnfdi", "lnroadper"), "fixed": ("lnseadis", "ETDZ"),
    "core": ("L.y", "lnAgg", "lnRes", "lnPro"), "channels": ("lnAgg*lnRes", "lnAgg*lnPro"),
}


def measure(seeds: range) -> pd.DataFrame:
    """One row per seed, correlation, class and column: coverage by kind of term, and the length of the channels' intervals."""
    reference = WorldReference()
    classes = CityClasses.from_frames(reference.table("region_classes"), reference.table("city_size_thresholds"))
    columns = [
        column
        for table in parse_tables(*read_table_files()) for column in table.columns if (table.name, column.position) in WHERE
    ]
    rows = []
    for seed in seeds:
        for correlation in CORRELATIONS:
            for column in columns:
                panel, truth = make_study(
                    seed, reference, resilience=column.resilience, sample=column.sample.name, control_effect=correlation
                )
                for kind in CONTROL_CLASSES:
                    fit = estimate_column(column.replaced(controls=kind), panel, classes)
                    row = {"correlation": correlation, "controls class": kind, "column": f"{column.table}({column.position})"}
                    if fit.results is not None:
                        row |= _covered(fit, truth[column.dependent])
                    rows.append(row)
    return pd.DataFrame(rows)


def _covered(fit, truth: dict[str, float]) -> dict[str, float]:
    bounds = fit.results.conf_int(0.95)
    inside = {}
    for kind, terms in TERMS.items():
        known = [term for term in terms if fit.parameter(term) in bounds.index and term in truth]
        held = [bounds.loc[fit.parameter(term)].iloc[0] <= truth[term] <= bounds.loc[fit.parameter(term)].iloc[1]
                for term in known]
        inside[kind] = float(np.mean(held))
    lengths = bounds.loc[list(TERMS["channels"])]
    return inside | {
        "length": float((lengths.iloc[:, 1] - lengths.iloc[:, 0]).mean()), "instruments": fit.results.n_instruments,
        "Hansen rejects": float(fit.results.hansen.pvalue < 0.05),
    }


def main() -> int:
    """Measure and print, as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--worlds", type=int, default=60)
    parser.add_argument("--first-seed", type=int, default=500)
    options = parser.parse_args()
    rows = measure(range(options.first_seed, options.first_seed + options.worlds))
    for where, part in (("all columns", rows), *rows.groupby("column")):
        print(f"\n{where}")
        found = part.groupby(["correlation", "controls class"], sort=False).mean(numeric_only=True)
        print(found.to_string(float_format=lambda value: f"{value:.3f}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
