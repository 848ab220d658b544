"""Are the moments informative? Underidentification, of the whole model and of each regressor.

A model is underidentified when some combination of its regressors is unrelated to every instrument. That is the null
of Hansen's test in the auxiliary model in which that combination is the error, so J of a regressor on the others with
the same instruments tests it (Windmeijer 2018): large J is good news. Two versions: the continuously updated J, which
does not depend on which regressor is put on the left, and one J and one F per regressor (Sanderson and Windmeijer
2016), which say where the weakness lies. All are robust to clustering.

References: Windmeijer (2018), Bristol discussion paper 18/696; Sanderson and Windmeijer (2016), J. Econometrics 190;
Windmeijer (2021), J. Econometrics 220.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy

from estimation.dynamic_panel import algebra
from estimation.dynamic_panel.algebra import Stacked
from estimation.dynamic_panel.estimates import require_gmm
from estimation.dynamic_panel.hypotheses import TestResult, chi2_test, not_available
from estimation.dynamic_panel.influence import quadratic_form
from estimation.dynamic_panel.linear import weight_from
from estimation.dynamic_panel.results import GMMResults
from estimation.errors import ConvergenceError, UnknownColumnError

UNDERIDENTIFIED = "the moments identify at most k - 1 parameters"


def cue_underidentification_test(results: GMMResults) -> TestResult:
    """Return the continuously updated underidentification test.

    Notes
    -----
    min over v of (Z'X v)' S(v)^-1 (Z'X v), S(v) = sum over clusters of Z'X v v'X'Z; chi-squared with j - k + 1
    degrees of freedom. The minimum is searched with every regressor on the left in turn.
    """
    require_gmm(results, "cue_underidentification_test")
    name, data = "CUE underidentification J", results.fit.prepared.data
    df = data.j - data.k + 1
    if data.k == 1:
        S = algebra.moment_covariance(data, data.X[:, :, 0])
        stat, _ = quadratic_form(data.ZX[:, 0], S)
        return chi2_test(name, stat, df, UNDERIDENTIFIED)
    if data.j >= results.n_clusters:
        reason = f"{data.j} moments for {results.n_clusters} clusters"
        return not_available(name, UNDERIDENTIFIED, "chi2", reason)
    values = [value for value in (_continuously_updated(data, c) for c in range(data.k)) if value is not None]
    if not values:
        return not_available(name, UNDERIDENTIFIED, "chi2", "the continuously updated criterion did not settle")
    return chi2_test(name, min(values), df, UNDERIDENTIFIED)


def sanderson_windmeijer(results: GMMResults, names: Sequence[str] | None = None) -> pd.DataFrame:
    """Return one row per regressor: J of the regressor on the others, and the conditional first-stage F.

    Parameters
    ----------
    results : GMMResults
    names : sequence of str, optional
        Regressors; by default all slopes. Regressors that instrument themselves are identified and show large values.

    Returns
    -------
    DataFrame
        j_stat, df, j_pvalue, F, F_pvalue. The null of each row: the moments say nothing about this regressor once the others
        are taken care of. There is no table of critical values for clustered F; below about 10 the regressor is weak.
    """
    require_gmm(results, "sanderson_windmeijer")
    data, shown = results.fit.prepared.data, list(results.slope_names if names is None else names)
    unknown = [name for name in shown if name not in results.names]
    if unknown:
        raise UnknownColumnError(f"{unknown[0]!r} is not a parameter of this fit; there are {', '.join(results.names)}.")
    rows = [_regressor(data, results.names.index(name)) for name in shown]
    return pd.DataFrame(rows, index=shown, columns=["j_stat", "df", "j_pvalue", "F", "F_pvalue"])


def _auxiliary(data: Stacked, c: int) -> Stacked:
    """Return the model of regressor c on the others with the same instruments."""
    others = np.delete(data.X, c, axis=2)
    return algebra.stack(
        data.X[:, :, c],
        others,
        data.Z,
        data.H_root,
        row_weights=data.row_weights,
        clusters=data.clusters,
        multiplicity=data.multiplicity,
    )


def _instrument_products(data: Stacked) -> np.ndarray:
    """Return Z'Z over the rows of the model, shape (j, j)."""
    Z = data.Z.reshape(-1, data.j)
    return Z.T @ (Z if data.row_weights is None else Z * data.row_weights.reshape(-1, 1))


def _continuously_updated(data: Stacked, c: int) -> float | None:
    """Return the minimum with regressor c on the left, or None."""
    model = _auxiliary(data, c)
    first = algebra.take_step(model, weight_from(_instrument_products(data)))
    if first is None:
        return None
    second = algebra.take_step(model, weight_from(algebra.moment_covariance(model, first.e)))
    if second is None:
        return None
    try:
        point = algebra.continuously_update(model, second, inverse="sweep", max_iterations=500, tolerance=1e-9)
    except ConvergenceError:
        return None
    return point.step.criterion


def _regressor(data: Stacked, c: int) -> tuple[float, float, float, float, float]:
    """Return J, degrees of freedom, p-value, F and p-value of one regressor."""
    df = data.j - data.k + 1
    nothing = (np.nan, df, np.nan, np.nan, np.nan)
    if data.k == 1:
        e = data.X[:, :, 0]
        stat, _ = quadratic_form(data.ZX[:, 0], algebra.moment_covariance(data, e))
        moments, map_to_moments = data.ZX[:, 0], np.eye(data.j)
    else:
        model = _auxiliary(data, c)
        first = algebra.take_step(model, weight_from(_instrument_products(data)))
        second = (
            None if first is None else algebra.take_step(model, weight_from(algebra.moment_covariance(model, first.e)))
        )
        if first is None or second is None:
            return nothing
        stat, e, moments = second.criterion, first.e, first.moments
        map_to_moments = np.eye(data.j) - model.ZX @ first.fit.projection
    # solved on the correlation scale: instruments in other units must not fall below a rank tolerance
    root = weight_from(_instrument_products(data)).root
    fitted = data.Z @ (root.T @ (root @ moments))
    S = algebra.moment_covariance(data, e - fitted)
    # a regressor that instruments itself has a moment of zero once the others are taken care of
    size = np.sqrt(np.diagonal(S))
    wald, used = quadratic_form(moments, map_to_moments @ S @ map_to_moments.T, rank=df, scale=size)
    return stat, df, float(scipy.special.chdtrc(df, stat)), wald / used, float(scipy.special.chdtrc(used, wald))
