"""A file of specifications: one column of a table each, as the command line reads it.

A TOML file with one specification is one column. With tables ``[[column]]`` what stands above them holds for all, and each
column says what is different:

    entity = "id"
    time = "year"
    dependent = "n"
    endogenous = ["w"]                   # classes of regressors, as for the model classes; so are lags, n_lags, collapse
    exogenous = ["k"]

    [[column]]
    name = "system"

    [[column]]
    name = "difference"
    system = false

    [[column]]
    name = "1980 on"
    formula = "n ~ L.n + w + k | gmm(n w, 2:4, collapse) + iv(k)"
    sample = "year >= 1980"

    [[column]]
    name = "as in Stata"
    stata = "xtabond2 n L.n w k, gmm(n w, lag(2 4) collapse) iv(k) twostep robust"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from estimation.dynamic_panel.classes import (
    CLASSES,
    DEFAULT_COLLAPSE,
    DEFAULT_N_LAGS,
    groups_of_classes,
    has_own_lag,
    lag_name,
)
from estimation.dynamic_panel.formula import parse_formula
from estimation.dynamic_panel.model import PanelGMM
from estimation.dynamic_panel.results import GMMResults
from estimation.dynamic_panel.spec import Case, check_truth
from estimation.dynamic_panel.specfile import case_from_machine, case_from_table, load_settings
from estimation.errors import SpecificationError
from estimation.stata import StataCommand, parse

_OF_CLASSES = (*CLASSES, "lags", "n_lags", "collapse")
_KEYS = ("entity", "time", "time_step", "sample")


@dataclass(frozen=True, slots=True)
class Column:
    """One specification of a file.

    Attributes
    ----------
    name : str
    case : Case
    command : StataCommand or None
        The command it comes from.
    """

    name: str
    case: Case
    command: StataCommand | None = None

    def fit(self, data: pd.DataFrame) -> GMMResults:
        """Estimate on data.

        Raises
        ------
        EstimationError
        """
        case = self.case
        if case.entity is None or case.time is None:
            raise SpecificationError(f"{self.name}: it names no entity and time column; add them or give --entity and --time.")
        if self.command is not None:
            return self.command.fit(data, entity=case.entity, time=case.time, time_step=case.time_step)
        return PanelGMM.from_case(data, case).fit_options(case.options)


def read_columns(path: str | Path) -> tuple[Column, ...]:
    """Read every column of a file, TOML or JSON with `machine_spec`.

    Raises
    ------
    SpecificationError
    """
    path = Path(path)
    content = load_settings(path)
    if "machine_spec" in content or "y" in content:
        return (Column(path.stem, case_from_machine(content)),)
    columns = content.get("column")
    if columns is None:
        return (column_of(content, path.stem, str(path)),)
    if not isinstance(columns, Sequence) or not columns or not all(isinstance(one, Mapping) for one in columns):
        raise SpecificationError(f"{path}: column: expected tables [[column]], found {columns!r}.")
    shared = {key: value for key, value in content.items() if key != "column"}
    return tuple(
        column_of(_merged(shared, one), str(one.get("name", f"({n})")), f"{path}, column {n}")
        for n, one in enumerate(columns, start=1)
    )


def read_case(path: str | Path) -> Case:
    """Read a file with one specification, TOML or JSON with `machine_spec`.

    Raises
    ------
    SpecificationError
    """
    columns = read_columns(path)
    if len(columns) > 1:
        raise SpecificationError(f"{path}: expected one specification, found {len(columns)} columns; read_columns reads them.")
    command = columns[0].command
    if command is not None and (command.condition or command.rows or command.nonlinear):
        raise SpecificationError(f"{path}: a command with if, in or nl() is more than a case; use estimation.stata.parse.")
    return columns[0].case


def _merged(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a column; one way of naming the model replaces another."""
    ways = {"formula", "stata"} & set(own)
    dropped = {"dependent", "regressors", "gmm", "iv", "formula", "stata", *_OF_CLASSES} if ways else set()
    merged = {key: value for key, value in shared.items() if key not in dropped} | dict(own)
    if isinstance(shared.get("fit"), Mapping) and isinstance(own.get("fit"), Mapping):
        merged["fit"] = {**shared["fit"], **own["fit"]}
    return merged


