"""Small panels drawn from a dynamic model, for tests of the estimator."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

FIRST_YEAR = 2000


def draw_panel(n=60, periods=7, *, seed=0, holes=0.0, rho=0.5):
    """Draw y = rho L.y + .5 x + .3 w + a + e with x endogenous, w exogenous, z an external instrument, d fixed."""
    rng = np.random.default_rng(seed)
    burn = 15
    a = rng.normal(size=n)
    y, x = a / (1 - rho), a.copy()
    records = []
    d = rng.normal(size=n)
    for t in range(periods + burn):
        e, w, z = rng.normal(size=n), rng.normal(size=n), rng.normal(size=n)
        x = 0.5 * x + 0.3 * a + 0.4 * z + 0.3 * e + rng.normal(size=n)
        y = rho * y + 0.5 * x + 0.3 * w + a + 0.1 * (t % 3) + e
        if t >= burn:
            year = np.full(n, FIRST_YEAR + t - burn)
            records.append(pd.DataFrame({"id": np.arange(n), "year": year, "y": y, "x": x, "w": w, "z": z, "d": d}))
    frame = pd.concat(records, ignore_index=True)
    frame["province"] = frame["id"] % 20
    if holes:
        frame = frame[rng.uniform(size=len(frame)) > holes]
    return frame.sample(frac=1.0, random_state=seed).reset_index(drop=True)


@pytest.fixture(scope="session")
def panel():
    """A balanced panel."""
    return draw_panel()


@pytest.fixture(scope="session")
def gapped():
    """The same kind of panel with a tenth of the rows missing, so with interior gaps."""
    return draw_panel(n=90, periods=8, seed=3, holes=0.1)


@pytest.fixture(scope="session")
def make_panel():
    """The function that draws panels."""
    return draw_panel


@pytest.fixture(scope="session")
def city_panel():
    """A balanced panel of nine years from 2005, keys city and year, cities in eight provinces."""
    frame = draw_panel(n=80, periods=9, seed=5).rename(columns={"id": "city"})
    return frame.assign(year=frame["year"] + 5, prov=frame["city"] % 8).sort_values(["city", "year"], ignore_index=True)
