"""What is read off a fit: linear combinations, long-run effects, marginal effects, Johnson-Neyman ranges, predictions.

Every number carries a standard error from the full covariance matrix of the fit. The decision worth knowing: a long-run
effect is a ratio, so beside its delta-method interval there is Fieller's, which stays right when the autoregressive sum
comes near one and then is honestly unbounded.

References: Brambor, Clark and Golder (2006), Political Analysis 14 (marginal effects in interaction models); Johnson and
Neyman (1936); Fieller (1954), JRSS B 16; Lind and Mehlum (2010), OBES 72.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from estimation.dynamic_panel.estimates import PanelEstimates
from estimation.dynamic_panel.hypotheses import lower_tail
from estimation.dynamic_panel.preparation import counted_rows
from estimation.dynamic_panel.restrictions import read_combination
from estimation.dynamic_panel.results import GMMResults
from estimation.errors import SpecificationError, UnknownColumnError

PERCENTILES = (5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0)


@dataclass(frozen=True, slots=True)
class Combination:
    """An estimate made from parameters, with its standard error.

    Attributes
    ----------
    name : str
    estimate, std_error, stat, pvalue : float
    lower, upper : float
        Delta-method interval at `level`.
    level : float
    """

    name: str
    estimate: float
    std_error: float
    stat: float
    pvalue: float
    lower: float
    upper: float
    level: float


def linear_combination(
    results: GMMResults, weights: str | Mapping[str, float], value: float = 0.0, *, level: float = 0.95
) -> Combination:
    """Return sum of weight x parameter - value, for a difference of effects or a restriction.

    Parameters
    ----------
    results : GMMResults
    weights : str or mapping of str to float
        In words, ``"fdi_hc - agg_rd"`` or ``"w + k = 1"``, or as ``{"fdi_hc": 1, "agg_rd": -1}``.
    value : float
        Subtracted; a text with an equality states its own.

    Raises
    ------
    UnknownColumnError, SpecificationError
    """
    if isinstance(weights, str):
        read = read_combination(weights, results.names)
        if read.value and value:
            raise SpecificationError(f"{weights!r} states its value; leave value= out.")
        weights, value = read.weights, read.value or value
    vector = results.weights_of(weights)
    name = " ".join(f"{weight:+g} {term}" for term, weight in weights.items())
    return _combination(results, name, float(vector @ results.fit.params) - value, vector, level)


def _combination(results: GMMResults, name: str, estimate: float, gradient: np.ndarray, level: float) -> Combination:
    """Return an estimate with the delta-method error of its gradient."""
    error = float(np.sqrt(max(gradient @ results.fit.cov @ gradient, 0.0)))
    stat = estimate / error if error > 0 else float("nan")
    df = results.df_resid
    pvalue = float(2 * lower_tail(-abs(stat), df))
    half = results.critical_value(level) * error
    return Combination(name, estimate, error, stat, pvalue, estimate - half, estimate + half, level)


def autoregressive_terms(results: GMMResults) -> tuple[str, ...]:
    """Return the names of the parameters in the autoregressive sum.

    These are the lags of the dependent variable; its lagged changes (``L.D.y``) vanish in the long run and are left out. In
    an equation for the change (``D.y`` on ``L.y``) it is the lagged level.
    """
    roles = results.fit.prepared.design.roles
    return tuple(name for name, role in zip(results.names, roles, strict=True) if role.weight != 0)


def long_run_effect(results: GMMResults, weights: str | Mapping[str, float], *, level: float = 0.95) -> Combination:
    """Return beta / (1 - sum of autoregressive coefficients), or of a combination of betas, by the delta method.

    In an equation for the change of a variable, ``D.y`` on ``L.y``, it is the effect on the level: -beta / alpha.
    """
    vector, a, one = _long_run_parts(results, weights)
    name = weights if isinstance(weights, str) else " ".join(f"{w:+g} {n}" for n, w in weights.items())
    effect = float(vector @ results.fit.params)
    rest = one - float(a @ results.fit.params)
    return _combination(results, f"long run: {name}", effect / rest, vector / rest + a * effect / rest**2, level)


def long_run_table(results: GMMResults, *, level: float = 0.95) -> pd.DataFrame:
    """Return the long-run effect of every regressor but the constant, the dummies and the lags, one row each."""
    names = [results.names[c] for c in results.fit.prepared.design.positions("regressor")]
    rows = [long_run_effect(results, name, level=level) for name in names]
    return pd.DataFrame(
        [(c.estimate, c.std_error, c.stat, c.pvalue, c.lower, c.upper) for c in rows],
        index=names,
        columns=["estimate", "std_error", "stat", "pvalue", "lower", "upper"],
    )


def _require_lag(lags: Sequence[object], dependent: str, names: Sequence[str]) -> None:
    if not lags:
        raise SpecificationError(
            f"long-run effect: expected a lag of {dependent!r} among the regressors, found {', '.join(names[:6])}."
        )


def _long_run_parts(
    results: GMMResults | PanelEstimates, weights: str | Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the numerator's weights, those of the autoregressive sum, and what the sum is taken from (1, or 0)."""
    vector = results.weights_of({weights: 1.0} if isinstance(weights, str) else weights)
    if isinstance(results, PanelEstimates):
        _require_lag(results.lag_names, results.dependent, results.names)
        return vector, results.weights_of(dict.fromkeys(results.lag_names, 1.0)), 1.0
    design = results.fit.prepared.design
    _require_lag(design.positions("lag"), results.spec.dependent, results.names)
    return vector, np.array([role.weight for role in design.roles]), design.growth


