"""Draw a graph without circles as SVG: boxes in layers, arrows between them; no other program is needed.

The layout is that of Sugiyama, Tagawa and Toda (1981): longest-path layers, stand-ins where an arrow passes a layer,
and sweeps by the mean position of the neighbours to take crossings away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from html import escape

LINE, PAD, GAP_X, GAP_Y = 15, 8, 18, 46
SWEEPS = 12
CHARACTER = 7.2  # mean width at 12 px


@dataclass
class Box:
    """A node: its title, further lines below it, and the class that colours it."""

    title: str
    lines: tuple[str, ...] = ()
    kind: str = ""
    x: float = field(default=0.0, init=False)
    y: float = field(default=0.0, init=False)

    @property
    def width(self) -> float:
        """Pixels."""
        return max(len(text) for text in (self.title, *self.lines)) * CHARACTER + 2 * PAD

    @property
    def height(self) -> float:
        """Pixels."""
        return LINE * (1 + len(self.lines)) + 2 * PAD


def reduced(edges: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Leave out every arrow that a longer way replaces; the graph must have no circle (``graphlib.CycleError``)."""
    TopologicalSorter(edges).prepare()
    reach: dict[str, set[str]] = {}

    def reached(node: str) -> set[str]:
        if node not in reach:
            reach[node] = set().union(*({n} | reached(n) for n in edges.get(node, ())), set())
        return reach[node]

    return {
        node: {one for one in targets if not any(one in reached(other) for other in targets - {one})}
        for node, targets in edges.items()
    }


