"""From a table and a specification to the arrays of a fit: grid, design, instruments, redundant moments out, counts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from estimation.dynamic_panel import algebra
from estimation.dynamic_panel.advice import instrument_advice
from estimation.dynamic_panel.algebra import Stacked
from estimation.dynamic_panel.computing import one_thread
from estimation.dynamic_panel.design import Design, Dummies, build_design
from estimation.dynamic_panel.expressions import expand_terms, needs_expansion
from estimation.dynamic_panel.instruments import Instruments, build_instruments, keep_columns
from estimation.dynamic_panel.linear import independent_moments
from estimation.dynamic_panel.panel import PanelGrid, build_grid, with_keys
from estimation.dynamic_panel.samples import Sample
from estimation.dynamic_panel.spec import CONSTANT, GMMStyle, PanelSpec
from estimation.dynamic_panel.terms import Role
from estimation.dynamic_panel.transforms import h_root
from estimation.errors import IdentificationError, SpecificationError

# mean over standard deviation from which a regressor is measured from its mean inside the algebra; the constant takes up
# the difference exactly
FAR_FROM_ZERO = 1e3


@dataclass(frozen=True, slots=True)
class Sizes:
    """Counts of a fit; frequency weights count the entities they stand for.

    Attributes
    ----------
    nobs : int
        Level rows in a system, transformed rows otherwise.
    n_transformed, n_groups, n_clusters : int
    n_sigma2 : int
        Rows behind sigma2: the transformed ones, but with an identity H the level rows of a system.
    """

    nobs: int
    n_transformed: int
    n_groups: int
    n_clusters: int
    n_sigma2: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """Arrays of a model before any step.

    Attributes
    ----------
    grid, spec, design, instruments
    data : Stacked
    S1 : ndarray, shape (j, j)
        sum_i Z_i'H Z_i.
    sizes : Sizes
    """

    grid: PanelGrid
    spec: PanelSpec
    design: Design
    instruments: Instruments
    data: Stacked
    S1: np.ndarray
    sizes: Sizes


def prepare(
    data: pd.DataFrame,
    spec: PanelSpec,
    *,
    entity: str | None = None,
    time: str | None = None,
    time_step: int = 1,
    sample: Sample = None,
) -> Prepared:
    """Build the arrays of a model from a long table.

    Raises
    ------
    EstimationError
        One of its kinds for each fault of the data or the specification.
    """
    spec = resolve(spec, data, entity=entity, time=time)
    terms = [spec.dependent, *spec.regressors, *(name for group in spec.instruments for name in group.variables)]
    if spec.weights is not None:
        terms.append(spec.weights)
    groups = () if spec.cluster is None else (spec.cluster,)
    grid = build_grid(data, terms, entity=entity, time=time, time_step=time_step, groups=groups, sample=sample)
    return prepare_grid(grid, spec)


def resolve(
    spec: PanelSpec, data: pd.DataFrame, *, entity: str | None = None, time: str | None = None
) -> PanelSpec:
    """Return the specification with categories and lists of columns spelled out for these data."""
    named = [*spec.regressors, *(name for group in spec.instruments for name in group.variables)]
    if not any(map(needs_expansion, named)):
        return spec
    frame, _, _ = with_keys(data, entity, time)
    groups = tuple(replace(group, variables=expand_terms(group.variables, frame)) for group in spec.instruments)
    return replace(spec, regressors=expand_terms(spec.regressors, frame), instruments=groups)


def prepare_grid(grid: PanelGrid, spec: PanelSpec) -> Prepared:
    """Build the arrays of a model from a panel that is already on its calendar."""
    with one_thread(_work(grid, spec)):
        return _prepare_grid(grid, spec)


def _work(grid: PanelGrid, spec: PanelSpec) -> float:
    """Return about how many multiplications Z'HZ takes."""
    n, periods = grid.stored.shape
    j = len(spec.regressors)
    for group in spec.instruments:
        depth = 1
        if isinstance(group, GMMStyle):
            depth = min(periods, periods if group.lags[1] is None else group.lags[1] - group.lags[0] + 2)
            depth *= 1 if group.collapse else periods
        j += depth * len(group.variables)
    return float(n * periods * j * j)


