"""Parts that Vega-Lite specifications of the report share: frame and fonts, intervals, maps, tooltips, zoom.

Wheel zoom needs the shift key and moving needs a mouse, so that a plot never catches the scrolling of a page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

#: Okabe-Ito: told apart by colour-blind readers and in grey print; darkened until they stand out from white by 4.5 to 1.
OURS, PAPER, TRUTH, SOFT = "#0072B2", "#A84B00", "#00684C", "#6B6B6B"
#: A degree of longitude at 35 degrees north is this share of a degree of latitude.
LONGITUDE_SHARE = float(np.cos(np.radians(35)))
FONT = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'PingFang SC', 'Microsoft YaHei', 'WenQuanYi Zen Hei', sans-serif"
)
#: Billions by their word, small numbers as they are: the SI prefixes are for engineers.
LARGE = "datum.value < 1000 ? format(datum.value, '~g') : replace(format(datum.value, '~s'), 'G', ' bn')"
#: A legend whose words are longer has one column.
LONG_LEGEND = 12
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"


def frame_spec(rows: pd.DataFrame, view: Mapping[str, Any], *, height: Any) -> dict[str, Any]:
    return {
        "$schema": SCHEMA,
        "data": {"values": plain_values(rows)},
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "config": {
            "font": FONT,
            "view": {"stroke": None},
            "axis": {
                "labelFontSize": 11,
                "titleFontSize": 11,
                "titleFontWeight": "normal",
                "gridColor": "#E4E4E4",
                "labelColor": "#333",
                "titleColor": "#333",
            },
            "legend": {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal"},
        },
        **view,
    }


def interval_spec(
    rows: pd.DataFrame,
    *,
    axis: str,
    colours: Mapping[str, str] | None = None,
    offset: bool = True,
    extra: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Estimates with intervals: a row a label, a colour and a shape for each kind."""
    colours = colours or {"ours": OURS, "paper": PAPER, "truth": TRUTH}
    present = [kind for kind in colours if len(rows) and kind in set(rows["who"])]
    y: dict[str, Any] = {
        "field": "label",
        "type": "nominal",
        "sort": None,
        "title": None,
        # "outcome: channel" takes two lines, so that a narrow screen cuts neither
        "axis": {
            "labelLimit": 270,
            "grid": True,
            "gridDash": [1, 3],
            "tickSize": 0,
            **({"labelExpr": "split(datum.label, ': ')"} if offset else {}),
        },
    }
    common: dict[str, Any] = {"y": y}
    if offset:
        common["yOffset"] = {"field": "who", "type": "nominal", "sort": present, "scale": {"paddingOuter": 0.3}}
    colour = {
        "field": "who",
        "type": "nominal",
        "title": None,
        "sort": present,
        "scale": {"domain": present, "range": [colours[kind] for kind in present]},
        "legend": {
            "orient": "top",
            "symbolSize": 80,
            "labelLimit": 260,
            # long words one below the other: beside each other they leave a narrow screen
            **({"columns": 1} if any(len(kind) > LONG_LEGEND for kind in present) else {}),
        },
    }
    shape = {
        "field": "who",
        "type": "nominal",
        "title": None,
        "sort": present,
        "scale": {"domain": present, "range": ["circle", "square", "diamond"][: len(present)]},
    }
    layers = [
        zero_line("x"),
        {
            "mark": {"type": "rule", "strokeWidth": 1.6},
            "encoding": {**common, "x": x_axis("low", axis), "x2": {"field": "high"}, "color": colour},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 52, "opacity": 1},
            "params": [zoom("x")],
            "encoding": {
                **common,
                "x": x_axis("estimate", axis),
                "color": colour,
                "shape": shape,
                "tooltip": [
                    tip("label", "column", None),
                    tip("who", "whose", None),
                    tip("estimate", "estimate", ".4f"),
                    tip("low", "95% low", ".4f"),
                    tip("high", "95% high", ".4f"),
                    *extra,
                ],
            },
        },
    ]
    return frame_spec(rows, {"layer": layers}, height={"step": 12 if offset else 15})


