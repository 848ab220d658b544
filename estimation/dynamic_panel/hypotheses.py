"""Test results as objects, and the tests of a fit: Hansen, Sargan, difference-in-Hansen, AR(m), Wald.

A test that does not apply has missing numbers and says why in `reason`; it never stops the fit.

References: Arellano and Bond (1991) for AR(m) and Sargan; Hansen (1982); Roodman (2009), secs. 2.5-2.7 and 3.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from estimation.dynamic_panel.algebra import Stacked, cluster_sums, entity_moments, weighted
from estimation.dynamic_panel.linear import solve_linear, weight_from


@dataclass(frozen=True, slots=True)
class TestResult:
    """A test: statistic, p-value, degrees of freedom, null hypothesis.

    Attributes
    ----------
    name : str
    stat : float
        Missing when the test does not apply.
    pvalue : float
    df : int or tuple of int or None
        None for a standard normal statistic, (numerator, denominator) for F.
    null : str
    distribution : str
    reason : str
        Why the test does not apply; empty when it does.
    """

    __test__ = False

    name: str
    stat: float
    pvalue: float
    df: int | tuple[int, int] | None
    null: str
    distribution: str
    reason: str = ""

    @property
    def applies(self) -> bool:
        """Whether there is a statistic."""
        return not self.reason

    def __str__(self) -> str:
        """Return one line for a summary."""
        if self.reason:
            return f"{self.name}: not available ({self.reason})"
        label = {"normal": "z", "chi2": f"chi2({self.df})", "F": f"F{self.df}"}.get(self.distribution, "stat")
        return f"{self.name}: {label} = {self.stat:.4f}, p = {self.pvalue:.4f}"


@dataclass(frozen=True, slots=True)
class DifferenceInHansen:
    """Validity of one set of moments: the fit without it, and the difference.

    Attributes
    ----------
    group : str
    excluding : TestResult
        Hansen's J without the moments of the group.
    difference : TestResult
        J minus that, chi-squared with the number of moments in the group under their validity.
    """

    group: str
    excluding: TestResult
    difference: TestResult


def not_available(name: str, null: str, distribution: str, reason: str) -> TestResult:
    """Return a test without numbers and the reason."""
    return TestResult(name, float("nan"), float("nan"), None, null, distribution, reason)


def chi2_test(name: str, stat: float, df: int, null: str) -> TestResult:
    """Return a chi-squared test; without degrees of freedom it does not apply."""
    if df < 1:
        return not_available(name, null, "chi2", f"{df} degrees of freedom")
    return TestResult(name, stat, float(scipy.special.chdtrc(df, stat)), df, null, "chi2")


def normal_test(name: str, stat: float, null: str) -> TestResult:
    """Return a two-sided standard normal test."""
    return TestResult(name, stat, float(2 * scipy.special.ndtr(-abs(stat))), None, null, "normal")


def lower_tail(value: ArrayLike, df_resid: int | None) -> np.ndarray:
    """Return the lower tail probability of the normal distribution, or of Student's t with `df_resid`."""
    return scipy.special.ndtr(value) if df_resid is None else scipy.special.stdtr(df_resid, value)


HANSEN_NULL = "all moments are valid"


def difference_in_hansen(
    data: Stacked, S: np.ndarray, hansen: TestResult, group: str, members: np.ndarray, inverse: str
) -> DifferenceInHansen:
    """Compare the fit with the fit without the moments `members`.

    The covariance of the remaining moments is the submatrix of the full one, not estimated again, so the difference
    cannot be negative unless the full matrix is singular (Roodman 2009, note 24).
    """
    name, null = f"Difference-in-Hansen, {group}", f"the moments of {group} are valid"
    rest = np.setdiff1d(np.arange(data.j), members)
    reason = ""
    if len(members) == 0:
        reason = "no moment of this group is in use"
    elif len(rest) < data.k:
        reason = f"{len(rest)} other moments for {data.k} parameters"
    elif not hansen.applies:
        reason = hansen.reason
    J = float("nan")
    if not reason:
        weight = weight_from(S[np.ix_(rest, rest)], inverse, None if data.units is None else data.units[rest])
        fit = solve_linear(data.ZX[rest], data.Zy[rest], weight)
        if fit is None:
            reason = "the other moments do not identify every parameter"
        else:
            J = float(np.sum((weight.root @ (data.Zy[rest] - data.ZX[rest] @ fit.beta)) ** 2))
    label = f"Hansen excluding {group}"
    if reason:
        return DifferenceInHansen(
            group, not_available(label, HANSEN_NULL, "chi2", reason), not_available(name, null, "chi2", reason)
        )
    df = len(rest) - data.k
    excluding = TestResult(label, J, float(scipy.special.chdtrc(df, J)) if df else 1.0, df, HANSEN_NULL, "chi2")
    return DifferenceInHansen(group, excluding, chi2_test(name, hansen.stat - J, len(members), null))


@dataclass(frozen=True, slots=True)
class DifferencedResiduals:
    """What an AR test needs, on the calendar of T periods.

    Attributes
    ----------
    w : ndarray, shape (N, T)
        First-differenced residuals, zero where there is none.
    Xw : ndarray, shape (N, T, k)
        First-differenced regressors in the same rows.
    row_weights : ndarray or None, shape (N, T)
    """

    w: np.ndarray
    Xw: np.ndarray
    row_weights: np.ndarray | None


