"""Weights as roots: factor a positive semidefinite moment covariance once and never form its inverse.

A `Weight` holds L with W = L' L, so that beta = argmin |L (Z'y - Z'X beta)| is an ordinary least-squares problem solved
by QR. Redundant moments are found on the correlation scale, in
order, which is how a moment table can name them. The
decision worth knowing: on a singular matrix "sweep" leaves redundant moments out (as Stata does), "moore_penrose" uses
the pseudo-inverse; the estimates differ and neither is more right, so the rank is always reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

# on the correlation scale: what is left of a moment's variance given the others, largest first; an exactly singular
# matrix leaves about 1e-15 times its dimension, real instruments of the reference cases leave 1e-7 and more
PIVOT_TOLERANCE = 1e-11
# in the order given, rounding can leave more than that on a singular matrix; below this the pivoted factor decides
CLEAR_PIVOT = 1e-8


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


def independent_moments(S: np.ndarray) -> np.ndarray:
    """Return the moments that are no combination of those before them, as positions."""
    correlation, scale = _correlation(S)
    factor, failed = scipy.linalg.lapack.dpotrf(correlation, lower=1, clean=1)
    if _is_clear(factor, failed, scale):
        return np.arange(len(S))
    return _in_order(correlation, _pivoted(correlation)[1])


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


def weight_from(S: np.ndarray, inverse: str = "sweep") -> Weight:
    """Return the weight W = S^-1 (or a generalised inverse) as a root.

    Parameters
    ----------
    S : ndarray, shape (j, j)
        Symmetric positive semidefinite.
    inverse : {"sweep", "moore_penrose"}
    """
    correlation, scale = _correlation(S)
    factor, failed = scipy.linalg.lapack.dpotrf(correlation, lower=1, clean=1)
    j = len(S)
    if _is_clear(factor, failed, scale):
        norm = np.abs(correlation).sum(axis=0).max(initial=0.0)
        rcond, _ = scipy.linalg.lapack.dpocon(factor, norm, uplo="L")
        inverted, _ = scipy.linalg.lapack.dtrtri(factor, lower=1)
        return Weight(inverted * scale, j, float(rcond), np.arange(j))
    factor, rank, order = _pivoted(correlation)
    if inverse == "moore_penrose" and rank < j:
        values, vectors = scipy.linalg.eigh((S + S.T) / 2)
        used = values > values.max(initial=0.0) * j * np.finfo(float).eps
        return Weight(vectors[:, used].T / np.sqrt(values[used])[:, None], int(used.sum()), 0.0, np.arange(j))
    kept = order[:rank]
    root = np.zeros((rank, j))
    root[:, kept] = scipy.linalg.solve_triangular(factor[:rank, :rank], np.diag(scale[kept]), lower=True)
    return Weight(root, rank, 0.0, np.sort(kept))


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