def column_of(content: Mapping[str, Any], name: str, where: str) -> Column:
    """Return the column of a table of settings.

    Raises
    ------
    SpecificationError
    """
    settings = {key: value for key, value in content.items() if key != "name"}
    if "stata" in settings:
        return _stata_column(settings, name, where)
    keys: dict[str, Any] = {key: settings.pop(key) for key in ("time_step", "sample") if key in settings}
    case = case_from_table(_plain(settings, where), where=where)
    return Column(name, _with_keys(case, keys, where))


def _with_keys(case: Case, keys: Mapping[str, Any], where: str) -> Case:
    step = keys.get("time_step", case.time_step)
    if not isinstance(step, int) or isinstance(step, bool):
        raise SpecificationError(f"{where}: time_step: expected a whole number, found {step!r}.")
    for key in ("entity", "time", "sample"):
        if keys.get(key) is not None and not isinstance(keys[key], str):
            raise SpecificationError(f"{where}: {key}: expected text, found {keys[key]!r}.")
    return replace(case, **{**keys, "time_step": step})


def _stata_column(settings: Mapping[str, Any], name: str, where: str) -> Column:
    beside = sorted(set(settings) - {"stata", *_KEYS})
    if beside or settings.get("sample") is not None:
        raise SpecificationError(
            f"{where}: a command of Stata says all but entity, time and time_step (a sample is its if), found "
            f"{beside or ['sample']}."
        )
    command = parse(settings["stata"])
    keys = {key: settings[key] for key in _KEYS if key in settings}
    return Column(name, _with_keys(Case(command.spec, command.options), keys, where), command)


def _plain(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the settings with a formula and classes turned into regressors and instrument groups."""
    settings = dict(content)
    if "formula" in settings:
        settings = _from_formula(settings, where)
    if not any(key in settings for key in _OF_CLASSES):
        return settings
    classes = {kind: _names(settings.pop(kind, ()), f"{where}: {kind}") for kind in CLASSES}
    plain = _names(settings.get("regressors", ()), f"{where}: regressors")
    dependent = settings.get("dependent")
    if not isinstance(dependent, str):
        raise SpecificationError(f"{where}: dependent: expected the name of one column, found {dependent!r}.")
    own = has_own_lag(dependent, plain)
    lags = settings.pop("lags", 0 if own or not any(classes.values()) else 1)
    if not isinstance(lags, int) or isinstance(lags, bool) or lags < 0:
        raise SpecificationError(f"{where}: lags: expected a whole number from 0 on, found {lags!r}.")
    n_lags, collapse = settings.pop("n_lags", DEFAULT_N_LAGS), settings.pop("collapse", DEFAULT_COLLAPSE)
    check_truth(collapse, f"{where}: collapse")
    given = _given(settings, where)
    made = groups_of_classes(classes, dependent, own or lags > 0, given, n_lags or None, collapse)
    of_class = [name for kind in CLASSES for name in classes[kind] if name not in plain]
    settings["regressors"] = [*(lag_name(dependent, lag) for lag in range(1, lags + 1)), *plain, *of_class]
    for group in made:
        _add_group(settings, group)
    return settings


def _from_formula(settings: dict[str, Any], where: str) -> dict[str, Any]:
    beside = sorted({"dependent", "regressors"} & set(settings))
    if beside:
        raise SpecificationError(f"{where}: a formula names {' and '.join(beside)}; leave {' and '.join(beside)} out.")
    read = parse_formula(settings.pop("formula"))
    settings |= {"dependent": read.dependent, "regressors": list(read.regressors)}
    if not read.constant:
        settings["constant"] = False
    for group in read.instruments:
        _add_group(settings, group)
    return settings


def _add_group(settings: dict[str, Any], group: Any) -> None:
    """Add an instrument group in the form the file has."""
    kind = "gmm" if hasattr(group, "lags") else "iv"
    written = {name: getattr(group, name) for name in group.__dataclass_fields__ if getattr(group, name) is not None}
    settings[kind] = [*settings.get(kind, ()), written | {"variables": list(group.variables)}]


def _given(settings: Mapping[str, Any], where: str) -> tuple[Any, ...]:
    """Return the groups a file states outright."""
    stated = {key: settings[key] for key in ("gmm", "iv") if key in settings}
    return case_from_table({"dependent": "y", "regressors": ["x"], **stated}, where=where).spec.instruments


def _names(value: Any, where: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Sequence):
        raise SpecificationError(f"{where}: expected names of columns, found {value!r}.")
    return tuple(value)

