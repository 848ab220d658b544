"""The columns of a study on one data set with plain names: every variable a column, every sample a column of ones.

In: the panel and the tables in print. Out: a frame that Stata and R read, and for each column of a table the command that
estimates it there. The decision worth knowing: a standardised variable or a sample that two columns share is there once, found
by its values, so that the frame has few columns more than the panel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from estimation.dynamic_panel.spec import CONSTANT, FitOptions, GMMStyle, IVStyle, PanelSpec
from estimation.report.words import Word, column_label, sample_word, term_word
from estimation.stata import StataCommand
from estimation.tables import CityClasses, PrintedTable, StudyPanel
from estimation.tables.columns import (
    CONSTANT_TERM,
    LAG_TERM,
    build_model,
    column_sample,
    counted_panel,
    cut_before_lags,
)
from estimation.tables.printed import Number, PrintedColumn
from estimation.tables.spec import Column
from estimation.tables.study import PRODUCT

#: Numeric keys, which Stata's xtset and cluster() ask for.
ENTITY, PROVINCE = "city", "province"
MAX_NAME = 32


@dataclass(frozen=True, slots=True)
class Block:
    """One column of a table on the study's data.

    Attributes
    ----------
    table, profile : str
    position : int
    heading : Word
    column : Column
    command : StataCommand or None
        As xtabond2, in names of the data; None for a column without estimates.
    kept : str
        Column of the data that is 1 where rows exist for this column; empty: all of them.
    sample : str
        Column of the data that is 1 in the sample, empty where every row is.
    names : dict
        Printed term to its name in the command: ``L.y`` to ``L.z_lnvalue``.
    numbers : dict
        Printed term to our number.
    failure : str
        Why there are no numbers.
    """

    table: str
    profile: str
    position: int
    heading: Word
    column: Column
    command: StataCommand | None
    kept: str
    sample: str
    names: Mapping[str, str]
    numbers: Mapping[str, Number]
    failure: str = ""

    @property
    def label(self) -> str:
        """``table1.col1 (defensible)``."""
        return f"{self.table}.col{self.position} ({self.profile})"


@dataclass(slots=True)
class StudyData:
    """The data of a study and its columns.

    Attributes
    ----------
    frame : DataFrame
        One row per city and year, sorted; ``city``, ``province`` and ``year`` are whole numbers.
    labels : dict
        Column that was made here to its label in English and Chinese.
    blocks : list of Block
    """

    frame: pd.DataFrame
    labels: dict[str, Word] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)


def study_data(
    printed: Sequence[tuple[PrintedTable, StudyPanel]], panel: StudyPanel, classes: CityClasses
) -> StudyData:
    """Return the data and the columns of tables in print.

    Parameters
    ----------
    printed : sequence of (PrintedTable, StudyPanel)
        Each table with the panel it was estimated on, its own columns joined; rows as those of `panel`.
    panel : StudyPanel
        The study's panel, whose columns all are in the data.
    """
    frame = panel.natural.copy()
    data = StudyData(frame)
    _add_keys(data, panel)
    for table, own in printed:
        for column in table.columns:
            data.blocks.append(_block(data, table, column, own, classes))
    # a frame grown column by column is in pieces
    data.frame = data.frame.copy()
    return data


def _add_keys(data: StudyData, panel: StudyPanel) -> None:
    data.frame.insert(0, ENTITY, _whole_numbers(panel.natural[panel.entity]))
    data.labels[ENTITY] = Word("City, its code as a number", "城市（代码，数值）")
    if "province_code" in panel.natural:
        data.frame.insert(1, PROVINCE, _whole_numbers(panel.natural["province_code"]))
        data.labels[PROVINCE] = Word("Province, its code as a number", "省份（代码，数值）")


def _whole_numbers(codes: pd.Series) -> np.ndarray:
    """Codes of digits as numbers; others numbered in their order."""
    numbers = pd.to_numeric(codes, errors="coerce")
    if numbers.notna().all() and (numbers % 1 == 0).all() and numbers.nunique() == codes.nunique():
        return numbers.to_numpy(np.int64)
    return pd.factorize(codes, sort=True)[0] + 1


def _block(
    data: StudyData, table: PrintedTable, printed: PrintedColumn, panel: StudyPanel, classes: CityClasses
) -> Block:
    column = printed.fit.column
    rule = column.sample
    heading = column_label(column.position, column.dependent, rule.name, rule.title, rule.title_zh)
    head: dict[str, Any] = {
        "table": column.table, "profile": table.table.profile, "position": column.position, "heading": heading,
        "column": column, "numbers": {term: number for term, number in printed.ours.items() if term in table.terms},
    }  # fmt: skip
    if not printed.ours:
        failure = printed.fit.failure or "no estimate is recorded"
        return Block(command=None, kept="", sample="", names={}, failure=failure, **head)
    panel = counted_panel(column, panel)
    mask, _ = column_sample(column, panel, classes)
    before = cut_before_lags(column)
    spec = build_model(column, panel, mask).spec
    given = panel.restricted(mask) if column.options.scaling == "sample" else panel
    names = _add_variables(data, column, given)
    if spec.cluster is not None:
        names[spec.cluster] = _add_cluster(data, panel.natural[spec.cluster], spec.cluster)
    sample = "" if mask.all() else _add_sample(data, column, mask)
    condition = f"{sample} == 1" if sample and not before else ""
    plain = with_dummies(renamed(spec, names), panel.time, _first_period(column, panel, mask))
    command = StataCommand("xtabond2", plain, _options(column), condition)
    return Block(
        command=command, kept=sample if before else "", sample=sample,
        names={term: _stata_term(term, column, names) for term in head["numbers"]}, **head,
    )


def _first_period(column: Column, panel: StudyPanel, mask: np.ndarray) -> int:
    """First period with an observation in levels, whose dummy is the one left out."""
    values = panel.standardised((column.dependent, *column.regressors))
    known = values[column.dependent].notna() & (mask | (not cut_before_lags(column)))
    seen = set(zip(values.loc[known, panel.entity], values.loc[known, panel.time], strict=True))
    rows = values[values.notna().all(axis=1).to_numpy() & mask]
    periods = [
        time for entity, time in zip(rows[panel.entity], rows[panel.time], strict=True)
        if all((entity, time - lag) in seen for lag in range(1, column.dependent_lags + 1))
    ]
    return int(min(periods))


def with_dummies(spec: PanelSpec, time: str, base: int) -> PanelSpec:
    """Return a specification whose period effects are dummies by name, the one of the base period left out."""
    if spec.time_effects is None:
        return spec
    dummies = f"C({time}, base={base})"
    return replace(
        spec, time_effects=None, regressors=(*spec.regressors, dummies),
        instruments=(*spec.instruments, IVStyle((dummies,), spec.time_effects)),
    )


def _options(column: Column) -> FitOptions:
    """How a column is estimated, with the generalised inverse of Stata."""
    options = column.options
    errors = "robust" if options.errors == "windmeijer" and options.steps == 1 else options.errors
    return FitOptions(options.steps, errors, inverse="sweep")


def _add_variables(data: StudyData, column: Column, panel: StudyPanel) -> dict[str, str]:
    """Put every variable of a column into the data; returns variable to its name there."""
    values = panel.standardised(column.variables)
    names = {}
    for variable in dict.fromkeys(column.variables):
        base = f"z_{'_x_'.join(variable.split(PRODUCT))}"
        word = term_word(variable)
        way = _way(column, variable)
        label = Word(f"{word.en}, in SD{way.en}", f"{word.zh}（标准化{way.zh}）")
        names[variable] = _add(data, base, values[variable].to_numpy(float), label)
    return names


def _way(column: Column, variable: str) -> Word:
    """How a variable of a column differs from the panel's."""
    options = column.options
    if variable == "lnnumcou" and options.destinations != "panel":
        return Word(f", destinations as {options.destinations}", "，目的地按代码" if options.destinations == "codes" else "")
    return Word(f" of sample {column.sample.name}", "，样本内") if options.scaling == "sample" else Word("", "")


