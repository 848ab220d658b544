"""HTML tables of the report: results beside the paper and the truth, and listed frames, in both languages."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from estimation.report.words import (
    CHANNELS,
    COLUMNS,
    SAMPLES,
    SIDES,
    STATISTICS,
    VARIABLES,
    Word,
    plain_words,
    sample_word,
    term_word,
    variable_word,
)
from estimation.tables.columns import CONSTANT_TERM
from estimation.tables.layout import three_digits
from estimation.tables.printed import COUNTS, PrintedColumn, PrintedTable

P_COLUMNS = (
    "p",
    "pvalue",
    "holm",
    "romano_wolf",
    "hansen_p",
    "ar2_p",
    "hausman_p",
    "its_pvalue",
    "its_pvalue_",
    "pvalue_larger",
    "natural_pvalue",
)
COUNT_COLUMNS = (
    "table",
    "column",
    "n_obs",
    "n_cities",
    "n_instruments",
    "df",
    "n_draws",
    "cells",
    "cells_with_truth",
    "provinces",
    "n_left_out",
    "city_years",
    "complete",
    "year",
    "rows",
    "percentile",
    "n",
)
#: Columns whose cells are names of variables.
VARIABLE_COLUMNS = ("dependent", "variable", "term", "resilience", "name")
#: Texts longer than this may wrap; shorter ones stay on one line.
LONG_TEXT = 40
#: A table of more columns is set in smaller type, so that it fits a screen of 1,280.
MANY_COLUMNS = 11
NOT_THERE = Word("Not recorded in this lake.", "本数据湖未记录。")


def both(word: Word, *, code: str = "") -> str:
    """Return a word in both languages; the page shows one. A code shows on hover."""
    en, zh = html.escape(word.en), html.escape(word.zh)
    text = en if en == zh else f'<span lang="en">{en}</span><span lang="zh">{zh}</span>'
    return f'<span class="name" title="{html.escape(code)}">{text}</span>' if code and code != word.en else text


@dataclass(frozen=True, slots=True)
class Side:
    """One printed column under each column of a table: whose numbers, and where they are taken from."""

    name: str
    columns: Sequence[PrintedColumn]


@dataclass
class Reasons:
    """Why cells are empty: each reason once, with its letter."""

    letters: dict[Word, str] = field(default_factory=dict)

    def mark(self, reason: Word) -> str:
        """Return an empty cell's mark and remember its reason."""
        letter = self.letters.setdefault(reason, chr(ord("a") + len(self.letters)))
        return f'<span class="why" title="{html.escape(reason.en)}">–<sup>{letter}</sup></span>'

    def listed(self) -> str:
        """Return the legend below the table."""
        return "".join(
            f"<li><b>–<sup>{letter}</sup></b> {both(reason)}</li>" for reason, letter in self.letters.items()
        )


def results_table(table: PrintedTable, sides: Sequence[Side], *, generated: bool) -> str:
    """Return a result table, a row a term with its error below, with notes and the reasons of empty cells."""
    reasons = Reasons()
    positions = range(len(table.columns))
    body = []
    for term in table.terms:
        cells = [_coefficient(side, index, term, reasons) for index in positions for side in sides]
        body.append(f'<tr><th scope="row">{both(term_word(term), code=term)}</th>{"".join(cells)}</tr>')
    for number, (name, word) in enumerate(STATISTICS.items()):
        cells = [_statistic(side, index, name) for index in positions for side in sides]
        body.append(
            f'<tr class="statistic{" first" if number == 0 else ""}"><th scope="row">{both(word)}</th>{"".join(cells)}</tr>'
        )
    notes = "".join(
        f"<li>{html.escape(note)}</li>" for note in table.notes if not (generated and note.startswith("Generated"))
    )
    tag = _generated_tag() if generated else ""
    wide = " wide" if len(positions) * len(sides) > 9 else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{html.escape(table.title)}">'
        f'<table class="results{wide}"><caption>{tag}{both(Word(table.title, table.title_zh))}</caption>'
        f"<thead>{_heads(table, sides)}</thead><tbody>{''.join(body)}</tbody></table></div>"
        f'<ul class="notes">{reasons.listed()}{notes}</ul>'
    )


def _generated_tag() -> str:
    return f'<span class="tag">{both(Word("generated data", "模拟数据"))}</span> '


def _heads(table: PrintedTable, sides: Sequence[Side]) -> str:
    top = "".join(
        f'<th scope="colgroup" colspan="{len(sides)}" class="group">{_heading(column)}</th>' for column in table.columns
    )
    below = "".join(
        f'<th scope="col" class="{side.name}">{both(SIDES[side.name])}</th>' for _ in table.columns for side in sides
    )
    return f'<tr><td rowspan="2"></td>{top}</tr><tr>{below}</tr>'


def _heading(column: PrintedColumn) -> str:
    spec = column.fit.column
    sample = spec.sample
    parts = [f"({spec.position}) {both(variable_word(spec.dependent), code=spec.dependent)}"]
    if sample.rule != "all":
        parts.append(f'<span class="sample">{both(sample_word(sample.name, sample.title, sample.title_zh))}</span>')
    return "<br>".join(parts)


