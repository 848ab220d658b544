"""One fit: steps, covariance, tests, warnings, in this order.

It takes prepared arrays and returns a `Fit` of plain arrays; results.py gives it names and a face. A diagnostic that
cannot be had is a test with a reason; only parameters that are not identified stop a fit.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from estimation.dynamic_panel import algebra
from estimation.dynamic_panel.algebra import Stacked, Step
from estimation.dynamic_panel.computing import one_thread
from estimation.dynamic_panel.hypotheses import (
    HANSEN_NULL,
    DifferenceInHansen,
    TestResult,
    chi2_test,
    not_available,
    weighted_sum_of_squares,
)
from estimation.dynamic_panel.linear import Weight
from estimation.dynamic_panel.preparation import Prepared
from estimation.dynamic_panel.spec import FitOptions
from estimation.dynamic_panel.specification_tests import differences_by_group
from estimation.errors import (
    CovarianceWarning,
    DroppedRegressorWarning,
    EstimationWarning,
    HansenPValueWarning,
    IdentificationError,
    InstrumentCountWarning,
    PrecisionWarning,
    SingularWeightWarning,
)

# Hansen's p above this is taken as a sign of too many instruments (Roodman 2009, sec. 5, worries from .25 on and calls
# values near 1 a red flag); a valid model with few instruments exceeds .95 once in twenty
SUSPICIOUS_HANSEN_P = 0.95
# instruments per cluster from which a warning is given (docs/methodology/dynamic_panel_gmm.md, "How many instruments")
CROWDED_SHARE = 0.5
# mean over standard deviation of a variable from which a reader should know that digits are lost: coefficients still agree
# to five digits at 1e7 (test_units), none at 1e9
FAR_FROM_ZERO = 1e6


@dataclass(frozen=True, slots=True)
class Fit:
    """Numbers of one fit.

    Attributes
    ----------
    prepared : Prepared
    options : FitOptions
    params : ndarray, shape (k,)
    cov : ndarray, shape (k, k)
    factor : float
        Small-sample factor in `cov`, 1 without.
    reported : Step
        The step whose estimates are reported.
    one_step : Step
    two_step : Step or None
        None when the clusters are too few for a two-step weight.
    sigma2, sigma2_one_step : float
        Error variance from the reported and the one-step residuals; the latter scales Sargan's test.
    n_iterations : int
    hansen, sargan : TestResult
    differences : tuple of DifferenceInHansen
    notes : tuple of str
    """

    prepared: Prepared
    options: FitOptions
    params: np.ndarray
    cov: np.ndarray
    factor: float
    reported: Step
    one_step: Step
    two_step: Step | None
    sigma2: float
    sigma2_one_step: float
    n_iterations: int
    hansen: TestResult
    sargan: TestResult
    differences: tuple[DifferenceInHansen, ...]
    notes: tuple[str, ...]

    @property
    def std_errors(self) -> np.ndarray:
        """Standard errors, shape (k,); missing where a correction made the variance negative."""
        variances = np.diagonal(self.cov)
        return np.sqrt(np.where(variances >= 0, variances, np.nan))


def estimate(prepared: Prepared, options: FitOptions) -> Fit:
    """Estimate and test.

    Raises
    ------
    IdentificationError
        When the moments do not determine every parameter.
    ConvergenceError
        When "iterated" or "cue" does not settle.
    """
    n, rows, j = prepared.data.Z.shape
    with one_thread(float(n * rows * j * j)):
        return _estimate(prepared, options)


def _estimate(prepared: Prepared, options: FitOptions) -> Fit:
    """Estimate and test in one go."""
    data = prepared.data
    one_step = algebra.take_step(data, algebra.one_step_weight(data, prepared.S1, options.inverse))
    if one_step is None:
        raise IdentificationError(
            f"The {data.j} moments do not identify the {data.k} parameters ({', '.join(prepared.design.names[:8])}): "
            "Z'X has not full column rank. Add instruments that move with each regressor."
        )
    sigma2 = _sigma2(prepared, one_step.e)
    S = algebra.moment_covariance(data, one_step.e)
    weight = algebra.robust_weight(data, one_step.e, options.inverse)
    two_step = algebra.take_step(data, weight)
    if two_step is None and options.steps != 1:
        raise IdentificationError(
            f"The two-step weight has rank {weight.rank} for {data.k} parameters: the {data.j} moments are too many for "
            f"{prepared.sizes.n_clusters} clusters. Use one step, fewer regressors or smaller clusters."
        )
    reported, n_iterations, V = _reported(prepared, options, one_step, two_step, S, sigma2)
    if reported is not one_step:
        weight = reported.weight
    hansen = _hansen(data, two_step if options.steps == 1 else reported)
    sargan = chi2_test(
        "Sargan", one_step.criterion / sigma2, data.j - data.k, "all moments are valid and errors are i.i.d."
    )
    factor = _small_sample_factor(prepared, options)
    T = algebra.in_levels(data)
    S_final = S if options.steps in (1, 2) else algebra.moment_covariance(data, reported.e)
    return Fit(
        prepared,
        options,
        T @ reported.fit.beta,
        T @ V @ T.T * factor,
        factor,
        reported,
        one_step,
        two_step,
        _sigma2(prepared, reported.e),
        sigma2,
        n_iterations,
        hansen,
        sargan,
        differences_by_group(prepared, S_final, hansen, options.inverse),
        _notes(prepared, options, weight, hansen, V),
    )


def _reported(
    prepared: Prepared, options: FitOptions, one_step: Step, two_step: Step | None, S: np.ndarray, sigma2: float
) -> tuple[Step, int, np.ndarray]:
    """Return the reported step, its number of iterations and its covariance."""
    data = prepared.data
    if options.steps == 1 or two_step is None:
        return one_step, 1, _one_step_covariance(data, options.covariance, one_step, S, sigma2)
    if options.steps == 2:
        return two_step, 2, _two_step_covariance(data, options.covariance, one_step, two_step, S)
    search = algebra.iterate if options.steps == "iterated" else algebra.continuously_update
    point = search(
        data, two_step, inverse=options.inverse, max_iterations=options.max_iterations, tolerance=options.tolerance
    )
    return point.step, point.n_iterations, _fixed_point_covariance(data, options, point)


def _one_step_covariance(data: Stacked, kind: str, step: Step, S: np.ndarray, sigma2: float) -> np.ndarray:
    """Return the covariance of the one-step estimate."""
    if kind == "unadjusted":
        return sigma2 * step.fit.bread
    if kind == "robust":
        return algebra.robust_covariance(step.fit, S)
    psi = algebra.influence_one_step(data, step)
    return psi.T @ psi


def _two_step_covariance(data: Stacked, kind: str, one_step: Step, two_step: Step, S: np.ndarray) -> np.ndarray:
    """Return the covariance of the two-step estimate."""
    if kind == "unadjusted":
        return two_step.fit.bread
    if kind == "windmeijer":
        D = algebra.windmeijer_slope(data, one_step.e, two_step)
        return algebra.windmeijer_covariance(D, algebra.robust_covariance(one_step.fit, S), two_step.fit.bread)
    psi = algebra.influence_two_step(data, two_step, one_step.e, algebra.influence_one_step(data, one_step))
    return psi.T @ psi


def _fixed_point_covariance(data: Stacked, options: FitOptions, point: algebra.FixedPoint) -> np.ndarray:
    """Return the covariance of an iterated or continuously updated estimate."""
    kind, step = options.covariance, point.step
    if kind == "unadjusted":
        return step.fit.bread
    if options.steps == "cue":
        return algebra.many_moments_covariance(data, point, options.inverse)
    if kind == "windmeijer":
        return algebra.iterated_covariance(algebra.windmeijer_slope(data, step.e, step), step.fit.bread)
    psi = algebra.influence_two_step(data, step, step.e, np.zeros((0, 0)))
    return psi.T @ psi


def _hansen(data: Stacked, step: Step | None) -> TestResult:
    """Return Hansen's J from the robust weight."""
    if step is None:
        return not_available("Hansen J", HANSEN_NULL, "chi2", "too few clusters for the robust weight")
    return chi2_test("Hansen J", step.criterion, data.j - data.k, HANSEN_NULL)


