"""Wooldridge's (2009) one-equation form: linear instrumental variables in a single step.

Output on free inputs, state and a polynomial in *lagged* state and proxy that stands for expected productivity; free
inputs are instrumented by their own lags. The two-equation form has no single answer (four programs print four capital
coefficients for the same plants); the one-equation form has one, and its standard errors need no bootstrap. With gross
output the proxy is an input, instrumented by its second lag because its first is in the polynomial.
"""

from __future__ import annotations

import numpy as np

from estimation.production.errors import TooSmallError
from estimation.production.firm_panel import NO_LAG, FirmPanel
from estimation.production.least_squares import fit_weighted, partial_out, polynomial_terms, require_identified
from estimation.production.options import ProductionOptions
from estimation.production.results import Estimate
from estimation.production.static import cluster_covariance, input_matrix, require_rows, year_effects


def fit_wooldridge(panel: FirmPanel, options: ProductionOptions, weights: np.ndarray | None = None) -> Estimate:
    """Estimate by two-stage least squares.

    Raises
    ------
    TooSmallError, SingularError
    """
    rows = panel.current
    if options.measure == "gross_output":
        rows = rows[panel.lag[panel.lag[rows]] != NO_LAG]
    require_rows(len(rows), options.min_pairs, "consecutive firm-years")
    lagged = panel.lag[rows]
    nuisance = np.column_stack(
        [
            polynomial_terms(np.column_stack([panel.state, panel.proxy])[lagged], options.degree),
            year_effects(panel, options)[rows],
        ]
    )
    inputs, names = input_matrix(panel, options)
    instruments = [panel.free[lagged], panel.state[rows]]
    if options.measure == "gross_output":
        instruments.append(panel.proxy[panel.lag[lagged]])
    frequency = None if weights is None else weights[rows]
    # the polynomial instruments itself: taking it out of everything leaves the coefficients as they are
    X = partial_out(nuisance, inputs[rows], frequency)
    Z = partial_out(nuisance, np.column_stack(instruments), frequency)
    y = partial_out(nuisance, panel.y[rows], frequency)
    X_hat = Z @ fit_weighted(Z, X, frequency)
    require_identified(X_hat, inputs[rows], names, frequency)
    params = fit_weighted(X_hat, y, frequency)
    if weights is not None:
        return Estimate(params=params, n_pairs=len(rows))
    resids = y - X @ params
    n_params = len(params) + nuisance.shape[1]
    if len(rows) <= n_params:
        raise TooSmallError(f"Expected more than {n_params} consecutive firm-years; found {len(rows)}.")
    bread = np.linalg.inv(X_hat.T @ X_hat)
    if options.cov_type == "homoskedastic":
        cov = bread * (resids @ resids) / (len(rows) - n_params)
    else:
        cov = cluster_covariance(bread, X_hat * resids[:, None], panel.entity[rows], n_params)
    return Estimate(params=params, cov=cov, criterion=float(resids @ resids), n_pairs=len(rows))
