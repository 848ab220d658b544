"""Put a study's report into one HTML page: no outside file, no network, readable on a phone and in print.

The page is complete without a script (plots as SVG, tables below each other); with one it has tabs, a language switch,
plots that answer the pointer, and CSV downloads. Vega, Vega-Lite and Vega-Embed (BSD licence, from vl-convert-python)
are embedded once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from estimation.report import maps, plots
from estimation.report.answer import BANNERS, QUESTION, answer, data_sentence
from estimation.report.drawing import GENERATED, Plot, as_drawn, static_svg
from estimation.report.listing import Side, both, listed_frame, results_table
from estimation.report.study_report import StudyReport
from estimation.report.words import CHANNELS, COMMON_WORDS, VARIABLES, VERDICTS, Word, column_label
from estimation.tables.printed import PrintedTable

#: Columns of the channel tests shown at once; the rest is in a second table, or the p-values would be out of sight.
CHANNELS_SHOWN = (
    "table",
    "column",
    "dependent",
    "sample",
    "resilience",
    "resilience_channel",
    "productivity_channel",
    "difference",
    "std_error",
    "pvalue",
    "holm",
    "romano_wolf",
)
CHANNELS_FURTHER = (
    "table",
    "column",
    "dependent",
    "sample",
    "resilience",
    "correlation",
    "z",
    "pvalue_larger",
    "natural_difference",
    "natural_std_error",
    "natural_pvalue",
)
PROFILES = {
    "defensible": Word("defensible: every assumption is stated below the table", "稳健设定：表下列明全部假定"),
    "paper": Word("paper: what the paper says, or its counts imply", "论文设定：依论文所述或其样本量推断"),
}
NO_ROBUSTNESS = Word(
    "Not recorded in this lake: these numbers need further estimations. `customs-lake estimate --robustness` records them.",
    "本数据湖未记录：需另行估计。运行 customs-lake estimate --robustness 后可见。",
)


def render_report(report: StudyReport, *, static: bool = True) -> str:
    """Return the whole page as text.

    Parameters
    ----------
    static : bool
        Whether plots are drawn into the page too, for print and for readers without a script.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["both"] = lambda word: Markup(both(word))
    drawn, words = _plots(report)
    figures = {
        group: [Markup(_figure(plot, report, static=static)) for plot in found] for group, found in drawn.items()
    }
    listed = _Lists(report)
    page = environment.from_string(_asset("report.html.j2")).render(
        report=report,
        facts=report.provenance,
        banner=BANNERS[report.provenance.origin],
        question=QUESTION,
        answer=answer(report),
        data=data_sentence(report),
        tables=_tables(report),
        profiles=PROFILES,
        n_profiles=len(report.tables),
        figures=figures,
        listed=listed,
        verdicts=VERDICTS,
        word=Word,
        variables=Markup(_variables(report)),
        style=Markup(_asset("report.css")),
        script=Markup(_asset("report.js")),
        vega=Markup(vega_bundle()),
        words=Markup(_json({**COMMON_WORDS, GENERATED.en: GENERATED.zh, **words})),
        no_robustness=NO_ROBUSTNESS,
    )
    return "\n".join(line.rstrip() for line in page.splitlines() if line.strip()) + "\n"


