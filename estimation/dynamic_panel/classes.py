"""Instruments that follow from the class of a regressor: endogenous, predetermined, exogenous."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from estimation.dynamic_panel.spec import GMMStyle, InstrumentGroup, IVStyle
from estimation.dynamic_panel.terms import is_lag, read_term
from estimation.errors import SpecificationError

CLASSES = ("endogenous", "predetermined", "exogenous")
# what a class of regressor means: the first lag of its level that is uncorrelated with the differenced error
FIRST_VALID_LAG = {"endogenous": 2, "predetermined": 1}
# chosen defaults, from the Monte Carlo study (docs/methodology/monte_carlo.md): collapsed, two lags
DEFAULT_N_LAGS = 2
DEFAULT_COLLAPSE = True


def has_own_lag(dependent: str, regressors: Iterable[str]) -> bool:
    """Whether a lag of the dependent variable is among the regressors."""
    return any(is_lag(read_term(dependent, ()), read_term(name, ())) for name in regressors)


def groups_of_classes(
    classes: Mapping[str, tuple[str, ...]],
    dependent: str,
    dynamic: bool,
    given: tuple[InstrumentGroup, ...],
    n_lags: int | None,
    collapse: bool,
) -> tuple[InstrumentGroup, ...]:
    """Return the instrument groups that follow from the classes of the regressors.

    Parameters
    ----------
    classes : mapping of class to names
    dependent : str
    dynamic : bool
        A lag of the dependent variable is a regressor, which then gets lags from 2 on.
    given : tuple of GMMStyle or IVStyle
        Groups stated outright; a variable they name is left to them.
    n_lags : int or None
        Lags per group, None for all.
    collapse : bool

    Raises
    ------
    SpecificationError
    """
    if n_lags is not None and (not isinstance(n_lags, int) or n_lags < 1):
        raise SpecificationError(f"n_lags: expected a whole number from 1 on or None, found {n_lags!r}.")
    named = {name for group in given for name in group.variables}
    named |= {name.split(".")[-1] for group in given if isinstance(group, GMMStyle) for name in group.variables}
    groups: list[InstrumentGroup] = []
    if any(classes.values()) and dynamic and dependent not in named:
        groups.append(_lagged_group((dependent,), "endogenous", n_lags, collapse))
    for kind in ("endogenous", "predetermined"):
        free = tuple(name for name in classes[kind] if name not in named)
        if free:
            groups.append(_lagged_group(free, kind, n_lags, collapse))
    free = tuple(name for name in classes["exogenous"] if name not in named)
    if free:
        groups.append(IVStyle(free))
    return tuple(groups)


def _lagged_group(variables: tuple[str, ...], kind: str, n_lags: int | None, collapse: bool) -> GMMStyle:
    first = FIRST_VALID_LAG[kind]
    return GMMStyle(variables, (first, None if n_lags is None else first + n_lags - 1), collapse)


def lag_name(variable: str, lag: int) -> str:
    """Return the name of a lagged variable, as Stata writes it."""
    return f"L.{variable}" if lag == 1 else f"L{lag}.{variable}"
