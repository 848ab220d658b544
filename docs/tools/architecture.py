"""Draw the rooms of the code and who imports whom: python docs/tools/architecture.py docs/pictures/rooms.svg

Read from the imports. A room is a folder of ``jobs`` or ``estimation``, the submitted files ``jobs/*.py`` together, or
one of the packages ``conf`` and ``schemas``; ``estimation`` itself is the face that hands the names of its rooms on.
Arrows go from the importing room; those that a longer way replaces are left out of the picture and stand in the table of
:func:`imports_table`. Where rooms import each other, the arrow of fewer files is red.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from drawing import Box, draw, reduced  # noqa: E402  (found by the path set above)

PACKAGES = ("jobs", "estimation", "schemas", "conf")
SUBMITTED = "jobs/*.py"
COLOURS = {"jobs": "#eaf3fb", "estimation": "#eef7ea", "schemas": "#fdf3e1", "conf": "#f7ecf5"}


def room_of(module: str) -> str:
    """Room of a dotted module name."""
    parts = module.split(".")
    if parts[0] in ("schemas", "conf"):
        return parts[0]
    folder = ROOT / parts[0] / parts[1] if len(parts) > 1 else ROOT / parts[0]
    if len(parts) > 1 and folder.is_dir():
        return f"{parts[0]}/{parts[1]}"
    if parts[:2] == ["estimation", "errors"]:
        return "estimation/errors.py"
    return SUBMITTED if parts[0] == "jobs" else "estimation"


def room_imports() -> dict[str, Counter[str]]:
    """Every room and the rooms it imports with the number of importing files, itself left out."""
    rooms: dict[str, Counter[str]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            room = room_of(name) if path.name != "__init__.py" or "." in name else None
            if room is None:
                continue
            targets = rooms.setdefault(room, Counter())
            targets.update({room_of(one) for one in _imported(path)} - {room})
    return rooms


def _imported(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in PACKAGES)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def picture() -> str:
    """SVG of the rooms."""
    imports = room_imports()
    one_way, against = _one_way(imports)
    boxes = {room: Box(room, kind=room.split("/")[0]) for room in imports}
    return draw(boxes, reduced(one_way), COLOURS, "Rooms of the code and who imports whom", against=against)


def _one_way(imports: Mapping[str, Counter[str]]) -> tuple[dict[str, set[str]], list[tuple[str, str]]]:
    edges, against = {room: set(targets) for room, targets in imports.items()}, []
    while True:
        try:
            TopologicalSorter(edges).prepare()
            return edges, against
        except CycleError as error:
            circle = error.args[1]
            pairs = [(b, a) for a, b in zip(circle, circle[1:], strict=False) if a in edges.get(b, ())]
            weakest = min(pairs, key=lambda pair: imports[pair[0]][pair[1]])
            edges[weakest[0]].remove(weakest[1])
            against.append(weakest)


def imports_table() -> str:
    """Markdown: each room, what it is for (its docstring), and what it imports."""
    lines = ["| room | what lives there | imports |", "|---|---|---|"]
    for room, targets in sorted(room_imports().items()):
        if room.endswith("errors.py"):
            continue
        entry = ROOT / room.replace("/*.py", "") / "__init__.py"
        purpose = (ast.get_docstring(ast.parse(entry.read_text("utf-8"))) or "").split("\n")[0]
        lines.append(
            f"| `{room}` | {purpose} | {', '.join(f'`{one}`' for one in sorted(targets)) or 'nothing of ours'} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(picture(), encoding="utf-8")
