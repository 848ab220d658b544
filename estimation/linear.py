"""Weights as roots: factor a positive semidefinite moment covariance once and never form its inverse.

A `Weight` holds L with W = L' L, so that beta = argmin |L (Z'y - Z'X beta)| is an ordinary least-squares problem solved
by QR. Redundant moments are found on the correlation scale, in order, which is how a moment table can name them. The
decision worth knowing: on a singular matrix "sweep" leaves redundant moments out (as Stata does), "moore_penrose" uses
the pseudo-inverse; the estimates differ and neither is more right, so the rank is always reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

# on the correlation scale: what is left of a moment's variance given the others; Cholesky of an exactly singular matrix
# leaves about 1e-15 times its dimension, real instruments of the reference cases leave 1e-7 and more
PIVOT_TOLERANCE = 1e-11


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
    scale = _scale(S)
    correlation = S * scale * scale[:, None]
    factor, failed = linalg.lapack.dpotrf(correlation, lower=1, clean=1)
    if failed == 0 and (np.diagonal(factor) ** 2).min(initial=1.0) > PIVOT_TOLERANCE and (scale > 0).all():
        return np.arange(len(S))
    return _swept(correlation)


def _scale(S: np.ndarray) -> np.ndarray:
    """Return one over the square root of the diagonal, zero where the diagonal is not positive."""
    diagonal = np.diagonal(S)
    positive = diagonal > 0
    return np.where(positive, 1.0 / np.sqrt(np.where(positive, diagonal, 1.0)), 0.0)


def _swept(correlation: np.ndarray) -> np.ndarray:
    """Row-by-row Cholesky that leaves out dependent rows."""
    j = len(correlation)
    L = np.zeros((j, j))
    kept: list[int] = []
    for row in range(j):
        head = linalg.solve_triangular(L[: len(kept), : len(kept)], correlation[kept, row], lower=True) if kept else []
        pivot = correlation[row, row] - float(np.dot(head, head))
        if pivot > PIVOT_TOLERANCE:
            L[len(kept), : len(kept)] = head
            L[len(kept), len(kept)] = np.sqrt(pivot)
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
    scale = _scale(S)
    correlation = S * scale * scale[:, None]
    factor, failed = linalg.lapack.dpotrf(correlation, lower=1, clean=1)
    j = len(S)
    if failed == 0 and (scale > 0).all() and (np.diagonal(factor) ** 2).min(initial=1.0) > PIVOT_TOLERANCE:
        norm = np.abs(correlation).sum(axis=0).max(initial=0.0)
        rcond, _ = linalg.lapack.dpocon(factor, norm, uplo="L")
        inverted, _ = linalg.lapack.dtrtri(factor, lower=1)
        return Weight(inverted * scale, j, float(rcond), np.arange(j))
    if inverse == "moore_penrose":
        values, vectors = linalg.eigh((S + S.T) / 2)
        used = values > values.max(initial=0.0) * j * np.finfo(float).eps
        return Weight(vectors[:, used].T / np.sqrt(values[used])[:, None], int(used.sum()), 0.0, np.arange(j))
    kept = _swept(correlation)
    factor = linalg.cholesky(correlation[np.ix_(kept, kept)], lower=True)
    root = np.zeros((len(kept), j))
    root[:, kept] = linalg.solve_triangular(factor, np.diag(scale[kept]), lower=True)
    return Weight(root, len(kept), 0.0, kept)


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
    Q, R = linalg.qr(A / norms, mode="economic", check_finite=False)
    if np.abs(np.diagonal(R)).min() < np.finfo(float).eps * len(A):
        return None
    R_inverse = linalg.solve_triangular(R, np.eye(len(R)), check_finite=False) / norms[:, None]
    projection = (R_inverse @ Q.T) @ weight.root
    return LinearFit(R_inverse @ (Q.T @ (weight.root @ Zy)), R_inverse @ R_inverse.T, projection)
