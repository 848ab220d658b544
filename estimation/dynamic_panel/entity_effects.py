"""Predictions of the entity effect and of the idiosyncratic error, with standard errors.

The level residual is effect plus error; its mean over an entity's rows predicts the effect, the rest the error. Both
carry two kinds of noise: the errors averaged over few periods, and the estimate of the slopes. The decision worth
knowing: for T = 9 the first dominates, so effects of single entities are wide and their ranking is loose; the table
says so by its standard errors.

References: Baltagi (2021), Econometric Analysis of Panel Data, sec. 2.5; xtdpdgmm's predict, u and e (no standard
errors there).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from estimation.dynamic_panel.design import Design
from estimation.dynamic_panel.estimates import require_gmm
from estimation.dynamic_panel.results import GMMResults
from estimation.errors import IdentificationError


def entity_effects(results: GMMResults) -> pd.DataFrame:
    """Return the predicted effect of every entity, one row each.

    Returns
    -------
    DataFrame
        Index the entity; effect, std_error (of effect minus its true value), n_periods.

    Notes
    -----
    mean_t (y_it - x_it'b), the constant of the model taken out; variance sigma_e^2 / T_i + mean x_i' V mean x_i, with
    sigma_e^2 from deviations of the residuals from their entity's mean, (T_i - 1) degrees of freedom each.
    """
    u, X, rows, T = _residuals(results)
    used = T > 0
    mean_X = X.sum(axis=1)[used] / T[used, None]
    variance = idiosyncratic_variance(results) / T[used] + _quadratic(mean_X, results.fit.cov)
    entities = results.fit.prepared.grid.entities[used]
    return pd.DataFrame(
        {
            "effect": u.sum(axis=1)[used] / T[used],
            "std_error": np.sqrt(variance),
            "n_periods": T[used],
        },
        index=pd.Index(entities, name=results.fit.prepared.grid.entity),
    )


def idiosyncratic_errors(results: GMMResults) -> pd.DataFrame:
    """Return the predicted error of every counted level row.

    Returns
    -------
    DataFrame
        Index (entity, time); error, std_error (of the prediction minus the true error), fitted (with the effect).

    Notes
    -----
    Residual less its entity mean; variance sigma_e^2 / T_i + (x_it - mean x_i)' V (x_it - mean x_i). An entity with
    one row has an error of zero and tells nothing: its standard error is sigma_e.
    """
    u, X, rows, T = _residuals(results)
    counts = np.maximum(T, 1)
    error = u - (u.sum(axis=1) / counts)[:, None]
    deviation = X - (X.sum(axis=1) / counts[:, None])[:, None, :]
    i, t = np.nonzero(rows)
    variance = idiosyncratic_variance(results) / T[i] + _quadratic(deviation[i, t], results.fit.cov)
    grid = results.fit.prepared.grid
    y = results.fit.prepared.design.y_level[i, t]
    return pd.DataFrame(
        {"error": error[i, t], "std_error": np.sqrt(variance), "fitted": y - error[i, t]},
        index=pd.MultiIndex.from_arrays([grid.entities[i], grid.times[t]], names=[grid.entity, grid.time]),
    )


def idiosyncratic_variance(results: GMMResults) -> float:
    """Return sigma_e^2 from the deviations of level residuals from their entity's mean.

    Raises
    ------
    IdentificationError
        When no entity has two rows.
    """
    u, _, rows, T = _residuals(results)
    degrees = int(np.maximum(T - 1, 0).sum())
    if degrees == 0:
        raise IdentificationError(
            "entity effects: no entity has two level rows; errors and effects cannot be told apart."
        )
    deviation = np.where(rows, u - (u.sum(axis=1) / np.maximum(T, 1))[:, None], 0.0)
    return float((deviation**2).sum() / degrees)


def _residuals(results: GMMResults) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return level residuals (N, T) and regressors (N, T, k), zero outside, the counted rows and their number by entity."""
    require_gmm(results, "entity effects")
    design: Design = results.fit.prepared.design
    rows = design.level_rows
    X = np.where(rows[:, :, None], np.nan_to_num(design.X_level), 0.0)
    u = np.where(rows, np.nan_to_num(design.y_level) - X @ results.fit.params, 0.0)
    return u, X, rows, rows.sum(axis=1)


def _quadratic(X: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Return x'Vx for every row, shape (n,)."""
    return np.einsum("nk,kl,nl->n", X, V, X)
