"""One fit from specification and data to numbers: assembles the arrays, estimates, tests.

This is the only place that knows the order of things: design, instruments, redundant moments out, steps, covariance,
tests. It returns a `Fit` of plain arrays; results.py gives it names and a face.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from estimation import algebra
from estimation.algebra import Stacked, Step
from estimation.design import Design, build_design
from estimation.errors import (
    DroppedRegressorWarning,
    HansenPValueWarning,
    IdentificationError,
    InstrumentCountWarning,
    SingularWeightWarning,
)
from estimation.hypotheses import (
    HANSEN_NULL,
    DifferencedResiduals,
    DifferenceInHansen,
    TestResult,
    ar_test,
    chi2_test,
    difference_in_hansen,
    homoskedastic_ar_test,
    not_available,
    weighted_sum_of_squares,
)
from estimation.instruments import Instruments, build_instruments, keep_columns
from estimation.linear import independent_moments, weight_from
from estimation.panel import PanelGrid, build_grid
from estimation.spec import FitOptions, GMMStyle, PanelSpec
from estimation.transforms import first_difference, h_root, transform_matrix

# Hansen's p above this is taken as a sign of too many instruments (Roodman 2009, sec. 5, warns from .25 on and calls
# values near 1 a red flag; above .95 a valid model would be found once in twenty)
SUSPICIOUS_HANSEN_P = 0.95
# instruments per group from which a warning is given: one half (docs/methodology, "How many instruments")
CROWDED_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Prepared:
    """Arrays of a model before any step.

    Attributes
    ----------
    grid, spec, design, instruments
    data : Stacked
    S1 : ndarray, shape (j, j)
        sum_i Z_i'H Z_i.
    """

    grid: PanelGrid
    spec: PanelSpec
    design: Design
    instruments: Instruments
    data: Stacked
    S1: np.ndarray


@dataclass(frozen=True, slots=True)
class Fit:
    """Numbers of one fit.

    Attributes
    ----------
    prepared : Prepared
    options : FitOptions
    params : ndarray, shape (k,)
    cov : ndarray, shape (k, k)
    reported : Step
        The step whose estimates are reported.
    one_step, two_step : Step
    sigma2 : float
        Of the reported residuals; `sigma2_one_step` scales Sargan's test.
    nobs, n_groups, n_clusters, n_transformed : int
    n_iterations : int
    hansen, sargan : TestResult
    differences : tuple of DifferenceInHansen
    notes : tuple of str
    """

    prepared: Prepared
    options: FitOptions
    params: np.ndarray
    cov: np.ndarray
    reported: Step
    one_step: Step
    two_step: Step
    sigma2: float
    sigma2_one_step: float
    nobs: int
    n_groups: int
    n_clusters: int
    n_transformed: int
    n_iterations: int
    hansen: TestResult
    sargan: TestResult
    differences: tuple[DifferenceInHansen, ...]
    notes: tuple[str, ...]


def prepare(
    data: pd.DataFrame, spec: PanelSpec, *, entity: str | None = None, time: str | None = None, time_step: int = 1
) -> Prepared:
    """Build the arrays of a model.

    Raises
    ------
    EstimationError
        One of its kinds for each fault of the data or the specification.
    """
    terms = [spec.dependent, *spec.regressors, *(name for group in spec.instruments for name in group.variables)]
    if spec.weights is not None:
        terms.append(spec.weights)
    grid = build_grid(
        data,
        terms,
        entity=entity,
        time=time,
        time_step=time_step,
        groups=() if spec.cluster is None else (spec.cluster,),
    )
    return prepare_grid(grid, spec)


def prepare_grid(grid: PanelGrid, spec: PanelSpec) -> Prepared:
    """Build the arrays of a model from a panel that is already on its calendar."""
    dummies = _period_dummies(grid, spec)
    design = build_design(grid, spec, dummies)
    instruments = build_instruments(grid, spec, design, dummies)
    if instruments.Z.shape[2] < len(design.names):
        raise IdentificationError(_too_few(instruments, design))
    data = _stack(grid, spec, design, instruments)
    S1 = algebra.one_step_covariance(data)
    kept = independent_moments(S1)
    if len(kept) < data.j:
        instruments = keep_columns(instruments, kept, "redundant given the moments before it")
        if len(kept) < len(design.names):
            raise IdentificationError(_too_few(instruments, design))
        data = _stack(grid, spec, design, instruments)
        S1 = S1[np.ix_(kept, kept)]
    return Prepared(grid, spec, design, instruments, data, S1)


def _period_dummies(grid: PanelGrid, spec: PanelSpec) -> dict[str, np.ndarray]:
    """Return one dummy per period in which the level model exists, but the first."""
    if spec.time_effects is None:
        return {}
    present = grid.stored & ~np.isnan(grid.series(spec.dependent))
    for name in spec.regressors:
        present &= ~np.isnan(grid.series(name))
    periods = np.flatnonzero(present.any(axis=0))[1:]
    columns = np.arange(len(grid.times))
    return {
        f"{grid.time}={grid.times[t]}": np.where(grid.stored, (columns == t).astype(float), np.nan) for t in periods
    }


def _too_few(instruments: Instruments, design: Design) -> str:
    """Say how many moments there are for how many parameters."""
    used = [m for m in instruments.moments if m.kept]
    lost = [m for m in instruments.moments if not m.kept]
    return (
        f"Expected at least as many moments as parameters, found {len(used)} moments for {len(design.names)} "
        f"parameters ({', '.join(design.names[:8])}); {len(lost)} further moments are zero or redundant. Add "
        "instruments or lags, or take regressors out."
    )


def _stack(grid: PanelGrid, spec: PanelSpec, design: Design, instruments: Instruments) -> Stacked:
    """Collect the arrays of a fit."""
    n_periods = len(grid.times)
    C = h_root(n_periods, spec.transform, spec.h, spec.system)
    where = np.concatenate([design.transformed_at, n_periods + design.level_at])
    C = C[where]
    row_weights, frequency = _row_weights(spec, design)
    clusters = None
    if spec.cluster is not None:
        _, clusters = np.unique(grid.codes[spec.cluster], return_inverse=True)
    return algebra.stack(
        design.y,
        design.X,
        instruments.Z,
        C[:, np.any(C != 0, axis=0)],
        row_weights=row_weights,
        clusters=clusters,
        frequency=frequency,
    )


def _row_weights(spec: PanelSpec, design: Design) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return weights by row, probability weights with mean one over the counted rows, and frequencies by entity."""
    if design.weights is None:
        return None, None
    filled = np.nan_to_num(design.weights)
    by_row = np.where(design.rows, np.hstack([filled[:, design.transformed_at], filled[:, design.level_at]]), 0.0)
    if spec.weight_kind == "frequency":
        return by_row, by_row.max(axis=1)
    counted = _counted_rows(spec, design)
    return by_row * counted.sum() / filled[counted].sum(), None