def _small_sample_factor(prepared: Prepared, options: FitOptions) -> float:
    """Return (N - 1) / (N - k) G / (G - 1), or n / (n - k) for classical errors after one step."""
    if not options.small:
        return 1.0
    sizes, k = prepared.sizes, prepared.data.k
    if sizes.nobs <= k or sizes.n_clusters < 2:
        raise IdentificationError(
            f"small: expected more than {k} observations and 2 clusters, found {sizes.nobs} and {sizes.n_clusters}."
        )
    if options.steps == 1 and options.covariance == "unadjusted":
        return sizes.n_sigma2 / (sizes.n_sigma2 - k)
    return (sizes.nobs - 1) / (sizes.nobs - k) * sizes.n_clusters / (sizes.n_clusters - 1)


def _sigma2(prepared: Prepared, e: np.ndarray) -> float:
    """Return the error variance: SSR of the transformed residuals over twice their number (once for FOD and h = 1)."""
    spec = prepared.spec
    n_transformed = len(prepared.design.transformed_at)
    level = (spec.h == 1 and spec.system) or n_transformed == 0
    rows = slice(n_transformed, None) if level else slice(0, n_transformed)
    twice = 1 if spec.transform == "fod" or level or spec.h == 1 else 2
    return weighted_sum_of_squares(prepared.data, e, rows) / twice / prepared.sizes.n_sigma2


