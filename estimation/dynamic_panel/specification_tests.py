"""Tests that need to know which row and which moment is which: difference-in-Hansen by group, AR(m)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from estimation.dynamic_panel.hypotheses import (
    DifferencedResiduals,
    DifferenceInHansen,
    TestResult,
    ar_test,
    difference_in_hansen,
    homoskedastic_ar_test,
    not_available,
)
from estimation.dynamic_panel.preparation import Prepared, calendar_weights
from estimation.dynamic_panel.spec import CONSTANT, GMMStyle, check_option
from estimation.dynamic_panel.transforms import first_difference, transform_matrix

if TYPE_CHECKING:
    from estimation.dynamic_panel.engine import Fit

ARUnit = Literal["cluster", "entity"]
LEVEL_MOMENTS = "GMM instruments for levels"


def differences_by_group(
    prepared: Prepared, S: np.ndarray, hansen: TestResult, inverse: str
) -> tuple[DifferenceInHansen, ...]:
    """Test every instrument group, and the GMM-style moments of the level equation together.

    The constant is in no group.
    """
    members: dict[str, list[int]] = {}
    level: list[int] = []
    for moment in prepared.instruments.moments:
        if moment.column is None or moment.group == CONSTANT:
            continue
        members.setdefault(moment.group, []).append(moment.column)
        if moment.style == "gmm" and moment.equation == "level":
            level.append(moment.column)
    groups = list(members.items())
    if prepared.spec.system and any(
        isinstance(group, GMMStyle) and group.equation == "both" for group in prepared.spec.instruments
    ):
        groups.insert(0, (LEVEL_MOMENTS, level))
    return tuple(
        difference_in_hansen(prepared.data, S, hansen, name, np.array(columns, dtype=int), inverse)
        for name, columns in groups
    )


def differenced_residuals(fit: Fit) -> DifferencedResiduals:
    """Return the first-differenced residuals and regressors on the calendar.

    Those of the transformed equation under first differences; made from the levels under forward orthogonal deviations.
    """
    prepared, design = fit.prepared, fit.prepared.design
    shape = design.y_level.shape
    weights = calendar_weights(prepared.spec, design)
    if prepared.spec.transform == "fd":
        n = len(design.transformed_at)
        w, Xw = np.zeros(shape), np.zeros((*shape, len(design.names)))
        w[:, design.transformed_at] = fit.reported.e[:, :n]
        Xw[:, design.transformed_at] = design.X[:, :n]
        return DifferencedResiduals(w, Xw, weights)
    levels = np.where(design.complete, design.y_level - design.X_level @ fit.params, np.nan)
    pairs = np.zeros(shape, dtype=bool)
    pairs[:, 1:] = design.complete[:, 1:] & design.complete[:, :-1]
    pairs &= prepared.grid.stored if prepared.grid.sample is None else prepared.grid.sample
    w = np.where(pairs, np.nan_to_num(first_difference(levels)), 0.0)
    Xw = np.where(pairs[:, :, None], first_difference(design.X_level), 0.0)
    return DifferencedResiduals(w, Xw, weights)


def autocorrelation_test(fit: Fit, order: int, *, over: ARUnit = "cluster") -> TestResult:
    """Return the Arellano-Bond AR(order) test of a fit.

    Parameters
    ----------
    over : {"cluster", "entity"}
        What the products of residuals are summed over: the fit's clusters as all its moments are, or entities, as xtabond2
        does even when it clusters on something coarser.

    Notes
    -----
    The covariance inside is the reported one without the factor of `small` (Roodman 2009, section 3.3: -5.39 on the data of
    Arellano and Bond, -5.34 with it).
    """
    null = "no autocorrelation in the first-differenced errors"
    if not isinstance(order, int | np.integer) or isinstance(order, bool) or order < 1:
        return not_available(f"AR({order})", null, "normal", "the order must be a whole number from 1 on")
    check_option(over, ARUnit, "ar_test.over")
    residuals = differenced_residuals(fit)
    projection = fit.reported.fit.projection
    if fit.options.steps == 1 and fit.options.covariance == "unadjusted":
        return _classical(fit, residuals, order)
    data = fit.prepared.data
    if over == "entity" and data.clusters is not None:
        data = replace(data, clusters=None)
    return ar_test(data, residuals, order, e=fit.reported.e, projection=projection, cov=fit.cov / fit.factor)


def _classical(fit: Fit, residuals: DifferencedResiduals, order: int) -> TestResult:
    """Return the test that takes the errors as homoskedastic, as the covariance of the fit does."""
    spec, n_periods = fit.prepared.spec, len(fit.prepared.grid.times)
    M = np.eye(n_periods) if spec.h == 1 else transform_matrix(n_periods, "fd")
    M_own = np.eye(n_periods) if spec.h == 1 else transform_matrix(n_periods, spec.transform)
    at = fit.prepared.design.transformed_at
    return homoskedastic_ar_test(
        fit.prepared.data,
        residuals,
        order,
        sigma2=fit.sigma2_one_step,
        H_difference=M @ M.T,
        H_cross=(M_own @ M.T)[at],
        projection=fit.reported.fit.projection,
        cov=fit.cov / fit.factor,
    )
