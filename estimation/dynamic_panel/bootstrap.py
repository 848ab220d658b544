"""Bootstrap of a fit by drawing whole entities (or clusters) with replacement.

A drawn entity enters with the number of times it was drawn as a weight, so a replication reuses the arrays of the fit
and costs one solve. Several fits on the same panel can share their draws, which is what a comparison across outcomes or
the product of two coefficients needs. With `recentre` the moments are centred at the estimate (Hall and Horowitz 1996),
as they must be for critical values of an overidentified model.

References: Hall and Horowitz (1996), Econometrica 64; Kapetanios (2008), J. Applied Econometrics 23.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from estimation.dynamic_panel import algebra
from estimation.dynamic_panel.algebra import Stacked
from estimation.dynamic_panel.computing import spread
from estimation.dynamic_panel.results import GMMResults
from estimation.errors import IdentificationError, SpecificationError

Statistic = Callable[..., float | Sequence[float]]


@dataclass(frozen=True, slots=True)
class BootstrapResults:
    """Draws of a statistic.

    Attributes
    ----------
    estimate : Series
        The statistic at the fit.
    draws : DataFrame
        One row per replication that could be estimated.
    n_failed : int
        Replications whose moments did not identify every parameter.
    """

    estimate: pd.Series
    draws: pd.DataFrame
    n_failed: int

    @property
    def std_errors(self) -> pd.Series:
        """Standard deviation over the draws."""
        return self.draws.std(ddof=1).rename("std_error")

    def conf_int(self, level: float = 0.95, *, kind: str = "percentile") -> pd.DataFrame:
        """Return intervals: "percentile", or "basic" (the percentile interval reflected at the estimate)."""
        tail = (1 - level) / 2
        low, high = self.draws.quantile(tail), self.draws.quantile(1 - tail)
        if kind == "basic":
            low, high = 2 * self.estimate - high, 2 * self.estimate - low
        elif kind != "percentile":
            raise SpecificationError(f"conf_int: expected kind 'percentile' or 'basic', found {kind!r}.")
        return pd.DataFrame({"lower": low, "upper": high})


def bootstrap(
    results: GMMResults | Sequence[GMMResults],
    statistic: Statistic | None = None,
    *,
    n_replications: int = 999,
    seed: int = 0,
    recentre: bool = False,
    names: Sequence[str] | None = None,
    n_jobs: int = 1,
) -> BootstrapResults:
    """Draw entities (or the fit's clusters) with replacement and estimate again.

    Parameters
    ----------
    results : GMMResults or sequence of them
        Several fits share the drawn entities, matched by their labels.
    statistic : callable, optional
        Takes one Series of parameters per fit; by default the parameters themselves.
    n_replications, seed : int
    recentre : bool
    names : sequence of str, optional
        Names of what `statistic` returns.
    n_jobs : int
        Number of processes, -1 for one per core; the draws are the same for any.

    Raises
    ------
    SpecificationError, IdentificationError
    """
    fits = [results] if isinstance(results, GMMResults) else list(results)
    for fit in fits:
        if fit.steps not in (1, 2):
            raise SpecificationError(f"bootstrap: expected fits of one or two steps, found {fit.steps!r}.")
        if not fit.is_linear:
            raise SpecificationError("bootstrap: expected fits with linear moments only, found nonlinear ones.")
        if fit.fit.prepared.spec.weights is not None:
            raise SpecificationError("bootstrap: expected fits without weights; draws are weights themselves.")
    compute = statistic if statistic is not None else _all_parameters
    estimate = _named(compute(*[fit.params for fit in fits]), names)
    labels, positions = _matched_units(fits)
    rng = np.random.default_rng(seed)
    share = np.full(len(labels), 1.0 / len(labels))
    counts = [rng.multinomial(len(labels), share).astype(float) for _ in range(n_replications)]
    drawn_params = spread(_replicate_all, (fits, positions, recentre), counts, n_jobs=n_jobs, what="bootstrap")
    complete = [params for params in drawn_params if all(one is not None for one in params)]
    draws, n_failed = [_named(compute(*params), names).to_numpy() for params in complete], n_replications - len(complete)
    if not draws:
        raise IdentificationError(f"bootstrap: none of {n_replications} replications identified every parameter.")
    return BootstrapResults(estimate, pd.DataFrame(draws, columns=estimate.index), n_failed)


def _all_parameters(*params: pd.Series) -> pd.Series:
    """Return the parameters of all fits, numbered when there are several."""
    if len(params) == 1:
        return params[0]
    return pd.concat([series.rename(lambda name, n=n: f"{n}:{name}") for n, series in enumerate(params)])


def _named(value: object, names: Sequence[str] | None) -> pd.Series:
    """Return what a statistic gave as a Series."""
    if isinstance(value, pd.Series):
        return value
    numbers = np.atleast_1d(np.asarray(value, dtype=float))
    return pd.Series(numbers, index=list(names) if names else [f"statistic_{n}" for n in range(len(numbers))])


def _matched_units(fits: Sequence[GMMResults]) -> tuple[pd.Index, list[np.ndarray]]:
    """Return the labels of all drawn units, and for every fit the position of each entity's unit among them.

    Raises
    ------
    SpecificationError
        When the fits draw different things, such as provinces and cities.
    """
    kinds = sorted({str(fit.spec.cluster or fit.fit.prepared.grid.entity) for fit in fits})
    if len(kinds) > 1:
        raise SpecificationError(
            f"bootstrap: expected fits that draw the same units, found {' and '.join(kinds)}. Give all fits the same cluster."
        )
    units = [_unit_labels(fit) for fit in fits]
    labels = pd.Index(pd.unique(pd.concat([pd.Series(unit) for unit in units], ignore_index=True)))
    # by their text, which labels of any kind have, so that the order of the fits does not matter
    labels = labels[np.argsort(labels.astype(str).to_numpy(), kind="stable")]
    return labels, [labels.get_indexer(pd.Index(unit)) for unit in units]


def _unit_labels(results: GMMResults) -> np.ndarray:
    """Return the label of the drawn unit (cluster, or else the entity itself) of every entity, shape (N,)."""
    grid, cluster = results.fit.prepared.grid, results.spec.cluster
    if cluster is None:
        return np.asarray(grid.entities)
    return np.asarray(grid.labels[cluster])[grid.codes[cluster]]


def _replicate_all(
    shared: tuple[list[GMMResults], list[np.ndarray], bool], counts: np.ndarray
) -> list[pd.Series | None]:
    """Estimate all fits with every unit counted as often as it was drawn."""
    fits, positions, recentre = shared
    return [_replicate(fit, counts[position], recentre=recentre) for fit, position in zip(fits, positions, strict=True)]


def _replicate(results: GMMResults, counts: np.ndarray, *, recentre: bool) -> pd.Series | None:
    """Estimate with every entity counted as often as its unit was drawn."""
    prepared = results.fit.prepared
    data = drawn(prepared.data, counts)
    if recentre:
        base = prepared.data
        data = replace(data, Zy=data.Zy - (base.Zy - base.ZX @ np.linalg.solve(algebra.in_levels(base), results.fit.params)))
    inverse = results.options.inverse
    first = algebra.take_step(data, algebra.one_step_weight(data, algebra.one_step_covariance(data), inverse))
    if first is None or results.steps == 1:
        return None if first is None else pd.Series(algebra.in_levels(data) @ first.fit.beta, index=list(results.names))
    second = algebra.take_step(data, algebra.robust_weight(data, first.e, inverse))
    return None if second is None else pd.Series(algebra.in_levels(data) @ second.fit.beta, index=list(results.names))


def drawn(data: Stacked, counts: np.ndarray) -> Stacked:
    """Return stacked data in which entity i counts `counts[i]` times, shape (N,); constant within clusters."""
    multiplicity = counts
    if data.clusters is not None:
        multiplicity = np.zeros(int(data.clusters.max()) + 1)
        multiplicity[data.clusters] = counts
    rows = np.broadcast_to(counts[:, None], data.y.shape)
    return algebra.stack(
        data.y,
        data.X,
        data.Z,
        data.H_root,
        row_weights=np.ascontiguousarray(rows),
        clusters=data.clusters,
        multiplicity=multiplicity,
        units=data.units,
        centre=data.centre,
    )
