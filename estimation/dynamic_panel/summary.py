"""The printed table of a fit, in the order a referee reads it; also as HTML, LaTeX and CSV."""

from __future__ import annotations

import html
import textwrap
from typing import TYPE_CHECKING

import pandas as pd
from rich.cells import cell_len, set_cell_size

from estimation.dynamic_panel.advice import chosen_conventions
from estimation.dynamic_panel.side_by_side import LATEX, stars

if TYPE_CHECKING:
    from estimation.dynamic_panel.results import GMMResults

_COVARIANCE = {
    "unadjusted": "classical",
    "robust": "cluster-robust",
    "windmeijer": "Windmeijer-corrected",
    "doubly_corrected": "doubly corrected",
}
_WIDTH = 86


class Summary(str):
    """The printed table, a text that also gives itself as HTML, LaTeX and CSV.

    Attributes
    ----------
    tables : tuple of DataFrame
        What was estimated, coefficients, tests.
    notes : tuple of str
    """

    tables: tuple[pd.DataFrame, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, text: str, tables: tuple[pd.DataFrame, ...], notes: tuple[str, ...]) -> Summary:
        """Return the summary of a text and the tables it was made from."""
        summary = cls(text)
        summary.tables, summary.notes = tables, notes
        return summary

    def as_text(self) -> str:
        """Return the text."""
        return str(self)

    def as_html(self) -> str:
        """Return the tables and notes as HTML."""
        head, *rest = self.tables
        parts = [head.to_html(header=False, index_names=False, escape=True)]
        parts += [table.to_html(float_format=_number, na_rep="", index_names=False, escape=True) for table in rest]
        return "\n".join([*parts, *(f"<p>{html.escape(note)}</p>" for note in self.notes)])

    def as_latex(self) -> str:
        """Return the tables as LaTeX; it needs the package booktabs."""
        head, *rest = (table.rename(index=_latex, columns=_latex) for table in self.tables)
        parts = [head.map(_latex).to_latex(header=False, index_names=False)]
        parts += [table.to_latex(float_format=_number, na_rep="", index_names=False) for table in rest]
        return "\n".join(parts)

    def as_csv(self) -> str:
        """Return the tables as CSV, a blank line between them, numbers in full."""
        return "\n".join(table.to_csv(lineterminator="\n") for table in self.tables)

    def _repr_html_(self) -> str:
        """Return the summary for a notebook."""
        return self.as_html()

    def __repr__(self) -> str:
        """Return the text as it is, as linearmodels does."""
        return str(self)


def _number(value: float) -> str:
    return f"{value:.6g}"


def _latex(value: object) -> str:
    return str(value).translate(LATEX)


def summarise(results: GMMResults) -> Summary:
    """Return the summary of a fit."""
    left, right = _head_lines(results)
    lines = [line.partition(": ") for line in (*left, *right)]
    head = pd.DataFrame({"": [value or name for name, _, value in lines]})
    head.index = pd.Index([name if value else "Estimator" for name, _, value in lines])
    bounds = results.conf_int()
    coefficients = pd.DataFrame({
        "coef": results.params, "std. err.": results.std_errors, "z" if results.df_resid is None else "t": results.tstats,
        "p": results.pvalues, "lower 95%": bounds["lower"], "upper 95%": bounds["upper"],
    })  # fmt: skip
    shown = [results.ar_test(1), results.ar_test(2), results.hansen, results.sargan]
    shown += [test.difference for test in results.diff_in_hansen]
    tests = pd.DataFrame(
        {"stat": [t.stat for t in shown], "df": [t.df for t in shown], "p": [t.pvalue for t in shown]},
        index=pd.Index([t.name for t in shown]),
    )
    return Summary.of(render(results), (head, coefficients, tests), results.notes)


def one_line(results: GMMResults) -> str:
    """Return what was estimated, on how much, and the first coefficients."""
    left, _ = _head_lines(results)
    first = ", ".join(f"{name} {value:.4g}" for name, value in list(results.params.items())[:3])
    more = ", ..." if len(results.names) > 3 else ""
    counts = f"{results.nobs} obs., {results.n_groups} groups, {results.n_instruments} instruments"
    return f"<{left[0]} of {results.spec.dependent}: {counts}; {first}{more}>"