def _counted_rows(spec: PanelSpec, design: Design) -> np.ndarray:
    """Return the rows that N counts: level rows in a system, else transformed rows, shape (N, T)."""
    return design.level_rows if spec.system else design.transformed_rows


def estimate(prepared: Prepared, options: FitOptions) -> Fit:
    """Estimate and test."""
    data = prepared.data
    weight_1 = weight_from(prepared.S1, options.inverse)
    one_step = algebra.take_step(data, weight_1)
    if one_step is None:
        raise IdentificationError(
            f"The {data.j} moments do not identify the {data.k} parameters ({', '.join(prepared.design.names[:8])}): "
            "Z'X has not full column rank. Add instruments that move with each regressor."
        )
    sizes = _sizes(prepared)
    sigma2_1 = _sigma2(prepared, one_step.e, sizes["wttot"])
    S = algebra.moment_covariance(data, one_step.e)
    weight_2 = weight_from(S, options.inverse)
    two_step = algebra.take_step(data, weight_2)
    if two_step is None:
        raise IdentificationError(
            f"The two-step weight has rank {weight_2.rank} for {data.k} parameters: too few of the {data.j} moments "
            f"are distinct over {sizes['n_clusters']} clusters."
        )
    reported, n_iterations, V, weight_final = _reported(prepared, options, one_step, two_step, S, sigma2_1)
    if options.small:
        n, k = sizes["nobs"], data.k
        classical = options.steps == 1 and options.covariance == "unadjusted"
        clusters = sizes["n_clusters"]
        V = V * (sizes["wttot"] / (sizes["wttot"] - k) if classical else (n - 1) / (n - k) * clusters / (clusters - 1))
    df = data.j - data.k
    final = two_step if options.steps == 1 else reported
    hansen = chi2_test("Hansen J", final.criterion, df, HANSEN_NULL)
    sargan = chi2_test("Sargan", one_step.criterion / sigma2_1, df, "all moments are valid and errors are i.i.d.")
    notes = _notes(prepared, sizes, weight_final.rank, hansen)
    differences = _differences(
        prepared, S if options.steps in (1, 2) else algebra.moment_covariance(data, final.e), hansen, options
    )
    return Fit(
        prepared,
        options,
        reported.fit.beta,
        V,
        reported,
        one_step,
        two_step,
        _sigma2(prepared, reported.e, sizes["wttot"]),
        sigma2_1,
        sizes["nobs"],
        sizes["n_groups"],
        sizes["n_clusters"],
        sizes["n_transformed"],
        n_iterations,
        hansen,
        sargan,
        differences,
        notes,
    )


