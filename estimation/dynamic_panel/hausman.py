"""Generalised Hausman test: two estimators from the same entities compared without either being efficient.

Difference GMM needs no assumption about the first observations, system GMM does; when their estimates part by more
than chance, the level moments are in doubt. The joint covariance comes from both influence functions, entity by
entity (White 1982), so clustered and Windmeijer-corrected estimates may be compared, and also a GMM with a
bias-corrected estimate. The decision worth knowing: when the extra moments of the richer model are fewer than the
coefficients compared, the difference lies in as many directions as there are extra moments; the quadratic form uses
the leading ones on the correlation scale.

References: Hausman (1978), Econometrica 46; White (1982), Econometrica 50; Arellano (1993), J. Econometrics 59.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from estimation.dynamic_panel.hypotheses import TestResult, chi2_test, not_available
from estimation.dynamic_panel.influence import quadratic_form
from estimation.dynamic_panel.results import GMMResults
from estimation.errors import SpecificationError, UnknownColumnError

HAUSMAN_NULL = "both estimators are consistent"


class Estimates(Protocol):
    """What the test reads of a result."""

    @property
    def params(self) -> pd.Series:
        """Estimates by name."""

    @property
    def std_errors(self) -> pd.Series:
        """Standard errors by name."""

    @property
    def influence(self) -> np.ndarray:
        """Influence of every entity, shape (N, k)."""


def hausman_test(
    first: Estimates,
    second: Estimates,
    names: Sequence[str] | None = None,
    *,
    df: int | None = None,
    nested: bool = True,
) -> TestResult:
    """Test that two estimators have the same limit.

    Parameters
    ----------
    first, second : results
        GMM fits (linear or with nonlinear moments), bias-corrected or jackknife estimates, on the same entities.
    names : sequence of str, optional
        Coefficients compared; by default all slopes both have.
    df : int, optional
        Degrees of freedom; by default the difference in overidentifying restrictions of two nested GMM fits or the number of
        coefficients, whichever is smaller.
    nested : bool
        Whether one set of moments contains the other.

    Raises
    ------
    SpecificationError, UnknownColumnError

    Notes
    -----
    H = d' V^- d with d the difference of the estimates and V the sum over clusters of (psi_1 - psi_2)(psi_1 - psi_2)'.
    """
    shown = list(common_slopes(first, second) if names is None else names)
    for name in shown:
        if name not in first.params.index or name not in second.params.index:
            raise UnknownColumnError(f"hausman_test: {name!r} is not a parameter of both fits.")
    if not shown:
        raise SpecificationError("hausman_test: the two fits have no slope in common.")
    difference = (first.params[shown] - second.params[shown]).to_numpy()
    covariance = difference_covariance(first, second, shown)
    rank = _degrees(first, second, len(shown), nested) if df is None else df
    if rank < 1:
        reason = "both fits have the same number of overidentifying restrictions; give df= or nested=False"
        return not_available("Generalised Hausman", HAUSMAN_NULL, "chi2", reason)
    sizes = np.sqrt([np.square([one.std_errors[name] for one in (first, second)]).sum() for name in shown])
    stat, used = quadratic_form(difference, covariance, rank=min(rank, len(shown)), scale=sizes)
    if used < 1:
        return not_available("Generalised Hausman", HAUSMAN_NULL, "chi2", "the two fits have the same estimates")
    return chi2_test("Generalised Hausman", stat, used, HAUSMAN_NULL)


def common_slopes(first: Estimates, second: Estimates) -> list[str]:
    """Return the slopes of the first fit that the second has too, without constants and period dummies."""
    return [name for name in slope_names(first) if name in second.params.index]


def slope_names(results: Estimates) -> list[str]:
    """Return the parameters that are neither the constant nor a period dummy."""
    if not isinstance(results, GMMResults):
        return list(results.params.index)
    return results.slope_names


def difference_covariance(first: Estimates, second: Estimates, names: Sequence[str]) -> np.ndarray:
    """Return the covariance of the difference of two estimates, shape (m, m)."""
    parts = [_by_label(results, names) for results in (first, second)]
    difference = parts[0].sub(parts[1], fill_value=0.0)
    clusters = _clusters(first, second, difference.index)
    sums = difference.groupby(clusters).sum().to_numpy()
    return sums.T @ sums


def _by_label(results: Estimates, names: Sequence[str]) -> pd.DataFrame:
    """Return the influence on some parameters, one row per entity."""
    if isinstance(results, GMMResults) and results.spec.weights is not None:
        raise SpecificationError(f"hausman_test: expected fits without weights, found {results.spec.weights!r}.")
    columns = [list(results.params.index).index(name) for name in names]
    return pd.DataFrame(results.influence[:, columns], index=_entities(results), columns=list(names))


def _entities(results: Estimates) -> np.ndarray:
    if isinstance(results, GMMResults):
        return results.fit.prepared.grid.entities
    return results.entities  # type: ignore[attr-defined]  # the other results have them; a GMM fit has not


def _clusters(first: Estimates, second: Estimates, index: pd.Index) -> np.ndarray:
    """Return a cluster for every entity: entities that share a cluster in either fit share it here."""
    parent = {label: label for label in index}

    def root(label: object) -> object:
        while parent[label] != label:
            parent[label] = parent[parent[label]]
            label = parent[label]
        return label

    for results in (first, second):
        if not isinstance(results, GMMResults) or results.fit.prepared.data.clusters is None:
            continue
        seen: dict[int, object] = {}
        for label, code in zip(_entities(results), results.fit.prepared.data.clusters, strict=True):
            parent[root(label)] = root(seen.setdefault(int(code), label))
    return pd.factorize(pd.Index([root(label) for label in index]))[0]


def _degrees(first: Estimates, second: Estimates, n_names: int, nested: bool) -> int:
    """Return the default degrees of freedom."""
    if nested and isinstance(first, GMMResults) and isinstance(second, GMMResults):
        return min(abs(first.df - second.df), n_names)
    return n_names
