"""Moment conditions that are quadratic in the parameters: products of two residual series, summed by moment.

Ahn and Schmidt (1995) and Chudik and Pesaran (2022) multiply a residual by a residual. Both are linear in the
parameters, so every such moment is a_i(b) c_i(b) with a = a0 - A b, c = c0 - C b, and its sum over entities is a
quadratic form known once and for all. u_it is the level residual with the entity effect in it, D its first
difference, T_i the level rows of an entity:

    noserial       E[u_it D u_(i,t-s)] = 0, s the smallest lag (1)         (Ahn and Schmidt 1995)
    iid            E[T_i^(1/2) mean(u_i) D u_it] = 0 and the linear E[y_(i,t-1) D u_it - y_it D u_(i,t+1)] = 0
                                                                            (Ahn and Schmidt 1995)
    predetermined  E[D u_it (D y_(i,t-1) + D u_it + D u_(i,t+1))] = 0       (Chudik and Pesaran 2022)

References: Ahn and Schmidt (1995), J. Econometrics 68; Chudik and Pesaran (2022), Econometric Reviews 41.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from estimation.dynamic_panel.design import Design
from estimation.dynamic_panel.panel import shift
from estimation.dynamic_panel.spec import check_option
from estimation.errors import IdentificationError, SpecificationError

# a residual of one period: y (N,) and X (N, k)
Side = tuple[np.ndarray, np.ndarray]
NonlinearKind = Literal["noserial", "iid", "predetermined"]
NonlinearScaling = Literal["variance", "unit"]


@dataclass(frozen=True, slots=True)
class NonlinearMoments:
    """A group of nonlinear moment conditions.

    Parameters
    ----------
    kind : {"noserial", "iid", "predetermined"}
        Which errors are assumed: serially uncorrelated; also homoskedastic over time; serially uncorrelated with all
        regressors predetermined, but weaker about the first observations.
    collapse : bool
        Sum the moments over periods, one per kind (two for "iid").
    lag : int
        Smallest lag of the differenced residual in "noserial"; m + 1 when the errors are correlated up to order m.
    weight : float
        Weight of these moments in the first step relative to the linear ones; 0 leaves them out of that step.
    scaling : {"variance", "unit"}
        What that weight is relative to: the variance of each moment at the linear estimate, or its number of products, as if
        they were errors of unit variance beside the one-step weight of the linear moments. "unit" is what pdynmc documents and
        xtdpdgmm appears to do; it depends on the units of y. From the second step on the estimate knows it only through the
        first, iterated estimates not at all.
    """

    kind: NonlinearKind = "noserial"
    collapse: bool = True
    lag: int = 1
    weight: float = 1.0
    scaling: NonlinearScaling = "variance"

    def __post_init__(self) -> None:
        if self.kind not in get_args(NonlinearKind):
            raise SpecificationError(
                f"NonlinearMoments: expected a kind of {get_args(NonlinearKind)}, found {self.kind!r}."
            )
        if not isinstance(self.lag, int) or self.lag < 1 or (self.lag > 1 and self.kind != "noserial"):
            raise SpecificationError(
                f"NonlinearMoments({self.kind!r}): expected lag >= 1, above 1 with 'noserial' only, found {self.lag!r}."
            )
        check_option(self.scaling, NonlinearScaling, "NonlinearMoments.scaling")
        if not self.weight >= 0:
            raise SpecificationError(f"NonlinearMoments: expected a weight of 0 or more, found {self.weight!r}.")

    @property
    def label(self) -> str:
        """Name of the group in tables."""
        return f"nonlinear({self.kind}{f', lag({self.lag})' if self.lag > 1 else ''})"


@dataclass(frozen=True, slots=True)
class Residual:
    """A residual series y - X b, zero where it does not exist; y (N, T), X (N, T, k), exists (N, T)."""

    y: np.ndarray
    X: np.ndarray
    exists: np.ndarray

    def moved(self, lag: int) -> Residual:
        """Return the series `lag` periods later (earlier when negative)."""
        exists = np.nan_to_num(shift(self.exists.astype(float), lag)).astype(bool)
        moved_X = np.zeros_like(self.X)
        inside = slice(lag, None) if lag >= 0 else slice(None, lag)
        source = slice(None, self.X.shape[1] - lag) if lag >= 0 else slice(-lag, None)
        moved_X[:, inside] = self.X[:, source]
        return Residual(np.nan_to_num(shift(self.y, lag)), moved_X, exists)

    def at(self, t: int, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return y (N,) and X (N, k) of one period, zero outside."""
        return np.where(inside, self.y[:, t], 0.0), np.where(inside[:, None], self.X[:, t], 0.0)

    def differenced(self) -> Residual:
        """Return the first difference where both ends exist."""
        before = self.moved(1)
        exists = self.exists & before.exists
        return Residual(
            np.where(exists, self.y - before.y, 0.0),
            np.where(exists[:, :, None], self.X - before.X, 0.0),
            exists,
        )


