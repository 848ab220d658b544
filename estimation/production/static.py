"""Ordinary least squares and fixed effects: the two biased bounds every other estimate is read against.

Ordinary least squares overstates the coefficients of inputs that react to productivity; fixed effects understate
those that are measured with error or move slowly (Griliches and Mairesse 1998).
"""

from __future__ import annotations

import numpy as np

from estimation.production.errors import TooSmallError
from estimation.production.firm_panel import FirmPanel
from estimation.production.least_squares import fit_weighted, partial_out, require_identified, time_dummies
from estimation.production.options import ProductionOptions
from estimation.production.results import Estimate


def input_matrix(panel: FirmPanel, options: ProductionOptions) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the inputs that carry a coefficient, shape (n, n_inputs), with their names.

    Free inputs, state inputs, and with gross output the proxy (intermediate inputs).
    """
    if options.measure == "gross_output":
        names = panel.names["free"] + panel.names["state"] + panel.names["proxy"]
        return np.column_stack([panel.free, panel.state, panel.proxy]), names
    return np.column_stack([panel.free, panel.state]), panel.names["free"] + panel.names["state"]


def year_effects(panel: FirmPanel, options: ProductionOptions) -> np.ndarray:
    """Return year dummies when asked for, else a matrix without columns."""
    return time_dummies(panel.time) if options.time_effects == "dummies" else np.empty((panel.n_obs, 0))


def fit_ols(panel: FirmPanel, options: ProductionOptions, weights: np.ndarray | None = None) -> Estimate:
    """Regress output on inputs with an intercept.

    Raises
    ------
    TooSmallError, SingularError
    """
    require_rows(panel.n_obs, options.min_pairs, "firm-years")
    X, names = input_matrix(panel, options)
    nuisance = np.column_stack([np.ones(panel.n_obs), year_effects(panel, options)])
    return _regress(X, nuisance, panel.y, panel, names, options, weights, n_absorbed=nuisance.shape[1])


def fit_fixed_effects(panel: FirmPanel, options: ProductionOptions, weights: np.ndarray | None = None) -> Estimate:
    """Regress output on inputs after the firm means are taken out.

    Raises
    ------
    TooSmallError, SingularError
    """
    require_rows(panel.n_obs, options.min_pairs, "firm-years")
    X, names = input_matrix(panel, options)
    nuisance = _less_firm_mean(year_effects(panel, options), panel)
    n_absorbed = panel.n_entities + nuisance.shape[1]
    y = _less_firm_mean(panel.y[:, None], panel)[:, 0]
    own = _less_firm_mean(X, panel)
    return _regress(own, nuisance, y, panel, names, options, weights, n_absorbed=n_absorbed, scale=X)


def require_rows(found: int, expected: int, what: str) -> None:
    """Refuse an industry that is too small.

    Raises
    ------
    TooSmallError
    """
    if found < expected:
        raise TooSmallError(
            f"Expected at least {expected} {what}; found {found}. "
            "Merge the industry with a neighbour or lower min_pairs."
        )


def cluster_covariance(bread: np.ndarray, scores: np.ndarray, entity: np.ndarray, n_params: int) -> np.ndarray:
    """Return the covariance clustered by firm with the usual small-sample factor.

    Parameters
    ----------
    bread : ndarray, shape (k, k)
        Inverse of the (projected) cross product.
    scores : ndarray, shape (n, k)
        Regressor times residual per row.
    entity : ndarray, shape (n,)
    n_params : int
        All estimated coefficients, for the factor (G / (G - 1)) ((n - 1) / (n - n_params)).
    """
    groups, codes = np.unique(entity, return_inverse=True)
    sums = np.column_stack([np.bincount(codes, weights=column) for column in scores.T])
    n, n_groups = len(scores), len(groups)
    factor = n_groups / (n_groups - 1) * (n - 1) / (n - n_params)
    return factor * bread @ (sums.T @ sums) @ bread


def _regress(
    X: np.ndarray,
    nuisance: np.ndarray,
    y: np.ndarray,
    panel: FirmPanel,
    names: tuple[str, ...],
    options: ProductionOptions,
    weights: np.ndarray | None,
    *,
    n_absorbed: int,
    scale: np.ndarray | None = None,
) -> Estimate:
    own = partial_out(nuisance, X, weights)
    require_identified(own, X if scale is None else scale, names, weights)
    outcome = partial_out(nuisance, y, weights)
    params = fit_weighted(own, outcome, weights)
    if weights is not None:
        return Estimate(params=params, n_pairs=panel.n_obs)
    resids = outcome - own @ params
    bread = np.linalg.inv(own.T @ own)
    n_params = len(params) + n_absorbed
    if panel.n_obs <= n_params:
        raise TooSmallError(f"Expected more than {n_params} firm-years for as many coefficients; found {panel.n_obs}.")
    if options.cov_type == "homoskedastic":
        cov = bread * (resids @ resids) / (panel.n_obs - n_params)
    else:
        # firm means are nested in the clusters: they do not count against the degrees of freedom
        counted = n_params - (panel.n_entities if scale is not None else 0)
        cov = cluster_covariance(bread, own * resids[:, None], panel.entity, counted)
    return Estimate(params=params, cov=cov, criterion=float(resids @ resids), n_pairs=panel.n_obs)


def _less_firm_mean(values: np.ndarray, panel: FirmPanel) -> np.ndarray:
    counts = np.bincount(panel.entity)
    means = [np.bincount(panel.entity, weights=column) / counts for column in values.T]
    return values - np.column_stack([mean[panel.entity] for mean in means]) if means else values