def ar_test(
    data: Stacked,
    residuals: DifferencedResiduals,
    order: int,
    *,
    e: np.ndarray,
    projection: np.ndarray,
    cov: np.ndarray,
) -> TestResult:
    """Arellano-Bond test of autocorrelation of a given order in the first-differenced residuals.

    Parameters
    ----------
    e : ndarray, shape (N, R)
        Residuals of the estimation, all equations.
    projection : ndarray, shape (k, j)
        Derivative of the reported estimate with respect to Z'y.
    cov : ndarray, shape (k, k)
        Reported covariance.

    Notes
    -----
    z = sum_i w_i'w_(i,-m) / sqrt(a + b + c), with a = sum_i (w_i'w_(i,-m))^2,
    b = -2 q'P sum_i Z_i'e_i (w_i'w_(i,-m)), c = q'V q, q = sum_i X_i'w_(i,-m).
    """
    name, null = f"AR({order})", f"no autocorrelation of order {order} in the first-differenced errors"
    lagged = _lag(residuals.w, order)
    if not (residuals.w * lagged).any():
        return not_available(name, null, "normal", f"no residual has another one {order} periods before")
    w = residuals.w if residuals.row_weights is None else residuals.w * residuals.row_weights
    products = (w * lagged).sum(axis=1)
    Xw = residuals.Xw if residuals.row_weights is None else residuals.Xw * residuals.row_weights[:, :, None]
    q = np.einsum("ntk,nt->k", Xw, lagged)
    joint = cluster_sums(data, np.column_stack([products, entity_moments(data, e)]))
    variance = float(joint[:, 0] @ joint[:, 0]) - 2.0 * float(q @ (projection @ (joint[:, 1:].T @ joint[:, 0])))
    variance += float(q @ cov @ q)
    return _ar_result(name, null, float(products.sum()), variance)


def homoskedastic_ar_test(
    data: Stacked,
    residuals: DifferencedResiduals,
    order: int,
    *,
    sigma2: float,
    H_difference: np.ndarray,
    H_cross: np.ndarray,
    projection: np.ndarray,
    cov: np.ndarray,
) -> TestResult:
    """Return the AR test of a one-step fit with classical errors.

    Parameters
    ----------
    H_difference : ndarray, shape (T, T)
        Covariance of first-differenced errors up to `sigma2`.
    H_cross : ndarray, shape (number of transformed rows, T)
        Covariance of the transformed rows' errors with the first-differenced ones.
    """
    name, null = f"AR({order})", f"no autocorrelation of order {order} in the first-differenced errors"
    n_transformed = len(H_cross)
    present = residuals.w != 0
    lagged = np.where(present, _lag(residuals.w, order), 0.0)
    if not (residuals.w * lagged).any():
        return not_available(name, null, "normal", f"no residual has another one {order} periods before")
    w = residuals.w if residuals.row_weights is None else residuals.w * residuals.row_weights
    q = np.einsum(
        "ntk,nt->k", residuals.Xw, lagged if residuals.row_weights is None else lagged * residuals.row_weights
    )
    psi = lagged @ H_cross.T
    if data.row_weights is not None:
        psi = psi * data.row_weights[:, :n_transformed]
    Zpsi = np.einsum("nrj,nr->j", data.Z[:, :n_transformed], psi)
    variance = sigma2 * float(np.einsum("nt,ts,ns->", lagged, H_difference, lagged))
    variance += -2.0 * sigma2 * float(q @ (projection @ Zpsi)) + float(q @ cov @ q)
    return _ar_result(name, null, float((w * lagged).sum()), variance)


def _lag(w: np.ndarray, order: int) -> np.ndarray:
    """Return w moved `order` periods later, zero where nothing arrives."""
    out = np.zeros_like(w)
    if order < w.shape[1]:
        out[:, order:] = w[:, : w.shape[1] - order]
    return out


def _ar_result(name: str, null: str, numerator: float, variance: float) -> TestResult:
    if variance <= 0:
        return not_available(name, null, "normal", f"its estimated variance is not positive ({variance:.3g})")
    return normal_test(name, numerator / np.sqrt(variance), null)


def wald_test(
    params: np.ndarray, cov: np.ndarray, R: np.ndarray, q: np.ndarray, *, df_resid: int | None, name: str, null: str
) -> TestResult:
    """Test R params = q.

    Parameters
    ----------
    R : ndarray, shape (m, k)
    q : ndarray, shape (m,)
    df_resid : int or None
        Denominator degrees of freedom of the F test; None takes the chi-squared distribution.
    """
    gap = R @ params - q
    middle = R @ cov @ R.T
    variances = np.diagonal(middle)
    if not (variances > 0).all():
        return not_available(name, null, "F" if df_resid else "chi2", "a restriction has no positive variance")
    # each restriction in units of its own standard error, so that the rank does not hang on units
    spread = np.sqrt(variances)
    scaled = middle / spread / spread[:, None]
    rank = int(np.linalg.matrix_rank(scaled, hermitian=True))
    if rank < len(q):
        return not_available(name, null, "F" if df_resid else "chi2", f"{len(q)} restrictions of rank {rank}")
    z = gap / spread
    stat = float(z @ np.linalg.solve(scaled, z))
    if df_resid is None:
        return chi2_test(name, stat, len(q), null)
    return TestResult(
        name, stat / len(q), float(scipy.special.fdtrc(len(q), df_resid, stat / len(q))), (len(q), df_resid), null, "F"
    )


def weighted_sum_of_squares(data: Stacked, e: np.ndarray, rows: slice) -> float:
    """Return sum of weight x residual^2 over some rows."""
    return float((weighted(data, e)[:, rows] * e[:, rows]).sum())