@dataclass(frozen=True, slots=True)
class QuadraticMoments:
    """Products of residuals by entity and pair, P pairs, q moments.

    Attributes
    ----------
    left_y, right_y : ndarray, shape (N, P)
    left_X, right_X : ndarray, shape (N, P, k)
    column : ndarray of int, shape (P,)
        Moment each pair is added to.
    periods : tuple of int or None
        Calendar position of each moment, None when collapsed.
    labels : tuple of str
        Group of each moment.
    c0, c1, c2 : ndarray, shape (q,), (q, k), (q, k, k)
        Sum over entities: c0 - c1 b + b'c2 b, c2 symmetric.
    """

    left_y: np.ndarray
    right_y: np.ndarray
    left_X: np.ndarray
    right_X: np.ndarray
    column: np.ndarray
    periods: tuple[int | None, ...]
    labels: tuple[str, ...]
    c0: np.ndarray
    c1: np.ndarray
    c2: np.ndarray

    @property
    def q(self) -> int:
        """Number of moments."""
        return len(self.labels)

    def counts(self) -> np.ndarray:
        """Return how many products make up each moment, shape (q,)."""
        left = (self.left_y != 0) | (self.left_X != 0).any(axis=2)
        right = (self.right_y != 0) | (self.right_X != 0).any(axis=2)
        return np.bincount(self.column, weights=(left & right).sum(axis=0), minlength=self.q)

    def by_entity(self, beta: np.ndarray) -> np.ndarray:
        """Return the moments of every entity, shape (N, q)."""
        left, right = self.left_y - self.left_X @ beta, self.right_y - self.right_X @ beta
        return self._summed(left * right)

    def slopes_by_entity(self, beta: np.ndarray) -> np.ndarray:
        """Return their derivative, shape (N, q, k)."""
        left, right = self.left_y - self.left_X @ beta, self.right_y - self.right_X @ beta
        return -self._summed(left[:, :, None] * self.right_X + right[:, :, None] * self.left_X)

    def total(self, beta: np.ndarray) -> np.ndarray:
        """Return the sum over entities, shape (q,)."""
        return self.c0 - self.c1 @ beta + self.c2 @ beta @ beta

    def slope(self, beta: np.ndarray) -> np.ndarray:
        """Return the derivative of the sum, shape (q, k)."""
        return -self.c1 + 2.0 * self.c2 @ beta

    def curvature(self, v: np.ndarray) -> np.ndarray:
        """Return sum over moments of v times the second derivative, shape (k, k)."""
        return 2.0 * np.einsum("q,qkl->kl", v, self.c2)

    def _summed(self, pairs: np.ndarray) -> np.ndarray:
        """Add pairs (N, P, ...) into moments (N, q, ...)."""
        out = np.zeros((pairs.shape[0], self.q, *pairs.shape[2:]))
        for pair, column in enumerate(self.column):
            out[:, column] += pairs[:, pair]
        return out


def build_quadratic(design: Design, groups: Sequence[NonlinearMoments]) -> QuadraticMoments:
    """Return the moments of some groups on the rows of a design.

    Raises
    ------
    IdentificationError
        When no entity has the consecutive periods a group needs.
    """
    u = level_residual(design)
    parts = [_pairs_of(group, u, design) for group in groups]
    left: list[Side] = []
    right: list[Side] = []
    column: list[int] = []
    periods: list[int | None] = []
    labels: list[str] = []
    for group, pairs in zip(groups, parts, strict=True):
        if not pairs:
            raise IdentificationError(
                f"{group.label}: no entity has the consecutive level rows these moments need (three, or two for 'iid'); "
                f"the level equation has {int(u.exists.sum())} rows in {u.exists.shape[1]} periods."
            )
        at_moment: dict[tuple[str, int | None], int] = {}
        for name, t, a, b in pairs:
            key = (name, None if group.collapse else t)
            if key not in at_moment:
                at_moment[key] = len(labels)
                labels.append(group.label)
                periods.append(key[1])
            column.append(at_moment[key])
            left.append(a)
            right.append(b)
    return sum_pairs(left, right, np.array(column), tuple(periods), tuple(labels))


