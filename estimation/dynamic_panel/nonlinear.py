"""GMM with nonlinear moment conditions: difference (or system) moments and those of Ahn-Schmidt or Chudik-Pesaran.

Near a unit root lagged levels say nothing about later differences and difference GMM breaks down; level moments
repair it but need a stationary start. The nonlinear moments repair it too and need only what every dynamic panel
model assumes, errors without serial correlation. The decision worth knowing: a constant is always estimated in the
level equation, because level residuals enter the moments, and groups made from classes of regressors instrument the
transformed equation only.

The first step weighs the linear moments as one-step GMM does and the nonlinear ones by their own variances at the
linear one-step estimate, as independent; so the result does not depend on units. From the second step on the weight
is the full one.

References: Ahn and Schmidt (1995), J. Econometrics 68; Chudik and Pesaran (2022), Econometric Reviews 41; Windmeijer
(2005), J. Econometrics 126, sec. 2 for the correction with nonlinear moments; Kripfganz (2019), London Stata
Conference (xtdpdgmm).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from estimation.dynamic_panel import algebra
from estimation.dynamic_panel.algebra import Step
from estimation.dynamic_panel.engine import Fit, estimate
from estimation.dynamic_panel.hypotheses import (
    HANSEN_NULL,
    DifferenceInHansen,
    TestResult,
    chi2_test,
    not_available,
)
from estimation.dynamic_panel.linear import LinearFit, weight_from
from estimation.dynamic_panel.model import PanelGMM, SystemGMM
from estimation.dynamic_panel.nonlinear_steps import (
    Minimum,
    Problem,
    first_step,
    later_steps,
    minimise,
    sigma2_rows,
    step_covariance,
)
from estimation.dynamic_panel.portmanteau import influence_ar_test
from estimation.dynamic_panel.preparation import Prepared
from estimation.dynamic_panel.quadratic_moments import (
    NonlinearKind,
    NonlinearMoments,
    QuadraticMoments,
    build_quadratic,
)
from estimation.dynamic_panel.results import GMMResults
from estimation.dynamic_panel.spec import CONSTANT, FitOptions, GMMStyle, Inverse, IVStyle, PanelSpec, check_option
from estimation.dynamic_panel.specification_tests import ARUnit
from estimation.errors import ConvergenceError, EstimationWarning, IdentificationError, SpecificationError

# a kind, a group, or several of them
Nonlinear: TypeAlias = NonlinearKind | NonlinearMoments | Iterable[NonlinearKind | NonlinearMoments]
NONLINEAR_MOMENTS = "nonlinear moments"


@dataclass(frozen=True, slots=True)
class NonlinearFit:
    """What a fit with nonlinear moments adds to a linear one, J = j + q moments.

    Attributes
    ----------
    groups : tuple of NonlinearMoments
    quadratic : QuadraticMoments
    psi : ndarray, shape (N, k)
        Influence of every entity on the reported estimate.
    """

    groups: tuple[NonlinearMoments, ...]
    quadratic: QuadraticMoments
    psi: np.ndarray


@dataclass(frozen=True, slots=True, repr=False)
class NonlinearResults(GMMResults):
    """Results of a fit with nonlinear moments: a `GMMResults` whose tests know them."""

    nonlinear: NonlinearFit | None = None

    @property
    def kind(self) -> str:
        """Name of the estimator."""
        assert self.nonlinear is not None
        return f"GMM, {', '.join(group.label for group in self.nonlinear.groups)}"

    @property
    def is_linear(self) -> bool:
        """False: resampling and clustering that know linear moments only refuse such a fit."""
        return False

    @property
    def influence(self) -> np.ndarray:
        """Influence of every entity on the estimates, shape (N, k)."""
        assert self.nonlinear is not None
        return self.nonlinear.psi

    @property
    def n_nonlinear(self) -> int:
        """Number of nonlinear moments (with the linear ones that "iid" brings)."""
        assert self.nonlinear is not None
        return self.nonlinear.quadratic.q

    @property
    def n_instruments(self) -> int:
        """All moments in use, linear and nonlinear."""
        return self.fit.prepared.data.j + self.n_nonlinear

    def ar_test(self, order: int, *, over: ARUnit = "cluster") -> TestResult:
        """Return the Arellano-Bond test of autocorrelation of an order; `over` as in `GMMResults`."""
        check_option(over, ARUnit, "ar_test.over")
        return influence_ar_test(self.fit, self.influence, order, over=over)

    @property
    def moments(self) -> pd.DataFrame:
        """The moment table, the nonlinear moments last."""
        # a zero-argument super() does not work in a dataclass with slots
        linear = GMMResults.moments.fget(self)  # type: ignore[attr-defined]  # a property, which mypy sees as its value
        assert self.nonlinear is not None
        times, quadratic = self.fit.prepared.grid.times, self.nonlinear.quadratic
        rows = pd.DataFrame(
            {
                "group": quadratic.labels,
                "style": "nonlinear",
                "equation": "both",
                "variable": self.spec.dependent,
                "lag": pd.array([pd.NA] * quadratic.q, dtype="Int64"),
                "period": pd.array([pd.NA if t is None else int(times[t]) for t in quadratic.periods], dtype="Int64"),
                "kept": True,
                "reason": "",
            }
        )
        return pd.concat([linear, rows], ignore_index=True)


class NonlinearGMM(SystemGMM):
    """Difference GMM with nonlinear moment conditions in place of level moments.

    Parameters
    ----------
    data : DataFrame
    nonlinear : {"noserial", "iid", "predetermined"}, NonlinearMoments, or several
        A kind stands for its collapsed moment.
    level_moments : bool
        Keep the level equation's GMM-style moments in groups made from classes of regressors.
    **specification
        As for `SystemGMM`; explicit `instruments` are taken as they are, so give ``equation="difference"`` where no level
        moments are meant.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(1)
    >>> a = rng.normal(size=(100, 1)); y = a + rng.normal(size=(100, 1)); path = [y]
    >>> for _ in range(6):
    ...     y = .9 * y + .1 * a + rng.normal(size=(100, 1)); path.append(y)
    >>> wide = pd.DataFrame(np.hstack(path), columns=range(2000, 2007)).rename_axis(index="city", columns="year")
    >>> panel = wide.stack().rename("y").reset_index()
    >>> model = NonlinearGMM(panel, nonlinear="noserial", dependent="y", entity="city", time="year",
    ...                      instruments=[GMMStyle("y", (2, 4), collapse=True, equation="difference")])
    >>> model.fit().n_instruments
    5
    """

    def __init__(
        self,
        data: pd.DataFrame,
        *,
        nonlinear: Nonlinear = "noserial",
        level_moments: bool = False,
        **specification: Any,
    ) -> None:
        given = tuple(specification.pop("instruments", ()))
        super().__init__(data, instruments=given, **specification)
        self.nonlinear = nonlinear_groups(nonlinear)
        if not level_moments:
            made = tuple(in_differences(group) for group in self.spec.instruments[len(given) :])
            self.spec = replace(self.spec, instruments=(*given, *made))

    def fit_options(self, options: FitOptions) -> NonlinearResults:
        """Estimate with ready options."""
        return fit_nonlinear(self, self.nonlinear, options)

    def with_spec(self, **changes: Any) -> NonlinearGMM:
        """Return the same data and nonlinear moments under a changed specification (fields of `PanelSpec`)."""
        return self._like(self._data, replace(self.spec, **changes))

    def with_data(self, data: pd.DataFrame) -> NonlinearGMM:
        """Return the same specification and nonlinear moments on other data."""
        return self._like(data, self.spec)

    def _like(self, data: pd.DataFrame, spec: PanelSpec) -> NonlinearGMM:
        model = NonlinearGMM.__new__(NonlinearGMM)
        model.spec, model.nonlinear = spec, self.nonlinear
        model._keep(data, self.keys)
        return model


def in_differences(group: GMMStyle | IVStyle) -> GMMStyle | IVStyle:
    """Return an instrument group for the transformed equation alone."""
    return replace(group, equation="difference") if group.equation == "both" else group


def nonlinear_groups(
    nonlinear: Nonlinear,
) -> tuple[NonlinearMoments, ...]:
    """Return groups from one or several of them or of their kinds."""
    listed: tuple[Any, ...] = (nonlinear,) if isinstance(nonlinear, str | NonlinearMoments) else tuple(nonlinear)
    if not listed:
        raise SpecificationError("nonlinear: expected at least one group of moments, found none.")
    groups = tuple(NonlinearMoments(kind=item) if isinstance(item, str) else item for item in listed)  # type: ignore[arg-type]  # checked there
    for group in groups:
        if not isinstance(group, NonlinearMoments):
            raise SpecificationError(f"nonlinear: expected a kind or NonlinearMoments, found {group!r}.")
    if len({group.label for group in groups}) < len(groups):
        raise SpecificationError("nonlinear: a group of moments is given twice; name each once.")
    return groups


def fit_nonlinear(
    model: PanelGMM,
    nonlinear: Nonlinear = "noserial",
    options: FitOptions | None = None,
) -> NonlinearResults:
    """Estimate a model with nonlinear moments added to its linear ones.

    Parameters
    ----------
    model : PanelGMM
        A system, best with a constant; its linear moments alone must determine every parameter.
    nonlinear : kind, NonlinearMoments, or several
    options : FitOptions, optional
        One or two steps, or "iterated".

    Raises
    ------
    SpecificationError, IdentificationError, ConvergenceError
    """
    options = FitOptions() if options is None else options
    groups = nonlinear_groups(nonlinear)
    _check(model, options)
    prepared = model.prepared
    with warnings.catch_warnings():
        # what the linear fit alone would warn of is judged again on all moments
        warnings.simplefilter("ignore", EstimationWarning)
        linear = estimate(prepared, replace(options, steps=1, cov_type="robust", small=False))
    problem = Problem(prepared.data, build_quadratic(prepared.design, groups))
    first = first_step(problem, linear, groups, options.inverse)
    second, n_iterations = later_steps(problem, first, options)
    return _results(linear, options, groups, problem, first, second, n_iterations)


def _check(model: PanelGMM, options: FitOptions) -> None:
    """Refuse what these moments are not defined for."""
    spec = model.spec
    if not spec.system:
        raise SpecificationError(
            "nonlinear moments: expected a system, because level residuals enter them. Use NonlinearGMM, or SystemGMM "
            "with instruments of equation='difference'."
        )
    if spec.weights is not None:
        raise SpecificationError(f"nonlinear moments: expected no weights, found {spec.weights!r}.")
    if options.steps == "cue":
        raise SpecificationError("nonlinear moments: expected steps 1, 2 or 'iterated', found 'cue'.")
    if options.covariance == "doubly_corrected":
        raise SpecificationError(
            "nonlinear moments: expected cov_type 'windmeijer', 'robust' or 'unadjusted', found 'doubly_corrected'."
        )


def _results(
    linear: Fit,
    options: FitOptions,
    groups: tuple[NonlinearMoments, ...],
    problem: Problem,
    first: Minimum,
    second: Minimum,
    n_iterations: int,
) -> NonlinearResults:
    """Collect the fit."""
    data, k = problem.data, problem.data.k
    reported = first if options.steps == 1 else second
    inside = second if options.steps == "iterated" else first
    V, stands_in = step_covariance(problem, options, first, second)
    J = data.j + problem.quadratic.q
    hansen = chi2_test("Hansen J", second.criterion, J - k, HANSEN_NULL)
    e = algebra.residuals(data, reported.beta)
    step = Step(LinearFit(reported.beta, reported.A, -reported.map), reported.weight, e, reported.moments)
    notes = _notes(linear, reported, J, stands_in)
    fit = replace(
        linear,
        options=options,
        params=reported.beta,
        cov=V * _small_factor(linear, options),
        reported=step,
        two_step=step,
        sigma2=_sigma2(linear, e),
        n_iterations=1 if options.steps == 1 else n_iterations,
        hansen=hansen,
        sargan=not_available("Sargan", "all moments are valid and errors are i.i.d.", "chi2", "nonlinear moments"),
        differences=_differences(
            linear.prepared, problem, problem.covariance(inside.beta), second, hansen, options.inverse
        ),
        notes=notes,
    )
    return NonlinearResults(fit, NonlinearFit(groups, problem.quadratic, reported.psi))


def _small_factor(linear: Fit, options: FitOptions) -> float:
    """Return (N - 1) / (N - k) G / (G - 1) with `small`."""
    sizes, k = linear.prepared.sizes, linear.prepared.data.k
    return (sizes.nobs - 1) / (sizes.nobs - k) * sizes.n_clusters / (sizes.n_clusters - 1) if options.small else 1.0


def _sigma2(linear: Fit, e: np.ndarray) -> float:
    """Return the error variance as the linear fit measures it, at other residuals."""
    rows = sigma2_rows(linear)
    before = float((linear.one_step.e[:, rows] ** 2).sum())
    return linear.sigma2_one_step * float((e[:, rows] ** 2).sum()) / before if before else 0.0


def _differences(
    prepared: Prepared, problem: Problem, S: np.ndarray, second: Minimum, hansen: TestResult, inverse: Inverse
) -> tuple[DifferenceInHansen, ...]:
    """Test the nonlinear moments and every instrument group: the fit without it, with the submatrix of the same S."""
    j, members = problem.data.j, {NONLINEAR_MOMENTS: list(range(problem.data.j, len(S)))}
    if len(set(problem.quadratic.labels)) > 1:
        for n, label in enumerate(problem.quadratic.labels):
            members.setdefault(label, []).append(j + n)
    for moment in prepared.instruments.moments:
        if moment.column is not None and moment.group != CONSTANT:
            members.setdefault(moment.group, []).append(moment.column)
    return tuple(
        _difference(problem, S, second, hansen, inverse, name, np.array(columns)) for name, columns in members.items()
    )


def _difference(
    problem: Problem,
    S: np.ndarray,
    second: Minimum,
    hansen: TestResult,
    inverse: Inverse,
    name: str,
    left_out: np.ndarray,
) -> DifferenceInHansen:
    """Compare the fit with the fit without some moments."""
    test, null = f"Difference-in-Hansen, {name}", f"the moments of {name} are valid"
    label, rest = f"Hansen excluding {name}", np.setdiff1d(np.arange(len(S)), left_out)
    k, reason, J = problem.data.k, hansen.reason, float("nan")
    if not reason and len(rest) < k:
        reason = f"{len(rest)} other moments for {k} parameters"
    if not reason:
        try:
            part = weight_from(S[np.ix_(rest, rest)], inverse)
            root = np.zeros((len(part.root), len(S)))
            root[:, rest] = part.root
            J = minimise(problem, replace(part, root=root), [second.beta]).criterion
        except (IdentificationError, ConvergenceError):
            reason = "the other moments do not identify every parameter"
    if reason:
        absent = (not_available(label, HANSEN_NULL, "chi2", reason), not_available(test, null, "chi2", reason))
        return DifferenceInHansen(name, *absent)
    df = len(rest) - k
    excluding = chi2_test(label, J, df, HANSEN_NULL) if df else TestResult(label, J, 1.0, 0, HANSEN_NULL, "chi2")
    # more moments cannot lower the minimum but for rounding
    return DifferenceInHansen(name, excluding, chi2_test(test, max(hansen.stat - J, 0.0), len(left_out), null))


def _notes(linear: Fit, reported: Minimum, J: int, stands_in: bool) -> tuple[str, ...]:
    """Say what a reader must know before believing the numbers."""
    names, clusters = linear.prepared.design.names, linear.prepared.sizes.n_clusters
    notes = []
    if reported.weight.rank < J:
        notes.append(f"The weight has rank {reported.weight.rank} of {J} moments; a generalised inverse was used.")
    if 2 * J > clusters:
        notes.append(f"{J} moments for {clusters} groups: collapse, or limit the lags.")
    if stands_in:
        notes.append("Windmeijer's correction made a variance negative; errors are from influence functions instead.")
    if CONSTANT not in names:
        notes.append("There is no constant: the nonlinear moments depend on the origin of y and the regressors.")
    for text in notes:
        warnings.warn(text, EstimationWarning, stacklevel=4)
    return tuple(notes)


__all__ = ["NonlinearGMM", "NonlinearMoments", "NonlinearResults", "fit_nonlinear", "in_differences"]
