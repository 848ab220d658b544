"""Plots of the report as inline SVG: coefficients, marginal effects, residuals, city maps, funnel, rejects.

Text stays text (the reader's browser has the fonts) and is English or numbers; Chinese is left to HTML. Every plot is
drawn 4.4 inches wide, so that on a phone its letters are as large as on paper. The same data give the same bytes.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import scipy
from matplotlib.axes import Axes

matplotlib.use("Agg")
from matplotlib.figure import Figure

WIDTH = 4.4  # inches
#: Okabe-Ito: told apart by colour-blind readers and in grey print.
OURS, PAPER, TRUTH, SOFT = "#0072B2", "#D55E00", "#009E73", "#999999"
STYLE: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "customs-lake", "font.family": "sans-serif", "font.size": 8.5,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.7, "axes.titlesize": 9,
    "legend.frameon": False, "legend.fontsize": 8, "xtick.labelsize": 8, "ytick.labelsize": 8,
}
#: A degree of longitude at 35 degrees north is this share of a degree of latitude.
LONGITUDE_SHARE = float(np.cos(np.radians(35)))


def coefficient_plot(comparison: pd.DataFrame, *, terms: Sequence[str], title: str) -> str:
    """Return estimates with 95% intervals, the paper's beside them and the truth where it is known.

    Parameters
    ----------
    comparison : DataFrame
        Rows of `estimation.tables.compare` of one table.
    """
    groups = list(comparison.groupby("column"))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.6 + 0.25 * (len(terms) + 1) * len(groups)))
        axes = figure.subplots()
        labels, rows, position = [], [], 0.0
        for number, cells in groups:
            cells = cells.set_index("variable")
            first = cells.iloc[0]
            labels.append((position, f"({number}) {first['dependent']}, {first['sample']}"))
            position += 0.2
            for term in terms:
                position -= 1
                if term in cells.index:
                    rows.append(cells.loc[term].to_dict() | {"place": position})
                labels.append((position, term))
            position -= 1.5
        _intervals(axes, pd.DataFrame(rows, columns=[*comparison.columns, "place"]))
        axes.axvline(0, color="black", linewidth=0.6)
        axes.set_yticks([place for place, _ in labels], [text for _, text in labels])
        for label in axes.get_yticklabels():
            label.set_fontweight("normal" if label.get_text() in terms else "bold")
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(position + 1.0, 0.6)
        axes.set_title(_wrapped(f"{title} (per SD)"), loc="left", x=-0.3)
        # below the tick labels, a quarter of an inch whatever the height
        below = -0.25 / (figure.get_figheight() * axes.get_position().height)
        axes.legend(loc="upper center", bbox_to_anchor=(0.4, below), ncols=3)
        return _svg(figure, title)


def effect_plot(effects: pd.DataFrame, *, title: str) -> str:
    """Return the marginal effect of agglomeration over each moderator with pointwise and simultaneous bands."""
    groups = list(effects.groupby("variable", sort=False))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.2 * len(groups)))
        for axes, (name, rows) in zip(np.atleast_1d(figure.subplots(len(groups), 1)), groups, strict=True):
            axes.fill_between(rows["value"], rows["band_lower"], rows["band_upper"], color=OURS, alpha=0.12, linewidth=0,
                              label="95% simultaneous")
            axes.fill_between(rows["value"], rows["lower"], rows["upper"], color=OURS, alpha=0.25, linewidth=0,
                              label="95% pointwise")
            axes.plot(rows["value"], rows["effect"], color=OURS)
            axes.axhline(0, color="black", linewidth=0.6)
            axes.set_xlabel(f"{name} (standard deviations, 5th to 95th percentile)")
            axes.set_ylabel("effect of lnAgg")
            axes.legend(loc="upper left")
        figure.suptitle(title, x=0.02, ha="left", fontsize=9)
        figure.tight_layout()
        return _svg(figure, title)


def difference_plot(tests: pd.DataFrame, *, title: str) -> str:
    """Return the difference of the channels in every column with its 95% interval."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.7 + 0.2 * len(tests)))
        axes = figure.subplots()
        places = -np.arange(len(tests))
        is_adjusted = (tests["romano_wolf"] < 0.05).to_numpy()
        for mask, mark, colour in ((is_adjusted, "o", OURS), (~is_adjusted, ".", SOFT)):
            axes.errorbar(tests["difference"][mask], places[mask], xerr=1.96 * tests["std_error"][mask], fmt=mark,
                          color=colour, elinewidth=1)
        axes.axvline(0, color="black", linewidth=0.6)
        axes.set_yticks([-place for place in range(len(tests))],
                        [f"T{row.table}({row.column}) {row.dependent} {row.sample}" for row in tests.itertuples()])
        axes.set_xlabel("productivity channel - resilience channel (per SD)")
        axes.set_title(title, loc="left")
        return _svg(figure, title)