@lru_cache(maxsize=1)
def vega_bundle() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script that may stand inside a page."""
    import vl_convert

    # without a snippet the bundle puts vega, vegaLite and vegaEmbed on the window; the package's stub asks for one
    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub asks for what has a default
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


class _Lists:
    """Listed frames by name, for the template: ``listed.growth``."""

    def __init__(self, report: StudyReport) -> None:
        self.frames = dict(report.frames)
        self.generated = report.is_generated
        tests = self.frames.get("channel_tests", pd.DataFrame())
        self.frames["channel_tests"] = tests[[name for name in CHANNELS_SHOWN if name in tests]]
        self.frames["channel_units"] = tests[[name for name in CHANNELS_FURTHER if name in tests]]
        rejects = self.frames["rejects"]
        self.frames["rejects"] = rejects if rejects.empty else rejects.rename_axis("year").reset_index()

    def __call__(self, name: str, missing: Word | None = None) -> Markup:
        """Return one frame as an HTML table, or why it is not there."""
        frame = self.frames.get(name, pd.DataFrame())
        return Markup(
            listed_frame(frame, name=name, generated=self.generated, **({"missing": missing} if missing else {}))
        )


def _tables(report: StudyReport) -> list[dict[str, Any]]:
    """Tables with their views: one a profile, and both profiles side by side."""
    by_profile = {
        profile: {table.table.number: table for table in printed} for profile, printed in report.tables.items()
    }
    found = []
    for table in report.main:
        number = table.table.number
        own = {profile: tables[number] for profile, tables in by_profile.items() if number in tables}
        views = {
            profile: results_table(one, _sides(one), generated=report.is_generated) for profile, one in own.items()
        }
        if len(own) > 1:
            views["both"] = _side_by_side(list(own.values()), generated=report.is_generated)
        found.append({"number": number, "table": table, "views": {name: Markup(text) for name, text in views.items()}})
    return found


def _sides(table: PrintedTable) -> list[Side]:
    sides = [Side("ours", table.columns)]
    if table.has_paper:
        sides.append(Side("paper", table.columns))
    if table.has_truth:
        sides.append(Side("truth", table.columns))
    return sides


def _side_by_side(tables: Sequence[PrintedTable], *, generated: bool) -> str:
    first, second = tables[:2]
    sides = [Side("first", first.columns), Side("second", second.columns)]
    return results_table(
        first, [*sides, Side("paper", first.columns)] if first.has_paper else sides, generated=generated
    )


def _plots(report: StudyReport) -> tuple[dict[str, list[Plot]], dict[str, str]]:
    """Plots by the place they stand at, and the Chinese of their words."""
    makers: dict[str, Callable[[StudyReport], list[Plot]]] = {
        "headline": _headline,
        "differences": _differences,
        "effects": _effects,
        "residuals": _residuals,
        "maps": _maps,
        "funnel": _records,
    }
    found = {name: make(report) for name, make in makers.items()}
    found |= {f"table{table.table.number}": _channels(report, table) for table in report.main}
    words = {en: zh for group in found.values() for plot in group for en, zh in plot.words.items()}
    return found, words


def _label(table: PrintedTable) -> dict[int, Word]:
    specs = [column.fit.column for column in table.columns]
    return {
        spec.position: column_label(
            spec.position,
            spec.dependent,
            "full" if spec.sample.rule == "all" else spec.sample.name,
            spec.sample.title,
            spec.sample.title_zh,
        )
        for spec in specs
    }


def _headline(report: StudyReport) -> list[Plot]:
    return [plots.headline_plot(report.comparison)] if (report.comparison["table"] == 1).any() else []


def _channels(report: StudyReport, table: PrintedTable) -> list[Plot]:
    number, cells = table.table.number, report.comparison[report.comparison["table"] == table.table.number]
    if cells.empty:
        return []
    title = Word(f"Table {number}", f"表{number}")
    return [
        plots.channel_plot(cells, _label(table), channel=channel, name=f"t{number}-{channel}", title=title)
        for channel in CHANNELS
    ]


def _differences(report: StudyReport) -> list[Plot]:
    tests = report.evidence.get("channel_tests", pd.DataFrame())
    if tests.empty:
        return []
    labels = {
        (table.table.number, position): Word(f"T{table.table.number}{word.en}", f"表{table.table.number}{word.zh}")
        for table in report.main
        for position, word in _label(table).items()
    }
    return [plots.difference_plot(tests, labels)]


def _effects(report: StudyReport) -> list[Plot]:
    effects = report.evidence.get("effects", pd.DataFrame())
    if effects.empty:
        return []
    domain = (float(effects["band_lower"].min()), float(effects["band_upper"].max()))
    return [
        plots.effect_plot(rows, outcome=str(outcome), moderator=str(moderator), domain=domain)
        for (outcome, moderator), rows in effects.groupby(["dependent", "variable"], sort=False)
    ]


def _residuals(report: StudyReport) -> list[Plot]:
    bins, quantiles = (report.evidence.get(name, pd.DataFrame()) for name in ("residual_bins", "residual_quantiles"))
    if bins.empty or quantiles.empty:
        return []
    return [
        plot
        for outcome in bins["dependent"].unique()
        for plot in plots.residual_plots(
            bins[bins["dependent"] == outcome], quantiles[quantiles["dependent"] == outcome], outcome=outcome
        )
    ]


def _maps(report: StudyReport) -> list[Plot]:
    places = report.provenance.coordinates
    if places.empty:
        return []
    panel = report.panel.merge(places, on="city_id", how="inner")
    names = {"value_usd": "value", "n_products": "products", "n_destinations": "destinations"}
    cities = panel.rename(columns=names)
    # a sum of dollars is an exact decimal in the lake
    cities = cities.astype(dict.fromkeys(names.values(), float))
    cities = cities[cities["value"] > 0]
    found = []
    if len(cities):
        kept = ["year", "name", "name_zh", "lat", "lon", *names.values()]
        found.append(maps.city_map(cities[kept].astype({"year": int}), outline=report.provenance.outline))
    residuals = report.evidence.get("city_residuals", pd.DataFrame())
    if len(residuals):
        value = residuals[residuals["dependent"] == "lnvalue"].merge(places, on="city_id", how="inner")
        if len(value):
            found.append(
                maps.residual_map(
                    value[["name", "name_zh", "lat", "lon", "residual"]], outline=report.provenance.outline
                )
            )
    return found


def _records(report: StudyReport) -> list[Plot]:
    facts = report.provenance
    found = [plots.funnel_plot(facts.funnel)] if facts.funnel else []
    return [*found, plots.reject_plot(facts.rejects)] if len(facts.rejects) else found


def _figure(plot: Plot, report: StudyReport, *, static: bool) -> str:
    """Return a plot as a figure: caption, drawing with its words for screen readers, download, specification."""
    spec = _compact(as_drawn(plot.spec, generated=report.is_generated))
    drawing = static_svg(plot, generated=report.is_generated) if static else ""
    return (
        f'<figure class="plot" id="{plot.name}" data-share="{plot.height_share}" data-en="{Markup.escape(plot.alt.en)}"'
        f' data-zh="{Markup.escape(plot.alt.zh)}"><figcaption>{both(plot.title)}</figcaption>'
        f'<div class="chart">{drawing}</div>'
        f'<p class="tools"><button type="button" data-csv="{plot.name}">CSV</button></p>'
        f'<script type="application/json">{_json(spec)}</script></figure>'
    )


def _compact(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Write the rows of a specification as columns and lists, half as long; the page's script writes them back."""
    rows = spec["data"]["values"]
    names = list(rows[0]) if rows else []
    return {**spec, "data": {"columns": names, "rows": [[row[name] for name in names] for row in rows]}}


def _variables(report: StudyReport) -> str:
    """Names, definitions and summary statistics of the variables the tables use."""
    used = {
        name
        for table in report.main
        for column in table.columns
        for name in column.fit.column.variables
        if "*" not in name
    }
    rows = []
    for name in [*[one for one in VARIABLES if one in used], *sorted(used - set(VARIABLES))]:
        values = report.panel[name].dropna().astype(float) if name in report.panel else pd.Series(dtype=float)
        known = VARIABLES.get(name)
        empty = Word("", "")
        facts = [
            f"{len(values):,}",
            *(
                f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
                for value in ((values.mean(), values.std(), values.min(), values.max()) if len(values) else ())
            ),
        ]
        rows.append(
            f'<tr><th scope="row">{both(known.name if known else Word(name, name), code=name)}</th>'
            f'<td><code>{name}</code></td><td class="long">{both(known.definition if known else empty)}</td>'
            f"<td>{both(known.unit if known else empty)}</td>"
            + "".join(f'<td class="number">{fact}</td>' for fact in facts)
            + "<td></td>" * (5 - len(facts))
            + "</tr>"
        )
    return "".join(rows)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")


def _asset(name: str) -> str:
    return (resources.files("estimation.report") / name).read_text("utf-8")
