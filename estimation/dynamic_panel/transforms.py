"""First differences and forward orthogonal deviations, of arrays on the full calendar and as matrices.

Both remove the entity effect. First differences need the row before; forward orthogonal deviations (Arellano-Bover
1995) subtract the mean of all *available* later rows, so an interior gap costs one row instead of two. The row made
from period t is stored at t + 1, so that a lag of one is the last value not in its error (Roodman 2009, eq. 21).
"""

from __future__ import annotations

import numpy as np

from estimation.dynamic_panel.spec import HMatrix, Transform


def first_difference(values: np.ndarray) -> np.ndarray:
    """Return x_t - x_(t-1) along axis 1, NaN where either is missing; shape as given (N, T, ...)."""
    out = np.full_like(values, np.nan)
    out[:, 1:] = values[:, 1:] - values[:, :-1]
    return out


def forward_deviation(values: np.ndarray, complete: np.ndarray) -> np.ndarray:
    """Return forward orthogonal deviations stored one period late.

    Parameters
    ----------
    values : ndarray, shape (N, T) or (N, T, k)
    complete : ndarray of bool, shape (N, T)
        Rows that count among the later observations.

    Returns
    -------
    ndarray, shape of `values`
        At t + 1: sqrt(n / (n + 1)) (x_t - mean of the n later complete rows), NaN where n is zero or x_t is missing.
    """
    extra = (slice(None), slice(None)) + (None,) * (values.ndim - 2)
    counted = complete[extra]
    filled = np.where(counted, values, 0.0)
    n_later = _strictly_later(complete.astype(float))
    mean_later = _strictly_later(filled)
    n = n_later[extra]
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = np.sqrt(n / (n + 1.0)) * (values - mean_later / n)
    out = np.full_like(values, np.nan)
    out[:, 1:] = np.where(n > 0, deviation, np.nan)[:, :-1]
    return out


def backward_deviation(values: np.ndarray, complete: np.ndarray) -> np.ndarray:
    """Return backward orthogonal deviations, dated at the row they are made from.

    Parameters
    ----------
    values : ndarray, shape (N, T)
    complete : ndarray of bool, shape (N, T)
        Rows that count among the earlier observations.

    Returns
    -------
    ndarray, shape (N, T)
        sqrt(n / (n + 1)) (x_t - mean of the n earlier complete rows), NaN where n is zero or x_t is missing.
    """
    # the forward deviation of the reversed panel, taken back from the period after, where that one is stored
    reversed_deviation = forward_deviation(values[:, ::-1], complete[:, ::-1])
    out = np.full_like(values, np.nan)
    out[:, 1:] = reversed_deviation[:, 1:][:, ::-1]
    return out


def _strictly_later(values: np.ndarray) -> np.ndarray:
    """Return sums over the later periods, exclusive."""
    reversed_sum = np.cumsum(values[:, ::-1], axis=1)[:, ::-1]
    out = np.zeros_like(values)
    out[:, :-1] = reversed_sum[:, 1:]
    return out


def transform_matrix(n_periods: int, transform: Transform) -> np.ndarray:
    """Return M with row t the transform dated t on a panel without gaps, shape (T, T); row 0 is zero."""
    M = np.zeros((n_periods, n_periods))
    for t in range(1, n_periods):
        if transform == "fd":
            M[t, t], M[t, t - 1] = 1.0, -1.0
        else:
            n = n_periods - t
            M[t, t - 1] = np.sqrt(n / (n + 1.0))
            M[t, t:] = -M[t, t - 1] / n
    return M


def h_root(n_periods: int, transform: Transform, h: HMatrix, system: bool) -> np.ndarray:
    """Return C with H = C C', the one-step covariance of the stacked errors up to scale.

    Returns
    -------
    ndarray, shape (T, q) without and (2T, q) with a level equation
        h = 3: [M; I]; h = 2: block diagonal of M and I; h = 1: identity. Rows are transformed, then level errors.
        The matrices are those of a panel without gaps, as in xtabond2: rows that do not exist drop out because their
        instruments are zero.
    """
    M = transform_matrix(n_periods, transform)
    identity = np.eye(n_periods)
    if h == 1:
        return np.eye(2 * n_periods if system else n_periods)
    if not system:
        return M
    if h == 3:
        return np.vstack([M, identity])
    zeros = np.zeros_like(M)
    return np.block([[M, zeros], [zeros, identity]])
