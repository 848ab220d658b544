"""Two-stage estimation of the effects of regressors that do not change over time.

First differences lose a time-invariant regressor, and level moments that identify it together with the rest put all
of it at risk. Kripfganz and Schwarz (2019) separate the two: the first stage estimates what varies without it, the
second regresses the level residuals on it. The decision worth knowing: the second stage's errors include the first
stage's; the covariance here adds what every entity's influence on the first stage does to the second, entity by
entity, so it is right for any clustered first stage.

References: Kripfganz and Schwarz (2019), J. Applied Econometrics 34; Hausman and Taylor (1981), Econometrica 49.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from estimation.dynamic_panel.algebra import cluster_sums
from estimation.dynamic_panel.estimates import EstimateArrays, PanelEstimates, require_gmm
from estimation.dynamic_panel.hypotheses import TestResult, chi2_test, not_available
from estimation.dynamic_panel.panel import build_grid
from estimation.dynamic_panel.results import GMMResults
from estimation.dynamic_panel.spec import CONSTANT
from estimation.errors import CollinearityError, IdentificationError, SpecificationError


def two_stage(
    results: GMMResults,
    data: pd.DataFrame,
    invariant: str | Iterable[str],
    *,
    instruments: str | Iterable[str] = (),
) -> PanelEstimates:
    """Estimate the effects of time-invariant regressors on the level residuals of a first stage.

    Parameters
    ----------
    results : GMMResults
        First stage without the time-invariant regressors.
    data : DataFrame
        The data of the first stage, with the further columns.
    invariant : str or iterable of str
        Regressors constant within entities.
    instruments : str or iterable of str
        Excluded instruments, uncorrelated with the entity effect; entity means of time-varying variables are made here for
        names whose values vary. Without any, the regressors instrument themselves.

    Returns
    -------
    PanelEstimates
        The constant last; `details` has "uncorrected_std_errors" and, when overidentified, "hansen".

    Raises
    ------
    SpecificationError, CollinearityError, IdentificationError

    Notes
    -----
    gamma = (F'P_W F)^-1 F'P_W (y - X beta), rows weighted as the first stage counts them; influence of an entity
    A (W_i'v_i - W'X psi_i), A = (F'P_W F)^-1 F'W (W'W)^-1.
    """
    require_gmm(results, "two_stage")
    listed, extra = _listed(invariant), _listed(instruments)
    if not listed:
        raise SpecificationError("two_stage: expected at least one time-invariant regressor, found none.")
    if results.spec.weights is not None:
        raise SpecificationError("two_stage: expected a first stage without weights.")
    prepared = results.fit.prepared
    rows = prepared.design.level_rows
    values = _columns(results, data, (*listed, *extra))
    _refuse_varying(values, listed, rows)
    ones = np.ones_like(rows, dtype=float)
    F = np.stack([*(values[name] for name in listed), ones], axis=2)
    instruments_used = [*(values[name] for name in extra), *(() if extra else (values[name] for name in listed))]
    W = np.stack([*(_entity_mean(column, rows) for column in instruments_used), ones], axis=2)
    rows = rows & ~np.isnan(F).any(axis=2) & ~np.isnan(W).any(axis=2)
    return _second_stage(results, F, W, rows, listed)


def _second_stage(
    results: GMMResults, F: np.ndarray, W: np.ndarray, rows: np.ndarray, listed: tuple[str, ...]
) -> PanelEstimates:
    """Return the 2SLS estimate with corrected errors."""
    prepared = results.fit.prepared
    design = prepared.design
    names = (*listed, CONSTANT)
    keep = [n for n, name in enumerate(design.names) if name != CONSTANT]
    slopes, X = results.fit.params[keep], np.where(rows[:, :, None], np.nan_to_num(design.X_level[:, :, keep]), 0.0)
    residual = np.where(rows, np.nan_to_num(design.y_level) - X @ slopes, 0.0)
    F, W = np.where(rows[:, :, None], F, 0.0), np.where(rows[:, :, None], W, 0.0)
    if W.shape[2] < F.shape[2]:
        raise IdentificationError(
            f"two_stage: {W.shape[2] - 1} instruments for {F.shape[2] - 1} time-invariant regressors; give at least as many."
        )
    WW, WF = _products(W, W), _products(W, F)
    if np.linalg.matrix_rank(_scaled(WW)) < W.shape[2] or np.linalg.matrix_rank(np.linalg.solve(WW, WF)) < F.shape[2]:
        raise CollinearityError(
            f"two_stage: the regressors {', '.join(listed)} or their instruments are constant or combinations of others."
        )
    projected = np.linalg.solve(WW, WF)
    A = np.linalg.solve(WF.T @ projected, projected.T)
    gamma = A @ np.einsum("ntw,nt->w", W, residual)
    v = residual - np.where(rows, F @ gamma, 0.0)
    moments = np.einsum("ntw,nt->nw", W, v)
    first = results.influence[:, keep] @ _products(W, X).T
    psi, uncorrected = (moments - first) @ A.T, moments @ A.T
    data = prepared.data
    sums, plain = cluster_sums(data, psi), cluster_sums(data, uncorrected)
    details: dict[str, object] = {
        "uncorrected_std_errors": pd.Series(np.sqrt((plain**2).sum(axis=0)), index=list(names)),
        "hansen": _overidentification(W, F, residual, first, data, WF),
    }
    used = rows.any(axis=1)
    n_clusters = int(used.sum()) if data.clusters is None else len(np.unique(data.clusters[used]))
    return PanelEstimates(
        "Second stage, time-invariant regressors",
        results.spec.dependent,
        names,
        (),
        EstimateArrays(gamma, sums.T @ sums, psi),
        prepared.grid.entities,
        int(rows.sum()),
        int(used.sum()),
        n_clusters,
        results.spec.cluster or prepared.grid.entity,
        (),
        details,
    )


def _overidentification(
    W: np.ndarray, F: np.ndarray, residual: np.ndarray, first: np.ndarray, data: object, WF: np.ndarray
) -> TestResult:
    """Return the two-step J of the second stage, its weight corrected for the first stage."""
    name, null = "Hansen J, second stage", "the instruments of the second stage are valid"
    df = W.shape[2] - F.shape[2]
    if df < 1:
        return not_available(name, null, "chi2", "as many instruments as regressors")
    target = np.einsum("ntw,nt->w", W, residual)
    gamma = np.linalg.lstsq(WF, target, rcond=None)[0]
    for _ in range(2):
        moments = np.einsum("ntw,nt->nw", W, residual - F @ gamma) - first
        sums = cluster_sums(data, moments)  # type: ignore[arg-type]  # it reads three arrays only
        S = sums.T @ sums
        weighted = np.linalg.solve(S, WF)
        gamma = np.linalg.solve(WF.T @ weighted, weighted.T @ target)
    rest = target - WF @ gamma
    return chi2_test(name, float(rest @ np.linalg.solve(S, rest)), df, null)


def _products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.einsum("nta,ntb->ab", left, right)


def _scaled(gram: np.ndarray) -> np.ndarray:
    """Return a Gram matrix with unit diagonal, so that its rank does not depend on units."""
    scale = 1.0 / np.sqrt(np.clip(np.diagonal(gram), np.finfo(float).tiny, None))
    return gram * scale * scale[:, None]


def _columns(results: GMMResults, data: pd.DataFrame, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return variables on the calendar of the first stage, shape (N, T) each."""
    grid = results.fit.prepared.grid
    keyed = grid.entity in (*data.columns, *data.index.names)
    other = build_grid(
        data, names, entity=grid.entity if keyed else None, time=grid.time if keyed else None, time_step=grid.time_step
    )
    if not np.array_equal(other.entities, grid.entities) or not np.array_equal(other.times, grid.times):
        raise SpecificationError("two_stage: expected the data of the first stage, found other entities or periods.")
    return {name: other.series(name) for name in names}


def _entity_mean(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the mean over the rows of each entity on every period; a constant stays as it is."""
    present = rows & ~np.isnan(values)
    n = present.sum(axis=1)
    mean = np.where(n > 0, np.where(present, values, 0.0).sum(axis=1) / np.maximum(n, 1), np.nan)
    return np.broadcast_to(mean[:, None], values.shape)


def _refuse_varying(values: dict[str, np.ndarray], listed: tuple[str, ...], rows: np.ndarray) -> None:
    for name in listed:
        inside = np.where(rows & ~np.isnan(values[name]), values[name], np.nan)
        with np.errstate(invalid="ignore"):
            spread = np.nanmax(inside, axis=1, initial=-np.inf) - np.nanmin(inside, axis=1, initial=np.inf)
        varying = int((spread > 1e-9 * np.maximum(np.nanmax(np.abs(inside), initial=0.0), 1e-300)).sum())
        if varying:
            raise SpecificationError(
                f"two_stage: {name!r} varies within {varying} entities; it belongs into the first stage."
            )


def _listed(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