def _prepare_grid(grid: PanelGrid, spec: PanelSpec) -> Prepared:
    """Build the arrays in one go."""
    dummies = _period_dummies(grid, spec)
    design = build_design(grid, spec, dummies)
    instruments = build_instruments(grid, spec, design, dummies)
    if instruments.Z.shape[2] < len(design.names):
        raise IdentificationError(_too_few(instruments, design, spec))
    data = _stack(grid, spec, design, instruments)
    S1 = algebra.one_step_covariance(data)
    kept = independent_moments(S1, lambda: algebra.one_step_factor(data))
    if len(kept) < data.j:
        instruments = keep_columns(instruments, kept, "redundant given the moments before it")
        if len(kept) < len(design.names):
            raise IdentificationError(_too_few(instruments, design, spec))
        data = _stack(grid, spec, design, instruments)
        S1 = S1[np.ix_(kept, kept)]
    return Prepared(grid, spec, design, instruments, data, S1, _sizes(spec, design, data))


def _period_dummies(grid: PanelGrid, spec: PanelSpec) -> Dummies:
    """Return one dummy per period in which the level model exists or is differenced against, but the first in the sample."""
    if spec.time_effects is None:
        return Dummies()
    present = grid.stored & ~np.isnan(grid.series(spec.dependent))
    for name in spec.regressors:
        present &= ~np.isnan(grid.series(name))
    inside = present if grid.sample is None else present & grid.sample
    if grid.sample is not None:
        present &= _touched(grid.sample, spec)
    # the first period with a level row is the base: one that only a difference reaches has a moment of its own there
    periods = np.setdiff1d(np.flatnonzero(present.any(axis=0)), np.flatnonzero(inside.any(axis=0))[:1])
    at = np.arange(len(grid.times))
    names = tuple(f"{grid.time}={grid.times[t]}" for t in periods)
    taken = sorted(set(names) & {*spec.regressors, *grid.values})
    if taken:
        raise SpecificationError(
            f"{', '.join(taken[:5])}: a variable has the name of a period dummy. Rename it, or take the dummies out "
            "(time_effects=None)."
        )
    return Dummies(
        names,
        tuple(Role("period", period=int(grid.times[t])) for t in periods),
        tuple(np.where(grid.stored, (at == t).astype(float), np.nan) for t in periods),
    )


def _touched(inside: np.ndarray, spec: PanelSpec) -> np.ndarray:
    """Return the rows that rows of the sample are made from, in levels and transformed, shape (N, T)."""
    touched = inside.copy()
    if spec.sample_rule == "both_periods":
        return touched
    if spec.transform == "fd":
        touched[:, :-1] |= inside[:, 1:]
        return touched
    return np.logical_or.accumulate(inside, axis=1)


def _too_few(instruments: Instruments, design: Design, spec: PanelSpec) -> str:
    """Say how many moments there are for how many parameters."""
    used = [m for m in instruments.moments if m.kept]
    lost = [m for m in instruments.moments if not m.kept]
    return (
        f"Expected at least as many moments as parameters, found {len(used)} moments for {len(design.names)} "
        f"parameters ({', '.join(design.names[:8])}); {len(lost)} further moments are zero or redundant. Add "
        "instruments or lags, or take regressors out. " + instrument_advice(spec)
    )