def _reported(
    prepared: Prepared, options: FitOptions, one_step: Step, two_step: Step, S: np.ndarray, sigma2: float
) -> tuple[Step, int, np.ndarray, algebra.Weight]:
    """Return the reported step, its number of iterations, its covariance and the last robust weight."""
    data, kind = prepared.data, options.covariance
    if options.steps == 1:
        if kind == "unadjusted":
            V = sigma2 * one_step.fit.bread
        elif kind == "robust":
            V = algebra.robust_covariance(one_step.fit, S)
        else:
            psi = algebra.influence_one_step(data, one_step)
            V = psi.T @ psi
        return one_step, 1, V, two_step.weight
    if options.steps == 2:
        return two_step, 2, _two_step_covariance(data, kind, one_step, two_step, S), two_step.weight
    search = algebra.iterate if options.steps == "iterated" else algebra.continuously_update
    point = search(
        data, two_step, inverse=options.inverse, max_iterations=options.max_iterations, tolerance=options.tolerance
    )
    step = point.step
    if kind == "unadjusted":
        V = step.fit.bread
    elif kind == "doubly_corrected" and options.steps == "iterated":
        psi = algebra.influence_two_step(data, step, step.e, np.zeros((0, 0)))
        V = psi.T @ psi
    elif options.steps == "iterated":
        V = algebra.iterated_covariance(algebra.windmeijer_slope(data, step.e, step), step.fit.bread)
    else:
        V = algebra.many_moments_covariance(data, point, options.inverse)
    return step, point.n_iterations, algebra.symmetric(V), step.weight


def _two_step_covariance(data: Stacked, kind: str, one_step: Step, two_step: Step, S: np.ndarray) -> np.ndarray:
    """Return the covariance of the two-step estimate."""
    if kind == "unadjusted":
        return two_step.fit.bread
    if kind == "windmeijer":
        D = algebra.windmeijer_slope(data, one_step.e, two_step)
        return algebra.windmeijer_covariance(D, algebra.robust_covariance(one_step.fit, S), two_step.fit.bread)
    psi = algebra.influence_two_step(data, two_step, one_step.e, algebra.influence_one_step(data, one_step))
    return psi.T @ psi


def _sizes(prepared: Prepared) -> dict[str, int]:
    """Count rows, groups and clusters; frequency weights count the entities they stand for."""
    design, spec, data = prepared.design, prepared.spec, prepared.data
    counted = _counted_rows(spec, design)
    per_entity = np.ones(len(counted)) if data.frequency is None else np.nan_to_num(data.frequency)
    used = counted.any(axis=1)
    nobs = int((counted.sum(axis=1) * per_entity).sum())
    n_transformed = int((design.transformed_rows.sum(axis=1) * per_entity).sum())
    n_groups = int((used * per_entity).sum())
    n_clusters = n_groups if data.clusters is None else len(np.unique(data.clusters[used]))
    # observations behind sigma2: transformed rows, but with an identity H the level rows of a system
    wttot = nobs if spec.h == 1 or not spec.system or n_transformed == 0 else n_transformed
    return {
        "nobs": nobs,
        "n_transformed": n_transformed,
        "n_groups": n_groups,
        "n_clusters": n_clusters,
        "wttot": wttot,
    }


def _sigma2(prepared: Prepared, e: np.ndarray, n: int) -> float:
    """Return the error variance: SSR of the transformed residuals over twice their number (once for FOD and h = 1)."""
    spec = prepared.spec
    n_transformed = len(prepared.design.transformed_at)
    level = (spec.h == 1 and spec.system) or n_transformed == 0
    rows = slice(n_transformed, None) if level else slice(0, n_transformed)
    twice = 1 if spec.transform == "fod" or level or spec.h == 1 else 2
    return weighted_sum_of_squares(prepared.data, e, rows) / twice / n


def _differences(
    prepared: Prepared, S: np.ndarray, hansen: TestResult, options: FitOptions
) -> tuple[DifferenceInHansen, ...]:
    """Difference-in-Hansen for every group and for the GMM-style moments of the level equation."""
    members: dict[str, list[int]] = {}
    level: list[int] = []
    for moment in prepared.instruments.moments:
        if moment.column is None or moment.group == "_cons":
            continue
        members.setdefault(moment.group, []).append(moment.column)
        if moment.style == "gmm" and moment.equation == "level":
            level.append(moment.column)
    groups = list(members.items())
    if (
        any(isinstance(g, GMMStyle) and g.equation == "both" for g in prepared.spec.instruments)
        and prepared.spec.system
    ):
        groups.insert(0, ("GMM instruments for levels", level))
    return tuple(
        difference_in_hansen(prepared.data, S, hansen, name, np.array(columns, dtype=int), options.inverse)
        for name, columns in groups
    )


