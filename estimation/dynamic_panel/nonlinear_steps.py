"""The steps of GMM with nonlinear moments: weights, minimisation, influence functions, covariance.

Moments are Z'(y - X b) and quadratic ones together, J = j + q. With A the inverse of half the second derivative of the
criterion (curvature of the moments included), G their slope and W the weight, an estimate moves by -A G'W g_i with
entity i, and by D = A G'W (dS/db) W g with the estimate inside its weight (Windmeijer 2005, sec. 2, where moments need
not be linear).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy

from estimation.dynamic_panel import algebra
from estimation.dynamic_panel.algebra import Stacked
from estimation.dynamic_panel.engine import Fit
from estimation.dynamic_panel.influence import outer_sum
from estimation.dynamic_panel.linear import Weight, weight_from
from estimation.dynamic_panel.quadratic_moments import NonlinearMoments, QuadraticMoments
from estimation.dynamic_panel.spec import FitOptions, Inverse
from estimation.errors import ConvergenceError, IdentificationError


@dataclass(frozen=True, slots=True)
class Problem:
    """Linear moments Z'(y - X b) and quadratic ones, J together."""

    data: Stacked
    quadratic: QuadraticMoments

    def total(self, beta: np.ndarray) -> np.ndarray:
        """Sum of the moments, (J,)."""
        return np.concatenate([self.data.Zy - self.data.ZX @ beta, self.quadratic.total(beta)])

    def slope(self, beta: np.ndarray) -> np.ndarray:
        """Its derivative, (J, k)."""
        return np.vstack([-self.data.ZX, self.quadratic.slope(beta)])

    def by_entity(self, beta: np.ndarray) -> np.ndarray:
        """Moments of every entity, (N, J)."""
        linear = algebra.entity_moments(self.data, algebra.residuals(self.data, beta))
        return np.hstack([linear, self.quadratic.by_entity(beta)])

    def covariance(self, beta: np.ndarray) -> np.ndarray:
        """Sum over clusters of g g', (J, J)."""
        sums = algebra.cluster_sums(self.data, self.by_entity(beta))
        return sums.T @ sums

    def covariance_slope(self, beta: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return the matrix whose column l is (dS/dbeta_l) v, (J, k).

        dS v = sum over clusters of dg (g'v) + g (dg'v); no (N, J, k) array is built.
        """
        data, j = self.data, self.data.j
        sums = algebra.cluster_sums(data, self.by_entity(beta))
        along = sums @ v
        along = along if data.clusters is None else along[data.clusters]
        curved = self.quadratic.slopes_by_entity(beta)
        X = data.X.reshape(-1, data.k)
        linear = -data.Z.reshape(-1, j).T @ (X * np.repeat(along, data.y.shape[1])[:, None])
        first = np.vstack([linear, np.einsum("nqk,n->qk", curved, along)])
        moved = np.einsum("nqk,q->nk", curved, v[j:]) - np.einsum("nr,nrk->nk", data.Z @ v[:j], data.X)
        return first + sums.T @ algebra.cluster_sums(data, moved)


@dataclass(frozen=True, slots=True)
class Minimum:
    """A GMM estimate with its weight, A the inverse of half the criterion's second derivative, map A G'W, (k, J)."""

    beta: np.ndarray
    weight: Weight
    moments: np.ndarray
    A: np.ndarray
    map: np.ndarray
    psi: np.ndarray

    @property
    def v(self) -> np.ndarray:
        """Weighted moments, (J,)."""
        return self.weight.root.T @ (self.weight.root @ self.moments)

    @property
    def criterion(self) -> float:
        """Value of the criterion."""
        return float(np.sum((self.weight.root @ self.moments) ** 2))


def first_step(problem: Problem, linear: Fit, groups: tuple[NonlinearMoments, ...], inverse: Inverse) -> Minimum:
    """Minimise with the block-diagonal weight; psi carries the effect of the linear estimate through that weight."""
    beta0, data, q = linear.params, problem.data, problem.quadratic.q
    psi0 = algebra.entity_moments(data, linear.one_step.e) @ linear.one_step.fit.projection.T
    of_label = {group.label: group for group in groups}
    share = np.array([of_label[label].weight for label in problem.quadratic.labels])
    unit = np.array([of_label[label].scaling == "unit" for label in problem.quadratic.labels])
    own = algebra.cluster_sums(data, problem.quadratic.by_entity(beta0))
    variances = np.where(unit, linear.sigma2_one_step * problem.quadratic.counts(), (own**2).sum(axis=0))
    root = linear.one_step.weight.root / np.sqrt(linear.sigma2_one_step)
    used = (share > 0) & (variances > 0)
    lower = np.diag(np.sqrt(np.divide(share, variances, out=np.zeros(q), where=used)))[used]
    full = scipy.linalg.block_diag(root, lower)
    weight = Weight(full, len(full), float("nan"), np.arange(data.j + q))
    found = minimise(problem, weight, [beta0, np.zeros_like(beta0)])
    D = _first_weight_slope(problem, linear, found, unit, variances, own, used)
    return replace(found, psi=found.psi + psi0 @ D.T)


def _first_weight_slope(
    problem: Problem,
    linear: Fit,
    found: Minimum,
    unit: np.ndarray,
    variances: np.ndarray,
    own: np.ndarray,
    used: np.ndarray,
) -> np.ndarray:
    """Return the derivative of the first step with respect to the linear estimate inside its weight, (k, k)."""
    data, beta0, j = problem.data, linear.params, problem.data.j
    # the weight of the linear moments is S1^-1 / sigma2: its derivative is minus itself times d ln sigma2
    sigma2_slope = _sigma2_slope(linear)
    v = found.v
    moved = np.zeros((j + problem.quadratic.q, len(beta0)))
    moved[:j] = v[:j, None] * sigma2_slope / linear.sigma2_one_step
    slopes = problem.quadratic.slopes_by_entity(beta0)
    slopes = algebra.cluster_sums(data, slopes.reshape(len(slopes), -1)).reshape(-1, problem.quadratic.q, len(beta0))
    counted = problem.quadratic.counts()[:, None] * sigma2_slope
    variance_slope = np.where(unit[:, None], counted, 2.0 * np.einsum("gq,gqk->qk", own, slopes))
    moved[j:] = np.where(used, v[j:] / np.where(used, variances, 1.0), 0.0)[:, None] * variance_slope
    G = problem.slope(found.beta)
    return found.A @ G.T @ moved


def _sigma2_slope(linear: Fit) -> np.ndarray:
    """Return d sigma2 / d beta of the one-step residuals, (k,)."""
    e, rows = linear.one_step.e, sigma2_rows(linear)
    scale = linear.sigma2_one_step / max(float((e[:, rows] ** 2).sum()), np.finfo(float).tiny)
    return -2.0 * scale * np.einsum("nr,nrk->k", e[:, rows], linear.prepared.data.X[:, rows])


def sigma2_rows(linear: Fit) -> slice:
    """Return the rows whose residuals measure sigma2: the transformed ones where there are any."""
    n_transformed = len(linear.prepared.design.transformed_at)
    return slice(0, n_transformed) if n_transformed else slice(None)


def later_steps(problem: Problem, first: Minimum, options: FitOptions) -> tuple[Minimum, int]:
    """Return the two-step (or iterated) estimate, also after one step for Hansen's test."""
    step = _next_step(problem, first, options.inverse)
    if options.steps != "iterated":
        return step, 2
    for n in range(3, options.max_iterations + 1):
        updated = _next_step(problem, step, options.inverse)
        change = float(np.abs(updated.beta - step.beta).max() / max(1.0, float(np.abs(step.beta).max())))
        step = updated
        if change < options.tolerance:
            D = _weight_slope(problem, step, step.beta)
            own = -problem.by_entity(step.beta) @ step.map.T
            return replace(step, psi=np.linalg.solve(np.eye(len(D)) - D, own.T).T), n
    raise ConvergenceError(
        f"The iterated estimator with nonlinear moments did not settle in {options.max_iterations} iterations: relative "
        f"change {change:.2g}, expected below {options.tolerance:.2g}. Use two steps or fewer moments."
    )


def _next_step(problem: Problem, before: Minimum, inverse: Inverse) -> Minimum:
    """Minimise with the full weight at an estimate; psi carries the effect of that estimate."""
    weight = weight_from(problem.covariance(before.beta), inverse)
    if weight.rank < len(before.beta):
        raise IdentificationError(
            f"nonlinear moments: the two-step weight has rank {weight.rank} for {len(before.beta)} parameters; collapse the "
            "moments or use one step."
        )
    found = minimise(problem, weight, [before.beta])
    return replace(found, psi=found.psi + before.psi @ _weight_slope(problem, found, before.beta).T)


def _weight_slope(problem: Problem, found: Minimum, inside: np.ndarray) -> np.ndarray:
    """Return D = d beta / d (estimate inside the weight), (k, k)."""
    return found.map @ problem.covariance_slope(inside, found.v)


def minimise(problem: Problem, weight: Weight, starts: list[np.ndarray]) -> Minimum:
    """Minimise |L g(b)| from several starts and keep the lowest.

    Raises
    ------
    ConvergenceError, IdentificationError
    """
    root = weight.root
    best = None
    for start in starts:
        slope = root @ problem.slope(start)
        scale = np.linalg.norm(slope, axis=0)
        scale = 1.0 / np.where(scale > 0, scale, 1.0)
        found = scipy.optimize.least_squares(
            lambda theta, scale=scale: root @ problem.total(theta * scale),
            start / scale,
            jac=lambda theta, scale=scale: (root @ problem.slope(theta * scale)) * scale,
            method="lm",
            xtol=1e-14,
            ftol=1e-14,
            gtol=1e-14,
        )
        if best is None or found.cost < best[0]:
            best = (found.cost, found.x * scale)
    assert best is not None
    return _settled(problem, weight, best[1])


def _settled(problem: Problem, weight: Weight, beta: np.ndarray) -> Minimum:
    """Polish by Newton's method and form what the covariance needs."""
    for _ in range(20):
        G, g = problem.slope(beta), problem.total(beta)
        v = weight.root.T @ (weight.root @ g)
        H = G.T @ weight.root.T @ (weight.root @ G) + problem.quadratic.curvature(v[problem.data.j :])
        scale = 1.0 / np.sqrt(np.clip(np.diagonal(H), np.finfo(float).tiny, None))
        scaled = algebra.symmetric(H * scale * scale[:, None])
        if np.linalg.eigvalsh(scaled)[0] < np.finfo(float).eps * len(g):
            raise IdentificationError(
                f"nonlinear moments: the criterion has no minimum that determines every one of {len(beta)} parameters. Add "
                "linear moments, or leave out the nonlinear ones."
            )
        move = scale * np.linalg.solve(scaled, scale * (G.T @ v))
        beta = beta - move
        if np.abs(move / scale).max() < 1e-10:
            break
    G, g = problem.slope(beta), problem.total(beta)
    WG = weight.root.T @ (weight.root @ G)
    v = weight.root.T @ (weight.root @ g)
    H = algebra.symmetric(G.T @ WG + problem.quadratic.curvature(v[problem.data.j :]))
    scale = 1.0 / np.sqrt(np.diagonal(H))
    A = algebra.symmetric(scale[:, None] * np.linalg.inv(H * scale * scale[:, None]) * scale)
    if float(np.abs(scale * (G.T @ v)).max()) > 1e-6 * max(1.0, float(np.sqrt(g @ v))):
        raise ConvergenceError(
            "The criterion with nonlinear moments has no clear minimum near the linear estimate. Collapse the moments, or "
            "use other linear instruments."
        )
    gradient_map = A @ WG.T
    return Minimum(beta, weight, g, A, gradient_map, -problem.by_entity(beta) @ gradient_map.T)


def step_covariance(problem: Problem, options: FitOptions, first: Minimum, second: Minimum) -> tuple[np.ndarray, bool]:
    """Return the covariance and whether it is the outer product of influence functions in place of the correction.

    After one step it is that product, after two Windmeijer's correction. Where the correction makes a variance negative,
    which needs few clusters and curved moments, the product stands in for it: it has the same limit and is never negative.
    """
    data = problem.data
    if options.steps == 1:
        own = -problem.by_entity(first.beta) @ first.map.T
        return outer_sum(data, own if options.covariance == "unadjusted" else first.psi), False
    V1 = outer_sum(data, first.psi)
    V2 = algebra.symmetric(second.map @ problem.slope(second.beta) @ second.A)
    if options.covariance == "unadjusted":
        return V2, False
    if options.steps == "iterated":
        V = algebra.iterated_covariance(_weight_slope(problem, second, second.beta), V2)
    else:
        V = algebra.windmeijer_covariance(_weight_slope(problem, second, first.beta), V1, V2)
    if (np.diagonal(V) > 0).all():
        return V, False
    return outer_sum(data, second.psi), True