def _notes(
    prepared: Prepared, options: FitOptions, weight: Weight, hansen: TestResult, V: np.ndarray
) -> tuple[str, ...]:
    """Warn about what a reader must know before believing the numbers, and return the sentences."""
    j, clusters = prepared.data.j, prepared.sizes.n_clusters
    notes: list[tuple[str, type[EstimationWarning]]] = []
    dropped = [f"{name} ({why})" for name, why in prepared.design.dropped if name in prepared.spec.regressors]
    if dropped:
        notes.append((f"Dropped: {', '.join(dropped)}.", DroppedRegressorWarning))
    far = _far_from_zero(prepared)
    if far:
        text = (
            f"{', '.join(far[:5])}: the mean is more than {FAR_FROM_ZERO:g} times the standard deviation, and digits are "
            "lost. Subtract a round number first."
        )
        notes.append((text, PrecisionWarning))
    if j > CROWDED_SHARE * clusters:
        text = (
            f"{j} instruments for {clusters} groups: more than {CROWDED_SHARE:g} per group weakens the weight and "
            "Hansen's test. Collapse, or limit the lags."
        )
        notes.append((text, InstrumentCountWarning))
    if weight.rank < j:
        notes.append((_singular(prepared, weight, options), SingularWeightWarning))
    if hansen.applies and hansen.pvalue > SUSPICIOUS_HANSEN_P:
        text = (
            f"Hansen's p = {hansen.pvalue:.3f} is implausibly near 1 with {j} instruments for {clusters} groups; it is "
            "no support for the moments."
        )
        notes.append((text, HansenPValueWarning))
    negative = [name for name, v in zip(prepared.design.names, np.diagonal(V), strict=True) if v < 0]
    if negative:
        text = f"The corrected variance of {', '.join(negative[:5])} is negative; there is no standard error for it."
        notes.append((text, CovarianceWarning))
    for text, category in notes:
        warnings.warn(text, category, stacklevel=6)
    return tuple(text for text, _ in notes)


def _far_from_zero(prepared: Prepared) -> list[str]:
    """Return the variables, in levels, whose mean is far from zero for how much they vary."""
    found = []
    for name, values in prepared.grid.values.items():
        present = values[~np.isnan(values)]
        spread = present.std()
        # a variable that does not vary at all has other troubles, which are named elsewhere
        if spread > 1e-15 * abs(present.mean()) and abs(present.mean()) > FAR_FROM_ZERO * spread:
            found.append(name)
    return found


def _singular(prepared: Prepared, weight: Weight, options: FitOptions) -> str:
    """Say that a generalised inverse was used, which, what it left out, and what to do."""
    j, clusters = prepared.data.j, prepared.sizes.n_clusters
    text = (
        f"The moment covariance has rank {weight.rank} of {j}: a generalised inverse was used ({options.inverse}), and "
        "two-step estimates and Hansen's test depend on which."
    )
    left_out = sorted(set(range(j)) - set(weight.kept.tolist()))
    if left_out:
        by_column = {moment.column: moment.label for moment in prepared.instruments.moments if moment.kept}
        names = "; ".join(by_column[c] for c in left_out[:4])
        text += f" It leaves out {len(left_out)} moments ({names}{', ...' if len(left_out) > 4 else ''}; see `moments`)."
    if j > clusters:
        unit = prepared.spec.cluster or prepared.grid.entity
        text += (
            f" {j} moments over {clusters} values of {unit} cannot have full rank: collapse the instruments, limit their "
            "lags, or take one step (steps=1), whose estimates need no such weight"
            + (f", or cluster on {prepared.grid.entity}." if prepared.spec.cluster else ".")
        )
    return text
