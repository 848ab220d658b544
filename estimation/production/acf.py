"""Ackerberg-Caves-Frazer: all input coefficients in the second step, proved to be a root.

Step one only takes measurement error out of output. Step two solves E[innovation x (lagged free inputs, state)] = 0;
there are as many moments as parameters, so an estimate is a root or it is none (roots.py). With gross output the proxy
enters with its own lag as instrument; without price variation this coefficient is weakly identified at best (Gandhi,
Navarro and Rivers 2020), and the result says so.
"""

from __future__ import annotations

import numpy as np

from estimation.production.firm_panel import FirmPanel
from estimation.production.least_squares import fit_weighted, partial_out, polynomial_terms, require_identified
from estimation.production.markov import build_markov
from estimation.production.options import ProductionOptions
from estimation.production.results import Estimate
from estimation.production.roots import describe_search, find_roots, random_starts
from estimation.production.static import input_matrix, require_rows, year_effects
from estimation.production.survival import exit_probability

GROSS_OUTPUT_NOTE = (
    "gross output: the coefficient of the flexible input is weakly identified by its own lag "
    "(Gandhi, Navarro and Rivers 2020); prefer value added"
)


def fit_acf(
    panel: FirmPanel,
    options: ProductionOptions,
    weights: np.ndarray | None = None,
    *,
    start: np.ndarray | None = None,
) -> Estimate:
    """Estimate by Ackerberg, Caves and Frazer (2015).

    Parameters
    ----------
    panel : FirmPanel
    options : ProductionOptions
        ``n_starts`` and ``root_tolerance`` govern the search.
    weights : ndarray, shape (n,), optional
        Frequency weights.
    start : ndarray, optional
        Earlier estimate; the search then starts there alone (bootstrap).

    Returns
    -------
    Estimate
        ``is_converged`` is False when no starting point reached a root.

    Raises
    ------
    TooSmallError, SingularError, OptionError
    """
    require_rows(len(panel.current), options.min_pairs, "consecutive firm-years")
    X, names = input_matrix(panel, options)
    own = partial_out(np.ones((panel.n_obs, 1)), X, weights)
    require_identified(own, X, names, weights)
    everything = np.column_stack([panel.free, panel.state, panel.proxy])
    terms = np.column_stack([polynomial_terms(everything, options.degree), year_effects(panel, options)])
    planned = terms @ fit_weighted(terms, panel.y, weights)
    chance = None
    if options.exit != "none":
        exit_terms = polynomial_terms(np.column_stack([panel.state, panel.proxy]), options.degree)
        chance = exit_probability(panel, exit_terms, options, weights)
    markov = build_markov(panel, options, chance, weights)
    current, lagged = panel.current, panel.lagged
    instruments = [panel.free[lagged], panel.state[current]]
    if options.measure == "gross_output":
        instruments.append(panel.proxy[lagged])
    frequency = np.ones(len(current)) if weights is None else weights[current]
    Z = np.column_stack(instruments) * (frequency / frequency.sum())[:, None]

    def moments(params: np.ndarray) -> np.ndarray:
        omega = planned - X @ params
        return Z.T @ (omega[current] - markov.expected(omega[current], omega[lagged]))

    starts = [start] if start is not None else _starts(panel, X, options)
    roots, best, criterion = find_roots(moments, starts, options.root_tolerance)
    notes = describe_search(roots, len(starts), best, criterion)
    if options.measure == "gross_output":
        notes = (*notes, GROSS_OUTPUT_NOTE)
    return Estimate(
        params=np.array(roots[0].params) if roots else best,
        planned=planned,
        criterion=roots[0].criterion if roots else criterion,
        is_converged=bool(roots),
        n_pairs=len(current),
        roots=roots,
        notes=notes,
    )


def _starts(panel: FirmPanel, X: np.ndarray, options: ProductionOptions) -> list[np.ndarray]:
    """Least squares, one half each, and random points."""
    n_params = X.shape[1]
    ols = fit_weighted(np.column_stack([np.ones(panel.n_obs), X]), panel.y)[1:]
    return [ols, np.full(n_params, 0.5), *random_starts(options.n_starts, n_params, options.seed)]