@dataclass(frozen=True, slots=True)
class FiellerSet:
    """Confidence set of a ratio.

    Attributes
    ----------
    lower, upper : float
        Ends of the interval, or of the excluded part when `kind` is "outside".
    kind : {"interval", "outside", "everything"}
        "outside" is the union of (-inf, lower] and [upper, inf); "everything" is the whole line.
    """

    lower: float
    upper: float
    kind: str

    def contains(self, value: float) -> bool:
        """Whether a value lies in the set."""
        inside = self.lower <= value <= self.upper
        return self.kind == "everything" or (inside if self.kind == "interval" else not self.lower < value < self.upper)


def fieller_set(results: GMMResults, weights: str | Mapping[str, float], *, level: float = 0.95) -> FiellerSet:
    """Return Fieller's confidence set of a long-run effect: all r for which beta - r (1 - a) is not rejected."""
    vector, a, one = _long_run_parts(results, weights)
    params, cov = results.fit.params, results.fit.cov
    critical = results.critical_value(level) ** 2
    numerator, denominator = float(vector @ params), one - float(a @ params)
    # (n - r d)^2 <= c (Vnn - 2 r Vnd + r^2 Vdd), with d's covariance with n carrying a minus sign
    quadratic = denominator**2 - critical * float(a @ cov @ a)
    linear = -2.0 * (numerator * denominator + critical * float(vector @ cov @ a))
    constant = numerator**2 - critical * float(vector @ cov @ vector)
    roots = _real_roots(quadratic, linear, constant)
    if len(roots) < 2:
        return FiellerSet(-np.inf, np.inf, "everything")
    return FiellerSet(roots[0], roots[-1], "interval" if quadratic > 0 else "outside")


def _real_roots(quadratic: float, linear: float, constant: float) -> list[float]:
    """Return the real roots of a quadratic, in order."""
    discriminant = linear**2 - 4 * quadratic * constant
    if quadratic == 0 or discriminant < 0:
        return []
    root = np.sqrt(discriminant)
    return sorted([(-linear - root) / (2 * quadratic), (-linear + root) / (2 * quadratic)])


