"""Weighted least squares and polynomial terms, the two pieces every estimator here is built from.

Weights are frequencies: a firm drawn twice by the bootstrap has weight two, which equals copying its rows and keeps
the lag structure. Polynomial variables are standardised before powers are taken; with an intercept this leaves the
column space, so all fitted values, unchanged and keeps cubic terms of logs well conditioned.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
from scipy import linalg

from estimation.production.errors import SingularError

# a regressor whose own part, after the others are taken out, is below this share of its size is not identified:
# double precision leaves about eight good digits in a least-squares solution
IDENTIFICATION_TOLERANCE = 1e-7


def polynomial_terms(variables: np.ndarray, degree: int) -> np.ndarray:
    """Return the full polynomial with intercept in the standardised columns.

    Parameters
    ----------
    variables : ndarray, shape (n, p)
    degree : int
        Largest total power.

    Returns
    -------
    ndarray, shape (n, C(p + degree, degree))
    """
    spread = variables.std(axis=0)
    standardised = (variables - variables.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    columns = [np.ones(len(variables))]
    for power in range(1, degree + 1):
        for chosen in combinations_with_replacement(range(variables.shape[1]), power):
            column = standardised[:, chosen[0]]
            for index in chosen[1:]:
                column = column * standardised[:, index]
            columns.append(column)
    return np.column_stack(columns)


def fit_weighted(X: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return least-squares coefficients; the shortest solution when ``X`` lacks rank.

    Meant for nuisance terms, where only the fitted values matter. Coefficients of interest go through
    :func:`fit_identified`.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    y : ndarray, shape (n,) or (n, q)
    weights : ndarray, shape (n,), optional
        Frequency weights.

    Returns
    -------
    ndarray, shape (p,) or (p, q)
    """
    if weights is not None:
        root = np.sqrt(weights)
        X = X * root[:, None]
        y = y * (root if y.ndim == 1 else root[:, None])
    return linalg.lstsq(X, y, lapack_driver="gelsy", check_finite=False)[0]


def partial_out(nuisance: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return ``target`` less its projection on ``nuisance``, same shape as ``target``."""
    return target - nuisance @ fit_weighted(nuisance, target, weights)


def fit_identified(
    X: np.ndarray, nuisance: np.ndarray, y: np.ndarray, names: tuple[str, ...], weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the coefficients of ``X`` in a regression of ``y`` on ``X`` and ``nuisance`` (Frisch-Waugh-Lovell).

    Parameters
    ----------
    X : ndarray, shape (n, p)
    nuisance : ndarray, shape (n, q)
    y : ndarray, shape (n,)
    names : tuple of str
        Names of the columns of ``X``, for the error.

    Raises
    ------
    SingularError
        If a column of ``X`` has no variation of its own.
    """
    own = partial_out(nuisance, X, weights)
    require_identified(own, X, names, weights)
    return fit_weighted(own, partial_out(nuisance, y, weights), weights)


def require_identified(
    own: np.ndarray, X: np.ndarray, names: tuple[str, ...], weights: np.ndarray | None = None
) -> None:
    """Refuse columns whose own variation ``own`` is nothing beside their size in ``X``.

    Raises
    ------
    SingularError
        Naming the columns.
    """
    root = np.ones(len(own)) if weights is None else np.sqrt(weights)
    size = np.linalg.norm(X * root[:, None], axis=0)
    scaled = own * root[:, None] / np.where(size > 0, size, 1.0)
    _, R, order = linalg.qr(scaled, mode="economic", pivoting=True, check_finite=False)
    is_weak = np.abs(np.diag(R)) <= IDENTIFICATION_TOLERANCE
    if is_weak.any():
        weak = [names[index] for index in order[: len(is_weak)][is_weak]]
        raise SingularError(
            f"Expected inputs that vary on their own; {', '.join(weak)} is determined by the other terms. "
            "Leave it out, lower the degree, or merge the industry with a neighbour."
        )


def time_dummies(time: np.ndarray) -> np.ndarray:
    """Return year dummies without the first year, shape (n, n_years - 1)."""
    return (time[:, None] == np.unique(time)[None, 1:]).astype(float)
