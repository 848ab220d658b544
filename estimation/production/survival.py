"""Probability of staying, for the exit correction of Olley and Pakes (1996).

Firms leave when productivity falls below a bound that depends on capital, so survivors with little capital are more
productive than those with much: without the correction the capital coefficient is too small. The fitted probability
stands in for the bound in the productivity process.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg
from scipy.special import log_ndtr, ndtr

from estimation.production.errors import OptionError, SingularError
from estimation.production.firm_panel import FirmPanel
from estimation.production.options import ProductionOptions

MAX_NEWTON_STEPS = 100
NEWTON_TOLERANCE = 1e-10
# a fitted index this far out means that a term predicts exit perfectly and its coefficient runs away
MAX_INDEX = 30.0


def exit_probability(
    panel: FirmPanel, terms: np.ndarray, options: ProductionOptions, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the fitted probability for each row with a lag.

    Parameters
    ----------
    panel : FirmPanel
    terms : ndarray, shape (n, n_terms)
        Polynomial in state and proxy.
    options : ProductionOptions
        ``exit`` chooses the dating.

    Returns
    -------
    ndarray, shape (n_pairs,)

    Raises
    ------
    OptionError
        If no firm leaves before the last year.
    """
    last_year = panel.time.max()
    is_last_row = np.append(panel.entity[1:] != panel.entity[:-1], True)
    leaves = is_last_row & (panel.time < last_year)
    if not leaves.any():
        raise OptionError(
            f"exit={options.exit!r}: expected firms that leave before {last_year}; found none. Use exit='none'."
        )
    if options.exit == "last_year":
        rows = panel.current
        outcome, regressors, chosen = leaves[rows], terms[panel.lagged], np.arange(len(rows))
    else:
        # whether a firm of the last year stays is not seen yet
        rows = np.flatnonzero(panel.time < last_year)
        outcome, regressors = ~leaves[rows], terms[rows]
        place = np.full(panel.n_obs, -1)
        place[rows] = np.arange(len(rows))
        chosen = place[panel.lagged]
    index = fit_probit(regressors, outcome.astype(float), None if weights is None else weights[rows])
    return ndtr(regressors @ index)[chosen]


def fit_probit(X: np.ndarray, outcome: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return probit coefficients by Newton's method.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    outcome : ndarray of 0.0 and 1.0, shape (n,)

    Raises
    ------
    SingularError
        If the outcome is predicted perfectly or the steps do not settle.
    """
    frequency = np.ones(len(outcome)) if weights is None else weights
    sign = 2 * outcome - 1
    params = np.zeros(X.shape[1])
    for _ in range(MAX_NEWTON_STEPS):
        index = X @ params
        ratio = sign * np.exp(-0.5 * index**2 - log_ndtr(sign * index)) / np.sqrt(2 * np.pi)
        hessian = (X * (frequency * ratio * (ratio + index))[:, None]).T @ X
        step = linalg.lstsq(hessian, X.T @ (frequency * ratio))[0]
        params = params + step
        if np.abs(X @ params).max() > MAX_INDEX:
            raise SingularError("Exit is predicted perfectly by state and proxy; use exit='none' for this industry.")
        if np.abs(step).max() < NEWTON_TOLERANCE:
            return params
    raise SingularError(
        f"The exit probit did not settle in {MAX_NEWTON_STEPS} steps; use exit='none' for this industry."
    )