def marginal_effect(
    results: GMMResults,
    variable: str,
    moderator: str,
    product: str,
    *,
    at: Sequence[float] | None = None,
    percentiles: Sequence[float] = PERCENTILES,
    others: Mapping[str, float] | None = None,
    squared: str | None = None,
    variable_at: float = 0.0,
    product_scale: float = 1.0,
    long_run: bool = False,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return the effect of one variable over values of another that it is multiplied with.

    Parameters
    ----------
    results : GMMResults
    variable, moderator, product : str
        Parameter names of the variable and of variable x moderator; `moderator` is a column of the data.
    at : sequence of float, optional
        Values of the moderator; by default its `percentiles` over the counted rows of the fit.
    others : mapping of str to float, optional
        Further products with the variable -> the value at which the other factor is held.
    squared : str, optional
        Parameter of the square of the variable, evaluated at `variable_at`.
    product_scale : float
        What variable x moderator has to be multiplied with to be in the units of `product`. A product that was standardised
        itself moves by sd(variable) sd(moderator) / sd(product) per unit of the standardised factors, which is below one
        where they are correlated.
    long_run : bool
        Divide by one minus the autoregressive sum.

    Returns
    -------
    DataFrame
        percentile, moderator, effect, std_error, stat, pvalue, lower, upper (pointwise) and band_lower, band_upper
        (simultaneous over all values of the moderator, Scheffe).
    """
    values, ranks = _moderator_values(results, moderator, at, percentiles)
    fixed = {variable: 1.0, **(dict(others) if others else {})}
    if squared is not None:
        fixed[squared] = 2.0 * variable_at
    # effect = b1 + b3 m: two directions span all values of m, hence two degrees of freedom for the joint band
    df = results.df_resid
    upper = 1 - level
    scheffe = np.sqrt(scipy.special.chdtri(2, upper) if df is None else 2 * scipy.special.fdtri(2, df, level))
    rows = []
    for rank, value in zip(ranks, values, strict=True):
        weights = {**fixed, product: fixed.get(product, 0.0) + product_scale * value}
        make = long_run_effect if long_run else linear_combination
        c = make(results, weights, level=level)
        half = scheffe * c.std_error
        rows.append(
            (
                rank,
                value,
                c.estimate,
                c.std_error,
                c.stat,
                c.pvalue,
                c.lower,
                c.upper,
                c.estimate - half,
                c.estimate + half,
            )
        )
    columns = [
        "percentile",
        "moderator",
        "effect",
        "std_error",
        "stat",
        "pvalue",
        "lower",
        "upper",
        "band_lower",
        "band_upper",
    ]
    return pd.DataFrame(rows, columns=columns)


def counted_values(results: GMMResults, term: str) -> np.ndarray:
    """Return a variable's values in the counted rows of the fit."""
    prepared = results.fit.prepared
    known = term in prepared.grid.values or term in prepared.design.names
    if not known:
        raise UnknownColumnError(f"{term!r} is neither a variable of this fit nor given; pass values with at=.")
    if term in prepared.grid.values:
        values = prepared.grid.values[term]
    else:
        values = prepared.design.X_level[:, :, prepared.design.names.index(term)]
    rows = counted_rows(prepared.spec, prepared.design)
    return values[rows & ~np.isnan(values)]


def _moderator_values(
    results: GMMResults, moderator: str, at: Sequence[float] | None, percentiles: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of the moderator and their percentiles."""
    if at is not None:
        return np.asarray(at, dtype=float), np.full(len(at), np.nan)
    ranks = np.asarray(percentiles, dtype=float)
    return np.percentile(counted_values(results, moderator), ranks), ranks


@dataclass(frozen=True, slots=True)
class JohnsonNeyman:
    """Where an effect that depends on a moderator differs from zero.

    Attributes
    ----------
    bounds : tuple of float
        Values of the moderator at which significance changes, in order, 0, 1 or 2 of them.
    significant : tuple of (float, float)
        Ranges of the moderator, possibly infinite, where the effect differs from zero.
    share : float
        Share of the counted rows whose moderator lies there.
    level : float
    """

    bounds: tuple[float, ...]
    significant: tuple[tuple[float, float], ...]
    share: float
    level: float


def johnson_neyman(
    results: GMMResults,
    variable: str,
    moderator: str,
    product: str,
    *,
    product_scale: float = 1.0,
    level: float = 0.95,
) -> JohnsonNeyman:
    """Return the ranges of the moderator over which the effect of `variable` differs from zero.

    `product_scale` is that of `marginal_effect`.
    """
    b1, b3 = results.weights_of({variable: 1.0}), results.weights_of({product: product_scale})
    params, cov = results.fit.params, results.fit.cov
    critical = results.critical_value(level) ** 2
    quadratic = float(b3 @ params) ** 2 - critical * float(b3 @ cov @ b3)
    linear = 2 * (float(b1 @ params) * float(b3 @ params) - critical * float(b1 @ cov @ b3))
    constant = float(b1 @ params) ** 2 - critical * float(b1 @ cov @ b1)
    roots = _real_roots(quadratic, linear, constant)
    if len(roots) < 2:
        ranges: tuple[tuple[float, float], ...] = ((-np.inf, np.inf),) if quadratic > 0 else ()
    elif quadratic > 0:
        ranges = ((-np.inf, roots[0]), (roots[1], np.inf))
    else:
        ranges = ((roots[0], roots[1]),)
    values = counted_values(results, moderator)
    inside = np.zeros(len(values), dtype=bool)
    for low, high in ranges:
        inside |= (values > low) & (values < high)
    return JohnsonNeyman(tuple(roots), ranges, float(inside.mean()), level)


def turning_point(results: GMMResults, variable: str, squared: str, *, level: float = 0.95) -> Combination:
    """Return the extreme point -b / (2c) of a parabola, by the delta method."""
    b, c = float(results.params[variable]), float(results.params[squared])
    gradient = results.weights_of({variable: -1 / (2 * c), squared: b / (2 * c**2)})
    return _combination(results, f"turning point of {variable}", -b / (2 * c), gradient, level)


def u_shape_test(results: GMMResults, variable: str, squared: str) -> float:
    """Return the p-value of the Lind-Mehlum test: the slope has opposite signs at the ends of the observed range.

    The null hypothesis is that the relation is monotone or has the other shape.
    """
    values = counted_values(results, variable)
    slopes = [linear_combination(results, {variable: 1.0, squared: 2.0 * end}) for end in (values.min(), values.max())]
    # the shape is the sign of the square's coefficient: under a U the slope falls below zero on the left
    sign = 1.0 if results.params[squared] > 0 else -1.0
    stat = min(-sign * slopes[0].stat, sign * slopes[1].stat)
    return float(lower_tail(-stat, results.df_resid))
