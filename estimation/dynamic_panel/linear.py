"""Weights as roots: factor a positive semidefinite moment covariance once and never form its inverse.

A `Weight` holds L with W = L' L, so that beta = argmin |L (Z'y - Z'X beta)| is an ordinary least-squares problem solved
by QR. Redundant moments are found on the correlation scale, in order, which is how a moment table can name them. When that
leaves doubt, the factor A of S = A'A decides, which knows shares of 1e-9 where S itself knows 1e-5.

The decision worth knowing: a singular S has many generalised inverses, and estimates differ between them. "sweep" is
Stata's: sweep the largest remaining diagonal of S as it is, until what is left of each is 1e-10 of its first value. What is
largest then hangs on units; "scaled_sweep" sweeps S with each moment in units of its variable's root mean square, and so is
the same in any units. Ties are settled by the order of the moments, never by rounding, so that neither depends on how
entities are numbered or on threads. "moore_penrose" is the pseudo-inverse. The rank and the moments left out are reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy

# on the correlation scale: what is left of a moment's variance given the others, largest first; an exactly singular
# matrix leaves about 1e-15 times its dimension, real instruments of the reference cases leave 1e-7 and more
PIVOT_TOLERANCE = 1e-11
# in the order given, rounding can leave more than that on a singular matrix; below this the pivoted factor decides
CLEAR_PIVOT = 1e-8
# Stata's: a pivot that fell to this share of its first value is zero
SWEEP_TOLERANCE = 1e-10
# the same from a factor of S, whose columns are exact to 1e-16 instead of their squares: (1e-9)^2
FACTOR_TOLERANCE = 1e-18
# remaining pivots that differ by less are one and the same but for rounding
TIE = 1e-9

Factor = Callable[[], np.ndarray]


@dataclass(frozen=True, slots=True)
class Weight:
    """Root of a weight matrix.

    Attributes
    ----------
    root : ndarray, shape (r, j)
        L with W = L' L.
    rank : int
    rcond : float
        Reciprocal condition number of the covariance on the correlation scale (1-norm estimate), 0 when singular.
    kept : ndarray of int
        Moments that carry weight (all of them for the pseudo-inverse).
    """

    root: np.ndarray
    rank: int
    rcond: float
    kept: np.ndarray


@dataclass(frozen=True, slots=True)
class LinearFit:
    """Minimum of |L (Z'y - Z'X beta)|.

    Attributes
    ----------
    beta : ndarray, shape (k,)
    bread : ndarray, shape (k, k)
        (X'Z W Z'X)^-1.
    projection : ndarray, shape (k, j)
        (X'Z W Z'X)^-1 X'Z W, the derivative of beta with respect to Z'y.
    """

    beta: np.ndarray
    bread: np.ndarray
    projection: np.ndarray


def independent_moments(S: np.ndarray, factor: Factor | None = None) -> np.ndarray:
    """Return the moments that are not a combination of those before them, as positions.

    Parameters
    ----------
    S : ndarray, shape (j, j)
    factor : callable, optional
        Returns A with S = A'A, shape (m, j); asked when S leaves doubt.
    """
    correlation, scale = _correlation(S)
    cholesky, failed = scipy.linalg.lapack.dpotrf(correlation, lower=1, clean=1)
    if _is_clear(cholesky, failed, scale):
        return np.arange(len(S))
    if factor is None:
        return _in_order(correlation, _pivoted(correlation)[1])
    return _eliminate(_unit_columns(factor())[0], None, FACTOR_TOLERANCE)


def _correlation(S: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return S scaled to unit diagonal and the scale; zero for moments without variance."""
    diagonal = np.diagonal(S)
    positive = diagonal > 0
    scale = np.where(positive, 1.0 / np.sqrt(np.where(positive, diagonal, 1.0)), 0.0)
    return S * scale * scale[:, None], scale


def _is_clear(factor: np.ndarray, failed: int, scale: np.ndarray) -> bool:
    """Whether an ordinary Cholesky factor leaves no doubt about full rank."""
    return failed == 0 and bool((scale > 0).all()) and (np.diagonal(factor) ** 2).min(initial=1.0) > CLEAR_PIVOT


def _pivoted(correlation: np.ndarray) -> tuple[np.ndarray, int, np.ndarray]:
    """Return the Cholesky factor with the largest pivot first, the rank and the order."""
    factor, order, rank, _ = scipy.linalg.lapack.dpstrf(correlation, tol=PIVOT_TOLERANCE, lower=1)
    return np.tril(factor), int(rank), order - 1


def _in_order(correlation: np.ndarray, rank: int) -> np.ndarray:
    """Return the first moments that are independent of those before them, `rank` at most."""
    j = len(correlation)
    L = np.zeros((j, j))
    kept: list[int] = []
    for row in range(j):
        n = len(kept)
        head = scipy.linalg.solve_triangular(L[:n, :n], correlation[kept, row], lower=True) if kept else np.zeros(0)
        pivot = correlation[row, row] - float(head @ head)
        if pivot > PIVOT_TOLERANCE and n < rank:
            L[n, :n], L[n, n] = head, np.sqrt(pivot)
            kept.append(row)
    return np.array(kept, dtype=int)