def residual_plot(residuals: pd.DataFrame, *, title: str) -> str:
    """Return residuals of the level equation against fitted values, and their quantiles against the normal's."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.4))
        left, right = figure.subplots(2, 1)
        left.scatter(residuals["fitted"], residuals["resid"], s=3, color=OURS, alpha=0.3, linewidth=0, rasterized=True)
        left.axhline(0, color="black", linewidth=0.6)
        left.set_xlabel("fitted (SD)")
        left.set_ylabel("residual (SD)")
        ordered = np.sort(residuals["resid"].to_numpy())
        expected = scipy.stats.norm.ppf((np.arange(1, len(ordered) + 1) - 0.5) / len(ordered)) * ordered.std() + ordered.mean()
        right.plot(expected, expected, color="black", linewidth=0.6)
        right.scatter(expected, ordered, s=3, color=OURS, linewidth=0, rasterized=True)
        right.set_xlabel("normal quantiles")
        right.set_ylabel("residual quantiles")
        figure.suptitle(title, x=0.02, ha="left", fontsize=9)
        figure.tight_layout()
        return _svg(figure, title)


def city_map(
    cities: pd.DataFrame, *, value: str, title: str, signed: bool = False, outline: Mapping[str, Any] | None = None
) -> str:
    """Return cities as bubbles at their coordinates; no boundaries unless the user gives them.

    Parameters
    ----------
    cities : DataFrame
        lat, lon, name and the value; bubble area is proportional to its size.
    signed : bool
        Two colours by sign instead of one.
    outline : GeoJSON, optional
        Boundaries of the user's own, longitude and latitude.
    """
    shown = cities.dropna(subset=["lat", "lon", value])
    size = shown[value].abs()
    area = 160 * size / max(size.max(), 1e-12)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.6))
        axes = figure.subplots()
        for line in _outline_lines(outline):
            axes.plot(line[:, 0], line[:, 1], color=SOFT, linewidth=0.4)
        groups = [(shown[value] >= 0, OURS, "above the model"), (shown[value] < 0, PAPER, "below the model")]
        for mask, colour, label in groups if signed else [(shown[value].notna(), OURS, None)]:
            axes.scatter(shown.loc[mask, "lon"], shown.loc[mask, "lat"], s=area[mask] + 1, color=colour, alpha=0.45,
                         linewidth=0.3, edgecolor="white", label=label)
        for row in shown.loc[size.nlargest(6).index].itertuples():
            axes.annotate(row.name, (row.lon, row.lat), fontsize=7, xytext=(3, 3), textcoords="offset points")
        axes.set_aspect(1 / LONGITUDE_SHARE)
        axes.set_xlabel("degrees east")
        axes.set_ylabel("degrees north")
        axes.set_title(title, loc="left")
        if signed:
            axes.legend(loc="lower left")
        return _svg(figure, title)


def stacked_bars(counts: pd.DataFrame, *, title: str, ylabel: str) -> str:
    """Return counts by year (rows) and kind (columns) as stacked bars, the rarest kinds together."""
    order = counts.sum().sort_values(ascending=False).index
    frame = counts[order[:7]].copy()
    if len(order) > 7:
        frame["others"] = counts[order[7:]].sum(axis=1)
    palette = [OURS, PAPER, TRUTH, "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", SOFT]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.4))
        axes = figure.subplots()
        base = np.zeros(len(frame))
        for name, colour in zip(frame.columns, palette, strict=False):
            axes.bar([str(year) for year in frame.index], frame[name], bottom=base, color=colour, label=str(name))
            base += frame[name].to_numpy(dtype=float)
        axes.set_ylabel(ylabel)
        axes.set_title(title, loc="left")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2)
        return _svg(figure, title)


def funnel_plot(stages: Sequence[tuple[str, int]], *, title: str) -> str:
    """Return the stages from raw rows to observations as bars on a logarithmic axis."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.5 + 0.3 * len(stages)))
        axes = figure.subplots()
        counts = [max(count, 1) for _, count in stages]
        places = [-place for place in range(len(stages))]
        axes.barh(places, counts, color=OURS, alpha=0.7)
        for place, (_, count) in zip(places, stages, strict=True):
            axes.text(max(count, 1) * 1.15, place, f"{count:,}", va="center", fontsize=8)
        axes.set_xscale("log")
        axes.set_xlim(1, max(counts) * 12)
        axes.set_yticks(places, [name for name, _ in stages])
        axes.set_title(title, loc="left")
        return _svg(figure, title)


def _intervals(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw ours, the paper's and the truth, one artist each."""
    spread = [rows["ours"] - rows["ci_low"], rows["ci_high"] - rows["ours"]]
    axes.errorbar(rows["ours"], rows["place"], xerr=spread, fmt="o", markersize=3.5, color=OURS, elinewidth=1, label="ours")
    theirs, known = rows[rows["paper"].notna()], rows[rows["truth"].notna()]
    if len(theirs):
        axes.errorbar(theirs["paper"], theirs["place"] - 0.28, xerr=1.96 * theirs["paper_std_error"], fmt="s", markersize=3,
                      color=PAPER, elinewidth=0.8, label="paper")
    if len(known):
        axes.plot(known["truth"], known["place"] + 0.25, "v", markersize=4, color=TRUTH, label="truth")


def _wrapped(title: str) -> str:
    """Break a title that is wider than the figure, which would shrink everything else."""
    return textwrap.fill(title, 52)


def _outline_lines(outline: Mapping[str, Any] | None) -> list[np.ndarray]:
    """Rings of the polygons of a GeoJSON, as longitude-latitude arrays."""
    if not outline:
        return []
    features = outline.get("features", [outline])
    lines: list[np.ndarray] = []
    for feature in features:
        geometry = feature.get("geometry", feature)
        polygons = geometry.get("coordinates", [])
        if geometry.get("type") == "Polygon":
            polygons = [polygons]
        elif geometry.get("type") != "MultiPolygon":
            continue
        lines += [np.asarray(ring, dtype=float)[:, :2] for polygon in polygons for ring in polygon]
    return lines


def _svg(figure: Figure, title: str) -> str:
    """Return a figure as an SVG element with a title for screen readers, no fixed size, no identifier shared by plots."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", pad_inches=0.04, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    # identifiers are per figure; several figures live in one page
    prefix = re.sub(r"\W+", "-", title.lower()).strip("-")
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'(xlink:href="#|url\(#)([^")]+)', rf"\1{prefix}-\2", text)
    label = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("<svg", f'<svg role="img" aria-label="{label}" class="plot"', 1)
