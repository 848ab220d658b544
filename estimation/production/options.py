"""What can be chosen when a production function is estimated, each option with its default and its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from estimation.production.errors import OptionError

Method = Literal["ols", "fe", "op", "lp", "acf", "wooldridge", "index"]
Measure = Literal["value_added", "gross_output"]
Exit = Literal["none", "survival", "last_year"]
TimeEffects = Literal["none", "dummies"]
Tfp = Literal["residual", "planned"]
CovType = Literal["cluster", "homoskedastic"]

METHODS: tuple[str, ...] = get_args(Method)
PROXY_METHODS = ("op", "lp", "acf", "wooldridge")


@dataclass(frozen=True, slots=True)
class ProductionOptions:
    """Options of the estimators.

    Attributes
    ----------
    measure : {"value_added", "gross_output"}
        With gross output the proxy is an input too and has a coefficient of its own.
    degree : int
        Degree of the first-stage polynomial.
    markov_degree : int
        Degree of the polynomial of productivity on its lag.
    time_effects : {"none", "dummies"}
        Year dummies in the first stage and in the productivity process; they stay part of productivity.
    exit : {"none", "survival", "last_year"}
        Correction for firms that leave (Olley and Pakes 1996). ``survival``: probability, given last year's state and
        proxy, of being seen this year at all. ``last_year``: probability that this year is the firm's last, the dating
        used by the R package prodest.
    tfp : {"residual", "planned"}
        ``residual`` is y less inputs times coefficients, so it keeps the measurement error and exists for every row;
        ``planned`` takes the first-stage fit in place of y, so it leaves the error out.
    cov_type : {"cluster", "homoskedastic"}
        Analytic standard errors of OLS, fixed effects and Wooldridge, when there is no bootstrap.
    n_starts : int
        Random starting points where a root is searched for, after the least-squares and the half-half start.
    root_tolerance : float
        Largest squared norm of the sample moments that still counts as zero when parameters equal moments.
    min_pairs : int
        Fewest consecutive firm-years (rows, for the static methods) an industry needs.
    seed : int
        For starting points and the bootstrap.
    """

    measure: Measure = "value_added"
    degree: int = 2
    markov_degree: int = 3
    time_effects: TimeEffects = "none"
    exit: Exit = "none"
    tfp: Tfp = "residual"
    cov_type: CovType = "cluster"
    n_starts: int = 30
    root_tolerance: float = 1e-10
    min_pairs: int = 50
    seed: int = 20030101

    def __post_init__(self) -> None:
        for name, allowed in (
            ("measure", Measure),
            ("exit", Exit),
            ("time_effects", TimeEffects),
            ("tfp", Tfp),
            ("cov_type", CovType),
        ):
            require_one_of(name, getattr(self, name), get_args(allowed))
        for name, low, high in (
            ("degree", 1, 5),
            ("markov_degree", 1, 5),
            ("n_starts", 0, 10_000),
            ("min_pairs", 1, 10**9),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise OptionError(f"{name}: expected {low} to {high}; found {value}.")


def require_one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Refuse a value outside the vocabulary.

    Raises
    ------
    OptionError
    """
    if value not in allowed:
        raise OptionError(f"{name}: expected one of {', '.join(allowed)}; found {value!r}.")