def _unit_columns(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a square factor with columns of norm one, and the norms; zero columns stay zero."""
    if len(A) > A.shape[1]:
        A = scipy.linalg.qr(A, mode="r", check_finite=False)[0][: A.shape[1]]
    norms = np.linalg.norm(A, axis=0)
    return A / np.where(norms > 0, norms, 1.0), norms


def _eliminate(A: np.ndarray, size: np.ndarray | None, tolerance: float) -> np.ndarray:
    """Return the columns that are kept, in the order they were taken.

    Parameters
    ----------
    A : ndarray, shape (m, j)
        Columns of norm one (or zero).
    size : ndarray or None, shape (j,)
        Variance of each moment: the largest remaining one is taken next. None takes them in order.
    tolerance : float
        Share of a column's square below which nothing is left of it.
    """
    rest = A.copy()
    open_ = np.ones(A.shape[1], dtype=bool)
    kept: list[int] = []
    while open_.any() and len(kept) < len(A):
        share = np.einsum("mj,mj->j", rest, rest)
        open_ &= share > tolerance
        if not open_.any():
            break
        if size is None:
            p = int(np.argmax(open_))
        else:
            remaining = np.where(open_, share * size, 0.0)
            p = int(np.argmax(remaining >= remaining.max() * (1 - TIE)))
        direction = rest[:, p] / np.sqrt(share[p])
        rest -= np.outer(direction, direction @ rest)
        # once more: what rounding left along the direction would count as a share of the others
        rest -= np.outer(direction, direction @ rest)
        kept.append(p)
        open_[p] = False
    return np.array(kept, dtype=int)


def weight_from(
    S: np.ndarray, inverse: str = "scaled_sweep", units: np.ndarray | None = None, factor: Factor | None = None
) -> Weight:
    """Return the weight W = S^-1 (or a generalised inverse) as a root.

    Parameters
    ----------
    S : ndarray, shape (j, j)
        Symmetric positive semidefinite.
    inverse : {"scaled_sweep", "sweep", "moore_penrose"}
    units : ndarray, optional, shape (j,)
        Size of the variable behind each moment, for "scaled_sweep".
    factor : callable, optional
        Returns A with S = A'A, shape (m, j); asked when S leaves doubt.
    """
    correlation, scale = _correlation(S)
    cholesky, failed = scipy.linalg.lapack.dpotrf(correlation, lower=1, clean=1)
    j = len(S)
    if _is_clear(cholesky, failed, scale):
        norm = np.abs(correlation).sum(axis=0).max(initial=0.0)
        rcond, _ = scipy.linalg.lapack.dpocon(cholesky, norm, uplo="L")
        inverted, _ = scipy.linalg.lapack.dtrtri(cholesky, lower=1)
        return Weight(inverted * scale, j, float(rcond), np.arange(j))
    if inverse == "moore_penrose":
        return _pseudo_inverse(S)
    A, norms = _unit_columns(_root_of(S) if factor is None else factor())
    size = norms**2 if inverse == "sweep" or units is None else (norms / units) ** 2
    tolerance = SWEEP_TOLERANCE if inverse == "sweep" or factor is None else FACTOR_TOLERANCE
    kept = np.sort(_eliminate(A, size, tolerance))
    R = scipy.linalg.qr(A[:, kept], mode="r", check_finite=False)[0][: len(kept)]
    root = np.zeros((len(kept), j))
    root[:, kept] = scipy.linalg.solve_triangular(R, np.diag(1.0 / norms[kept]), trans="T", check_finite=False)
    return Weight(root, len(kept), _reciprocal_condition(R) if len(kept) == j else 0.0, kept)


def _root_of(S: np.ndarray) -> np.ndarray:
    """Return A with A'A = S."""
    correlation, scale = _correlation(S)
    values, vectors = scipy.linalg.eigh(correlation)
    sizes = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    return (np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T) * sizes


def _reciprocal_condition(R: np.ndarray) -> float:
    """Return the reciprocal condition of R'R."""
    values = scipy.linalg.svdvals(R)
    return float((values[-1] / values[0]) ** 2)


def _pseudo_inverse(S: np.ndarray) -> Weight:
    """Return the root of the Moore-Penrose inverse; the rank is counted on the correlation scale, whatever the units."""
    values, vectors = scipy.linalg.eigh((S + S.T) / 2)
    used = values > values.max(initial=0.0) * len(S) * np.finfo(float).eps
    used[: len(S) - _pivoted(_correlation(S)[0])[1]] = False
    return Weight(vectors[:, used].T / np.sqrt(values[used])[:, None], int(used.sum()), 0.0, np.arange(len(S)))


def solve_linear(ZX: np.ndarray, Zy: np.ndarray, weight: Weight) -> LinearFit | None:
    """Solve the linear GMM problem, or return None when the moments do not identify every parameter.

    Parameters
    ----------
    ZX : ndarray, shape (j, k)
    Zy : ndarray, shape (j,)
    weight : Weight
    """
    if weight.rank < ZX.shape[1]:
        return None
    A = weight.root @ ZX
    norms = np.linalg.norm(A, axis=0)
    if (norms == 0).any():
        return None
    Q, R = scipy.linalg.qr(A / norms, mode="economic", check_finite=False)
    if np.abs(np.diagonal(R)).min() < np.finfo(float).eps * len(A):
        return None
    R_inverse = scipy.linalg.solve_triangular(R, np.eye(len(R)), check_finite=False) / norms[:, None]
    projection = (R_inverse @ Q.T) @ weight.root
    return LinearFit(R_inverse @ (Q.T @ (weight.root @ Zy)), R_inverse @ R_inverse.T, projection)
