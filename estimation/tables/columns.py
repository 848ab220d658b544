"""Estimate the columns of a result table on the study's panel.

In: a `Column` and a `StudyPanel`. Out: a `ColumnFit` with the results, or with the sentence that says why there are
none. The decision worth knowing: whatever goes wrong with one column (unknown variable, empty sample, too few groups,
instruments that vanish) is that column's message; the rest of the table is estimated.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from estimation.dynamic_panel.model import SystemGMM
from estimation.dynamic_panel.results import GMMResults
from estimation.dynamic_panel.spec import CONSTANT, GMMStyle, IVStyle
from estimation.errors import (
    EmptySampleError,
    EstimationError,
    EstimationWarning,
    IdentificationError,
    UnknownColumnError,
)
from estimation.tables.samples import CityClasses, in_sample
from estimation.tables.spec import Column, ResultTable
from estimation.tables.study import StudyPanel

# a system of 12 slopes, lags 2-4 and year dummies has about 40 moments; with fewer cities than slopes nothing is left
LEAST_GROUPS = 10
LAG_TERM = "L.y"
CONSTANT_TERM = "Constant"


@dataclass(frozen=True, slots=True)
class ColumnFit:
    """A column that was estimated, or the reason it could not be.

    Attributes
    ----------
    column : Column
    results : GMMResults or None
    failure : str
        Empty when there are results.
    n_raw : int
        City-years of the sample with outcome and regressors present, before any lag: what the paper prints as N.
    mask : ndarray, shape (n_rows,)
        Rows of the panel in the sample.
    notes : tuple of str
        The estimator's notes and warnings.
    """

    column: Column
    results: GMMResults | None
    failure: str
    n_raw: int
    mask: np.ndarray
    notes: tuple[str, ...]

    @property
    def estimated(self) -> GMMResults:
        """The results of a column that has some; to ask those of a failed column is the caller's mistake."""
        assert self.results is not None, self.failure
        return self.results

    def term(self, name: str) -> str:
        """Printed name of a parameter: ``L.y``, ``Constant``, otherwise its own."""
        if name == CONSTANT:
            return CONSTANT_TERM
        return name.removesuffix(self.column.dependent) + "y" if name.endswith(f".{self.column.dependent}") else name

    def parameter(self, term: str) -> str:
        """Name of a parameter in the results from its printed name."""
        if term == CONSTANT_TERM:
            return CONSTANT
        is_lag = term.startswith("L") and term.endswith(".y")
        return f"{term[:-1]}{self.column.dependent}" if is_lag else term


def estimate_tables(
    tables: Sequence[ResultTable], panel: StudyPanel, classes: CityClasses
) -> dict[str, tuple[ColumnFit, ...]]:
    """Estimate every column of some tables; returns table name to its columns."""
    return {
        table.name: tuple(estimate_column(column, panel, classes) for column in table.columns) for table in tables
    }


def estimate_column(column: Column, panel: StudyPanel, classes: CityClasses) -> ColumnFit:
    """Estimate one column, or say why not."""
    panel = counted_panel(column, panel)
    mask = np.zeros(len(panel.natural), dtype=bool)
    n_raw = 0
    try:
        mask, n_raw = column_sample(column, panel, classes)
        _enough_groups(panel, mask, column)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", EstimationWarning)
            results = build_model(column, panel, mask).fit(
                steps=column.options.steps,
                cov_type="robust" if column.options.errors == "windmeijer" and column.options.steps == 1
                else column.options.errors,
                distribution=column.options.distribution,
            )
        _has_variances(results)
    except EstimationError as error:
        return ColumnFit(column, None, str(error), n_raw, mask, ())
    warned = tuple(str(item.message) for item in caught if issubclass(item.category, EstimationWarning))
    return ColumnFit(column, results, "", n_raw, mask, tuple(dict.fromkeys((*results.notes, *warned))))


def column_sample(column: Column, panel: StudyPanel, classes: CityClasses) -> tuple[np.ndarray, int]:
    """Return the rows of the panel in a column's sample, shape (n_rows,), and how many of them have every variable.

    Parameters
    ----------
    panel : StudyPanel
        With destinations counted as the column asks (:func:`counted_panel`).

    Raises
    ------
    EstimationError
        If a variable is not there, or no row is in the sample.
    """
    present = panel.standardised((column.dependent, *column.regressors)).notna().all(axis=1).to_numpy()
    mask = in_sample(
        panel.natural, column.sample, column.options, classes, entity=panel.entity, time=panel.time, merged=present
    )
    return mask, int((present & mask).sum())


