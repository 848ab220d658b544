"""Several fits side by side, one column each: text, Markdown, LaTeX, HTML, Excel, a data frame.

    table = compare(one, other, names=["difference", "system"], labels={"L.lnvalue": "lagged exports"})
    print(table); table.to_excel("table.xlsx"); table.to_frame()

Any results with `params`, `std_errors` and `pvalues` may stand beside each other; a statistic a fit does not have is left
blank. Columns are aligned by what a terminal shows, so that Chinese names line up.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.cells import cell_len

from estimation.errors import SpecificationError

# statistics below the coefficients, in this order; the keys are maketables' where it has one
STATISTICS = {
    "N": "Observations",
    "n_groups": "Groups",
    "n_instruments": "Instruments",
    "hansen_p": "Hansen J, p",
    "ar1_p": "AR(1), p",
    "ar2_p": "AR(2), p",
}
_READ: dict[str, Callable[[Any], object]] = {
    "N": lambda fit: fit.nobs,
    "n_groups": lambda fit: fit.n_groups,
    "n_instruments": lambda fit: fit.n_instruments,
    "n_clusters": lambda fit: fit.n_clusters,
    "df": lambda fit: fit.df,
    "hansen": lambda fit: fit.hansen.stat,
    "hansen_p": lambda fit: fit.hansen.pvalue,
    "sargan": lambda fit: fit.sargan.stat,
    "sargan_p": lambda fit: fit.sargan.pvalue,
    "ar1": lambda fit: fit.ar_test(1).stat,
    "ar1_p": lambda fit: fit.ar_test(1).pvalue,
    "ar2": lambda fit: fit.ar_test(2).stat,
    "ar2_p": lambda fit: fit.ar_test(2).pvalue,
    "steps": lambda fit: fit.steps,
    "cov_type": lambda fit: fit.cov_type,
}
LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
})  # fmt: skip
_MARKDOWN = str.maketrans({"|": r"\|", "*": r"\*", "_": r"\_", "<": "&lt;", ">": "&gt;"})
STARS = "*** p < .01, ** p < .05, * p < .1; standard errors in brackets."


def stars(pvalue: float) -> str:
    """Return *** ** * for p below .01, .05, .1."""
    return "***" if pvalue < 0.01 else "**" if pvalue < 0.05 else "*" if pvalue < 0.1 else ""


def statistic(fit: Any, key: str) -> object:
    """Return one statistic of a fit, None where it has none."""
    try:
        value = _READ[key](fit)
    except (KeyError, AttributeError):
        return None
    return None if isinstance(value, float) and value != value else value


def coefficient_table(fit: Any, *, level: float = 0.95) -> pd.DataFrame:
    """Return columns b, se, t, p and the interval, one row per parameter."""
    bounds = fit.conf_int(level)
    table = pd.DataFrame({"b": fit.params, "se": fit.std_errors, "t": fit.params / fit.std_errors, "p": fit.pvalues})
    return table.assign(ci95l=bounds["lower"], ci95u=bounds["upper"]).rename_axis("Coefficient")


def compare(
    *fits: Any,
    names: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    statistics: Sequence[str] = tuple(STATISTICS),
    periods: bool = False,
    digits: int = 3,
    title: str = "",
) -> Comparison:
    """Put fits side by side.

    Parameters
    ----------
    *fits : GMMResults or other results with `params`, `std_errors`, `pvalues`
        Or one mapping name -> fit.
    names : sequence of str, optional
        Headings; (1), (2), ... by default.
    labels : mapping of str to str, optional
        Parameter -> what to print.
    statistics : sequence of str
        N, n_groups, n_instruments, n_clusters, df, hansen, hansen_p, sargan, sargan_p, ar1, ar1_p, ar2, ar2_p, steps,
        cov_type.
    periods : bool
        List period dummies; otherwise one row says which fits have them.
    digits : int
    title : str

    Raises
    ------
    SpecificationError
    """
    if len(fits) == 1 and isinstance(fits[0], Mapping):
        names, fits = list(fits[0]), tuple(fits[0].values())
    if not fits:
        raise SpecificationError("compare: expected at least one fit, found none.")
    headings = [f"({n})" for n in range(1, len(fits) + 1)] if names is None else [str(name) for name in names]
    if len(headings) != len(fits):
        raise SpecificationError(f"compare: expected one name for each of {len(fits)} fits, found {len(headings)}.")
    unread = [key for key in statistics if key not in _READ]
    if unread:
        raise SpecificationError(f"compare: unknown statistics {unread}; there are {', '.join(_READ)}.")
    for fit in fits:
        if not all(hasattr(fit, name) for name in ("params", "std_errors", "pvalues")):
            raise SpecificationError(f"compare: expected results of fits, found {type(fit).__name__}. Call .fit() first.")
    return Comparison(tuple(fits), tuple(headings), dict(labels or {}), tuple(statistics), periods, digits, title)


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """Fits side by side; see :func:`compare`.

    Attributes
    ----------
    fits : tuple
    names : tuple of str
    labels : dict of str to str
    statistics : tuple of str
    periods : bool
    digits : int
    title : str
    """

    fits: tuple[Any, ...]
    names: tuple[str, ...]
    labels: dict[str, str]
    statistics: tuple[str, ...]
    periods: bool
    digits: int
    title: str

    # -- content -----------------------------------------------------------------------------------------------------

    @property
    def terms(self) -> tuple[str, ...]:
        """Parameters of all fits, in the order of their first appearance, the constant last."""
        seen: dict[str, None] = {}
        for fit in self.fits:
            hidden = set() if self.periods else set(_period_dummies(fit))
            seen.update(dict.fromkeys(name for name in fit.params.index if name not in hidden))
        last = [name for name in seen if name == "_cons"]
        return (*(name for name in seen if name not in last), *last)

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers: rows (term, "coef" | "std_err" | "pvalue") and (statistic, ""), one column per fit."""
        rows: dict[tuple[str, str], list[object]] = {}
        for term in self.terms:
            for kind, attribute in (("coef", "params"), ("std_err", "std_errors"), ("pvalue", "pvalues")):
                rows[term, kind] = [getattr(fit, attribute).get(term) for fit in self.fits]
        for key in self.statistics:
            rows[key, ""] = [statistic(fit, key) for fit in self.fits]
        index = pd.MultiIndex.from_tuples(list(rows), names=["term", "kind"])
        return pd.DataFrame(list(rows.values()), index=index, columns=list(self.names))

    def rows(self) -> tuple[list[tuple[str, list[str]]], list[tuple[str, list[str]]]]:
        """Return the printed rows, of the coefficients and of the statistics, each a label and one cell per fit."""
        coefficients = []
        for term in self.terms:
            coefficients.append((self.labels.get(term, term), [self._estimate(fit, term) for fit in self.fits]))
            coefficients.append(("", [self._error(fit, term) for fit in self.fits]))
        below = []
        dummies = [bool(_period_dummies(fit)) for fit in self.fits]
        if any(dummies) and not self.periods:
            below.append(("Period dummies", ["yes" if has else "no" for has in dummies]))
        for key in self.statistics:
            label = self.labels.get(key, STATISTICS.get(key, key))
            below.append((label, [self._statistic(fit, key) for fit in self.fits]))
        return coefficients, below

    def _estimate(self, fit: Any, term: str) -> str:
        if term not in fit.params.index:
            return ""
        return f"{fit.params[term]:.{self.digits}f}{stars(fit.pvalues[term])}"

    def _error(self, fit: Any, term: str) -> str:
        return f"({fit.std_errors[term]:.{self.digits}f})" if term in fit.params.index else ""

    def _statistic(self, fit: Any, key: str) -> str:
        value = statistic(fit, key)
        return "" if value is None else f"{value:.{self.digits}f}" if isinstance(value, float) else str(value)

    @property
    def heads(self) -> list[list[str]]:
        """Headings: the names, and above them the dependent variables where they differ."""
        dependents = [_dependent(fit) for fit in self.fits]
        return [dependents, list(self.names)] if len(set(dependents)) > 1 else [list(self.names)]

    # -- faces -------------------------------------------------------------------------------------------------------

    def to_text(self) -> str:
        """Return the table for a terminal."""
        coefficients, below = self.rows()
        coefficients, below = ([(label, list(map(_hung, cells))) for label, cells in part] for part in (coefficients, below))
        body = [*coefficients, *below]
        left = max(cell_len(label) for label, _ in body)
        columns = zip(*[*self.heads, *(cells for _, cells in body)], strict=True)
        widths = [max(map(cell_len, column)) + 2 for column in columns]
        rule = "-" * (left + sum(widths))
        lines = [self.title] if self.title else []
        lines += [rule, *(_aligned("", head, left, widths) for head in self.heads), rule]
        lines += [_aligned(label, cells, left, widths) for label, cells in coefficients]
        lines += [rule, *(_aligned(label, cells, left, widths) for label, cells in below), rule, STARS]
        return "\n".join(lines)

    def to_markdown(self) -> str:
        """Return the table as Markdown."""
        coefficients, below = self.rows()
        lines = [f"**{self.title.translate(_MARKDOWN)}**", ""] if self.title else []
        lines += ["| | " + " | ".join(name.translate(_MARKDOWN) for name in self.names) + " |"]
        lines += ["|---|" + "---:|" * len(self.names)]
        above = [("", head) for head in self.heads[:-1]]
        for label, cells in [*above, *coefficients, *below]:
            lines.append(f"| {label.translate(_MARKDOWN)} | " + " | ".join(c.translate(_MARKDOWN) for c in cells) + " |")
        return "\n".join([*lines, "", STARS.translate(_MARKDOWN)])

    def to_latex(self) -> str:
        """Return the table as LaTeX; it needs the package booktabs."""
        coefficients, below = self.rows()

        def row(label: str, cells: Sequence[str]) -> str:
            return " & ".join(text.translate(LATEX) for text in (label, *cells)) + r" \\"

        lines = [r"\begin{tabular}{l" + "r" * len(self.names) + "}", r"\toprule"]
        lines += [*(row("", head) for head in self.heads), r"\midrule"]
        lines += [row(label, cells) for label, cells in coefficients]
        lines += [r"\midrule", *(row(label, cells) for label, cells in below), r"\bottomrule"]
        note = rf"\multicolumn{{{len(self.names) + 1}}}{{l}}{{\footnotesize {STARS.replace('<', '$<$')}}} \\"
        tabular = "\n".join([*lines, note, r"\end{tabular}"])
        if not self.title:
            return tabular
        caption = rf"\caption{{{self.title.translate(LATEX)}}}"
        return "\n".join([r"\begin{table}[htbp]", r"\centering", caption, tabular, r"\end{table}"])

    def to_html(self) -> str:
        """Return the table as HTML."""
        coefficients, below = self.rows()

        def row(label: str, cells: Sequence[str], tag: str = "td") -> str:
            inner = "".join(f'<{tag} style="text-align:right">{html.escape(cell)}</{tag}>' for cell in cells)
            return f'<tr><th style="text-align:left">{html.escape(label)}</th>{inner}</tr>'

        parts = ["<table>"]
        parts += [f"<caption>{html.escape(self.title)}</caption>"] if self.title else []
        parts += ["<thead>", *(row("", head, "th") for head in self.heads), "</thead>"]
        for body in (coefficients, below):
            parts += ["<tbody>", *(row(label, cells) for label, cells in body), "</tbody>"]
        foot = f'<tfoot><tr><td colspan="{len(self.names) + 1}">{html.escape(STARS)}</td></tr></tfoot>'
        return "\n".join([*parts, foot, "</table>"])

    def to_excel(self, path: str | Path) -> None:
        """Write a workbook: the printed table, and the numbers in full on a second sheet."""
        from openpyxl import Workbook
        from openpyxl.styles import Alignment, Border, Font, Side

        coefficients, below = self.rows()
        book = Workbook()
        sheet = book.active
        sheet.title = "table"
        for head in self.heads:
            sheet.append(["", *head])
            for cell in sheet[sheet.max_row]:
                cell.font = Font(bold=True)
        first_below = len(self.heads) + len(coefficients) + 1
        for label, cells in [*coefficients, *below]:
            sheet.append([label, *cells])
        for row in sheet.iter_rows(min_col=2):
            for cell in row:
                cell.alignment = Alignment(horizontal="right")
        for cell in sheet[first_below] if below else ():
            cell.border = Border(top=Side(style="thin"))
        sheet.append([STARS])
        sheet.column_dimensions["A"].width = 2 + max(cell_len(label) for label, _ in [*coefficients, *below])
        numbers = book.create_sheet("numbers")
        numbers.append(["term", "kind", *self.names])
        for (term, kind), values in zip(self.to_frame().index, self.to_frame().to_numpy().tolist(), strict=True):
            numbers.append([term, kind, *(None if value != value else value for value in values)])
        book.save(path)

    def __str__(self) -> str:
        """Return the table for a terminal."""
        return self.to_text()

    def __repr__(self) -> str:
        """Return one line."""
        return f"<Comparison of {len(self.fits)} fits: {', '.join(self.names)}; {len(self.terms)} terms>"

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return self.to_html()


def _hung(cell: str) -> str:
    """Return a cell with room for three stars, so that decimal points stand below each other."""
    behind = 1 if cell.endswith(")") else len(cell) - len(cell.rstrip("*"))
    return cell + " " * (3 - behind)


def _aligned(label: str, cells: Sequence[str], left: int, widths: Sequence[int]) -> str:
    """Return a line padded by what a terminal shows of each text."""
    padded = (" " * (width - cell_len(cell)) + cell for cell, width in zip(cells, widths, strict=True))
    return (label + " " * (left - cell_len(label)) + "".join(padded)).rstrip()


def _period_dummies(fit: Any) -> tuple[str, ...]:
    """Return the parameters that are period dummies."""
    try:
        return tuple(fit.names[c] for c in fit.fit.prepared.design.positions("period"))
    except AttributeError:
        return ()


def _dependent(fit: Any) -> str:
    spec = getattr(fit, "spec", None)
    return str(getattr(spec, "dependent", getattr(fit, "dependent", "")))
