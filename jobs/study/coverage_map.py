"""A picture of the panel's coverage: one row per city, one column per year, coloured by what is missing.

Cities stand in the order of their codes, so provinces are bands; the labels are Latin, because the shipped fonts of a
headless machine have no Chinese glyphs and a row of boxes says nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas.panel import MODEL_VARIABLES, OUTCOMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PROVINCE_LABELS = {
    "11": "Beijing", "12": "Tianjin", "13": "Hebei", "14": "Shanxi", "15": "Inner Mongolia", "21": "Liaoning",
    "22": "Jilin", "23": "Heilongjiang", "31": "Shanghai", "32": "Jiangsu", "33": "Zhejiang", "34": "Anhui",
    "35": "Fujian", "36": "Jiangxi", "37": "Shandong", "41": "Henan", "42": "Hubei", "43": "Hunan", "44": "Guangdong",
    "45": "Guangxi", "46": "Hainan", "50": "Chongqing", "51": "Sichuan", "52": "Guizhou", "53": "Yunnan", "54": "Tibet",
    "61": "Shaanxi", "62": "Gansu", "63": "Qinghai", "64": "Ningxia", "65": "Xinjiang",
}  # fmt: skip
EXPORTS = {outcome.name for outcome in OUTCOMES}
# state: label, colour (told apart by lightness too, for print and for colour-blind readers)
STATES = (
    ("complete", "#0b3c5d"),
    ("one variable missing", "#6aaed6"),
    ("several missing", "#fdae6b"),
    ("no exports", "#d94801"),
    ("no city yet, or no longer", "#d9d9d9"),
)
INCHES_PER_CITY, WIDTH, MARGIN, MIN_HEIGHT = 0.03, 7.5, 1.2, 1.5
DPI = 150
# of a province's name in points; names of small provinces that would overlap share a line
LABEL_SIZE = 6.5
POINTS_PER_INCH = 72


def coverage_states(panel: pd.DataFrame) -> pd.DataFrame:
    """City by year, the number of the state in ``STATES``.

    Parameters
    ----------
    panel : DataFrame
        ``city_id, year, is_complete, missing_variables``.
    """
    missing = [[name for name in names if name in MODEL_VARIABLES] for names in panel["missing_variables"]]
    state = [
        0 if complete else 3 if EXPORTS & set(names) else 1 if len(names) == 1 else 2
        for complete, names in zip(panel["is_complete"], missing, strict=True)
    ]
    table = panel.assign(state=state).pivot(index="city_id", columns="year", values="state").sort_index()
    return table.fillna(len(STATES) - 1).astype(int)


def draw_coverage(panel: pd.DataFrame, path: Path) -> Path:
    """Draw the map and return its path."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    states = coverage_states(panel)
    figure = Figure(figsize=(WIDTH, MARGIN + max(INCHES_PER_CITY * len(states), MIN_HEIGHT)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colours = ListedColormap([colour for _, colour in STATES])
    axes.imshow(states.to_numpy(), aspect="auto", cmap=colours, vmin=-0.5, vmax=len(STATES) - 0.5, interpolation="nearest")
    axes.set_xticks(range(states.shape[1]), [str(year) for year in states.columns], fontsize=8)
    axes.tick_params(length=0)
    _label_provinces(axes, states.index)
    complete = int((states == 0).to_numpy().sum())
    for edge in range(1, states.shape[1]):
        axes.axvline(edge - 0.5, color="white", linewidth=0.6)
    title = f"Coverage of the panel: {complete:,} of {len(panel):,} city-years complete"
    axes.set_title(title, loc="left", fontsize=10)
    used = np.unique(states.to_numpy())
    handles = [Patch(color=STATES[index][1], label=STATES[index][0]) for index in used]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)
    figure.savefig(path, dpi=DPI)
    return path


def _label_provinces(axes: Axes, city_ids: pd.Index) -> None:
    codes = city_ids.str[:2].to_numpy()
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    ends = np.r_[starts[1:], len(codes)]
    bands: list[tuple[float, str]] = []
    inches = max(INCHES_PER_CITY, MIN_HEIGHT / len(codes))
    for start, end in zip(starts, ends, strict=True):
        if start:
            axes.axhline(start - 0.5, color="white", linewidth=0.6)
        middle, label = (start + end - 1) / 2, PROVINCE_LABELS.get(codes[start], codes[start])
        if bands and (middle - bands[-1][0]) * inches < LABEL_SIZE / POINTS_PER_INCH:
            middle, label = (bands[-1][0] + middle) / 2, f"{bands.pop()[1]}, {label}"
        bands.append((middle, label))
    axes.set_yticks([middle for middle, _ in bands], [label for _, label in bands], fontsize=LABEL_SIZE)