def render(results: GMMResults) -> str:
    """Return the table as text."""
    parts = [_head(results), _coefficients(results), _tests(results)]
    if results.notes:
        parts.append("\n".join(textwrap.fill(f"Note: {note}", _WIDTH) for note in results.notes))
    parts += [textwrap.fill(f"Convention: {text}", _WIDTH) for text in chosen_conventions(results.spec)]
    return "\n".join(parts)


def _head(results: GMMResults) -> str:
    left, right = _head_lines(results)
    rows = [set_cell_size(a, _WIDTH - cell_len(b) - 1) + " " + b for a, b in zip(left, right, strict=True)]
    return "\n".join(["=" * _WIDTH, *rows, "=" * _WIDTH])


def _head_lines(results: GMMResults) -> tuple[list[str], list[str]]:
    """Return what stands above the coefficients, left and right."""
    spec = results.spec
    transform = "first differences" if spec.transform == "fd" else "forward orthogonal deviations"
    steps = {1: "one-step", 2: "two-step", "iterated": "iterated", "cue": "continuously updated"}[results.steps]
    low, mean, high = results.obs_per_group
    errors = (
        _COVARIANCE[results.cov_type]
        if not (results.steps == 2 and results.cov_type == "unadjusted")
        else "uncorrected two-step"
    )
    errors = errors if results.steps != "cue" or results.cov_type == "unadjusted" else "many-moments robust"
    unit = spec.cluster or results.fit.prepared.grid.entity
    wald = results.wald_test()
    left = [
        f"{results.kind}, {steps}, {transform}",
        f"Dependent variable: {spec.dependent}",
        f"Standard errors: {errors}",
        f"Clustered on: {unit}" + (", small-sample" if results.options.small else ""),
        f"Wald, slopes: {wald.stat:.2f} (p = {wald.pvalue:.4f})" if wald.applies else "Wald: not available",
    ]
    right = [
        f"Observations: {results.nobs}",
        f"Groups: {results.n_groups}",
        f"Instruments: {results.n_instruments}",
        f"Obs. per group: {low} / {mean:.2f} / {high}",
        f"Transformed rows: {results.n_transformed}",
    ]
    return left, right


def _coefficients(results: GMMResults) -> str:
    letter = "z" if results.df_resid is None else "t"
    table = results.conf_int()
    # a long name, or a Chinese one at two cells a letter, widens its column and not its neighbours'
    width = max(22, *(cell_len(name) + 1 for name in results.names))
    head = f"{'':<{width}}{'coef':>12}{'std. err.':>12}{letter:>9}{'p':>8}{'':<4}{'[95% interval]':>18}"
    rule = "-" * (_WIDTH - 22 + width)
    lines = [head, rule]
    columns = zip(
        results.names,
        results.params,
        results.std_errors,
        results.tstats,
        results.pvalues,
        table["lower"],
        table["upper"],
        strict=True,
    )
    for name, estimate, error, t, p, low, high in columns:
        numbers = f"{estimate:>12.6g}{error:>12.6g}{t:>9.2f}{p:>8.3f} {stars(p):<3}{low:>9.4g}{high:>10.4g}"
        lines.append(set_cell_size(name, width) + numbers)
    lines.append(rule)
    return "\n".join(lines)


def _autocorrelation(results: GMMResults) -> list[str]:
    """Return the lines of both AR tests; with coarser clusters also as Stata sums them."""
    cluster = results.spec.cluster
    entity = results.fit.prepared.grid.entity
    lines = []
    for order in (1, 2):
        line = str(results.ar_test(order))
        if cluster is not None and cluster != entity:
            other = results.ar_test(order, over="entity")
            line += f" (over {cluster}; over {entity}, as xtabond2: z = {other.stat:.4f}, p = {other.pvalue:.4f})"
        lines.append(line)
    return lines


def _tests(results: GMMResults) -> str:
    lines = [*_autocorrelation(results), str(results.hansen), str(results.sargan)]
    lines.append("Difference-in-Hansen (excluding group | difference):")
    for test in results.diff_in_hansen:
        group = test.group if cell_len(test.group) <= 40 else set_cell_size(test.group, 37) + "..."
        group = set_cell_size(group, 41)
        if not test.difference.applies:
            lines.append(f"  {group}n/a: {test.difference.reason}")
            continue
        a, b = test.excluding, test.difference
        lines.append(f"  {group}{a.stat:>8.2f} ({a.df}) p {a.pvalue:.3f} |{b.stat:>8.2f} ({b.df}) p {b.pvalue:.3f}")
    lines.append("=" * _WIDTH)
    return "\n".join(lines)