def _coefficient(side: Side, index: int, term: str, reasons: Reasons) -> str:
    column = side.columns[index]
    kind = side.name
    if kind == "truth":
        value = column.truth.get(term)
        return _td(kind, three_digits(value) if value is not None else reasons.mark(_why_no_truth(column, term)))
    if kind == "paper":
        number = column.paper.cells.get(term) if column.paper else None
        if number is None:
            return _td(kind, reasons.mark(Word("the paper prints no such number", "论文未报告该数值")))
        coefficient, error = column.paper.texts[term] if column.paper else ("", "")
        return _td(kind, _with_error(coefficient, number.stars, error))
    number = column.ours.get(term)
    if number is None:
        return _td(kind, reasons.mark(_why_not_estimated(column, term)))
    return _td(kind, _with_error(three_digits(number.coefficient), number.stars, three_digits(number.std_error)))


def _with_error(coefficient: str, stars: str, error: str) -> str:
    return f'{html.escape(coefficient)}<span class="stars">{stars}</span><br><span class="error">({html.escape(error)})</span>'


def _td(kind: str, text: str) -> str:
    return f'<td class="{kind}">{text}</td>'


def _why_not_estimated(column: PrintedColumn, term: str) -> Word:
    spec = column.fit.column
    if column.fit.failure and (term == CONSTANT_TERM or term.endswith(".y") or term in spec.regressors):
        return Word(
            f"column ({spec.position}) was not estimated: {column.fit.failure}",
            f"第{spec.position}列未能估计：{column.fit.failure}",
        )
    return Word("not a regressor of this column", "该列不含此变量")


def _why_no_truth(column: PrintedColumn, term: str) -> Word:
    if not column.truth:
        if column.fit.column.options.scaling == "sample":
            return Word(
                "the sample is scaled on its own, so the truth is in other units", "样本单独标准化，真值单位不同"
            )
        return Word(
            "the world obeys another measure of resilience; no truth for this one",
            "模拟世界使用其他韧性指标，该指标无真值",
        )
    if term == CONSTANT_TERM:
        return Word("with year dummies the constant is that of the first year", "含年份虚拟变量时常数项为首年截距")
    return Word("not part of the true equation", "真实方程不含此项")


def _statistic(side: Side, index: int, name: str) -> str:
    column = side.columns[index]
    if side.name == "truth":
        return _td("truth", "")
    source = (column.paper.statistics if column.paper else {}) if side.name == "paper" else column.statistics
    value = source.get(name, math.nan)
    if not math.isfinite(value):
        return _td(side.name, "")
    return _td(side.name, f"{value:,.0f}" if name in COUNTS else f"{value:.3f}")


def listed_frame(frame: pd.DataFrame, *, name: str, generated: bool, missing: Word = NOT_THERE) -> str:
    """Return a frame as an HTML table: three digits, counts whole, p-values with three decimals, names of variables."""
    if frame.empty:
        return f'<p class="none">{both(missing)}</p>'
    shown = frame.drop(columns=[one for one in ("problem",) if one in frame and (frame[one].fillna("") == "").all()])
    shown = shown.dropna(axis=1, how="all")
    heads = "".join(
        f'<th scope="col"{NUMBER if _is_numeric(shown[one]) else ""}>{both(_head(str(one)), code=str(one))}</th>'
        for one in shown
    )
    body = "".join(
        "<tr>" + "".join(_cell(str(one), value) for one, value in zip(shown.columns, row, strict=True)) + "</tr>"
        for row in shown.itertuples(index=False, name=None)
    )
    kind = "list wide" if len(shown.columns) > MANY_COLUMNS else "list"
    tag = f"<caption>{_generated_tag()}</caption>" if generated else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{html.escape(name.replace("_", " "))}">'
        f'<table class="{kind}" data-name="{name}">{tag}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
        f'<p class="tools"><button type="button" data-table="{name}">CSV</button></p>'
    )


NUMBER = ' class="number"'


def _head(name: str) -> Word:
    return COLUMNS.get(name, Word(plain_words(name), plain_words(name)))


def _is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _cell(name: str, value: object) -> str:
    if isinstance(value, (bool, np.bool_)):
        return f"<td>{both(Word('yes', '是') if value else Word('no', '否'))}</td>"
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return "<td></td>"
    if isinstance(value, (int, float)):
        return f"<td{NUMBER}>{_number(name, float(value), whole=isinstance(value, int))}</td>"
    text = str(value)
    word = _named(name, text)
    if word is not None:
        return f"<td>{both(word, code=text)}</td>"
    return f'<td class="long">{html.escape(text)}</td>' if len(text) > LONG_TEXT else f"<td>{html.escape(text)}</td>"


def _number(name: str, number: float, *, whole: bool) -> str:
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    if name in P_COLUMNS:
        # a column of ones is one of whole numbers to pandas
        return f"{number:.3f}"
    if name in COUNT_COLUMNS or whole:
        return f"{number:.0f}" if name == "year" else f"{number:,.0f}"
    return three_digits(number)


def _named(name: str, text: str) -> Word | None:
    """The word for a cell that holds a variable, a sample or a channel; None for any other text."""
    lookups: Mapping[str, Callable[[str], Word | None]] = {
        **dict.fromkeys(VARIABLE_COLUMNS, lambda one: term_word(one) if term_word(one) != Word(one, one) else None),
        "sample": SAMPLES.get,
        "channel": CHANNELS.get,
        "choice": lambda one: VARIABLES[one].name if one in VARIABLES else None,
        "missing_reason": lambda one: Word(plain_words(one), plain_words(one)) if "_" in one else None,
    }
    return lookups[name](text) if name in lookups else None