def map_spec(
    rows: pd.DataFrame,
    colour: Mapping[str, Any],
    tips: Sequence[Mapping[str, Any]],
    outline: Mapping[str, Any] | None,
    *,
    size: str = "value",
    size_title: str = "US dollars",
) -> dict[str, Any]:
    lat = {"field": "lat", "type": "quantitative", "scale": {"domain": [17, 54], "nice": False}, "axis": None}
    lon = {
        "field": "east",
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [73 * LONGITUDE_SHARE, 136 * LONGITUDE_SHARE], "nice": False},
    }
    layers: list[dict[str, Any]] = []
    lines = outline_lines(outline)
    if lines:
        layers.append(
            {
                "data": {"values": lines},
                "mark": {"type": "line", "color": "#B5B5B5", "strokeWidth": 0.6},
                "encoding": {
                    "x": lon,
                    "y": lat,
                    "detail": {"field": "ring", "type": "nominal"},
                    "order": {"field": "at", "type": "quantitative"},
                },
            }
        )
    layers += [
        {
            "mark": {"type": "circle", "opacity": 0.75, "stroke": "#333", "strokeWidth": 0.3},
            "params": [zoom("x", "y")],
            "encoding": {
                "x": lon,
                "y": lat,
                "color": colour,
                "tooltip": list(tips),
                "size": {
                    "field": size,
                    "type": "quantitative",
                    "title": size_title,
                    "scale": {"range": [4, 700], "domainMin": 0},
                    "legend": {
                        "orient": "bottom",
                        "labelExpr": LARGE,
                        "symbolFillColor": "#999",
                        "values": _legend_sizes(rows[size]),
                    },
                },
            },
        },
        # a white edge below the letters: they are read on any bubble
        *(
            {
                "mark": {"type": "text", "dy": -9, "fontSize": 10, "fontWeight": "bold", **paint},
                "encoding": {"x": lon, "y": lat, "text": {"field": "label"}},
            }
            for paint in ({"color": "#fff", "stroke": "#fff", "strokeWidth": 3}, {"color": "#111"})
        ),
    ]
    return frame_spec(rows, {"layer": layers}, height=330)


def _legend_sizes(values: pd.Series) -> list[float]:
    """Three round sizes for a legend: the power of ten below the largest, its third and its tenth."""
    top = float(values.max())
    if not top > 0:
        return []
    whole = 10 ** math.floor(math.log10(top))
    return [float(f"{whole * share:.1g}") for share in (0.1, 0.3, 1.0)]


def x_axis(name: str, title: str) -> dict[str, Any]:
    return {"field": name, "type": "quantitative", "title": title}


def tip(name: str, title: str, form: str | None) -> dict[str, Any]:
    kind = "nominal" if form is None else "quantitative"
    return {"field": name, "title": title, "type": kind, **({"format": form} if form else {})}


def zoom(*axes: str) -> dict[str, Any]:
    """Zoom by the wheel with shift, move by the mouse; a finger scrolls the page."""
    return {
        "name": "zoom",
        "bind": "scales",
        "select": {
            "type": "interval",
            "encodings": list(axes),
            "zoom": "wheel![event.shiftKey]",
            "translate": "[mousedown, window:mouseup] > window:mousemove!",
        },
    }


def zero_line(axis: str) -> dict[str, Any]:
    return {
        "data": {"values": [{}]},
        "mark": {"type": "rule", "color": "#222", "strokeWidth": 1},
        "encoding": {axis: {"datum": 0}},
    }


def outline_lines(outline: Mapping[str, Any] | None) -> list[dict[str, float]]:
    """Points of the rings of a GeoJSON, numbered by ring; other shapes are left alone."""
    if outline is None:
        return []
    features = outline.get("features", [outline])
    rings: list[Any] = []
    for shape in [feature.get("geometry", feature) or {} for feature in features]:
        parts = {"Polygon": lambda c: [c], "MultiPolygon": lambda c: c}.get(shape.get("type", ""), lambda _: [])
        rings += [ring for polygon in parts(shape.get("coordinates", [])) for ring in polygon]
    return [
        {
            "ring": number,
            "at": at,
            "east": round(float(point[0]) * LONGITUDE_SHARE, 3),
            "lat": round(float(point[1]), 3),
        }
        for number, ring in enumerate(rings)
        for at, point in enumerate(ring)
    ]


def plain_values(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values, six significant digits; missing ones are null."""

    def plain(value: Any) -> Any:
        if isinstance(value, (float, np.floating)):
            return float(f"{value:.6g}") if math.isfinite(value) else None
        return value.item() if hasattr(value, "item") else value

    return [{str(name): plain(value) for name, value in row.items()} for row in rows.to_dict("records")]
