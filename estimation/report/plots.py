"""Plots of the report as Vega-Lite specifications with their data: channels, effects, residuals, records.

A specification is plain JSON: the page draws it with the embedded Vega, `static_svg` draws it for readers without a
script and for print. Texts are English; `Plot.words` has the Chinese of every text that can show, and the page swaps
them. The maps are in `estimation.report.maps`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from estimation.report.drawing import Plot
from estimation.report.vega import OURS, SOFT, frame_spec, interval_spec, tip, x_axis, zero_line, zoom
from estimation.report.words import CHANNELS, SIDES, STAGES, Word, lower_first, plain_words, variable_word

#: Reasons of refused records, most frequent first; Okabe-Ito again.
REASON_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6B6B6B")


def channel_plot(comparison: pd.DataFrame, labels: Mapping[int, Word], *, channel: str, name: str, title: Word) -> Plot:
    """Return one channel of every column: ours and the paper's with 95% intervals, the truth where it is known.

    Parameters
    ----------
    comparison : DataFrame
        Rows of `estimation.tables.compare` of one table.
    labels : mapping
        Column's position to its heading.
    channel : {'resilience', 'productivity'}
    """
    rows = _sides(_channel_rows(comparison, channel), labels)
    word = CHANNELS[channel]
    return Plot(
        name,
        Word(f"{title.en}: {lower_first(word.en)}", f"{title.zh}：{word.zh}"),
        _alt_of_sides(rows, word),
        interval_spec(rows, axis="coefficient per SD"),
        _words(labels.values()),
    )


def headline_plot(comparison: pd.DataFrame) -> Plot:
    """Return both channels of the three outcomes of Table 1 in one plot."""
    parts, labels = [], []
    cells = comparison[comparison["table"] == 1]
    for channel, word in CHANNELS.items():
        rows = _channel_rows(cells, channel)
        own = {}
        for position, outcome in zip(rows["column"], rows["dependent"], strict=True):
            measure = str(rows.loc[rows["column"] == position, "variable"].iloc[0]).removeprefix("lnAgg*")
            other = "" if measure in ("lnRes", "lnPro") else f" ({variable_word(measure).en})"
            outcome_word = variable_word(str(outcome))
            own[int(position)] = Word(
                f"{outcome_word.en}: {lower_first(word.en.removesuffix(' channel'))}{other}",
                f"{outcome_word.zh}：{word.zh.removesuffix('渠道')}{other}",
            )
        parts.append(_sides(rows, own))
        labels += list(own.values())
    rows = pd.concat(parts, ignore_index=True)
    rows = rows.sort_values("column", kind="stable") if len(rows) else rows
    title = Word(
        "The two channels in the baseline (Table 1), with 95% intervals", "基准回归（表1）中的两种渠道及95%置信区间"
    )
    alt = Word(_sentence_of_sides(rows, "Both channels"), "基准回归两种渠道的估计值、论文值与真值")
    return Plot("headline", title, alt, interval_spec(rows, axis="coefficient per SD"), _words(labels))


def difference_plot(tests: pd.DataFrame, labels: Mapping[tuple[int, int], Word]) -> Plot:
    """Return the difference of the channels in every column with its 95% interval."""
    critical = 1.959964
    rows = pd.DataFrame(
        {
            "label": [_of_column(labels, int(t), int(c)) for t, c in zip(tests["table"], tests["column"], strict=True)],
            "estimate": tests["difference"],
            "low": tests["difference"] - critical * tests["std_error"],
            "high": tests["difference"] + critical * tests["std_error"],
            "p": tests["pvalue"],
            "p adjusted": tests["romano_wolf"],
            "who": np.where(
                tests["romano_wolf"] < 0.05, "significant after adjustment", "not significant after adjustment"
            ),
        }
    )
    spec = interval_spec(
        rows,
        axis="productivity less resilience channel",
        colours={
            "significant after adjustment": OURS,
            "not significant after adjustment": SOFT,
        },
        offset=False,
        extra=[tip("p", "p", ".3f"), tip("p adjusted", "p, Romano-Wolf", ".3f")],
    )
    count = int((rows["who"] == "significant after adjustment").sum())
    return Plot(
        "differences",
        Word(
            "Are the channels equal? Difference in every column, 95% intervals",
            "两种渠道是否相等：各列差异及95%置信区间",
        ),
        Word(
            f"{len(rows)} differences of the channels; {count} differ from zero after adjusting for all columns.",
            f"{len(rows)}个渠道差异，其中{count}个在多重检验调整后显著异于零。",
        ),
        spec,
        _words(labels.values())
        | {
            "significant after adjustment": "调整后显著",
            "not significant after adjustment": "调整后不显著",
        },
    )


def effect_plot(effects: pd.DataFrame, *, outcome: str, moderator: str, domain: Sequence[float]) -> Plot:
    """Return the marginal effect of agglomeration over one moderator with pointwise and simultaneous bands."""
    rows = effects[["value", "effect", "lower", "upper", "band_lower", "band_upper", "percentile"]]
    x = x_axis("value", "standard deviations from the mean")
    scale = {"domain": list(domain), "nice": True}
    layers = [
        {
            "mark": {"type": "area", "opacity": 0.18, "color": OURS},
            "encoding": {
                "x": x,
                "y": {"field": "band_lower", "type": "quantitative", "scale": scale, "title": "effect per SD"},
                "y2": {"field": "band_upper"},
            },
        },
        {
            "mark": {"type": "area", "opacity": 0.30, "color": OURS},
            "encoding": {"x": x, "y": {"field": "lower", "type": "quantitative"}, "y2": {"field": "upper"}},
        },
        {
            "mark": {"type": "line", "color": OURS, "point": {"color": OURS, "size": 30}},
            "params": [zoom("x", "y")],
            "encoding": {
                "x": x,
                "y": {"field": "effect", "type": "quantitative"},
                "tooltip": [
                    tip("percentile", "percentile", ".0f"),
                    tip("value", "value, SD", ".2f"),
                    tip("effect", "effect", ".3f"),
                    tip("lower", "95% low", ".3f"),
                    tip("upper", "95% high", ".3f"),
                ],
            },
        },
        zero_line("y"),
    ]
    first, second = variable_word(outcome), variable_word(moderator)
    crosses = "crosses zero" if rows["effect"].min() < 0 < rows["effect"].max() else "keeps its sign"
    return Plot(
        f"effect-{outcome}-{moderator}",
        Word(f"{first.en}, over {lower_first(second.en)}", f"{first.zh}：随{second.zh}变化"),
        Word(
            f"Marginal effect of agglomeration on {lower_first(first.en)} from {rows['effect'].iloc[0]:.2f} to"
            f" {rows['effect'].iloc[-1]:.2f} as {lower_first(second.en)} rises from its 5th to its 95th"
            f" percentile; it {crosses}.",
            f"集聚对{first.zh}的边际效应随{second.zh}由{rows['effect'].iloc[0]:.2f}变为{rows['effect'].iloc[-1]:.2f}。",
        ),
        frame_spec(rows, {"layer": layers}, height=190),
    )


def residual_plots(bins: pd.DataFrame, quantiles: pd.DataFrame, *, outcome: str) -> list[Plot]:
    """Return residuals over fitted values (tenth, half, nine tenths) and their quantiles beside the normal's."""
    word = variable_word(outcome)
    x = x_axis("fitted", "fitted value, SD")
    spread = [
        {
            "mark": {"type": "area", "opacity": 0.25, "color": OURS},
            "encoding": {
                "x": x,
                "y": {"field": "lower", "type": "quantitative", "title": "residual, SD"},
                "y2": {"field": "upper"},
            },
        },
        {
            "mark": {"type": "line", "color": OURS, "point": {"color": OURS, "size": 25}},
            "params": [zoom("x", "y")],
            "encoding": {
                "x": x,
                "y": {"field": "median", "type": "quantitative"},
                "tooltip": [
                    tip("fitted", "fitted", ".2f"),
                    tip("lower", "10%", ".2f"),
                    tip("median", "median", ".2f"),
                    tip("upper", "90%", ".2f"),
                ],
            },
        },
        zero_line("y"),
    ]
    normal = [
        {
            "mark": {"type": "line", "color": SOFT, "strokeDash": [4, 3]},
            "encoding": {"x": x_axis("normal", "normal quantile"), "y": {"field": "normal", "type": "quantitative"}},
        },
        {
            "mark": {"type": "point", "color": OURS, "size": 18, "filled": True},
            "params": [zoom("x", "y")],
            "encoding": {
                "x": x_axis("normal", "normal quantile"),
                "y": {"field": "residual", "type": "quantitative", "title": "residual quantile"},
                "tooltip": [
                    tip("share", "share", ".0%"),
                    tip("normal", "normal", ".2f"),
                    tip("residual", "residual", ".2f"),
                ],
            },
        },
    ]
    tails = float(np.abs(quantiles["residual"] - quantiles["normal"]).max())
    return [
        Plot(
            f"residuals-{outcome}",
            Word(f"{word.en}: residuals over fitted values", f"{word.zh}：残差与拟合值"),
            Word(
                f"Residuals of {lower_first(word.en)} in twenty groups of fitted values: tenth, half and nine tenths.",
                f"{word.zh}残差按拟合值分二十组的分位数。",
            ),
            frame_spec(bins, {"layer": spread}, height=180),
        ),
        Plot(
            f"quantiles-{outcome}",
            Word(f"{word.en}: quantiles beside the normal's", f"{word.zh}：残差分位数与正态分位数"),
            Word(
                f"Quantiles of the residuals of {lower_first(word.en)} stay within {tails:.2f} SD of the normal's.",
                f"{word.zh}残差分位数与正态分位数最大相差{tails:.2f}个标准差。",
            ),
            frame_spec(quantiles, {"layer": normal}, height=180),
        ),
    ]


