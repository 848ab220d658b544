"""Bias-corrected method of moments: the within estimator with its dynamic-panel bias taken out of its moments.

Demeaning correlates a lag of y with the demeaned error by -sigma_i^2 b(rho, T_i), a known function of the
autoregressive coefficients and the length of the panel. Adding an estimate of it to the within estimator's
first-order condition gives moments that are zero at the truth for any T. All other regressors must be strictly
exogenous, errors uncorrelated and homoskedastic over time (their variance may differ between entities). The decision
worth knowing: the moments are nonlinear and have several roots; the right one has a gradient with negative
eigenvalues, and only such a root is returned.

References: Breitung, Kripfganz and Hayakawa (2022), Econometrics and Statistics 24; Bun and Carree (2005), JBES 23
(the same estimator with one lag); Dhaene and Jochmans (2016), Econometric Theory 32 (the same as an adjusted
likelihood).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from estimation.dynamic_panel.estimates import EstimateArrays, PanelEstimates
from estimation.dynamic_panel.samples import Sample
from estimation.dynamic_panel.spells import Spells, build_spells, by_entity, refuse_collinear, within
from estimation.errors import ConvergenceError, SpecificationError

# starting values of the sum of the autoregressive coefficients tried after the within estimate itself
_STARTS = (0.0, 0.3, 0.6, 0.8, 0.95, -0.3, -0.6)


class BiasCorrectedMM:
    """Bias-corrected within estimation of a dynamic panel model.

    Parameters
    ----------
    data : DataFrame
        One row per (entity, time).
    dependent : str
    lags : int
        Lags of the dependent variable, at least one.
    regressors : iterable of str
        Strictly exogenous regressors that vary within entities.
    entity, time : str, optional
    time_effects : bool
        Add period dummies.
    cluster : str, optional
        Column constant within entities; moments are summed over it.
    time_step : int
    sample : str or booleans, optional
        As for `SystemGMM`: a restriction on the rows themselves.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(3)
    >>> a = rng.normal(size=(400, 1)); y = 2 * a + rng.normal(size=(400, 1)); path = []
    >>> for _ in range(8):
    ...     y = .5 * y + a + rng.normal(size=(400, 1)); path.append(y)
    >>> wide = pd.DataFrame(np.hstack(path), columns=range(8)).rename_axis(index="city", columns="year")
    >>> fit = BiasCorrectedMM(wide.stack().rename("y").reset_index(), dependent="y", entity="city", time="year").fit()
    >>> bool(abs(fit.params["L.y"] - .5) < .1)
    True
    """

    def __init__(
        self,
        data: pd.DataFrame,
        *,
        dependent: str,
        lags: int = 1,
        regressors: Iterable[str] = (),
        entity: str | None = None,
        time: str | None = None,
        time_effects: bool = False,
        cluster: str | None = None,
        time_step: int = 1,
        sample: Sample = None,
    ) -> None:
        if not isinstance(lags, int) or lags < 1:
            raise SpecificationError(f"lags: expected at least one lag of {dependent!r}, found {lags!r}.")
        listed = (regressors,) if isinstance(regressors, str) else tuple(regressors)
        self.dependent = dependent
        self.spells = build_spells(
            data,
            dependent=dependent,
            lags=lags,
            regressors=listed,
            entity=entity,
            time=time,
            time_effects=time_effects,
            cluster=cluster,
            time_step=time_step,
            shortest=lags + 1,
            sample=sample,
        )

    def fit(self) -> PanelEstimates:
        """Solve the moments.

        Raises
        ------
        CollinearityError, ConvergenceError
        """
        problem = _Problem(self.spells)
        params, n_iterations = problem.solve()
        G = problem.slope(params)
        psi = -np.linalg.solve(G, problem.by_entity(params).T).T
        return collect(
            self.spells,
            self.dependent,
            "Bias-corrected method of moments",
            params,
            psi,
            problem.counted,
            {"n_iterations": n_iterations, "within": dict(zip(self.spells.names, problem.within, strict=False))},
        )


def collect(
    spells: Spells,
    dependent: str,
    method: str,
    params: np.ndarray,
    psi: np.ndarray,
    counted: np.ndarray,
    details: dict[str, object],
) -> PanelEstimates:
    """Return results from influence functions, the period dummies left out; psi shape (N, k or more)."""
    k = len(spells.names)
    psi = psi[:, :k]
    sums = by_entity(psi, spells.clusters, int(spells.clusters.max()) + 1)
    notes = []
    if spells.n_left_out:
        notes.append(
            f"{spells.n_left_out} complete rows are outside the longest gap-free run of their entity: left out."
        )
    used = np.unique(spells.entity)
    return PanelEstimates(
        method,
        dependent,
        spells.names,
        spells.lag_names,
        EstimateArrays(params[:k], sums.T @ sums, psi),
        spells.entities,
        int(counted.sum()),
        len(used),
        len(np.unique(spells.clusters[used])),
        spells.cluster_name,
        tuple(notes),
        details,
    )


class _Problem:
    """Moments of the within estimator plus their bias, period dummies as further exogenous regressors."""

    def __init__(self, spells: Spells) -> None:
        n = len(spells.entities)
        X = np.hstack([spells.X, spells.dummies])
        self.p, self.n, self.entity = spells.n_lags, n, spells.entity
        self.y, self.X = within(spells.y, spells.entity, n), within(X, spells.entity, n)
        names = (*spells.names, *(f"dummy {m}" for m in range(spells.dummies.shape[1])))
        refuse_collinear(self.X, names)
        self.T = np.bincount(spells.entity, minlength=n)
        self.counted = self.T[spells.entity] > 0
        self.within = np.linalg.lstsq(self.X, self.y, rcond=None)[0]
        self.scale = 1.0 / np.linalg.norm(self.X, axis=0)

    def by_entity(self, theta: np.ndarray) -> np.ndarray:
        """Return X_i'e_i + b(rho, T_i) e_i'e_i / (T_i - 1), shape (N, k)."""
        e = self.y - self.X @ theta
        g = by_entity(self.X * e[:, None], self.entity, self.n)
        g[:, : self.p] += self._variances(e)[:, None] * self._bias(theta)[0]
        return g

    def slope(self, theta: np.ndarray) -> np.ndarray:
        """Return the derivative of the summed moments, shape (k, k)."""
        e = self.y - self.X @ theta
        G = -self.X.T @ self.X
        bias, bias_slope = self._bias(theta)
        weight = 1.0 / np.maximum(self.T - 1, 1)
        variance_slope = -2.0 * by_entity(self.X * e[:, None], self.entity, self.n) * weight[:, None]
        G[: self.p] += bias.T @ variance_slope
        G[: self.p, : self.p] += np.einsum("n,npl->pl", self._variances(e), bias_slope)
        return G

    def _variances(self, e: np.ndarray) -> np.ndarray:
        return np.bincount(self.entity, weights=e**2, minlength=self.n) / np.maximum(self.T - 1, 1)

    def _bias(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return b (N, p) and its derivative (N, p, p); entities with the same length share it."""
        lengths, where = np.unique(self.T, return_inverse=True)
        values = [within_bias(theta[: self.p], int(T)) for T in lengths]
        return np.stack([v[0] for v in values])[where], np.stack([v[1] for v in values])[where]

    def solve(self) -> tuple[np.ndarray, int]:
        """Return the root whose gradient has negative eigenvalues, and the iterations it took."""
        for start in (self.within, *map(self._start_at, _STARTS)):
            found = self._newton(start)
            if found is not None and self._is_right(found[0]):
                return found
        raise ConvergenceError(
            f"The bias-corrected moments have no root with a negative gradient from {1 + len(_STARTS)} starting values: "
            f"within estimate of the lags {np.round(self.within[: self.p], 3).tolist()}. The panel is too short or too near "
            "a unit root for this estimator; use GMM with nonlinear moments."
        )

    def _start_at(self, rho: float) -> np.ndarray:
        """Return the within estimate of the other parameters with the lags summing to `rho`."""
        lags = np.full(self.p, rho / self.p)
        rest = self.X[:, self.p :]
        others = np.linalg.lstsq(rest, self.y - self.X[:, : self.p] @ lags, rcond=None)[0] if rest.shape[1] else []
        return np.concatenate([lags, others])

    def _newton(self, theta: np.ndarray) -> tuple[np.ndarray, int] | None:
        """Return a root of the scaled moments by damped Newton steps, or None."""
        g = self._scaled(theta)
        for n in range(1, 101):
            G = self.scale[:, None] * self.slope(theta) * self.scale
            try:
                move = -self.scale * np.linalg.solve(G, g)
            except np.linalg.LinAlgError:
                return None
            length = 1.0
            while length > 1e-6 and not np.linalg.norm(self._scaled(theta + length * move)) < np.linalg.norm(g):
                length /= 2
            if length <= 1e-6:
                return (theta, n) if np.linalg.norm(g) < self._tolerance() else None
            theta = theta + length * move
            g = self._scaled(theta)
            if np.linalg.norm(g) < self._tolerance():
                return theta, n
        return None

    def _scaled(self, theta: np.ndarray) -> np.ndarray:
        return self.scale * self.by_entity(theta).sum(axis=0)

    def _tolerance(self) -> float:
        # the moments are inner products of vectors of this length
        return 1e-11 * float(np.linalg.norm(self.y))

    def _is_right(self, theta: np.ndarray) -> bool:
        G = self.scale[:, None] * self.slope(theta) * self.scale
        return bool(np.linalg.eigvals(G).real.max() < 0)


