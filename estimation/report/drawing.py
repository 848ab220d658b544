"""A plot of the report: its words, its specification, and how it is drawn without a script."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from estimation.report.vega import PAPER
from estimation.report.words import Word

GENERATED = Word("Generated data, not customs records", "模拟数据，非海关记录")
#: Pixels; the page scales a drawing to its column.
STATIC_WIDTH = 460


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot: where it stands, what it shows in words, and its specification.

    Attributes
    ----------
    name : str
        Identifier in the page and name of its CSV file.
    title, alt : Word
    spec : dict
        Vega-Lite; its data are inline.
    words : dict
        English text in the specification to Chinese.
    height_share : float
        Height over width for the page; 0 keeps the height of the specification.
    """

    name: str
    title: Word
    alt: Word
    spec: dict[str, Any]
    words: Mapping[str, str] = field(default_factory=dict)
    height_share: float = 0.0


def static_svg(plot: Plot, *, generated: bool) -> str:
    """Draw a plot as an SVG element: what print and readers without a script see."""
    import vl_convert

    spec = as_drawn(plot.spec, generated=generated)
    spec |= {"width": STATIC_WIDTH}
    if plot.height_share:
        spec["height"] = int(STATIC_WIDTH * plot.height_share)
    drawn = vl_convert.vegalite_to_svg(json.dumps(spec))
    # the page's own font, a tenth of a pixel, no roles within a picture; identifiers are unique within a plot only
    drawn = re.sub(r' font-family="[^"]*"| aria-[a-z]+="[^"]*"| role="[^"]*"| class="[^"]*"', "", drawn)
    drawn = re.sub(r"(\d+\.\d)\d+", r"\1", drawn)
    # Vega counts its clips over all plots of a process: counted anew here, so that a page is always the same
    for number, name in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', drawn))):
        drawn = drawn.replace(f'id="{name}"', f'id="{plot.name}-{number}"').replace(
            f"url(#{name})", f"url(#{plot.name}-{number})"
        )
    return re.sub(
        r'<svg ([^>]*?)width="[\d.]+" height="[\d.]+"',
        rf'<svg role="img" aria-label="{html.escape(plot.alt.en)}" \1',
        drawn,
        count=1,
    )


def as_drawn(spec: Mapping[str, Any], *, generated: bool) -> dict[str, Any]:
    """Return a specification with the mark of generated data, where they are."""
    mark = {"text": GENERATED.en, "anchor": "start", "color": PAPER, "fontSize": 11, "fontWeight": "bold", "offset": 6}
    return {**spec, **({"title": mark} if generated else {})}
