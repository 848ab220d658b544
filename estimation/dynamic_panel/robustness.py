"""How much the answer depends on choices: the OLS and fixed-effects bracket, and a grid of lags, collapsing, transforms.

Pooled OLS overstates the autoregressive coefficient and the within estimator understates it (Nickell 1981), so a
consistent estimate should lie between them (Bond 2002).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from estimation.dynamic_panel.computing import spread
from estimation.dynamic_panel.diagnostics import selection_criteria
from estimation.dynamic_panel.engine import estimate
from estimation.dynamic_panel.hypotheses import DifferenceInHansen
from estimation.dynamic_panel.panel import PanelGrid
from estimation.dynamic_panel.postestimation import autoregressive_terms
from estimation.dynamic_panel.preparation import Prepared, counted_rows, prepare_grid
from estimation.dynamic_panel.results import GMMResults
from estimation.dynamic_panel.spec import CONSTANT, FitOptions, GMMStyle, PanelSpec, Steps, Transform
from estimation.dynamic_panel.specification_tests import LEVEL_MOMENTS
from estimation.errors import EstimationError, EstimationWarning, SpecificationError


@dataclass(frozen=True, slots=True)
class Bracket:
    """Estimates that should enclose a consistent one.

    Attributes
    ----------
    term : str
        The autoregressive coefficient, "L.y".
    fixed_effects, gmm, pooled : float
        Within, GMM and pooled OLS estimates.
    fixed_effects_error, gmm_error, pooled_error : float
        Standard errors, clustered on the entity.
    inside : bool
        Whether the GMM estimate lies between the other two.
    """

    term: str
    fixed_effects: float
    gmm: float
    pooled: float
    fixed_effects_error: float
    gmm_error: float
    pooled_error: float
    inside: bool


def ols_bracket(results: GMMResults) -> Bracket:
    """Return the pooled-OLS and fixed-effects estimates of the first autoregressive coefficient beside GMM's."""
    terms = autoregressive_terms(results)
    if not terms:
        raise SpecificationError(f"bracket: the model has no lag of {results.spec.dependent!r}.")
    prepared = results.fit.prepared
    design = prepared.design
    rows = design.level_rows if prepared.spec.system else design.inside
    y = np.where(rows, design.y_level, 0.0)
    X = np.where(rows[:, :, None], design.X_level, 0.0)
    names = list(design.names)
    if CONSTANT not in names:
        X, names = np.concatenate([X, rows[:, :, None].astype(float)], axis=2), [*names, CONSTANT]
    pooled = _least_squares(y, X, names, terms[0])
    n = np.maximum(rows.sum(axis=1), 1)
    y_within = np.where(rows, y - (y.sum(axis=1) / n)[:, None], 0.0)
    X_within = np.where(rows[:, :, None], X - (X.sum(axis=1) / n[:, None])[:, None, :], 0.0)
    within = _least_squares(y_within, X_within, names, terms[0])
    gmm = float(results.params[terms[0]])
    inside = min(within[0], pooled[0]) <= gmm <= max(within[0], pooled[0])
    return Bracket(
        terms[0], within[0], gmm, pooled[0], within[1], float(results.std_errors[terms[0]]), pooled[1], inside
    )


def _least_squares(y: np.ndarray, X: np.ndarray, names: list[str], term: str) -> tuple[float, float]:
    """Return one coefficient of least squares and its entity-clustered error; collinear columns share the minimum norm."""
    flat = X.reshape(-1, X.shape[2])
    norms = np.linalg.norm(flat, axis=0)
    used = norms > 1e-10 * norms.max()
    X, flat = X[:, :, used], flat[:, used]
    kept = [name for name, keep in zip(names, used, strict=True) if keep]
    inverse = np.linalg.pinv(flat.T @ flat, hermitian=True)
    beta = inverse @ (flat.T @ y.ravel())
    scores = np.einsum("ntk,nt->nk", X, y - X @ beta)
    cov = inverse @ (scores.T @ scores) @ inverse
    position = kept.index(term)
    return float(beta[position]), float(np.sqrt(cov[position, position]))


