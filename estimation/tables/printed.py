"""A result table in print: cells with estimate, error and stars, the paper's numbers and the known truth beside them.

In: the fits of a table, the paper's printed numbers, the truth of a generated world. Out: `PrintedTable`, from which
every format (terminal, Markdown, LaTeX, HTML, Excel) and the rows of ``gold.estimate`` are made, so that they cannot
differ. Stars follow the normal distribution, as the paper's do without exception.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from estimation.dynamic_panel.results import GMMResults
from estimation.dynamic_panel.summary import stars as stars_of
from estimation.tables.columns import CONSTANT_TERM, LAG_TERM, ColumnFit, cut_before_lags
from estimation.tables.spec import Column, Language, ResultTable

#: Statistics below the coefficients, in print order, with their labels.
STATISTICS = {
    "n_raw": "N raw city-years",
    "n_level": "N level equation",
    "n_transformed": "N transformed",
    "n_cities": "Cities",
    "n_instruments": "Instruments",
    "ar1_p": "AR(1) p",
    "ar2_p": "AR(2) p",
    "hansen_p": "Hansen p",
}
COUNTS = ("n_raw", "n_level", "n_transformed", "n_cities", "n_instruments")
_TRIMMED = {
    "first_year": "cities trimmed by their first year, which is used for nothing else",
    "cities": "cities trimmed by their mean over years",
    "rows": "city-years trimmed by their own value",
}
GENERATED_NOTE = "Generated data: not China's customs records; the numbers say nothing about the world."
STAR_NOTE = "*** p<0.01, ** p<0.05, * p<0.1 (normal distribution); standard errors in parentheses."


@dataclass(frozen=True, slots=True)
class Number:
    """An estimate: coefficient, standard error, p-value, stars (0-3)."""

    coefficient: float
    std_error: float
    pvalue: float
    stars: str


@dataclass(frozen=True, slots=True)
class PaperColumn:
    """One column as the paper prints it.

    Attributes
    ----------
    cells : dict
        Printed term to its number (p-value missing).
    statistics : dict
        ``n_raw``, ``n_cities``, ``ar2_p``, ``hansen_p``.
    texts : dict
        Printed term to (coefficient, standard error) with the digits of print.
    """

    cells: Mapping[str, Number]
    statistics: Mapping[str, float]
    texts: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class PrintedColumn:
    """One column of a table in print.

    Attributes
    ----------
    fit : ColumnFit
    ours : dict
        Printed term to its number; empty when the column failed.
    statistics : dict
    paper : PaperColumn or None
    truth : dict
        Printed term to the true coefficient; empty when none is known.
    intervals : dict
        Printed term to its 95% interval, of a column read back from recorded numbers.
    """

    fit: ColumnFit
    ours: Mapping[str, Number]
    statistics: Mapping[str, float]
    paper: PaperColumn | None = None
    truth: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """``col1``."""
        return self.fit.column.name

    @property
    def heading(self) -> str:
        """Position, outcome and, when it is no full sample, the sample."""
        return self.headed(str)

    def headed(self, label: Callable[[str], str], language: Language = "en") -> str:
        """Return the heading with the outcome under its label."""
        column = self.fit.column
        title = column.sample.title_zh if language == "zh" and column.sample.title_zh else column.sample.title
        sample = f", {title or column.sample.name}" if column.sample.name != "full" else ""
        return f"({column.position}) {label(column.dependent)}{sample}"

    def interval(self, term: str, level: float = 0.95) -> tuple[float, float]:
        """Confidence interval of a term; of recorded numbers only the 95% one is known."""
        if self.fit.results is None and level == 0.95:
            return self.intervals[term]
        assert self.fit.results is not None
        half = self.fit.results.critical_value(level) * self.ours[term].std_error
        return self.ours[term].coefficient - half, self.ours[term].coefficient + half


@dataclass(frozen=True, slots=True)
class PrintedTable:
    """A table in print.

    Attributes
    ----------
    table : ResultTable
    columns : tuple of PrintedColumn
    terms : tuple of str
        Rows in print order.
    generated : bool
        Whether the data behind it were generated; every print of it then says so.
    joined : tuple of str
        What did not match of the table's own columns.
    """

    table: ResultTable
    columns: tuple[PrintedColumn, ...]
    terms: tuple[str, ...]
    generated: bool = False
    joined: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """``Table 1. Baseline``."""
        return f"Table {self.table.number}. {self.table.title}"

    @property
    def title_zh(self) -> str:
        """Chinese title."""
        return f"表{self.table.number} {self.table.title_zh}"

    @property
    def has_paper(self) -> bool:
        """Whether the paper prints such a table."""
        return any(column.paper for column in self.columns)

    @property
    def has_truth(self) -> bool:
        """Whether the truth of some column is known."""
        return any(column.truth for column in self.columns)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, the failures of columns first."""
        failures = tuple(f"{column.heading}: not estimated. {column.fit.failure}" for column in self.columns
                         if column.fit.failure)
        by_note: dict[str, list[str]] = {}
        for column in self.columns:
            for note in column.fit.notes:
                by_note.setdefault(note, []).append(f"({column.fit.column.position})")
        warnings = tuple(f"{' '.join(positions)} {note}" for note, positions in by_note.items())
        origin = (GENERATED_NOTE,) if self.generated else ()
        particular = (*origin, *failures, *self.joined, *warnings, *_conditions(self.table))
        return (*particular, _options_note(self.table), STAR_NOTE)


