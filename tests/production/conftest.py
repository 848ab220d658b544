"""Own small firm panels with known technology; no outside data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

LABOUR, CAPITAL, PERSISTENCE = 0.6, 0.3, 0.7
# another number than PERSISTENCE: else productivity plus any multiple of wages is a first-order process as well and
# the moments of Ackerberg-Caves-Frazer do not tell them apart
WAGE_PERSISTENCE = 0.9


def simulate_firms(n_firms: int = 300, n_years: int = 8, *, seed: int = 7, error: float = 0.1) -> pd.DataFrame:
    """Return a panel in logs where labour reacts to productivity and has shocks of its own.

    Productivity is a first-order process; capital grows from last year's productivity; materials are an exact
    increasing function of capital and productivity, so the proxy assumption holds.
    """
    rng = np.random.default_rng(seed)
    omega = rng.normal(0, 0.4, n_firms)
    k = rng.normal(3, 1, n_firms)
    # what sets labour apart from capital and productivity, wages say, lasts: else lagged labour instruments nothing
    wage = rng.normal(0, 0.4, n_firms)
    rows = []
    for year in range(2000, 2000 + n_years):
        if year > 2000:
            k = 0.9 * k + 0.3 + 0.3 * omega + rng.normal(0, 0.2, n_firms)
            omega = PERSISTENCE * omega + rng.normal(0, 0.3, n_firms)
            wage = WAGE_PERSISTENCE * wage + rng.normal(0, 0.17, n_firms)
        labour = 0.5 + 0.5 * k + 0.8 * omega + wage
        m = 0.3 + 0.7 * k + 0.9 * omega
        y = 1.0 + LABOUR * labour + CAPITAL * k + omega + error * rng.normal(size=n_firms)
        i = 0.2 * k + 1.1 * omega
        columns = {"y": y, "l": labour, "k": k, "m": m, "i": i, "omega": omega + 1.0}
        rows.append(pd.DataFrame({"firm": np.arange(n_firms), "year": year} | columns))
    return pd.concat(rows, ignore_index=True)


@pytest.fixture(scope="session")
def firms() -> pd.DataFrame:
    """A balanced panel, 300 firms, 8 years."""
    return simulate_firms()


@pytest.fixture(scope="session")
def gapped(firms: pd.DataFrame) -> pd.DataFrame:
    """The same firms with a fifth of the firm-years missing, in random row order."""
    return firms.sample(frac=0.8, random_state=3)


@pytest.fixture(scope="session")
def many_firms() -> pd.DataFrame:
    """A balanced panel of 2,000 firms, for recovery of the technology."""
    return simulate_firms(2000, seed=11)
