"""Linear GMM on stacked panel equations: one-step, two-step, iterated, continuously updated, and their covariances.

Everything is a function of dense arrays: Z (N, R, j), X (N, R, k), y (N, R). No loop runs over entities: the moments of
all entities are one batched product, and the Windmeijer term needs only g_i = Z_i'e_i and inner products with it.
Letters follow docs/notation.md.

References: Windmeijer (2005), J. Econometrics 126; Hwang, Kang and Lee (2022), J. Econometrics 229; Newey and
Windmeijer (2009), Econometrica 77; Roodman (2009), eqs. 13-26; Hansen and Lee (2021),
Econometrica 89, for the iterated estimator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy

from estimation.dynamic_panel.blocks import BlockedZ, entity_blocks
from estimation.dynamic_panel.linear import LinearFit, Weight, solve_linear, weight_from
from estimation.errors import ConvergenceError


@dataclass(frozen=True, slots=True)
class Stacked:
    """The stacked data of one fit, R rows per entity, rows outside the sample zero.

    Attributes
    ----------
    y : ndarray, shape (N, R)
    X : ndarray, shape (N, R, k)
    Z : ndarray or BlockedZ, shape (N, R, j)
    H_root : ndarray, shape (R, q)
        C with H = C C'.
    row_weights : ndarray or None, shape (N, R)
    clusters : ndarray or None, shape (N,)
        Cluster code of each entity; None when each entity is its own.
    multiplicity : ndarray or None, shape (G,)
        Number of identical clusters each one stands for (multiplicity weights, bootstrap draws); their moments are already
        multiplied by it through `row_weights`, so outer products divide by it once.
    ZX, Zy : ndarray, shape (j, k) and (j,)
    units : ndarray or None, shape (j,)
        Root mean square of the variable behind each moment, which a singular weight is scaled with.
    centre : ndarray or None, shape (k,)
        What was subtracted from regressors far from zero in level rows, times the constant; the constant alone changes.
    """

    y: np.ndarray
    X: np.ndarray
    Z: np.ndarray | BlockedZ
    H_root: np.ndarray
    row_weights: np.ndarray | None
    clusters: np.ndarray | None
    multiplicity: np.ndarray | None
    ZX: np.ndarray
    Zy: np.ndarray
    units: np.ndarray | None = None
    centre: np.ndarray | None = None

    @property
    def k(self) -> int:
        """Number of parameters."""
        return self.X.shape[2]

    @property
    def j(self) -> int:
        """Number of moments."""
        return self.Z.shape[2]


def stack(
    y: np.ndarray,
    X: np.ndarray,
    Z: np.ndarray | BlockedZ,
    H_root: np.ndarray,
    *,
    row_weights: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
    multiplicity: np.ndarray | None = None,
    units: np.ndarray | None = None,
    centre: np.ndarray | None = None,
) -> Stacked:
    """Collect the arrays of a fit and form Z'X and Z'y once."""
    n, rows, j = Z.shape
    product = np.zeros((j, X.shape[2] + 1))
    for block in entity_blocks(n, rows * j):
        target = np.concatenate([X[block].reshape(-1, X.shape[2]), y[block].reshape(-1, 1)], axis=1)
        if row_weights is not None:
            target = target * row_weights[block].reshape(-1, 1)
        product += Z[block].reshape(-1, j).T @ target
    return Stacked(y, X, Z, H_root, row_weights, clusters, multiplicity, product[:, :-1], product[:, -1], units, centre)


def blocks_of(data: Stacked) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield blocks of entities with their part of Z."""
    n, rows, j = data.Z.shape
    for block in entity_blocks(n, rows * j):
        yield block, data.Z[block]


def in_levels(data: Stacked) -> np.ndarray:
    """Return the matrix from the parameters of `data` to those of the model as written, shape (k, k); the constant is last."""
    T = np.eye(data.k)
    if data.centre is not None:
        T[-1] -= data.centre
    return T


def one_step_covariance(data: Stacked) -> np.ndarray:
    """Return sum_i Z_i'H Z_i, shape (j, j)."""
    return sum((U.T @ U for U in _one_step_blocks(data)), np.zeros((data.j, data.j)))


def one_step_factor(data: Stacked) -> np.ndarray:
    """Return U with U'U = sum_i Z_i'H Z_i, shape (m, j); of several blocks the triangle of their QR."""
    factor = np.zeros((0, data.j))
    for U in _one_step_blocks(data):
        factor = U if len(factor) == 0 else scipy.linalg.qr(np.vstack([factor, U]), mode="r")[0][: data.j]
    return factor