def draw(
    boxes: Mapping[str, Box],
    edges: Mapping[str, set[str]],
    colours: Mapping[str, str],
    title: str,
    *,
    against: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the SVG of a graph; ``edges`` maps a box to those below it, and arrows point from it to them.

    Arrows ``against`` the direction are drawn in red.

    Raises
    ------
    ValueError
        If the arrows run in a circle.
    """
    layers, chains = _layered(boxes, edges)
    _ordered(layers, chains)
    width, height, points = _placed(layers, boxes)
    arrows = [_arrow(chain, boxes, points) for chain in chains]
    style = "".join(f".{kind} rect{{fill:{colour}}}" for kind, colour in colours.items())
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img"'
            f' font-family="sans-serif" font-size="12"><title>{escape(title)}</title>',
            f"<style>rect{{fill:#fff;stroke:#555;rx:4}}path{{fill:none;stroke:#888;stroke-width:1.1}}{style}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<polygon points="0,0 8,4 0,8" fill="#888"/></marker></defs>',
            f'<rect width="{width:.0f}" height="{height:.0f}" style="fill:#fff;stroke:none"/>',
            *arrows,
            *(_against(boxes[name], boxes[target]) for name, target in against),
            *(_drawn(box) for box in boxes.values()),
            "</svg>",
            "",
        ]
    )


def _layered(boxes: Mapping[str, Box], edges: Mapping[str, set[str]]) -> tuple[list[list[str]], list[list[str]]]:
    depth: dict[str, int] = {}
    above: dict[str, list[str]] = {name: [] for name in boxes}
    for name, targets in edges.items():
        for target in targets:
            above[target].append(name)

    def layer(name: str, path: tuple[str, ...] = ()) -> int:
        if name in path:
            raise ValueError(f"arrows run in a circle: {' -> '.join((*path, name))}")
        if name not in depth:
            depth[name] = max((layer(one, (*path, name)) + 1 for one in above[name]), default=0)
        return depth[name]

    layers: list[list[str]] = [[] for _ in range(max(map(layer, boxes)) + 1)]
    for name in boxes:
        layers[depth[name]].append(name)
    chains = []
    for name in sorted(edges):
        for target in sorted(edges[name]):
            passed = [f"{name}>{target}@{level}" for level in range(depth[name] + 1, depth[target])]
            for level, stand_in in enumerate(passed, depth[name] + 1):
                layers[level].append(stand_in)
            chains.append([name, *passed, target])
    return layers, chains


def _ordered(layers: list[list[str]], chains: list[list[str]]) -> None:
    neighbours: dict[tuple[str, int], list[str]] = {}
    for chain in chains:
        for upper, lower in zip(chain, chain[1:], strict=False):
            neighbours.setdefault((lower, -1), []).append(upper)
            neighbours.setdefault((upper, 1), []).append(lower)
    for sweep in range(SWEEPS):
        side = -1 if sweep % 2 == 0 else 1
        for layer in layers if side < 0 else layers[::-1]:
            place = {name: i / max(len(row) - 1, 1) for row in layers for i, name in enumerate(row)}

            def mean(name: str, place: dict[str, float] = place, side: int = side) -> float:
                near = [place[one] for one in neighbours.get((name, side), ())]
                return sum(near) / len(near) if near else place[name]

            layer.sort(key=mean)


def _placed(layers: list[list[str]], boxes: Mapping[str, Box]) -> tuple[float, float, dict[str, tuple[float, float]]]:
    points: dict[str, tuple[float, float]] = {}
    widths = [sum(boxes[n].width if n in boxes else 6 for n in row) + GAP_X * (len(row) - 1) for row in layers]
    total = max(widths) + 2 * GAP_X
    y = float(PAD * 2)
    for row, width in zip(layers, widths, strict=True):
        spread = min((total - 2 * GAP_X - width) / (len(row) + 1), 60)
        x = (total - width - spread * (len(row) - 1)) / 2
        tallest = max((boxes[n].height for n in row if n in boxes), default=0)
        for name in row:
            wide = boxes[name].width if name in boxes else 6
            if name in boxes:
                boxes[name].x, boxes[name].y = x, y
            points[name] = (x + wide / 2, y + tallest / 2)
            x += wide + GAP_X + spread
        y += tallest + GAP_Y
    return total, y - GAP_Y + PAD * 2, points


def _arrow(chain: list[str], boxes: Mapping[str, Box], points: Mapping[str, tuple[float, float]]) -> str:
    first, last = boxes[chain[0]], boxes[chain[-1]]
    way = [(first.x + first.width / 2, first.y + first.height)]
    way += [points[name] for name in chain[1:-1]]
    way += [(last.x + last.width / 2, last.y)]
    path = f"M{way[0][0]:.1f},{way[0][1]:.1f}"
    for (x0, y0), (x1, y1) in zip(way, way[1:], strict=False):
        middle = (y0 + y1) / 2
        path += f" C{x0:.1f},{middle:.1f} {x1:.1f},{middle:.1f} {x1:.1f},{y1:.1f}"
    return f'<path d="{path}" marker-end="url(#tip)"/>'


def _against(lower: Box, upper: Box) -> str:
    x0, y0, x1, y1 = (
        lower.x + lower.width,
        lower.y + lower.height / 2,
        upper.x + upper.width,
        upper.y + upper.height / 2,
    )
    bend = max(x0, x1) + 30
    style = "stroke:#c00;stroke-dasharray:4 3"
    return f'<path d="M{x0:.1f},{y0:.1f} C{bend:.1f},{y0:.1f} {bend:.1f},{y1:.1f} {x1:.1f},{y1:.1f}" style="{style}"/>'


def _drawn(box: Box) -> str:
    x = box.x + box.width / 2
    texts = [
        f'<text x="{x:.1f}" y="{box.y + PAD + 11:.1f}" text-anchor="middle" font-weight="bold">{escape(box.title)}</text>'
    ]
    for i, line in enumerate(box.lines, 1):
        y = box.y + PAD + 11 + i * LINE
        texts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" fill="#444">{escape(line)}</text>')
    return (
        f'<g class="{box.kind}"><rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}"'
        f' height="{box.height:.1f}"/>{"".join(texts)}</g>'
    )
