"""The longest run of consecutive complete rows of every entity, as flat arrays: what within estimators work on.

Bias formulas of a dynamic within estimator count periods, so an entity with a gap is known to them by one run without
gaps; rows outside the longest run are left out and counted. Lags are read from the calendar before the run begins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from estimation.dynamic_panel.classes import lag_name
from estimation.dynamic_panel.expressions import expand_terms, needs_expansion
from estimation.dynamic_panel.panel import build_grid, with_keys
from estimation.dynamic_panel.samples import Sample
from estimation.errors import CollinearityError, EmptySampleError, SpecificationError

# what the columns before it leave of a regressor's norm, as in the design of GMM models
COLLINEAR_SHARE = 1e-8


@dataclass(frozen=True, slots=True)
class Spells:
    """Flat rows, sorted by entity and period.

    Attributes
    ----------
    entity : ndarray of int, shape (n,)
        Position in `entities`.
    period : ndarray of int, shape (n,)
        Position on the calendar.
    y : ndarray, shape (n,)
    X : ndarray, shape (n, k)
        Lags of y, then the regressors.
    dummies : ndarray, shape (n, m)
        Period dummies, none without time effects.
    names : tuple of str
        Of the columns of X.
    n_lags : int
    entities : ndarray, shape (N,)
    clusters : ndarray of int, shape (N,)
    cluster_name : str
    n_left_out : int
        Complete rows outside the longest run of their entity, or of entities with too few rows.
    """

    entity: np.ndarray
    period: np.ndarray
    y: np.ndarray
    X: np.ndarray
    dummies: np.ndarray
    names: tuple[str, ...]
    n_lags: int
    entities: np.ndarray
    clusters: np.ndarray
    cluster_name: str
    n_left_out: int

    @property
    def lag_names(self) -> tuple[str, ...]:
        """Names of the lags of y."""
        return self.names[: self.n_lags]

    def position(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the place of each row in its run, from 0, and the length of the run, both shape (n,)."""
        counts = np.bincount(self.entity, minlength=len(self.entities))
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        return np.arange(len(self.y)) - starts[self.entity], counts[self.entity]


def build_spells(
    data: pd.DataFrame,
    *,
    dependent: str,
    lags: int,
    regressors: tuple[str, ...],
    entity: str | None,
    time: str | None,
    time_effects: bool,
    cluster: str | None,
    time_step: int,
    shortest: int,
    sample: Sample = None,
) -> Spells:
    """Arrange a long table as runs.

    Parameters
    ----------
    shortest : int
        Rows an entity needs.
    sample : str or booleans, optional
        Rows the estimation is about, as in GMM models: lags come from the whole panel.

    Raises
    ------
    EstimationError
        One of its kinds for each fault of the data or the specification.
    """
    if not isinstance(lags, int) or isinstance(lags, bool) or lags < 0:
        raise SpecificationError(f"lags: expected a whole number from 0 on, found {lags!r}.")
    if any(map(needs_expansion, regressors)):
        regressors = expand_terms(regressors, with_keys(data, entity, time)[0])
    groups = () if cluster is None else (cluster,)
    grid = build_grid(
        data, (dependent, *regressors), groups=groups, entity=entity, time=time, time_step=time_step, sample=sample
    )
    own = tuple(lag_name(dependent, lag) for lag in range(1, lags + 1))
    names = (*own, *regressors)
    if not names:
        raise SpecificationError("regressors: expected at least one, or lags of the dependent variable; found none.")
    y = grid.series(dependent)
    X = np.stack([grid.series(name) for name in names], axis=2)
    complete = grid.stored & ~np.isnan(y) & ~np.isnan(X).any(axis=2)
    if grid.sample is not None:
        complete &= grid.sample
    rows = longest_run(complete)
    rows &= rows.sum(axis=1, keepdims=True) >= shortest
    if not rows.any():
        raise EmptySampleError(
            f"No entity has {shortest} consecutive complete rows, of {len(grid.entities)} entities with "
            f"{int(complete.sum())} complete rows. Use fewer lags, or check gaps and missing values."
        )
    i, t = np.nonzero(rows)
    dummies = _dummies(t) if time_effects else np.zeros((len(i), 0))
    clusters = (
        np.arange(len(grid.entities)) if cluster is None else np.unique(grid.codes[cluster], return_inverse=True)[1]
    )
    return Spells(
        i,
        t,
        y[i, t],
        X[i, t],
        dummies,
        names,
        lags,
        np.asarray(grid.entities),
        clusters,
        cluster or grid.entity,
        int(complete.sum() - rows.sum()),
    )


def longest_run(complete: np.ndarray) -> np.ndarray:
    """Return the first of the longest runs of True in every row, shape (N, T)."""
    length = np.zeros(complete.shape, dtype=int)
    for t in range(complete.shape[1]):
        before = length[:, t - 1] if t else 0
        length[:, t] = np.where(complete[:, t], before + 1, 0)
    last, longest = length.argmax(axis=1), length.max(axis=1)
    at = np.arange(complete.shape[1])
    return (at <= last[:, None]) & (at > (last - longest)[:, None])


def _dummies(t: np.ndarray) -> np.ndarray:
    """Return a column per period but the first, shape (n, m)."""
    periods = np.unique(t)[1:]
    return (t[:, None] == periods).astype(float)


def within(values: np.ndarray, entity: np.ndarray, n: int) -> np.ndarray:
    """Return deviations from the mean of each entity; values (rows,) or (rows, m)."""
    counts = np.maximum(np.bincount(entity, minlength=n), 1)
    flat = values[:, None] if values.ndim == 1 else values
    sums = np.zeros((n, flat.shape[1]))
    np.add.at(sums, entity, flat)
    out = flat - (sums / counts[:, None])[entity]
    return out[:, 0] if values.ndim == 1 else out


def by_entity(values: np.ndarray, entity: np.ndarray, n: int) -> np.ndarray:
    """Return sums over the rows of each entity, shape (n, m)."""
    out = np.zeros((n, values.shape[1]))
    np.add.at(out, entity, values)
    return out


def refuse_collinear(X: np.ndarray, names: tuple[str, ...]) -> None:
    """Refuse regressors that are constant within entities or combinations of others.

    Raises
    ------
    CollinearityError
    """
    norms = np.linalg.norm(X, axis=0)
    zero = [name for name, norm in zip(names, norms, strict=True) if norm <= COLLINEAR_SHARE]
    if not zero and X.shape[0] >= X.shape[1]:
        share = np.abs(np.diagonal(np.linalg.qr(X / norms, mode="r")))
        zero = [name for name, left in zip(names, share, strict=True) if left < COLLINEAR_SHARE]
    if zero or X.shape[0] < X.shape[1]:
        raise CollinearityError(
            f"{len(zero)} of {len(names)} regressors do not vary within entities or are combinations of others: "
            f"{', '.join(zero[:5])}. Take them out; for constant ones see two_stage()."
        )
