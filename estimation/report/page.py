"""Put a study's report into one HTML page: no outside file, no network, readable on a phone and in print."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from importlib import resources

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from estimation.report.study_report import StudyReport
from estimation.tables.formats import to_html
from estimation.tables.layout import three_digits

#: Headings of listed frames, English and Chinese.
LABELS = {
    "table": "table", "column": "col.", "dependent": "outcome", "sample": "sample", "resilience": "resilience",
    "resilience_channel": "resilience channel", "productivity_channel": "productivity channel",
    "std_error": "std. error", "pvalue": "p", "pvalue_larger": "p one-sided", "natural_difference": "natural difference",
    "natural_std_error": "std. error ", "natural_pvalue": "p ", "holm": "p Holm", "romano_wolf": "p Romano-Wolf",
    "n_obs": "N level", "n_cities": "cities", "n_instruments": "instruments", "lag": "L.y", "ar2_p": "AR(2) p",
    "hansen_p": "Hansen p", "hausman_p": "Hausman p", "left_out": "not estimated",
    "z_uncorrelated": "z if uncorrelated", "correlation_needed": "correlation needed",
    "its_pvalue": "its p", "its_pvalue_": "its p ", "without_": "without ", "problem": "",
    "natural_value": "natural value", "share_of_observations": "share of N", "share_above_zero": "share > 0",
    "fieller_lower": "Fieller low", "fieller_upper": "Fieller high", "short_run": "short run", "long_run": "long run",
}
P_COLUMNS = ("p", "pvalue", "holm", "romano_wolf", "hansen_p", "ar2_p", "hausman_p", "its_pvalue", "its_pvalue_",
             "pvalue_larger", "natural_pvalue")
COUNT_COLUMNS = ("table", "column", "n_obs", "n_cities", "n_instruments", "df", "n_draws", "cells", "cells_with_truth",
                 "provinces", "n_left_out", "city_years", "complete", "year", "rows", "percentile")


NUMBER = ' class="number"'
#: Texts longer than this may wrap; shorter ones stay on one line.
LONG_TEXT = 48
#: Columns of the channel tests shown at once; the rest is in a second table, or the p-values would be out of sight.
CHANNELS_SHOWN = (
    "table", "column", "dependent", "sample", "resilience", "resilience_channel", "productivity_channel", "difference",
    "std_error", "pvalue", "holm", "romano_wolf",
)
CHANNELS_FURTHER = (
    "table", "column", "dependent", "sample", "resilience", "correlation", "z", "pvalue_larger", "natural_difference",
    "natural_std_error", "natural_pvalue",
)
PROFILE_MEANING = {
    "defensible": "assumptions stated, choices made by a study",
    "paper": "what the paper says, or its counts imply",
}


def render_report(report: StudyReport, *, title: str = "Through which channel does agglomeration raise exports?") -> str:
    """Return the whole page as text."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["svg"] = Markup
    source = (resources.files("estimation.report") / "report.html.j2").read_text("utf-8")
    profiles = list(report.tables)
    numbers = [table.table.number for table in report.tables[profiles[0]]]
    printed = {
        number: {
            profile: Markup(to_html(table))
            for profile in profiles for table in report.tables[profile] if table.table.number == number
        }
        for number in numbers
    }
    main = {table.table.number: table for table in report.tables[profiles[0]]}
    return environment.from_string(source).render(
        title=title, title_zh="集聚通过何种渠道促进城市出口：生产率还是经济韧性？", profiles=profiles, numbers=numbers,
        printed=printed, main=main, report=report, claims=report.claims, plots=report.plots, facts=report.provenance,
        listed={name: Markup(list_frame(frame)) for name, frame in _listed(report.frames).items()},
        meaning=PROFILE_MEANING,
        coverage=Markup(list_frame(report.provenance.coverage)), missing=Markup(list_frame(report.provenance.missing)),
        rejects=Markup(list_frame(_with_years(report.provenance.rejects))),
    )


def _listed(frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Frames as they are listed: the channel tests in two tables."""
    tests = frames["channel_tests"]
    halves = {
        "channel_tests": tests[[name for name in CHANNELS_SHOWN if name in tests]],
        "channel_units": tests[[name for name in CHANNELS_FURTHER if name in tests]],
    }
    return {**frames, **halves}


def list_frame(frame: pd.DataFrame) -> str:
    """Return a frame as a plain HTML table: three digits, counts whole, p-values with three decimals."""
    if frame.empty:
        return '<p class="none">Not available in this lake.</p>'
    shown = frame.drop(columns=[name for name in ("problem",) if name in frame and (frame[name].fillna("") == "").all()])
    shown = shown.dropna(axis=1, how="all")
    heads = "".join(
        f"<th{NUMBER if _is_numeric(shown[name]) else ''}>"
        f"{html.escape(LABELS.get(str(name), str(name).replace('_', ' ')))}</th>" for name in shown
    )
    body = "".join(
        "<tr>" + "".join(_cell(str(name), value) for name, value in zip(shown.columns, row, strict=True)) + "</tr>"
        for row in shown.itertuples(index=False, name=None)
    )
    return f'<div class="scroll"><table class="list"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def _is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _cell(name: str, value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "<td></td>"
    if isinstance(value, bool):
        return f"<td>{'yes' if value else 'no'}</td>"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
        if math.isinf(number):
            text = "∞" if number > 0 else "-∞"
        elif name in COUNT_COLUMNS or isinstance(value, int):
            text = f"{number:.0f}" if name == "year" else f"{number:,.0f}"
        else:
            text = f"{number:.3f}" if name in P_COLUMNS else three_digits(number)
        return f"<td{NUMBER}>{text}</td>"
    if hasattr(value, "item"):
        return _cell(name, value.item())
    text = html.escape(str(value))
    return f'<td class="long">{text}</td>' if len(text) > LONG_TEXT else f"<td>{text}</td>"


def _with_years(frame: pd.DataFrame) -> pd.DataFrame:
    return frame if frame.empty else frame.rename_axis("year").reset_index()
