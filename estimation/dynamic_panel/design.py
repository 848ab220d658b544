"""The stacked equations of one model: y, X and the rows that are in the sample, as dense arrays by entity.

Rows of an entity are the transformed equation's periods, then (in a system) the level equation's; a row outside the
sample is zero. A row is in the sample when y, every regressor and every standard instrument of its equation is present
and the restriction of the model, if it has one, holds for the row itself: its lags, its difference and its instruments may
come from rows outside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from estimation.dynamic_panel.panel import PanelGrid
from estimation.dynamic_panel.periods import spacing_hint
from estimation.dynamic_panel.spec import CONSTANT, IVStyle, PanelSpec
from estimation.dynamic_panel.terms import Kind, Role, check_terms, level_order, roles_of
from estimation.dynamic_panel.transforms import first_difference, forward_deviation
from estimation.errors import CollinearityError, EmptySampleError, SpecificationError

# a regressor is collinear when what the others leave of its norm is below this share; double precision gives about
# 1e-15 for exact combinations of a few thousand rows, and a share of 1e-8 is what a squared Gram matrix would notice
COLLINEAR_SHARE = 1e-8
# values that differ by less, relative to their size, are one value that was computed in two ways
ROUNDING = 1e-13


@dataclass(frozen=True, slots=True)
class Dummies:
    """Period dummies.

    Attributes
    ----------
    names : tuple of str
    roles : tuple of Role
    columns : tuple of ndarray, shape (N, T)
    """

    names: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    columns: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True, slots=True)
class Design:
    """Arrays of the stacked model, R = rows kept per entity.

    Attributes
    ----------
    y : ndarray, shape (N, R)
    X : ndarray, shape (N, R, k)
    rows : ndarray of bool, shape (N, R)
        Whether the row is in the sample.
    transformed_at, level_at : ndarray of int
        Calendar positions of the transformed rows (first in R) and of the level rows (after them).
    names : tuple of str
        Names of the k columns of X, the constant last.
    dropped : tuple of (str, str)
        Regressors left out, with the reason.
    y_level, X_level : ndarray, shape (N, T) and (N, T, k)
        Levels with NaN where missing, on the whole calendar.
    complete : ndarray of bool, shape (N, T)
        Rows whose levels are all present.
    transformed_rows, level_rows : ndarray of bool, shape (N, T)
    weights : ndarray or None, shape (N, T)
    roles : tuple of Role
        What each of the k columns is.
    growth : float
        1 when the long run is that of the dependent variable itself, 0 when it is that of its level in an equation for
        its change.
    inside : ndarray of bool, shape (N, T)
        Complete rows for which the restriction of the sample holds.
    """

    y: np.ndarray
    X: np.ndarray
    rows: np.ndarray
    transformed_at: np.ndarray
    level_at: np.ndarray
    names: tuple[str, ...]
    dropped: tuple[tuple[str, str], ...]
    y_level: np.ndarray
    X_level: np.ndarray
    complete: np.ndarray
    transformed_rows: np.ndarray
    level_rows: np.ndarray
    weights: np.ndarray | None
    roles: tuple[Role, ...]
    growth: float
    inside: np.ndarray

    def positions(self, *kinds: Kind) -> list[int]:
        """Return the columns of X of some kinds."""
        return [c for c, role in enumerate(self.roles) if role.kind in kinds]


def build_design(grid: PanelGrid, spec: PanelSpec, dummies: Dummies) -> Design:
    """Stack the equations of `spec`.

    Parameters
    ----------
    grid : PanelGrid
    spec : PanelSpec
    dummies : Dummies
        Period dummies to add after the regressors.

    Raises
    ------
    EmptySampleError, CollinearityError, SpecificationError
    """
    dependent, terms = grid.term(spec.dependent), [grid.term(name) for name in spec.regressors]
    check_terms(dependent, terms)
    y_level = grid.series(spec.dependent)
    names = (*spec.regressors, *dummies.names, *((CONSTANT,) if spec.has_constant else ()))
    roles = (*roles_of(dependent, terms), *dummies.roles, *((Role("constant"),) if spec.has_constant else ()))
    lags = [role.term for role in roles if role.kind == "lag" and role.term is not None]
    columns = [grid.series(name) for name in spec.regressors]
    columns += list(dummies.columns)
    if spec.has_constant:
        columns.append(np.ones_like(y_level))
    X_level = np.stack(columns, axis=2)
    weights = _weights(grid, spec)
    complete, inside, transformed_rows, level_rows, y_star, X_star = _sample(grid, spec, y_level, X_level, weights)
    if not transformed_rows.any() and not (spec.system and level_rows.any()):
        raise EmptySampleError(_empty_message(grid, spec, y_level, columns, names))
    transformed_at = np.flatnonzero(transformed_rows.any(axis=0))
    level_at = np.flatnonzero(level_rows.any(axis=0)) if spec.system else np.zeros(0, dtype=int)
    rows = np.hstack([transformed_rows[:, transformed_at], level_rows[:, level_at]])
    y = np.where(rows, np.hstack([y_star[:, transformed_at], y_level[:, level_at]]), 0.0)
    X = np.concatenate([X_star[:, transformed_at], X_level[:, level_at]], axis=1)
    X[~rows] = 0.0
    dropped = _constant_within_periods(X_level, inside, names, roles, spec, grid)
    line = [c for c, name in enumerate(names) if name not in dict(dropped)]
    flat = X.reshape(-1, X.shape[2])
    kept, collinear = _independent_columns(flat, X_level, names, line, roles, spec, _indicators(X_level, names))
    if len(kept) < len(names):
        X, X_level, names = X[:, :, kept], X_level[:, :, kept], tuple(names[c] for c in kept)
        roles = tuple(roles[c] for c in kept)
    return Design(
        y,
        np.ascontiguousarray(X),
        rows,
        transformed_at,
        level_at,
        names,
        (*dropped, *collinear),
        y_level,
        X_level,
        complete,
        transformed_rows,
        level_rows,
        weights,
        roles,
        float(level_order(dependent, lags) == dependent.differences),
        inside,
    )


def _weights(grid: PanelGrid, spec: PanelSpec) -> np.ndarray | None:
    """Return the weights on the calendar, checked."""
    if spec.weights is None:
        return None
    weights = grid.values[spec.weights]
    present = weights[grid.stored & ~np.isnan(weights)]
    if (present < 0).any():
        raise SpecificationError(f"weights {spec.weights!r}: {int((present < 0).sum())} negative values.")
    if spec.weight_kind == "frequency":
        low, high = np.nanmin(weights, axis=1), np.nanmax(weights, axis=1)
        if (low != high).any() or (present != np.round(present)).any():
            raise SpecificationError(
                f"weights {spec.weights!r}: frequency weights must be whole numbers, constant within an entity; "
                f"{int((low != high).sum())} of {len(low)} entities vary."
            )
    return weights


def _sample(
    grid: PanelGrid, spec: PanelSpec, y: np.ndarray, X: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, ...]:
    """Return complete, inside, transformed and level rows (N, T), and the transforms of y and X."""
    complete = grid.stored & ~np.isnan(y) & ~np.isnan(X).any(axis=2)
    if weights is not None:
        complete &= weights > 0
    restriction = np.ones_like(complete) if grid.sample is None else grid.sample
    if spec.sample_rule == "both_periods":
        complete &= restriction
    inside = complete & restriction
    all_instruments = complete.copy()
    in_transformed, in_level = complete.copy(), inside.copy()
    passed_through = np.ones_like(complete)
    for group in spec.instruments:
        if not isinstance(group, IVStyle) or group.missing == "zero":
            continue
        present = ~np.isnan(np.stack([grid.series(name) for name in group.variables])).any(axis=0)
        all_instruments &= present
        if group.equation != "level":
            # an untransformed instrument is needed in its own row only
            where = passed_through if group.passthrough else in_transformed
            where &= present
        if group.equation != "difference":
            in_level &= present
    has_row = np.zeros_like(complete)
    if spec.transform == "fd":
        has_row[:, 1:] = in_transformed[:, 1:] & in_transformed[:, :-1]
        has_row &= restriction & passed_through
        return complete, inside, has_row, in_level, first_difference(y), first_difference(X)
    later = np.zeros_like(complete)
    later[:, :-1] = np.logical_or.accumulate(all_instruments[:, ::-1], axis=1)[:, ::-1][:, 1:]
    # the row made from period t is stored at t + 1, and it is period t that must be inside
    has_row[:, 1:] = (in_transformed & later & restriction)[:, :-1]
    has_row &= passed_through
    y_star, X_star = forward_deviation(y, all_instruments), forward_deviation(X, all_instruments)
    return complete, inside, has_row, in_level, y_star, X_star


def averaged_rows(grid: PanelGrid, spec: PanelSpec, complete: np.ndarray) -> np.ndarray:
    """Return the rows that forward orthogonal deviations average over, shape (N, T)."""
    counted = complete.copy()
    for group in spec.instruments:
        if isinstance(group, IVStyle) and group.missing == "drop":
            counted &= ~np.isnan(np.stack([grid.series(name) for name in group.variables])).any(axis=0)
    return counted


def _empty_message(
    grid: PanelGrid, spec: PanelSpec, y: np.ndarray, columns: list[np.ndarray], names: tuple[str, ...]
) -> str:
    """Say which variables are present in how many of the stored rows."""
    stored = int(grid.stored.sum())
    counts = [(spec.dependent, int((grid.stored & ~np.isnan(y)).sum()))]
    counts += [
        (name, int((grid.stored & ~np.isnan(column)).sum())) for name, column in zip(names, columns, strict=True)
    ]
    fewest = ", ".join(f"{name}: {n}" for name, n in sorted(counts, key=lambda item: item[1])[:5])
    return (
        f"No row is left of {stored} ({len(grid.entities)} entities, periods {grid.times[0]} to {grid.times[-1]}) "
        f"once lags, transforms and missing values are taken out. Rows present, fewest first: {fewest}. Check "
        "gaps, the length of the panel against the lags, and the key columns."
        + spacing_hint(grid.times[grid.stored.any(axis=0)], grid.time_step)
        + ("" if grid.sample is None else f" The sample holds {int((grid.sample & grid.stored).sum())} rows.")
    )


def _indicators(X_level: np.ndarray, names: tuple[str, ...]) -> frozenset[str]:
    """Return the names of columns that hold only 0 and 1; which of them is left out merely relabels the others."""
    two_valued = (np.isnan(X_level) | (X_level == 0) | (X_level == 1)).all(axis=(0, 1))
    return frozenset(name for name, indicator in zip(names, two_valued, strict=True) if indicator)


def _constant_within_periods(
    X_level: np.ndarray, inside: np.ndarray, names: tuple[str, ...], roles: tuple[Role, ...], spec: PanelSpec, grid: PanelGrid
) -> tuple[tuple[str, str], ...]:
    """Return the regressors that are the same for all entities within every period, beside period dummies.

    A national series, a trend or an indicator of years is a combination of the dummies: any coefficient would fit, the
    dummies giving way.
    """
    if spec.time_effects is None or not any(role.kind == "period" for role in roles):
        return ()
    found = []
    for c, role in enumerate(roles):
        if role.kind not in ("regressor", "lag"):
            continue
        values = np.where(inside, X_level[:, :, c], np.nan)[:, inside.any(axis=0)]
        spread = np.nanmax(values, axis=0) - np.nanmin(values, axis=0)
        if spread.max() <= ROUNDING * np.nanmax(np.abs(values)) and (inside.sum(axis=0) > 1).any():
            found.append((names[c], f"the same for all {grid.entity} within each {grid.time}, as the period dummies are"))
    if found and spec.collinear == "raise":
        raise CollinearityError(
            f"{', '.join(name for name, _ in found[:5])}: the same for every {grid.entity} within each {grid.time}, which "
            "the period dummies already are; its coefficient could be anything. Take it out, or the period dummies "
            "(time_effects=None), or set collinear='drop' to leave it out."
        )
    return tuple(found)


def _independent_columns(
    X: np.ndarray,
    X_level: np.ndarray,
    names: tuple[str, ...],
    candidates: list[int],
    roles: tuple[Role, ...],
    spec: PanelSpec,
    indicators: frozenset[str],
) -> tuple[list[int], tuple[tuple[str, str], ...]]:
    """Return the columns kept, in order, and those dropped with the reason; the constant and the dummies come first."""
    norms = np.linalg.norm(X, axis=0)
    scaled = X / np.where(norms > 0, norms, 1.0)
    rank = {"constant": 0, "period": 1}
    order = sorted(candidates, key=lambda c: rank.get(roles[c].kind, 2))
    dropped = [(names[c], "zero in every row") for c in order if norms[c] == 0]
    line = [c for c in order if norms[c] > 0]
    while line and not _clearly_independent(scaled[:, line]):
        R = np.asarray(np.linalg.qr(scaled[:, line], mode="r"))
        share = np.abs(np.diagonal(R))
        weak = np.flatnonzero(share < COLLINEAR_SHARE)
        if R.shape[0] < len(line) and not weak.size:
            weak = np.array([R.shape[0]])
        if not weak.size:
            break
        c = line.pop(int(weak[0]))
        dropped.append((names[c], _why(c, roles, X_level)))
    named = [(name, why) for name, why in dropped if name not in indicators]
    if named and spec.collinear == "raise":
        raise CollinearityError(
            f"{len(named)} of {len(names)} regressors are not identified: "
            + "; ".join(f"{name} is {why}" for name, why in named[:5])
            + ". Take them out, or set collinear='drop'."
        )
    if len(line) < 1:
        raise CollinearityError(f"Every regressor is zero or collinear: {', '.join(names)}.")
    return sorted(line), tuple(dropped)


def _why(c: int, roles: tuple[Role, ...], X_level: np.ndarray) -> str:
    """Say what a collinear column is collinear with."""
    level = X_level[:, :, c]
    if any(role.kind == "constant" for role in roles) and 1e6 * np.nanstd(level) < abs(np.nanmean(level)):
        return "collinear with the constant: it varies by less than a millionth of its size, so subtract a round number"
    dummies = any(role.kind == "period" for role in roles) and roles[c].kind != "period"
    return f"collinear with the {'period dummies and the ' if dummies else ''}regressors before it"


def _clearly_independent(scaled: np.ndarray) -> bool:
    """Whether a Cholesky factor of the Gram matrix settles it without a QR of all rows."""
    try:
        pivots = np.diagonal(np.linalg.cholesky(scaled.T @ scaled))
    except np.linalg.LinAlgError:
        return False
    # a pivot is a share of a norm; its square is exact to about 1e-15, so 1e-5 is safely above what needs a QR
    return bool(pivots.min() > 1e-5)