def sensitivity_grid(
    results: GMMResults,
    terms: Sequence[str] | None = None,
    *,
    n_lags: Sequence[int | None] = (1, 2, 3, None),
    collapse: Sequence[bool] = (True, False),
    transforms: Sequence[Transform] | None = None,
    steps: Sequence[Steps] | None = None,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Estimate again over instrument choices, one row each.

    Parameters
    ----------
    results : GMMResults
    terms : sequence of str, optional
        Parameters to show; by default the autoregressive ones.
    n_lags : sequence of int or None
        Number of lags kept in every GMM-style group from its first one on, None for all.
    collapse : sequence of bool
    transforms, steps : sequences, optional
        By default those of the fit.
    n_jobs : int
        Number of processes, -1 for one per core.

    Returns
    -------
    DataFrame
        The choices, n_instruments, n_groups, estimates and standard errors, Hansen, AR(2), level difference-in-Hansen
        p-values, BIC; a choice that cannot be estimated has the reason in `problem`.
    """
    spec, options = results.spec, results.options
    shown = list(terms) if terms is not None else list(autoregressive_terms(results))
    points, choices = [], []
    for transform in transforms or (spec.transform,):
        for step in steps or (options.steps,):
            # classical errors exist after one step only; the default covariance of the step otherwise
            kind = options.cov_type if step == options.steps else None
            for collapsed in collapse:
                for depth in n_lags:
                    changed = replace(_with_lags(spec, depth, collapsed), transform=transform)
                    points.append((changed, replace(options, steps=step, cov_type=kind)))
                    choices.append({"transform": transform, "steps": step, "collapse": collapsed, "n_lags": depth})
    # one specification is prepared once for all its steps
    by_spec: dict[PanelSpec, list[int]] = {}
    for position, (changed, _) in enumerate(points):
        by_spec.setdefault(changed, []).append(position)
    work = [(changed, [points[position][1] for position in positions]) for changed, positions in by_spec.items()]
    found = spread(_rows_of_spec, (results.fit.prepared.grid, shown), work, n_jobs=n_jobs, what="sensitivity grid")
    rows: list[dict[str, object]] = [{} for _ in points]
    for positions, made in zip(by_spec.values(), found, strict=True):
        for position, row in zip(positions, made, strict=True):
            rows[position] = choices[position] | row
    return pd.DataFrame(rows).astype({"n_lags": "Int64"})


def _with_lags(spec: PanelSpec, depth: int | None, collapse: bool) -> PanelSpec:
    """Return the specification with every GMM-style group changed."""
    groups = []
    for group in spec.instruments:
        if isinstance(group, GMMStyle):
            last = None if depth is None else group.lags[0] + depth - 1
            group = replace(group, lags=(group.lags[0], last), collapse=collapse)
        groups.append(group)
    return replace(spec, instruments=tuple(groups))


def _rows_of_spec(
    shared: tuple[PanelGrid, list[str]], work: tuple[PanelSpec, list[FitOptions]]
) -> list[dict[str, object]]:
    """Return the rows of one specification, one for each way to estimate it."""
    (grid, shown), (spec, ways) = shared, work
    try:
        prepared = prepare_grid(grid, spec)
    except EstimationError as error:
        return [{"problem": f"{type(error).__name__}: {error}"} for _ in ways]
    return [_row(prepared, options, shown) for options in ways]


def _row(prepared: Prepared, options: FitOptions, shown: list[str]) -> dict[str, object]:
    """Return one row of the grid."""
    row: dict[str, object] = {"problem": ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EstimationWarning)
            fitted = GMMResults(estimate(prepared, options))
    except EstimationError as error:
        return {"problem": f"{type(error).__name__}: {error}"}
    row |= {"n_instruments": fitted.n_instruments, "n_groups": fitted.n_groups}
    for name in shown:
        row[name] = float(fitted.params[name])
        row[f"se({name})"] = float(fitted.std_errors[name])
    level = next((test for test in fitted.diff_in_hansen if test.group == LEVEL_MOMENTS), None)
    row |= {"hansen_p": fitted.hansen.pvalue, "ar2_p": fitted.ar_test(2).pvalue, "level_p": _pvalue(level)}
    row["bic"] = selection_criteria(fitted).bic
    return row


def _pvalue(test: DifferenceInHansen | None) -> float:
    return float("nan") if test is None else test.difference.pvalue


def observations_by_stage(results: GMMResults) -> pd.Series:
    """Return how many rows there are stored, complete, in the level and in the transformed equation, and counted."""
    prepared = results.fit.prepared
    design = prepared.design
    return pd.Series(
        {
            "stored": int(prepared.grid.stored.sum()),
            "complete": int(design.complete.sum()),
            "level": int(design.level_rows.sum()) if prepared.spec.system else 0,
            "transformed": int(design.transformed_rows.sum()),
            "counted": int(counted_rows(prepared.spec, design).sum()),
        },
        name="rows",
    )