def counted_panel(column: Column, panel: StudyPanel) -> StudyPanel:
    """Return the panel with destinations counted as the column's options say, if the panel knows that count."""
    return panel.counted("lnnumcou", column.options.destinations)


def build_model(column: Column, panel: StudyPanel, mask: np.ndarray) -> SystemGMM:
    """Return the model of a column on the rows of its sample.

    Parameters
    ----------
    mask : ndarray, shape (n_rows,)
        Rows of the panel in the sample.
    """
    options = column.options
    source = panel.restricted(mask) if options.scaling == "sample" else panel
    data = source.standardised(column.variables)
    if column.cluster:
        data[column.cluster] = _clusters(panel, column.cluster)
    before_lags = cut_before_lags(column)
    if before_lags:
        data = data[mask].reset_index(drop=True)
    lags = options.lags
    groups: list[GMMStyle | IVStyle] = []
    if column.dependent_lags:
        groups.append(GMMStyle((column.dependent,), lags, options.collapse))
    if column.endogenous:
        groups.append(GMMStyle(column.endogenous, options.lags_of_core, options.collapse))
    if column.predetermined:
        groups.append(GMMStyle(column.predetermined, _one_later(lags), options.collapse))
    groups += _control_groups(column)
    if column.external_instruments:
        groups.append(IVStyle(column.external_instruments, name="external instruments"))
    return SystemGMM(
        data, entity=panel.entity, time=panel.time, dependent=column.dependent, lags=column.dependent_lags,
        regressors=column.regressors, instruments=groups,
        time_effects=None if options.time_effects == "none" else options.time_effects, transform=options.transform,
        sample=None if before_lags or mask.all() else mask,
        sample_rule="both_periods" if options.cut == "both_periods" else "row", cluster=column.cluster or None,
    )


def _clusters(panel: StudyPanel, name: str) -> pd.Series:
    """Return the column that groups cities for standard errors, one number a group."""
    if name not in panel.natural.columns:
        raise UnknownColumnError(f"cluster: the panel has no column {name!r}; expected one such as province_code.")
    codes, _ = pd.factorize(panel.natural[name])
    return pd.Series(codes, index=panel.natural.index, dtype=float).where(codes >= 0)


def _control_groups(column: Column) -> list[GMMStyle | IVStyle]:
    """Instruments of the controls under what is assumed of them (options.controls).

    ``exogenous``: uncorrelated with all errors and with the city effect, one column over both equations;
    ``exogenous_changes``: with all errors only, so that they instrument the transformed equation; ``predetermined`` and
    ``endogenous``: lags from one or two on, as for the core regressors.
    """
    options = column.options
    moving = tuple(name for name in column.exogenous if name not in column.fixed_controls)
    if options.controls == "exogenous" or not moving:
        return [IVStyle(column.exogenous)] if column.exogenous else []
    fixed = tuple(name for name in column.exogenous if name in column.fixed_controls)
    groups: list[GMMStyle | IVStyle] = [IVStyle(fixed)] if fixed else []
    if options.controls == "exogenous_changes":
        return [*groups, IVStyle(moving, equation="difference")]
    lags = _one_later(options.lags) if options.controls == "predetermined" else options.lags
    return [*groups, GMMStyle(moving, lags, options.collapse)]


def _one_later(lags: tuple[int, int | None]) -> tuple[int, int | None]:
    """Lags of a predetermined variable: each one period later than those of an endogenous one."""
    return lags[0] - 1, None if lags[1] is None else lags[1] - 1


def cut_before_lags(column: Column) -> bool:
    """Whether rows outside the sample are not a source of lags: asked for, or the year that trimmed must not come back."""
    return column.options.cut == "before_lags" or (column.sample.rule == "trim" and column.options.trim == "first_year")


def _has_variances(results: GMMResults) -> None:
    """Refuse estimates whose corrected covariance lost its positive diagonal, which happens with very few cities."""
    variances = np.diagonal(results.cov.to_numpy())
    bad = [name for name, value in zip(results.names, variances, strict=True) if not value > 0]
    if bad:
        raise IdentificationError(
            f"no standard error for {', '.join(bad[:5])}: with {results.n_groups} cities and {results.n_instruments} "
            "instruments the corrected covariance is not positive. Use fewer instruments or a wider sample."
        )


def _enough_groups(panel: StudyPanel, mask: np.ndarray, column: Column) -> None:
    groups = panel.natural.loc[mask, panel.entity].nunique()
    if groups < LEAST_GROUPS:
        raise EmptySampleError(
            f"sample {column.sample.name}: {groups} cities in it, expected at least {LEAST_GROUPS}; moments are "
            "averaged over cities. Widen the sample."
        )
