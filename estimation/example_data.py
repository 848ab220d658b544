"""A generated panel of firms in the shape of Arellano and Bond's (1991): for examples, the tutorial and tests.

Nothing in it is real. 140 firms, 1976 to 1984, seven to nine years each as in theirs; the columns are named as theirs:
n, w, k, ys are logs of employment, wage, capital and industry output.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

FIRST_YEAR, LAST_YEAR = 1976, 1984
# firms by number of years observed, as in Arellano and Bond (1991), section 5
LENGTHS = {7: 103, 8: 23, 9: 14}
BURN_IN = 12
# n = .6 L.n - .5 w + .35 k + .4 ys + firm + year + error
TRUTH = {"L.n": 0.6, "w": -0.5, "k": 0.35, "ys": 0.4}


def employment_panel(seed: int = 1991) -> pd.DataFrame:
    """Return the panel, one row per firm and year: id, year, ind, n, w, k, ys.

    Parameters
    ----------
    seed : int

    Notes
    -----
    Wages and capital respond to last year's error (predetermined), output of the industry to none (exogenous); firm effects
    raise all three.
    """
    rng = np.random.default_rng(seed)
    lengths = rng.permutation(np.repeat(list(LENGTHS), list(LENGTHS.values())))
    n_firms, n_years = len(lengths), LAST_YEAR - FIRST_YEAR + 1
    industry = rng.integers(1, 10, n_firms)
    effect = rng.normal(0, 0.12, n_firms)
    output = np.cumsum(rng.normal(0, 0.03, (BURN_IN + n_years, 10)), axis=0)[:, industry]
    w, k = 3 + 0.3 * effect + rng.normal(0, 0.2, n_firms), effect + rng.normal(0, 0.4, n_firms)
    n, error = effect / 0.4, np.zeros(n_firms)
    frames = []
    for t in range(BURN_IN + n_years):
        w = 3 + 0.7 * (w - 3) + 0.1 * effect + 0.3 * error + rng.normal(0, 0.08, n_firms)
        k = 0.8 * k + 0.2 * effect + 0.4 * error + rng.normal(0, 0.15, n_firms)
        error = rng.normal(0, 0.1, n_firms) * np.exp(0.3 * rng.normal(size=n_firms))
        n = (
            TRUTH["L.n"] * n + TRUTH["w"] * w + TRUTH["k"] * k + TRUTH["ys"] * output[t]
            + 1.6 + effect + 0.02 * np.sin(t) + error
        )  # fmt: skip
        year = FIRST_YEAR + t - BURN_IN
        columns = {"year": year, "ind": industry, "n": n, "w": w, "k": k, "ys": output[t]}
        frames.append(pd.DataFrame({"id": np.arange(1, n_firms + 1), **columns}))
    panel = pd.concat(frames, ignore_index=True)
    first = (FIRST_YEAR + rng.integers(0, n_years - lengths + 1))[panel["id"] - 1]
    inside = (panel["year"] >= first) & (panel["year"] < first + lengths[panel["id"] - 1])
    return panel[inside].sort_values(["id", "year"], ignore_index=True)