def _notes(prepared: Prepared, sizes: dict[str, int], rank: int, hansen: TestResult) -> tuple[str, ...]:
    """Warn about what a reader must know before believing the numbers, and return the sentences."""
    j, groups = prepared.data.j, sizes["n_clusters"]
    notes = []
    named = [(name, why) for name, why in prepared.design.dropped if not name.startswith(f"{prepared.grid.time}=")]
    if named:
        notes.append((f"Dropped: {', '.join(f'{name} ({why})' for name, why in named)}.", DroppedRegressorWarning))
    if j > CROWDED_SHARE * groups:
        notes.append(
            (
                f"{j} instruments for {groups} groups: more than {CROWDED_SHARE:g} per group weakens the weight "
                "and Hansen's test. Collapse, or limit the lags.",
                InstrumentCountWarning,
            )
        )
    if rank < j:
        notes.append(
            (
                f"The moment covariance has rank {rank} of {j}; a generalised inverse was used and the two-step "
                "estimates depend on it.",
                SingularWeightWarning,
            )
        )
    if hansen.applies and hansen.pvalue > SUSPICIOUS_HANSEN_P:
        notes.append(
            (
                f"Hansen's p = {hansen.pvalue:.3f} is implausibly near 1 with {j} instruments for {groups} "
                "groups; do not read it as support.",
                HansenPValueWarning,
            )
        )
    for text, category in notes:
        warnings.warn(text, category, stacklevel=5)
    return tuple(text for text, _ in notes)


def differenced_residuals(fit: Fit) -> DifferencedResiduals:
    """Return the first-differenced residuals and regressors on the calendar.

    Those of the transformed equation under first differences; made from the levels under forward orthogonal deviations.
    """
    prepared, design = fit.prepared, fit.prepared.design
    shape = design.y_level.shape
    k = len(design.names)
    w, Xw = np.zeros(shape), np.zeros((*shape, k))
    if prepared.spec.transform == "fd":
        n = len(design.transformed_at)
        w[:, design.transformed_at] = fit.reported.e[:, :n]
        Xw[:, design.transformed_at] = design.X[:, :n]
    else:
        levels = np.where(design.complete, design.y_level - design.X_level @ fit.params, np.nan)
        w = np.nan_to_num(first_difference(levels))
        rows = design.complete.copy()
        rows[:, 0] = False
        rows[:, 1:] &= design.complete[:, :-1]
        Xw = np.where(rows[:, :, None], first_difference(design.X_level), 0.0)
    weights = None if design.weights is None else _calendar_weights(prepared)
    return DifferencedResiduals(w, Xw, weights)


def _calendar_weights(prepared: Prepared) -> np.ndarray:
    """Return the weights as used in the fit, on the calendar."""
    design, spec = prepared.design, prepared.spec
    filled = np.nan_to_num(design.weights)
    if spec.weight_kind == "frequency":
        return filled
    counted = _counted_rows(spec, design)
    return filled * counted.sum() / filled[counted].sum()


def autocorrelation_test(fit: Fit, order: int) -> TestResult:
    """Return the Arellano-Bond AR(order) test of a fit."""
    prepared = fit.prepared
    null = f"no autocorrelation of order {order} in the first-differenced errors"
    if order < 1:
        return not_available(f"AR({order})", null, "normal", "the order must be at least 1")
    residuals = differenced_residuals(fit)
    projection = fit.reported.fit.projection
    if fit.options.steps == 1 and fit.options.covariance == "unadjusted":
        spec, n_periods = prepared.spec, len(prepared.grid.times)
        M = np.eye(n_periods) if spec.h == 1 else transform_matrix(n_periods, "fd")
        M_own = np.eye(n_periods) if spec.h == 1 else transform_matrix(n_periods, spec.transform)
        at = prepared.design.transformed_at
        return homoskedastic_ar_test(
            prepared.data,
            residuals,
            order,
            sigma2=fit.sigma2_one_step,
            H_difference=M @ M.T,
            H_cross=(M_own @ M.T)[at],
            n_transformed=len(at),
            projection=projection,
            cov=fit.cov,
        )
    return ar_test(
        prepared.data,
        residuals,
        order,
        e=fit.reported.e,
        bread=fit.reported.fit.bread,
        projection=projection,
        cov=fit.cov,
    )
