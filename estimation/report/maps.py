"""Maps of the report: cities as bubbles at their coordinates, no boundaries unless the user gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from estimation.report.drawing import Plot
from estimation.report.vega import LONGITUDE_SHARE, map_spec, tip
from estimation.report.words import Word

#: Labels on a map stand at least this far apart, in degrees.
LABEL_GAP = (11.0, 1.8)


def city_map(cities: pd.DataFrame, *, outline: Mapping[str, Any] | None = None) -> Plot:
    """Return cities as bubbles by year: area is export value, colour the number of products; a slider picks the year.

    Parameters
    ----------
    cities : DataFrame
        year, name, name_zh, lat, lon, value (US dollars), products, destinations.
    """
    rows = _placed(cities.drop(columns="name_zh"))
    years = sorted(rows["year"].unique())
    largest = rows.groupby(["lat", "lon"])["value"].transform("max")
    rows["label"] = _labels(rows.assign(largest=largest))
    colour = {
        "field": "products",
        "type": "quantitative",
        "title": "products",
        "scale": {"scheme": "viridis", "type": "log"},
        "legend": {"orient": "top", "gradientLength": 120, "format": ",.0f"},
    }
    spec = map_spec(
        rows,
        colour,
        [
            tip("name", "city", None),
            tip("year", "year", "d"),
            tip("value", "US dollars", ",.0f"),
            tip("products", "products", ",.0f"),
            tip("destinations", "destinations", ",.0f"),
        ],
        outline,
    )
    spec["params"] = [
        {
            "name": "year",
            "value": int(years[-1]),
            "bind": {"input": "range", "min": int(years[0]), "max": int(years[-1]), "step": 1, "name": "year "},
        }
    ]
    spec["transform"] = [{"filter": "datum.year == year"}]
    top = rows[rows["year"] == years[-1]].nlargest(3, "value")["name"]
    return Plot(
        "map",
        Word("Exports of cities by year", "各年城市出口"),
        Word(
            f"Map of {rows['name'].nunique()} cities; the largest exports in {years[-1]}: {', '.join(top)}.",
            f"{rows['name'].nunique()}个城市的地图。",
        ),
        spec,
        dict(zip(cities["name"], cities["name_zh"], strict=True)),
        height_share=0.72,
    )


def residual_map(cities: pd.DataFrame, *, outline: Mapping[str, Any] | None = None) -> Plot:
    """Return cities coloured by the mean residual of export value: which ones the model leaves unexplained."""
    rows = _placed(cities)
    rows["size"] = rows["residual"].abs()
    limit = float(rows["residual"].abs().quantile(0.98))
    rows["label"] = _labels(rows.assign(largest=rows["size"]))
    colour = {
        "field": "residual",
        "type": "quantitative",
        "title": "residual, SD",
        "scale": {"scheme": "blueorange", "domain": [-limit, limit], "clamp": True},
        "legend": {"orient": "top", "gradientLength": 120},
    }
    spec = map_spec(
        rows,
        colour,
        [tip("name", "city", None), tip("residual", "residual, SD", ".3f")],
        outline,
        size="size",
        size_title="absolute residual",
    )
    return Plot(
        "map-residuals",
        Word("Mean residual of export value by city", "各城市出口额的平均残差"),
        Word(
            f"Map of the mean residual of {len(rows)} cities, from {rows['residual'].min():.2f} to"
            f" {rows['residual'].max():.2f} standard deviations.",
            f"{len(rows)}个城市平均残差的地图。",
        ),
        spec,
        dict(zip(rows["name"], rows["name_zh"], strict=True)),
        height_share=0.72,
    )


def _placed(cities: pd.DataFrame) -> pd.DataFrame:
    return cities.assign(east=cities["lon"] * LONGITUDE_SHARE).reset_index(drop=True)


def _labels(rows: pd.DataFrame, most: int = 12) -> np.ndarray:
    """The name of each row of the largest cities whose labels do not touch each other, else nothing.

    A city is known by where it is: two are called Yichun in English, and more than two Taizhou, Suzhou or Fuzhou.
    """
    chosen: list[tuple[float, float]] = []
    for row in rows.drop_duplicates(["lat", "lon"]).nlargest(60, "largest").to_dict("records"):
        clear = all(abs(row["lon"] - x) > LABEL_GAP[0] or abs(row["lat"] - y) > LABEL_GAP[1] for x, y in chosen)
        if clear and len(chosen) < most:
            chosen.append((row["lon"], row["lat"]))
    is_chosen = [place in chosen for place in zip(rows["lon"], rows["lat"], strict=True)]
    return np.where(is_chosen, rows["name"], "")
