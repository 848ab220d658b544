"""Portmanteau tests of serial correlation in the idiosyncratic errors, and the Arellano-Bond test they contain.

The error u_it + effect is known up to the estimate; its first difference is free of the effect. Without serial
correlation every difference is uncorrelated with errors two or more periods before it and with the error one period
after it:

    Jochmans    E[u_(i,t-s) D u_it] = 0, s = 2, 3, ... and s = -1, each period: T (T - 1) / 2 - 1 restrictions
    Yamagata    E[D u_(i,t-s) D u_it] = 0, s = 2, 3, ..., summed over periods: one restriction per order

The statistic is a quadratic form of the sample moments, with the clustered covariance of the moments plus what the
estimate of the parameters adds to them (their slope times the influence of every entity). It is robust to
heteroskedasticity.

References: Jochmans (2020), J. Applied Econometrics 35; Yamagata (2008), J. Econometrics 146; Arellano and Bond (1991).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from estimation.dynamic_panel.algebra import cluster_sums
from estimation.dynamic_panel.design import Design
from estimation.dynamic_panel.engine import Fit
from estimation.dynamic_panel.estimates import require_gmm
from estimation.dynamic_panel.hypotheses import TestResult, chi2_test, normal_test, not_available
from estimation.dynamic_panel.influence import outer_sum, quadratic_form
from estimation.dynamic_panel.quadratic_moments import QuadraticMoments, Residual, level_residual, sum_pairs
from estimation.dynamic_panel.results import GMMResults
from estimation.dynamic_panel.spec import CONSTANT
from estimation.dynamic_panel.specification_tests import ARUnit, differenced_residuals

NO_CORRELATION = "no serial correlation in the idiosyncratic errors"


def jochmans_test(results: GMMResults, *, order: int | None = None, collapse: bool = False) -> TestResult:
    """Return Jochmans' portmanteau test of serial correlation of any order.

    Parameters
    ----------
    results : GMMResults
    order : int, optional
        Largest order of correlation that shall be noticed (lags up to it); all by default.
    collapse : bool
        Sum over periods: one restriction per lag and one for the lead.

    Notes
    -----
    The number of restrictions grows with the square of the periods; with many for the clusters the test loses power and
    `yamagata_test` or `collapse` is the better choice.
    """
    name = "Jochmans portmanteau" + (", collapsed" if collapse else "")
    u, beta, psi = _centred(results)
    du, rows = u.differenced(), results.fit.prepared.design.level_rows
    n_periods = u.y.shape[1]
    deepest = n_periods - 1 if order is None else min(order, n_periods - 1)
    pairs = []
    for s in (*range(2, deepest + 1), -1):
        other = u.moved(s)
        for t in range(1, n_periods):
            both = rows[:, t] & du.exists[:, t] & other.exists[:, t]
            if both.any():
                pairs.append((s if collapse else (s, t), other.at(t, both), du.at(t, both)))
    return _portmanteau(name, results, pairs, beta, psi)


def yamagata_test(results: GMMResults, *, orders: Iterable[int] | None = None) -> TestResult:
    """Return Yamagata's joint test of the Arellano-Bond statistics of several orders.

    Parameters
    ----------
    results : GMMResults
    orders : iterable of int, optional
        Orders from 2 on; all that exist by default.
    """
    u, beta, psi = _centred(results)
    du, rows = u.differenced(), results.fit.prepared.design.level_rows
    n_periods = u.y.shape[1]
    pairs = []
    for s in range(2, n_periods) if orders is None else orders:
        other = du.moved(s)
        for t in range(n_periods):
            both = rows[:, t] & du.exists[:, t] & other.exists[:, t]
            if s >= 2 and both.any():
                pairs.append((s, other.at(t, both), du.at(t, both)))
    return _portmanteau("Yamagata joint AR", results, pairs, beta, psi)


def _centred(results: GMMResults) -> tuple[Residual, np.ndarray, np.ndarray]:
    """Return the level residual with a mean of zero, its parameters and their influence (N, k or k + 1).

    Without a constant in the model the mean of the residuals stands for it, as one parameter more.
    """
    require_gmm(results, "portmanteau test")
    design: Design = results.fit.prepared.design
    u, beta, psi = level_residual(design), results.fit.params, results.influence
    if CONSTANT in results.names:
        return u, beta, psi
    rows = design.level_rows
    n = rows.sum()
    left = u.y - u.X @ beta
    mean = float(left[rows].sum() / n)
    X = np.concatenate([u.X, u.exists[:, :, None].astype(float)], axis=2)
    own = np.where(rows, left - mean, 0.0).sum(axis=1) / n - psi @ (u.X[rows].sum(axis=0) / n)
    return Residual(u.y, X, u.exists), np.append(beta, mean), np.column_stack([psi, own])


def _portmanteau(name: str, results: GMMResults, pairs: list, beta: np.ndarray, psi: np.ndarray) -> TestResult:
    """Test that the moments made of `pairs` are zero."""
    if results.spec.weights is not None:
        return not_available(name, NO_CORRELATION, "chi2", "not defined with weights")
    if not pairs:
        return not_available(name, NO_CORRELATION, "chi2", "no entity has three consecutive rows")
    keys = {key: n for n, key in enumerate(dict.fromkeys(key for key, _, _ in pairs))}
    moments: QuadraticMoments = sum_pairs(
        [left for _, left, _ in pairs],
        [right for _, _, right in pairs],
        np.array([keys[key] for key, _, _ in pairs]),
        (None,) * len(keys),
        (name,) * len(keys),
    )
    data, clusters = results.fit.prepared.data, results.n_clusters
    if moments.q >= clusters:
        reason = f"{moments.q} restrictions for {clusters} clusters; use collapse=True or yamagata_test"
        return not_available(name, NO_CORRELATION, "chi2", reason)
    covariance = outer_sum(data, moments.by_entity(beta) + psi @ moments.slope(beta).T)
    stat, rank = quadratic_form(moments.total(beta), covariance)
    return chi2_test(name, stat, rank, NO_CORRELATION)


def influence_ar_test(fit: Fit, psi: np.ndarray, order: int, *, over: ARUnit = "cluster") -> TestResult:
    """Return the Arellano-Bond test with the estimate's influence in place of its projection.

    Notes
    -----
    z = sum_i w_i'w_(i,-m) / sqrt(sum over clusters of (w'w_(-m) - q'psi)^2), q = sum_i X_i'w_(i,-m): the variance of Arellano
    and Bond (1991) with every term made from the same clusters.
    """
    name, null = f"AR({order})", f"no autocorrelation of order {order} in the first-differenced errors"
    if order < 1:
        return not_available(name, null, "normal", "the order must be at least 1")
    residuals = differenced_residuals(fit)
    w, lagged = residuals.w, np.zeros_like(residuals.w)
    if order < w.shape[1]:
        lagged[:, order:] = w[:, : w.shape[1] - order]
    if not (w * lagged).any():
        return not_available(name, null, "normal", f"no residual has another one {order} periods before")
    data = fit.prepared.data
    products = (w * lagged).sum(axis=1)
    q = np.einsum("ntk,nt->k", residuals.Xw, lagged)
    joint = products - psi @ q
    if over == "cluster":
        joint = cluster_sums(data, joint[:, None])[:, 0]
    return normal_test(name, float(products.sum() / np.sqrt(joint @ joint)), null)