def level_residual(design: Design) -> Residual:
    """Return the level equation as a residual series, on all complete rows: lags may come from outside the sample."""
    exists = design.complete
    return Residual(np.where(exists, design.y_level, 0.0), np.where(exists[:, :, None], design.X_level, 0.0), exists)


_Pair = tuple[str, int, Side, Side]


def _pairs_of(group: NonlinearMoments, u: Residual, design: Design) -> list[_Pair]:
    """Return (name, period, left, right) for every product of a group that exists somewhere."""
    make = {"noserial": _serially_uncorrelated, "iid": _homoskedastic, "predetermined": _predetermined}[group.kind]
    return [pair for pair in make(group, u, design) if (pair[2][0].any() or pair[2][1].any())]


def _serially_uncorrelated(group: NonlinearMoments, u: Residual, design: Design) -> list[_Pair]:
    lagged = u.differenced().moved(group.lag)
    both = design.level_rows & lagged.exists
    return [("u", t, u.at(t, both[:, t]), lagged.at(t, both[:, t])) for t in range(u.y.shape[1])]


def _homoskedastic(group: NonlinearMoments, u: Residual, design: Design) -> list[_Pair]:
    rows = design.level_rows
    n = np.maximum(rows.sum(axis=1), 1)
    mean = ((u.y * rows).sum(axis=1) / np.sqrt(n), (u.X * rows[:, :, None]).sum(axis=1) / np.sqrt(n)[:, None])
    du = u.differenced()
    pairs: list[_Pair] = []
    for t in range(1, u.y.shape[1]):
        # both ends must be in the mean, or their variances do not cancel
        inside = du.exists[:, t] & rows[:, t] & rows[:, t - 1]
        pairs.append(("mean", t, _masked(mean, inside), (du.y[:, t], du.X[:, t])))
    y = np.nan_to_num(design.y_level)
    zero = np.zeros_like(u.X[:, 0])
    for t in range(1, u.y.shape[1] - 1):
        both = du.exists[:, t] & du.exists[:, t + 1] & rows[:, t] & rows[:, t + 1] & ~np.isnan(design.y_level[:, t - 1])
        for sign, at in ((1.0, t), (-1.0, t + 1)):
            instrument = (sign * y[:, at - 1], zero)
            pairs.append(("linear", t, _masked(instrument, both), (du.y[:, at], du.X[:, at])))
    return pairs


def _predetermined(group: NonlinearMoments, u: Residual, design: Design) -> list[_Pair]:
    du = u.differenced()
    after = du.moved(-1)
    dy = np.full_like(design.y_level, np.nan)
    dy[:, 2:] = design.y_level[:, 1:-1] - design.y_level[:, :-2]
    pairs: list[_Pair] = []
    for t in range(2, u.y.shape[1] - 1):
        inside = design.level_rows[:, t] & du.exists[:, t] & after.exists[:, t] & ~np.isnan(dy[:, t])
        right = (np.nan_to_num(dy[:, t]) + du.y[:, t] + after.y[:, t], du.X[:, t] + after.X[:, t])
        pairs.append(("du", t, _masked((du.y[:, t], du.X[:, t]), inside), right))
    return pairs


def _masked(side: Side, inside: np.ndarray) -> Side:
    return np.where(inside, side[0], 0.0), np.where(inside[:, None], side[1], 0.0)


def sum_pairs(
    left: Sequence[Side],
    right: Sequence[Side],
    column: np.ndarray,
    periods: tuple[int | None, ...],
    labels: tuple[str, ...],
) -> QuadraticMoments:
    """Return the moments made of P products, sums over entities formed once.

    Parameters
    ----------
    left, right : sequences of (y, X), shapes (N,) and (N, k)
        The two residuals of each product, y - X b.
    column : ndarray of int, shape (P,)
        Moment each product is added to.
    periods, labels : tuples, one entry per moment
    """
    left_y, right_y = (np.stack([side[0] for side in sides], axis=1) for sides in (left, right))
    left_X, right_X = (np.stack([side[1] for side in sides], axis=1) for sides in (left, right))
    k, q = left_X.shape[2], len(labels)
    c0, c1, c2 = np.zeros(q), np.zeros((q, k)), np.zeros((q, k, k))
    np.add.at(c0, column, np.einsum("np,np->p", left_y, right_y))
    np.add.at(c1, column, np.einsum("np,npk->pk", left_y, right_X) + np.einsum("np,npk->pk", right_y, left_X))
    cross = np.einsum("npk,npl->pkl", left_X, right_X)
    np.add.at(c2, column, (cross + cross.transpose(0, 2, 1)) / 2)
    return QuadraticMoments(left_y, right_y, left_X, right_X, column, periods, labels, c0, c1, c2)