def _one_step_blocks(data: Stacked) -> Iterator[np.ndarray]:
    """Yield H_root'Z_i of blocks of entities, shape (n q, j)."""
    for block, Z in blocks_of(data):
        weighted_Z = Z if data.row_weights is None else Z * np.sqrt(data.row_weights[block])[:, :, None]
        yield np.matmul(data.H_root.T, weighted_Z).reshape(-1, data.j)


def one_step_weight(data: Stacked, S1: np.ndarray, inverse: str) -> Weight:
    """Return the one-step weight."""
    return weight_from(S1, inverse, data.units, lambda: one_step_factor(data))


def residuals(data: Stacked, beta: np.ndarray) -> np.ndarray:
    """Return y - X beta on every row, shape (N, R)."""
    return data.y - data.X @ beta


def weighted(data: Stacked, e: np.ndarray) -> np.ndarray:
    """Return the residuals times the row weights, shape (N, R)."""
    return e if data.row_weights is None else e * data.row_weights


def entity_moments(data: Stacked, e: np.ndarray) -> np.ndarray:
    """Return Z_i'e_i for every entity, shape (N, j)."""
    rows = weighted(data, e)[:, None, :]
    return np.concatenate([np.matmul(rows[block], Z)[:, 0, :] for block, Z in blocks_of(data)])


def cluster_sums(data: Stacked, values: np.ndarray) -> np.ndarray:
    """Sum entity values over clusters and scale so that outer products count every represented cluster.

    Returns
    -------
    ndarray, shape (G, m)
    """
    if data.clusters is not None:
        out = np.zeros((int(data.clusters.max()) + 1, values.shape[1]))
        np.add.at(out, data.clusters, values)
        values = out
    if data.multiplicity is not None:
        values = values * _inverse_root(data.multiplicity)[:, None]
    return values


def _inverse_root(multiplicity: np.ndarray) -> np.ndarray:
    """Return one over the square root, zero for clusters that stand for none."""
    used = multiplicity > 0
    return np.where(used, 1.0 / np.sqrt(np.where(used, multiplicity, 1.0)), 0.0)


def moment_covariance(data: Stacked, e: np.ndarray) -> np.ndarray:
    """Return S = sum_g g g' over clusters, not centred, shape (j, j)."""
    G = cluster_sums(data, entity_moments(data, e))
    return G.T @ G


def robust_weight(data: Stacked, e: np.ndarray, inverse: str) -> Weight:
    """Return the weight S^-1 (or its generalised inverse) at residuals e."""
    G = cluster_sums(data, entity_moments(data, e))
    return weight_from(G.T @ G, inverse, data.units, lambda: G)