def print_table(
    table: ResultTable,
    fits: Sequence[ColumnFit],
    *,
    paper: Mapping[tuple[int, int], PaperColumn] | None = None,
    truth: Mapping[tuple[str, str], Mapping[str, float]] | None = None,
    generated: bool = False,
    notes: Sequence[str] = (),
) -> PrintedTable:
    """Return a table in print.

    Parameters
    ----------
    paper : mapping
        (table number, column) to the paper's numbers.
    truth : mapping
        (outcome, resilience measure) to printed term to true coefficient per standard deviation of the panel.
    generated : bool
        Whether the panel was made from generated data.
    notes : sequence of str
        What did not match of the table's own columns.
    """
    columns = tuple(
        PrintedColumn(
            fit,
            _numbers(fit),
            _statistics(fit),
            (paper or {}).get((table.number, fit.column.position)),
            _truth_of(fit.column, truth or {}),
        )
        for fit in fits
    )
    return PrintedTable(table, columns, print_order(columns), generated, tuple(notes))


def paper_columns(tables: pd.DataFrame, statistics: pd.DataFrame) -> dict[tuple[int, int], PaperColumn]:
    """Read the paper's printed numbers (schemas/reference/paper_tables.csv and paper_table_stats.csv)."""
    result = {}
    for (number, position), rows in tables.groupby(["table", "column"]):
        cells, texts = {}, {}
        for row in rows.to_dict("records"):
            term = str(row["variable"]).replace("resilience", str(row["resilience"]))
            cells[term] = Number(
                float(row["coefficient"]), float(row["std_error"]), math.nan, "*" * int(row["stars"])
            )
            texts[term] = (str(row["coefficient_printed"]), str(row["std_error_printed"]))
        same = (statistics["table"].astype(int) == int(number)) & (statistics["column"].astype(int) == int(position))
        line = statistics[same].iloc[0]
        result[int(number), int(position)] = PaperColumn(
            cells,
            {
                "n_raw": float(line["n_obs"]), "n_cities": float(line["n_cities"]),
                "ar2_p": float(line["ar2_p"]), "hansen_p": float(line["hansen_p"]),
            },
            texts,
        )
    return result


def _numbers(fit: ColumnFit) -> dict[str, Number]:
    if fit.results is None:
        return {}
    params, errors, pvalues = fit.results.params, fit.results.std_errors, fit.results.pvalues
    return {
        fit.term(name): Number(float(params[name]), float(errors[name]), float(pvalues[name]), stars_of(pvalues[name]))
        for name in fit.results.names
    }


