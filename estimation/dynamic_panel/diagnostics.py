"""Further diagnostics of a fit: under-identification, model selection criteria, cross-sectional dependence.

References: Kleibergen and Paap (2006), J. Econometrics 133; Windmeijer (2021), J. Econometrics 220, for rank tests as tests
of overidentification; Bazzi and Clemens (2013), AEJ Macro 5; Andrews and Lu (2001), J. Econometrics 101; Pesaran (2004).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from estimation.dynamic_panel.algebra import cluster_sums, weighted
from estimation.dynamic_panel.hypotheses import TestResult, chi2_test, normal_test, not_available
from estimation.dynamic_panel.results import GMMResults

# pairs of entities with fewer common periods give no usable correlation
MIN_COMMON_PERIODS = 3
# Hannan-Quinn constant of Andrews and Lu (2001): anything above 2 is consistent
HANNAN_QUINN = 2.1


def underidentification_test(results: GMMResults, *, kind: str = "lm") -> TestResult:
    """Return the Kleibergen-Paap rank test that the moments fail to identify one parameter.

    Parameters
    ----------
    kind : {"lm", "wald"}
        Scores with the null's residual, or with those of the first stage.

    Notes
    -----
    Theta = (Z'Z)^-1/2 Z'X (X'X)^-1/2 over all rows of the stacked model has rank k - 1 under the null. With u, v the left
    null space and the right singular vector of its smallest singular value, lambda = u'Theta v is tested with the cluster
    covariance of its scores; chi-squared with j - k + 1 degrees of freedom.
    """
    name, null = f"Kleibergen-Paap rk {kind.upper()}", "the moments identify at most k - 1 parameters"
    data = results.fit.prepared.data
    if kind not in ("lm", "wald"):
        return not_available(name, null, "chi2", f"kind must be 'lm' or 'wald', not {kind!r}")
    rows = weighted(data, np.ones_like(data.y))
    X, Z = data.X.reshape(-1, data.k), data.Z.reshape(-1, data.j)
    w = rows.reshape(-1, 1)
    try:
        Lz = scipy.linalg.cholesky(Z.T @ (w * Z), lower=True)
        Lx = scipy.linalg.cholesky(X.T @ (w * X), lower=True)
    except scipy.linalg.LinAlgError:
        return not_available(name, null, "chi2", "the instruments are collinear over the rows of the model")
    Theta = scipy.linalg.solve_triangular(Lx, scipy.linalg.solve_triangular(Lz, data.ZX, lower=True).T, lower=True).T
    U, _, Vt = np.linalg.svd(Theta, full_matrices=True)
    u, v = U[:, data.k - 1 :], Vt[-1]
    direction = scipy.linalg.solve_triangular(Lx, v, lower=True, trans="T")
    target = (X @ direction).reshape(data.y.shape)
    if kind == "wald":
        target = target - (Z @ scipy.linalg.solve_triangular(Lz, Theta @ v, lower=True, trans="T")).reshape(data.y.shape)
    scores = np.matmul(weighted(data, target)[:, None, :], data.Z)[:, 0, :]
    scores = cluster_sums(data, scores) @ scipy.linalg.solve_triangular(Lz, u, lower=True, trans="T")
    covariance = scores.T @ scores
    if len(scores) < covariance.shape[0] or np.linalg.matrix_rank(covariance, hermitian=True) < len(covariance):
        return not_available(name, null, "chi2", f"{len(scores)} clusters for {len(covariance)} scores")
    value = u.T @ (Theta @ v)
    return chi2_test(name, float(value @ np.linalg.solve(covariance, value)), data.j - data.k + 1, null)


@dataclass(frozen=True, slots=True)
class SelectionCriteria:
    """Andrews-Lu criteria: J less a bonus per overidentifying restriction; smaller is better.

    Attributes
    ----------
    aic, bic, hqic : float
    """

    aic: float
    bic: float
    hqic: float


def selection_criteria(results: GMMResults) -> SelectionCriteria:
    """Return the model and moment selection criteria, n being the number of groups (missing without Hansen's J)."""
    J = results.hansen.stat if results.hansen.applies else (0.0 if results.df == 0 else float("nan"))
    n = results.n_clusters
    return SelectionCriteria(
        J - 2.0 * results.df, J - np.log(n) * results.df, J - HANNAN_QUINN * np.log(np.log(n)) * results.df
    )


def cross_section_test(results: GMMResults) -> TestResult:
    """Return Pesaran's CD test of cross-sectional dependence in the level residuals.

    Notes
    -----
    CD = sqrt(2 / (N (N - 1))) sum over pairs of sqrt(T_ij) rho_ij, with rho_ij over the T_ij common periods of i and j and
    their own means over those periods, which takes the entity effect out. Pairs with fewer than three common periods are
    left out of the sum and of the count.
    """
    name, null = "Pesaran CD", "errors are independent across entities"
    design = results.fit.prepared.design
    present = design.inside & design.inside.any(axis=1, keepdims=True)
    e = np.where(present, design.y_level - design.X_level @ results.fit.params, 0.0)
    M = present.astype(float)
    common = M @ M.T
    sums = e @ M.T
    squares = (e**2) @ M.T
    with np.errstate(divide="ignore", invalid="ignore"):
        cross = e @ e.T - sums * sums.T / common
        spread = squares - sums**2 / common
        rho = cross / np.sqrt(spread * spread.T)
    pairs = np.triu(common >= MIN_COMMON_PERIODS, 1) & np.isfinite(rho)
    n_pairs = int(pairs.sum())
    if n_pairs == 0:
        return not_available(name, null, "normal", f"no two entities share {MIN_COMMON_PERIODS} periods")
    return normal_test(name, float((np.sqrt(common[pairs]) * rho[pairs]).sum() / np.sqrt(n_pairs)), null)
