"""Olley-Pakes and Levinsohn-Petrin: two steps with an observed proxy for productivity.

Step one regresses output on free inputs and a polynomial in state and proxy; the proxy (investment in Olley and Pakes
1996, intermediate inputs in Levinsohn and Petrin 2003) is a function of state and productivity, so the polynomial takes
up everything that labour could pick up by mistake. Step two finds the state coefficients: productivity follows a
first-order process, and its innovation is unrelated to the state. For value added the criterion is the sum of squared
y - b l - k - g(lagged productivity), measurement error included, as the original papers and most programs have it. For
gross output the proxy has a coefficient too, is not predetermined, and the moments E[(innovation + error) (state,
lagged proxy)] = 0 are solved for a root.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from estimation.production.firm_panel import FirmPanel
from estimation.production.least_squares import fit_identified, fit_weighted, partial_out, polynomial_terms
from estimation.production.markov import MarkovProcess, build_markov
from estimation.production.options import ProductionOptions
from estimation.production.results import Estimate
from estimation.production.roots import describe_search, find_roots, random_starts
from estimation.production.static import require_rows, year_effects
from estimation.production.survival import exit_probability

# where a coefficient is looked for first; widened when the minimum lies on its edge
STATE_GRID = (-0.5, 1.5, 41)
WIDE_STATE_GRID = (-4.0, 5.0, 91)
STATE_TOLERANCE = 1e-10
# above this, labour is almost a function of state and proxy and its coefficient rests on little (Ackerberg, Caves and
# Frazer 2015); the share is of the variance of the free input
FUNCTIONAL_DEPENDENCE = 0.99


def fit_two_step(
    panel: FirmPanel,
    options: ProductionOptions,
    weights: np.ndarray | None = None,
    *,
    start: np.ndarray | None = None,
    proxy_is_input: bool = False,
) -> Estimate:
    """Estimate by the two steps of Olley and Pakes or Levinsohn and Petrin.

    Parameters
    ----------
    panel : FirmPanel
    options : ProductionOptions
    weights : ndarray, shape (n,), optional
        Frequency weights.
    start : ndarray, optional
        Earlier estimate; the search then stays near it (bootstrap).
    proxy_is_input : bool
        Gross output with intermediate inputs as proxy.

    Raises
    ------
    TooSmallError, SingularError, OptionError
    """
    require_rows(len(panel.current), options.min_pairs, "consecutive firm-years")
    terms = polynomial_terms(np.column_stack([panel.state, panel.proxy]), options.degree)
    chance = None if options.exit == "none" else exit_probability(panel, terms, options, weights)
    nuisance = np.column_stack([terms, year_effects(panel, options)])
    free = fit_identified(panel.free, nuisance, panel.y, panel.names["free"], weights)
    net = panel.y - panel.free @ free
    planned = nuisance @ fit_weighted(nuisance, net, weights)
    markov = build_markov(panel, options, chance, weights)
    notes = _dependence_notes(panel, nuisance, weights)
    if proxy_is_input:
        found = _solve_state_and_proxy(panel, net, planned, markov, options, weights, start)
    else:
        found = _minimise_state(panel, net, planned, markov, None if start is None else start[panel.free.shape[1] :])
    return Estimate(
        params=np.concatenate([free, found.params]),
        planned=planned + panel.free @ free,
        criterion=found.criterion,
        is_converged=found.is_converged,
        n_pairs=len(panel.current),
        roots=found.roots,
        notes=notes + found.notes,
    )


def _minimise_state(
    panel: FirmPanel, net: np.ndarray, planned: np.ndarray, markov: MarkovProcess, start: np.ndarray | None
) -> Estimate:
    """Minimise the sum of squares over the state coefficients."""
    current, lagged = panel.current, panel.lagged
    state, state_lag = panel.state[current], panel.state[lagged]
    planned_now, planned_lag, net_now = planned[current], planned[lagged], net[current]

    def sum_of_squares(params: np.ndarray) -> float:
        omega = planned_now - state @ params
        resids = net_now - state @ params - markov.expected(omega, planned_lag - state_lag @ params)
        if markov.root_weights is not None:
            resids = resids * markov.root_weights
        return float(resids @ resids)

    if panel.state.shape[1] > 1:
        return _minimise_many(sum_of_squares, panel.state.shape[1], start)
    return _minimise_one(sum_of_squares, start)


def _minimise_one(sum_of_squares: Callable[[np.ndarray], Any], start: np.ndarray | None) -> Estimate:
    """One state variable: a grid finds the lowest valley, bounded search its bottom."""
    grids = (STATE_GRID, WIDE_STATE_GRID) if start is None else ((start[0] - 0.5, start[0] + 0.5, 21), WIDE_STATE_GRID)
    for low, high, n_points in grids:
        points = np.linspace(low, high, n_points)
        best = int(np.argmin([sum_of_squares(np.array([point])) for point in points]))
        if 0 < best < n_points - 1:
            found = minimize_scalar(
                lambda value: sum_of_squares(np.array([value])),
                bounds=(points[best - 1], points[best + 1]),
                method="bounded",
                options={"xatol": STATE_TOLERANCE},
            )
            return Estimate(params=np.array([found.x]), criterion=float(found.fun), is_converged=bool(found.success))
    note = f"no minimum of the second step between {low:g} and {high:g}: the criterion falls towards {points[best]:g}"
    return Estimate(
        params=points[[best]], criterion=sum_of_squares(points[[best]]), is_converged=False, notes=(note,)
    )


def _minimise_many(sum_of_squares: Callable[[np.ndarray], Any], n_state: int, start: np.ndarray | None) -> Estimate:
    """Several state variables: simplex searches from a coarse grid, the lowest end point wins."""
    corners = [np.array(point) for point in itertools.product((0.1, 0.5), repeat=n_state)]
    ends = [
        minimize(
            sum_of_squares,
            corner,
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-10, "maxiter": 4000, "maxfev": 4000},
        )
        for corner in (corners if start is None else [start])
    ]
    best = min(ends, key=lambda end: end.fun)
    return Estimate(params=best.x, criterion=float(best.fun), is_converged=bool(best.success))


def _solve_state_and_proxy(
    panel: FirmPanel,
    net: np.ndarray,
    planned: np.ndarray,
    markov: MarkovProcess,
    options: ProductionOptions,
    weights: np.ndarray | None,
    start: np.ndarray | None,
) -> Estimate:
    """Solve E[(innovation + error) (state, lagged proxy)] = 0 for the coefficients of state and proxy."""
    current, lagged = panel.current, panel.lagged
    inputs = np.column_stack([panel.state, panel.proxy])
    Z = np.column_stack([panel.state[current], panel.proxy[lagged]])
    frequency = np.ones(len(current)) if weights is None else weights[current]
    Z = Z * (frequency / frequency.sum())[:, None]

    def moments(params: np.ndarray) -> np.ndarray:
        omega = planned - inputs @ params
        expected = markov.expected(omega[current], omega[lagged])
        return Z.T @ (net[current] - inputs[current] @ params - expected)

    n_params = inputs.shape[1]
    starts = [np.full(n_params, 0.5), *random_starts(options.n_starts, n_params, options.seed)]
    if start is not None:
        starts = [start[-n_params:]]
    roots, best, criterion = find_roots(moments, starts, options.root_tolerance)
    return Estimate(
        params=np.array(roots[0].params) if roots else best,
        criterion=roots[0].criterion if roots else criterion,
        is_converged=bool(roots),
        roots=roots,
        notes=describe_search(roots, len(starts), best, criterion),
    )


def _dependence_notes(panel: FirmPanel, nuisance: np.ndarray, weights: np.ndarray | None) -> tuple[str, ...]:
    if weights is not None:
        return ()
    own = partial_out(nuisance, panel.free)
    share = 1.0 - own.var(axis=0) / panel.free.var(axis=0)
    return tuple(
        f"{name}: {part:.1%} of its variance is a function of state and proxy; its coefficient rests on the rest "
        "(Ackerberg, Caves and Frazer 2015)"
        for name, part in zip(panel.names["free"], share, strict=True)
        if part > FUNCTIONAL_DEPENDENCE
    )
