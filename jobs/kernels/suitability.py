"""Whether a recognised table has what a city's exports need, from its columns, its layout or its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from conf.layouts import Layout
from jobs.core.errors import InputRefusedError
from jobs.kernels.parts import Part, path_of

FLOW_WORDS = {"export": "出口", "import": "进口"}
#: What the sentence for a table says that lacks what the study needs.
RECOGNISED = "recognised as"


class UnsuitableError(InputRefusedError):
    """Raised for a table that is recognised but lacks what the study needs: nothing is wrong with the file."""


def suitable(part: Part, source_file: str, layout: Layout, flow_in_name: Callable[[str], str]) -> Part:
    """The part with what its name says, if the study can use it.

    Raises
    ------
    UnsuitableError
        With what it lacks.
    """
    path = path_of(part, source_file)
    lacking = layout.lacks(part.headings)
    flow = ""
    if "flow" not in layout.assign(part.headings) and "flow" not in layout.constants:
        flow = layout.flow_of(path) or FLOW_WORDS.get(flow_in_name(path), "")
        lacking = [word for word in lacking if word != "the direction of trade"] + ([] if flow else ["the direction of trade"])
    if lacking:
        raise UnsuitableError(_cannot_serve(path, layout, lacking))
    return replace(part, flow=flow)


def _cannot_serve(path: str, layout: Layout, lacking: Sequence[str]) -> str:
    sentence = f"{path}: {RECOGNISED} {layout.name} ({layout.description}), but it lacks {' and '.join(lacking)}"
    if lacking == ["the direction of trade"]:
        return (
            f"{sentence}. Say it in the file's name (export, import), or in a layout of your own: `[constants]`,"
            ' `flow = "出口"` (docs/operations/layouts.md).'
        )
    note = f" {layout.note}" if layout.note else ""
    return f"{sentence}, so no city's exports can be built from it; it is set aside.{note}"