def funnel_plot(stages: Sequence[tuple[str, int]]) -> Plot:
    """Return the stages from raw rows to observations as bars on a logarithmic axis."""
    rows = pd.DataFrame(stages, columns=["stage", "count"])
    rows = rows[rows["count"] > 0]
    y = {"field": "stage", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 220}}
    layers = [
        {
            "mark": {"type": "bar", "color": OURS},
            "encoding": {
                "y": y,
                "x": x_axis("count", "count, logarithmic axis") | {"scale": {"type": "log", "domainMin": 1}},
                "x2": {"datum": 1},
                "tooltip": [tip("stage", "stage", None), tip("count", "count", ",d")],
            },
        },
        {
            "mark": {"type": "text", "align": "left", "dx": 4},
            "encoding": {
                "y": y,
                "x": {"field": "count", "type": "quantitative"},
                "text": {"field": "count", "format": ",d"},
            },
        },
    ]
    return Plot(
        "funnel",
        Word("From raw rows to observations", "从原始记录到样本"),
        Word("; ".join(f"{name}: {count:,}" for name, count in stages) + ".", "从原始行到回归样本各阶段数量。"),
        frame_spec(rows, {"layer": layers}, height={"step": 24}),
        dict(STAGES),
    )


def reject_plot(rejects: pd.DataFrame) -> Plot:
    """Return refused records by year and first reason as stacked bars, the rarest reasons together."""
    totals = rejects.sum().sort_values(ascending=False)
    shown = list(totals.index[: len(REASON_COLOURS) - 1])
    kinds = rejects[shown].assign(
        **({"other": rejects.drop(columns=shown).sum(axis=1)} if len(totals) > len(shown) else {})
    )
    kinds = kinds.rename(columns=plain_words)
    rows = kinds.rename_axis("year").reset_index().melt("year", var_name="reason", value_name="records")
    order = list(kinds.columns)
    mark = {
        "mark": {"type": "bar"},
        "params": [{"name": "kind", "select": {"type": "point", "fields": ["reason"]}, "bind": "legend"}],
        "encoding": {
            "x": {"field": "year", "type": "ordinal", "title": None, "axis": {"labelAngle": 0}},
            "y": {"field": "records", "type": "quantitative", "title": "records", "axis": {"format": "~s"}},
            "color": {
                "field": "reason",
                "type": "nominal",
                "sort": order,
                "title": None,
                "scale": {"domain": order, "range": list(REASON_COLOURS[: len(order)])},
                "legend": {"orient": "bottom", "columns": 2, "labelLimit": 190},
            },
            "opacity": {"condition": {"param": "kind", "value": 1}, "value": 0.15},
            "tooltip": [tip("year", "year", None), tip("reason", "reason", None), tip("records", "records", ",d")],
        },
    }
    return Plot(
        "rejects",
        Word("Refused records by year and first reason", "各年剔除记录及首要原因"),
        Word(
            f"{int(totals.sum()):,} refused records; the most frequent reason is {plain_words(totals.index[0])}.",
            f"共剔除{int(totals.sum()):,}条记录。",
        ),
        frame_spec(rows, mark, height=230),
    )