def within_bias(rho: np.ndarray, T: int) -> tuple[np.ndarray, np.ndarray]:
    """Return b_k(rho, T) and its derivative, shapes (p,) and (p, p).

    Notes
    -----
    E[sum_t (y_(t-k) - mean) e_t] = -sigma^2 b_k with b_k = (1 / T) sum_(s=0)^(T-k-1) (T - k - s) psi_s, where psi_s
    is the response of y to an error s periods before: psi_0 = 1, psi_s = sum_j rho_j psi_(s-j). With one lag this is
    Nickell's (1981).
    """
    p = len(rho)
    psi, slope = np.zeros(max(T, 1)), np.zeros((max(T, 1), p))
    psi[0] = 1.0
    for s in range(1, T):
        for j in range(1, min(s, p) + 1):
            psi[s] += rho[j - 1] * psi[s - j]
            slope[s] += rho[j - 1] * slope[s - j]
            slope[s, j - 1] += psi[s - j]
    b, db = np.zeros(p), np.zeros((p, p))
    for k in range(1, p + 1):
        weight = np.arange(T - k, 0, -1.0)
        b[k - 1] = weight @ psi[: max(T - k, 0)] / max(T, 1)
        db[k - 1] = weight @ slope[: max(T - k, 0)] / max(T, 1)
    return b, db