def _stack(grid: PanelGrid, spec: PanelSpec, design: Design, instruments: Instruments) -> Stacked:
    """Collect the arrays of a fit."""
    used = sorted((m for m in instruments.moments if m.kept), key=lambda m: m.column or 0)
    n_periods = len(grid.times)
    C = h_root(n_periods, spec.transform, spec.h, spec.system)
    C = C[np.concatenate([design.transformed_at, n_periods + design.level_at])]
    clusters = None
    if spec.cluster is not None:
        _, clusters = np.unique(grid.codes[spec.cluster], return_inverse=True)
    row_weights = _row_weights(spec, design)
    # frequencies multiply the clusters they form; inside a larger cluster the copies simply add to its sum
    multiplicity = row_weights.max(axis=1) if spec.weight_kind == "frequency" and row_weights is not None else None
    centre = _centre(spec, design)
    return algebra.stack(
        design.y,
        design.X if centre is None else design.X - centre * design.X[:, :, -1:],
        instruments.Z,
        C[:, np.any(C != 0, axis=0)],
        row_weights=row_weights,
        clusters=clusters,
        multiplicity=multiplicity if clusters is None else None,
        units=_sizes_of_variables(grid, [moment.variable for moment in used]),
        centre=centre,
    )


def _centre(spec: PanelSpec, design: Design) -> np.ndarray | None:
    """Return the means of regressors so far from zero that their products lose digits, zero for the others, shape (k,)."""
    if not spec.has_constant or design.names[-1] != CONSTANT:
        return None
    levels = design.X_level[design.level_rows]
    mean, spread = levels.mean(axis=0), levels.std(axis=0)
    far = np.abs(mean) > FAR_FROM_ZERO * spread
    far[-1] = False
    return np.where(far, mean, 0.0) if far.any() else None


def _sizes_of_variables(grid: PanelGrid, variables: list[str]) -> np.ndarray:
    """Return the root mean square of the variable of every moment, one for dummies and the constant, shape (j,)."""
    sizes = {}
    for name in dict.fromkeys(variables):
        values = grid.series(name) if grid.term(name).column in grid.values else np.ones(1)
        sizes[name] = float(np.sqrt(np.nanmean(values**2))) or 1.0
    return np.array([sizes[name] for name in variables])


def _row_weights(spec: PanelSpec, design: Design) -> np.ndarray | None:
    """Return weights by row, probability weights with mean one over the counted rows."""
    weights = calendar_weights(spec, design)
    if weights is None:
        return None
    # a forward orthogonal deviation is dated one period after the row it was made from, whose weight it bears
    origin = design.transformed_at - (1 if spec.transform == "fod" else 0)
    by_row = np.hstack([weights[:, origin], weights[:, design.level_at]])
    return np.where(design.rows, by_row, 0.0)


def calendar_weights(spec: PanelSpec, design: Design) -> np.ndarray | None:
    """Return the weights as the fit uses them, on the calendar, shape (N, T)."""
    if design.weights is None:
        return None
    filled = np.nan_to_num(design.weights)
    if spec.weight_kind == "frequency":
        return filled
    counted = counted_rows(spec, design)
    if not spec.system and spec.transform == "fod":
        counted = np.roll(counted, -1, axis=1)
    return filled * counted.sum() / filled[counted].sum()


def counted_rows(spec: PanelSpec, design: Design) -> np.ndarray:
    """Return the rows that N counts: level rows in a system, else transformed rows, shape (N, T)."""
    return design.level_rows if spec.system else design.transformed_rows


def _sizes(spec: PanelSpec, design: Design, data: Stacked) -> Sizes:
    """Count rows, groups and clusters."""
    counted = counted_rows(spec, design)
    copies = np.ones(len(counted))
    if spec.weight_kind == "frequency" and data.row_weights is not None:
        copies = data.row_weights.max(axis=1)
    used = counted.any(axis=1)
    nobs = int((counted.sum(axis=1) * copies).sum())
    n_transformed = int((design.transformed_rows.sum(axis=1) * copies).sum())
    n_groups = int((used * copies).sum())
    n_clusters = n_groups if data.clusters is None else len(np.unique(data.clusters[used]))
    level = spec.h == 1 or not spec.system or n_transformed == 0
    return Sizes(nobs, n_transformed, n_groups, n_clusters, nobs if level else n_transformed)