# --- rows of plots ------------------------------------------------------------------------------------------------------


def _channel_rows(comparison: pd.DataFrame, channel: str) -> pd.DataFrame:
    """Rows of one interaction; unemployment keeps the sign it is printed with."""
    names = comparison["variable"].astype(str)
    is_product = names.str.startswith("lnAgg*")
    wanted = names == "lnAgg*lnPro" if channel == "productivity" else is_product & (names != "lnAgg*lnPro")
    return comparison[wanted]


def _of_column(labels: Mapping[tuple[int, int], Word], table: int, column: int) -> str:
    """Label of a column; one of a table that is not shown has its numbers only."""
    word = labels.get((table, column))
    return word.en if word else f"T{table}({column})"


def _sides(rows: pd.DataFrame, labels: Mapping[int, Word]) -> pd.DataFrame:
    """One row a column and side: ours with its interval, the paper's with that of its printed error, the truth."""
    found = []
    for row in rows.to_dict("records"):
        head = {"label": labels[int(row["column"])].en, "column": int(row["column"])}
        found.append(head | {"who": "ours", "estimate": row["ours"], "low": row["ci_low"], "high": row["ci_high"]})
        if math.isfinite(row["paper"]):
            half = 1.959964 * row["paper_std_error"]
            found.append(
                head
                | {"who": "paper", "estimate": row["paper"], "low": row["paper"] - half, "high": row["paper"] + half}
            )
        if math.isfinite(row["truth"]):
            found.append(head | {"who": "truth", "estimate": row["truth"], "low": math.nan, "high": math.nan})
    return pd.DataFrame(found, columns=["label", "column", "who", "estimate", "low", "high"])


def _sentence_of_sides(rows: pd.DataFrame, subject: str) -> str:
    ours = rows[rows["who"] == "ours"]
    if ours.empty:
        return f"{subject}: no column could be estimated."
    away = int(((ours["low"] > 0) | (ours["high"] < 0)).sum())
    return (
        f"{subject}: {len(ours)} estimates from {ours['estimate'].min():.3f} to {ours['estimate'].max():.3f}; the 95% interval"
        f" of {away} leaves out zero."
    )


def _alt_of_sides(rows: pd.DataFrame, word: Word) -> Word:
    ours = rows[rows["who"] == "ours"]
    zh = f"{word.zh}：{len(ours)}个估计值" + (
        f"，{ours['estimate'].min():.3f}至{ours['estimate'].max():.3f}" if len(ours) else ""
    )
    return Word(_sentence_of_sides(rows, word.en), zh)


def _words(labels: Any) -> dict[str, str]:
    return {label.en: label.zh for label in labels} | {side: word.zh for side, word in SIDES.items()}