def _add_cluster(data: StudyData, values: pd.Series, name: str) -> str:
    if name == "province_code" and PROVINCE in data.frame:
        return PROVINCE
    codes = pd.factorize(values)[0].astype(float)
    label = Word(f"Groups of {name} for standard errors", f"标准误聚类：{name}")
    return _add(data, f"g_{name}", np.where(codes < 0, np.nan, codes), label)


def _add_sample(data: StudyData, column: Column, mask: np.ndarray) -> str:
    rule = column.sample
    word = sample_word(rule.name, rule.title, rule.title_zh)
    condition = f", {rule.where}" if rule.where else ""
    label = Word(f"1 in the sample: {word.en}{condition}", f"样本：{word.zh}{condition}")
    return _add(data, f"s_{rule.name}", mask.astype(np.int8), label)


def _add(data: StudyData, base: str, values: np.ndarray, label: Word) -> str:
    """Add a column under a name, or the next free one; values that are there under such a name are used again."""
    for name in _candidates(base):
        if name not in data.frame:
            data.frame[name] = values
            data.labels[name] = label
            return name
        there = data.frame[name].to_numpy()
        if there.dtype != object and np.array_equal(there.astype(float), values.astype(float), equal_nan=True):
            return name
    raise AssertionError("the candidates never end")


def _candidates(base: str) -> Iterator[str]:
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter == "_") else "_" for letter in base)
    yield plain[:MAX_NAME]
    for number in range(2, 10_000):
        ending = f"_{number}"
        yield plain[: MAX_NAME - len(ending)] + ending


def renamed(spec: PanelSpec, names: Mapping[str, str]) -> PanelSpec:
    """Return a specification in other names of its variables, operators kept."""
    groups: list[GMMStyle | IVStyle] = [
        replace(group, variables=tuple(_renamed(name, names) for name in group.variables), name=None)
        for group in spec.instruments
    ]
    return replace(
        spec,
        dependent=names[spec.dependent],
        regressors=tuple(_renamed(name, names) for name in spec.regressors),
        instruments=tuple(groups),
        cluster=None if spec.cluster is None else names[spec.cluster],
        collinear="drop",
    )


def _renamed(name: str, names: Mapping[str, str]) -> str:
    if name in names:
        return names[name]
    operator, _, variable = name.rpartition(".")
    return f"{operator}.{names[variable]}"


def _stata_term(term: str, column: Column, names: Mapping[str, str]) -> str:
    """Name of a printed term in the command and its results."""
    if term == CONSTANT_TERM:
        return CONSTANT
    if term == LAG_TERM or (term.startswith("L") and term.endswith(".y")):
        return f"{term[:-1]}{names[column.dependent]}"
    return names[term]
