"""Half-panel jackknife: the within estimator less its bias, which is twice as large in panels half as long.

theta = 2 theta_full - (theta_first + theta_second) / 2, each from the within estimator with its own period effects; an
odd number of periods is split both ways and averaged. It needs no formula of the bias and allows predetermined
regressors, but many periods: what is left is of order 1 / T^2, and each half must look like the whole (stationary
regressors).

References: Dhaene and Jochmans (2015), Review of Economic Studies 82; Chudik, Pesaran and Yang (2018), J. Applied
Econometrics 33.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from estimation.dynamic_panel.bias_corrected import collect
from estimation.dynamic_panel.estimates import PanelEstimates
from estimation.dynamic_panel.samples import Sample
from estimation.dynamic_panel.spells import Spells, build_spells, by_entity, refuse_collinear, within

# each half needs two rows to have something within entities
_SHORTEST = 4


class HalfPanelJackknife:
    """Half-panel jackknife of the within estimator.

    Parameters
    ----------
    data : DataFrame
    dependent : str
    lags : int
    regressors : iterable of str
        Regressors that vary within entities, strictly exogenous or predetermined.
    entity, time : str, optional
    time_effects : bool
    cluster : str, optional
    time_step : int
    sample : str or booleans, optional
        As for `SystemGMM`: a restriction on the rows themselves.
    """

    def __init__(
        self,
        data: pd.DataFrame,
        *,
        dependent: str,
        lags: int = 1,
        regressors: Iterable[str] = (),
        entity: str | None = None,
        time: str | None = None,
        time_effects: bool = False,
        cluster: str | None = None,
        time_step: int = 1,
        sample: Sample = None,
    ) -> None:
        listed = (regressors,) if isinstance(regressors, str) else tuple(regressors)
        self.dependent = dependent
        self.spells = build_spells(
            data,
            dependent=dependent,
            lags=lags,
            regressors=listed,
            entity=entity,
            time=time,
            time_effects=time_effects,
            cluster=cluster,
            time_step=time_step,
            shortest=_SHORTEST,
            sample=sample,
        )

    def fit(self) -> PanelEstimates:
        """Estimate on the whole and on the halves.

        Raises
        ------
        CollinearityError
            Also when a half does not identify every parameter.
        """
        whole, psi = within_estimate(self.spells, np.ones(len(self.spells.y), dtype=bool))
        halves = [within_estimate(self.spells, rows) for rows in half_panels(self.spells)]
        mean = np.mean([params for params, _ in halves], axis=0)
        mean_psi = np.mean([one for _, one in halves], axis=0)
        return collect(
            self.spells,
            self.dependent,
            "Half-panel jackknife of the within estimator",
            2 * whole - mean,
            2 * psi - mean_psi,
            np.ones(len(self.spells.y), dtype=bool),
            {"within": dict(zip(self.spells.names, whole, strict=True)), "halves": mean},
        )


def half_panels(spells: Spells) -> list[np.ndarray]:
    """Return the rows of the first and second halves, both ways of splitting an odd run, four masks of shape (n,)."""
    place, length = spells.position()
    first_short, first_long = length // 2, (length + 1) // 2
    return [place < first_long, place >= first_long, place < first_short, place >= first_short]


def within_estimate(spells: Spells, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the within estimate on some rows and the influence of every entity, shapes (k,) and (N, k).

    Raises
    ------
    CollinearityError
    """
    n, entity = len(spells.entities), spells.entity[rows]
    y, X = within(spells.y[rows], entity, n), within(spells.X[rows], entity, n)
    dummies = spells.dummies[rows]
    dummies = within(dummies[:, dummies.any(axis=0)], entity, n)
    if dummies.shape[1]:
        stacked = np.column_stack([y, X])
        stacked = stacked - dummies @ np.linalg.lstsq(dummies, stacked, rcond=None)[0]
        y, X = stacked[:, 0], stacked[:, 1:]
    refuse_collinear(X, spells.names)
    params = np.linalg.lstsq(X, y, rcond=None)[0]
    scores = by_entity(X * (y - X @ params)[:, None], entity, n)
    return params, np.linalg.solve(X.T @ X, scores.T).T