def covariance_slope(data: Stacked, e: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the matrix whose column l is (dS/dbeta_l) v, shape (j, k).

    dS/dbeta_l = -sum_g (Z_g'x_gl g' + g x_gl'Z_g); only its product with v is needed, so no (N, j, k) array is built.
    """
    G = cluster_sums(data, entity_moments(data, e))
    Zv = data.Z @ v
    xv = cluster_sums(data, np.matmul(weighted(data, Zv)[:, None, :], data.X)[:, 0, :])
    scale = _per_entity(data, G @ v)
    w = weighted(data, np.ones_like(data.y)) * scale[:, None]
    total = G.T @ xv
    for block, Z in blocks_of(data):
        total += Z.reshape(-1, data.j).T @ (data.X[block] * w[block][:, :, None]).reshape(-1, data.k)
    return -total


def _per_cluster(data: Stacked, cluster_values: np.ndarray) -> np.ndarray:
    """Return a cluster-level scalar without the scaling of `cluster_sums`, shape (G,)."""
    return cluster_values if data.multiplicity is None else cluster_values * _inverse_root(data.multiplicity)


def _per_entity(data: Stacked, cluster_values: np.ndarray) -> np.ndarray:
    """Return the same scalar for every entity, shape (N,)."""
    plain = _per_cluster(data, cluster_values)
    return plain if data.clusters is None else plain[data.clusters]


@dataclass(frozen=True, slots=True)
class Step:
    """One GMM estimate with the weight that gave it.

    Attributes
    ----------
    fit : LinearFit
    weight : Weight
    e : ndarray, shape (N, R)
        Residuals at this step's estimate.
    moments : ndarray, shape (j,)
        Z'e.
    """

    fit: LinearFit
    weight: Weight
    e: np.ndarray
    moments: np.ndarray

    @property
    def criterion(self) -> float:
        """|L Z'e| squared, with this step's weight."""
        return float(np.sum((self.weight.root @ self.moments) ** 2))


def take_step(data: Stacked, weight: Weight) -> Step | None:
    """Estimate with a given weight; None when the moments do not identify every parameter."""
    fit = solve_linear(data.ZX, data.Zy, weight)
    if fit is None:
        return None
    return Step(fit, weight, residuals(data, fit.beta), data.Zy - data.ZX @ fit.beta)


def robust_covariance(fit: LinearFit, S: np.ndarray) -> np.ndarray:
    """Return the cluster-robust sandwich P S P', shape (k, k)."""
    return symmetric(fit.projection @ S @ fit.projection.T)


def windmeijer_slope(data: Stacked, e_weight: np.ndarray, step: Step) -> np.ndarray:
    """Return D = d beta_2 / d beta_1 through the weight, shape (k, k)."""
    v = step.weight.root.T @ (step.weight.root @ step.moments)
    return -step.fit.projection @ covariance_slope(data, e_weight, v)


def windmeijer_covariance(D: np.ndarray, V_first: np.ndarray, V_second: np.ndarray) -> np.ndarray:
    """Return V2 + D V2 + V2 D' + D V1 D' (Windmeijer 2005, eq. 3.3)."""
    return symmetric(V_second + D @ V_second + V_second @ D.T + D @ V_first @ D.T)


def iterated_covariance(D: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Return (I - D)^-1 V (I - D')^-1, the correction at a fixed point (Windmeijer 2005, sec. 4)."""
    left = np.linalg.solve(np.eye(len(D)) - D, V)
    return symmetric(np.linalg.solve(np.eye(len(D)) - D, left.T))


def symmetric(V: np.ndarray) -> np.ndarray:
    """Return the symmetric part."""
    return (V + V.T) / 2


def influence_one_step(data: Stacked, step: Step) -> np.ndarray:
    """Return the derivative of the one-step estimate with respect to each cluster's weight in the sample, (G, k).

    The one-step weight is itself a sample sum of Z_i'H Z_i, so a cluster also acts through it and through Z_i'X_i; both
    terms vanish when the moments hold exactly, which is why they are left out of the usual sandwich.
    """
    v = step.weight.root.T @ (step.weight.root @ step.moments)
    Zv = data.Z @ v
    root_w = np.ones_like(data.y) if data.row_weights is None else np.sqrt(data.row_weights)
    HZv = ((root_w * Zv) @ data.H_root) @ data.H_root.T * root_w
    through_weight = np.concatenate([np.matmul(HZv[block][:, None, :], Z)[:, 0, :] for block, Z in blocks_of(data)])
    return _influence(data, step, step.e, through_weight)


def influence_two_step(data: Stacked, step: Step, e_weight: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the derivative of the two-step estimate with respect to each cluster's weight, shape (G, k).

    Parameters
    ----------
    e_weight : ndarray, shape (N, R)
        Residuals inside the weight matrix.
    first : ndarray, shape (G, k)
        The same derivative of the estimate that gave `e_weight`; zero-size when `step` is its own first step.
    """
    v = step.weight.root.T @ (step.weight.root @ step.moments)
    G = cluster_sums(data, entity_moments(data, e_weight))
    psi = _influence(data, step, step.e, None) - (G * _per_cluster(data, G @ v)[:, None]) @ step.fit.projection.T
    D = windmeijer_slope(data, e_weight, step)
    if first.size:
        return psi + first @ D.T
    return np.linalg.solve(np.eye(len(D)) - D, psi.T).T


def _influence(data: Stacked, step: Step, e: np.ndarray, through_weight: np.ndarray | None) -> np.ndarray:
    """Return bread (X_g'Z_g W Z'e) + P (g_g - through_weight), shape (G, k)."""
    v = step.weight.root.T @ (step.weight.root @ step.moments)
    Xv = np.matmul(weighted(data, data.Z @ v)[:, None, :], data.X)[:, 0, :]
    g = entity_moments(data, e)
    if through_weight is not None:
        g = g - through_weight
    return cluster_sums(data, Xv) @ step.fit.bread + cluster_sums(data, g) @ step.fit.projection.T


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """An iterated or continuously updated estimate.

    Attributes
    ----------
    step : Step
        The estimate with the weight evaluated at it.
    n_iterations : int
    """

    step: Step
    n_iterations: int


def iterate(data: Stacked, start: Step, *, inverse: str, max_iterations: int, tolerance: float) -> FixedPoint:
    """Repeat the two-step update until the estimate stands still.

    Raises
    ------
    ConvergenceError
    """
    step = start
    change = np.inf
    for n in range(1, max_iterations + 1):
        updated = take_step(data, robust_weight(data, step.e, inverse))
        if updated is None:
            break
        change = _relative_change(updated.fit.beta, step.fit.beta)
        step = updated
        if change < tolerance:
            return FixedPoint(step, n + 1)
    raise ConvergenceError(
        f"The iterated estimator did not settle: relative change {change:.2g} after {max_iterations} iterations, "
        f"expected below {tolerance:.2g}. Use two steps, fewer moments, or more iterations."
    )


def _relative_change(new: np.ndarray, old: np.ndarray) -> float:
    return float(np.abs(new - old).max() / max(1.0, float(np.abs(old).max())))


def continuously_update(
    data: Stacked, start: Step, *, inverse: str, max_iterations: int, tolerance: float
) -> FixedPoint:
    """Minimise g(b)'S(b)^-1 g(b) over b, from a two-step estimate.

    Raises
    ------
    ConvergenceError
    """
    scale = np.sqrt(np.diagonal(start.fit.bread))
    origin = start.fit.beta

    def value_and_slope(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = criterion_and_slope(data, origin + scale * theta, inverse)
        return value, slope * scale

    found = scipy.optimize.minimize(
        value_and_slope, np.zeros(data.k), jac=True, method="BFGS", options={"maxiter": max_iterations, "gtol": 1e-7}
    )
    beta = origin + scale * found.x
    _, slope = criterion_and_slope(data, beta, inverse)
    if float(np.abs(slope * scale).max()) > max(1e-4, tolerance):
        raise ConvergenceError(
            f"The continuously updated estimator did not settle in {found.nit} iterations: largest scaled slope "
            f"{np.abs(slope * scale).max():.2g}. Use two steps or fewer moments."
        )
    e = residuals(data, beta)
    weight = robust_weight(data, e, inverse)
    fit = solve_linear(data.ZX, data.Zy, weight)
    if fit is None:
        raise ConvergenceError("The continuously updated weight does not identify every parameter; use two steps.")
    return FixedPoint(
        Step(LinearFit(beta, fit.bread, fit.projection), weight, e, data.Zy - data.ZX @ beta), int(found.nit)
    )


def criterion_and_slope(data: Stacked, beta: np.ndarray, inverse: str) -> tuple[float, np.ndarray]:
    """Return the continuously updated criterion and its derivative, shape (k,)."""
    e = residuals(data, beta)
    weight = robust_weight(data, e, inverse)
    g = data.Zy - data.ZX @ beta
    v = weight.root.T @ (weight.root @ g)
    slope = -2.0 * data.ZX.T @ v - covariance_slope(data, e, v).T @ v
    return float(g @ v), slope


def many_moments_covariance(data: Stacked, point: FixedPoint, inverse: str) -> np.ndarray:
    """Return the covariance of Newey and Windmeijer (2009) of a continuously updated estimate, shape (k, k)."""
    step = point.step
    v = step.weight.root.T @ (step.weight.root @ step.moments)
    G = cluster_sums(data, entity_moments(data, step.e))
    scale = _per_entity(data, G @ v)
    Xs = data.X * weighted(data, np.ones_like(data.y))[:, :, None] * scale[:, None, None]
    projected = data.Z.reshape(-1, data.j).T @ Xs.reshape(-1, data.k)
    D_hat = step.weight.root @ (data.ZX - projected)
    H = _criterion_curvature(data, step.fit.beta, np.sqrt(np.diagonal(step.fit.bread)), inverse) / 2.0
    left = np.linalg.solve(H, D_hat.T)
    return symmetric(left @ left.T)


def _criterion_curvature(data: Stacked, beta: np.ndarray, scale: np.ndarray, inverse: str) -> np.ndarray:
    """Return the second derivative of the criterion by central differences of its slope."""
    H = np.zeros((len(beta), len(beta)))
    for position, size in enumerate(scale):
        step = np.zeros(len(beta))
        step[position] = 1e-4 * size
        _, up = criterion_and_slope(data, beta + step, inverse)
        _, down = criterion_and_slope(data, beta - step, inverse)
        H[position] = (up - down) / (2 * step[position])
    return symmetric(H)