def _statistics(fit: ColumnFit) -> dict[str, float]:
    if fit.results is None:
        return {"n_raw": float(fit.n_raw)}
    results: GMMResults = fit.results
    return {
        "n_raw": float(fit.n_raw), "n_level": float(results.nobs), "n_transformed": float(results.n_transformed),
        "n_cities": float(results.n_groups), "n_instruments": float(results.n_instruments),
        "ar1_p": float(results.ar_test(1).pvalue), "ar2_p": float(results.ar_test(2).pvalue),
        "hansen_p": float(results.hansen.pvalue),
    }


def has_truth(table: ResultTable, truth: Mapping[tuple[str, str], Mapping[str, float]]) -> bool:
    """Whether the truth of some column of a table is known, before it is estimated."""
    return any(_truth_of(column, truth) for column in table.columns)


def _truth_of(column: Column, truth: Mapping[tuple[str, str], Mapping[str, float]]) -> dict[str, float]:
    """The truth in the units of this column; none where the column rescales its sample."""
    if column.options.scaling == "sample":
        return {}
    known = truth.get((column.dependent, column.resilience), {})
    terms = {LAG_TERM, *column.regressors}
    if column.options.time_effects == "none":
        # with year dummies the constant is that of the first year, another number
        terms.add(CONSTANT_TERM)
    return {term: value for term, value in known.items() if term in terms}


def print_order(columns: Sequence[PrintedColumn]) -> tuple[str, ...]:
    """Rows in print order: lags, regressors in the order of the specification, the constant; no year dummies."""
    terms: dict[str, None] = {}
    for column in columns:
        spec = column.fit.column
        for lag in range(1, spec.dependent_lags + 1):
            terms[LAG_TERM if lag == 1 else f"L{lag}.y"] = None
        terms.update(dict.fromkeys(spec.regressors))
    terms[CONSTANT_TERM] = None
    return tuple(terms)


_CONTROLS = {
    "exogenous": "controls assumed uncorrelated with errors and city effects",
    "exogenous_changes": "controls assumed uncorrelated with errors, not with city effects",
    "predetermined": "controls predetermined",
    "endogenous": "controls endogenous",
}


def _conditions(table: ResultTable) -> list[str]:
    """Say which columns are about which rows only."""
    by_condition: dict[str, list[str]] = {}
    for column in table.columns:
        if column.sample.where:
            by_condition.setdefault(column.sample.where, []).append(f"({column.position})")
    return [f"{' '.join(positions)} City-years where {condition}." for condition, positions in by_condition.items()]


def _range(lags: tuple[int, int | None]) -> str:
    first, last = lags
    return f"{first}" if first == last else f"{first}-{'all' if last is None else last}"


def _options_note(table: ResultTable) -> str:
    options = table.columns[0].options
    rules = {column.sample.rule for column in table.columns}
    parts = [
        f"System GMM, {'two' if options.steps == 2 else 'one'}-step, {options.errors.replace('w', 'W', 1)} errors by "
        f"{' or '.join(dict.fromkeys(column.cluster or 'city' for column in table.columns))}",
        f"lags {_range(options.lags)}{' collapsed' if options.collapse else ''}"
        + (f" (core regressors {_range(options.lags_of_core)})" if options.lags_of_core != options.lags else ""),
        _CONTROLS[options.controls],
        "no year dummies" if options.time_effects == "none" else f"year dummies ({options.time_effects} equation)",
        "variables in standard deviations of the " + options.scaling,
    ]
    if "size" in rules:
        parts.append(f"size class of {'the first year' if options.size_classes == 'base_year' else 'each year'}"
                     f" (standard {options.size_standard})")
    if "region" in rules:
        parts.append(f"regions {options.region_classes}")
    if "trim" in rules:
        parts.append(_TRIMMED[options.trim])
    if rules - {"all"}:
        cuts = dict.fromkeys("before" if cut_before_lags(column) else "after" for column in table.columns)
        parts.append(f"sample cut {' or '.join(cuts)} lags")
    return f"Profile {table.profile}: " + "; ".join(parts) + "."
