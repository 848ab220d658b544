"""What pandas leaves out of a Stata file: notes, and labels in a second language (``label language zh``).

Both are characteristics, texts that a .dta file of format 118 keeps under the name of a variable or of the data (``_dta``).
The value labels of the second language are label sets that no variable uses until the language is chosen.

References
----------
Stata's help: dta (description of .dta file format 118), label language, notes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

#: Bytes of a name, and of what stands between a label set's name and its table.
NAME_BYTES, PADDING = 129, 3
#: Entries of the map, and those behind the characteristics: data, long texts, value labels, end of the data, of the file.
MAP_ENTRIES, BEHIND_CHARACTERISTICS, BEHIND_VALUE_LABELS = 14, range(9, 14), range(12, 14)
_CLOSE_CHARACTERISTICS, _CLOSE_LABELS = b"</characteristics>", b"</value_labels>"

Characteristic = tuple[str, str, str]


def language_characteristics(
    shown: str, other: str, labels: Mapping[str, str], sets: Mapping[str, str], *, title: str = ""
) -> list[Characteristic]:
    """Return the characteristics of a second language.

    Parameters
    ----------
    shown, other : str
        Languages: of the labels in the file, and of these.
    labels : dict
        Variable to its label in the other language.
    sets : dict
        Variable to the label set of its values in the other language.
    title : str
        Of the data.
    """
    found = [("_dta", "_lang_c", shown), ("_dta", "_lang_list", f"{shown} {other}")]
    found += [("_dta", f"_lang_v_{other}", title)] if title else []
    found += [(name, f"_lang_v_{other}", text) for name, text in labels.items()]
    return found + [(name, f"_lang_l_{other}", label_set) for name, label_set in sets.items()]


def note_characteristics(notes: Sequence[str]) -> list[Characteristic]:
    """Return notes of the data, which `notes` lists in Stata."""
    counted = [("_dta", f"note{number}", text) for number, text in enumerate(notes, start=1)]
    return [("_dta", "note0", str(len(notes))), *counted] if notes else []


def complete_stata_file(
    path: Path, characteristics: Sequence[Characteristic], sets: Mapping[str, Mapping[int, str]] | None = None
) -> None:
    """Add characteristics and label sets to a .dta file of format 118 that has none of the first.

    Parameters
    ----------
    sets : dict
        Name of a label set to value to text.

    Raises
    ------
    ValueError
        For a file of another format.
    """
    content = path.read_bytes()
    start = content.index(b"<map>") + len(b"<map>")
    if b"<release>118</release>" not in content[:start]:
        raise ValueError(f"{path}: expected a Stata file of format 118.")
    places = list(struct.unpack_from(f"<{MAP_ENTRIES}Q", content, start))
    first = content.index(_CLOSE_CHARACTERISTICS, places[8])
    second = content.index(_CLOSE_LABELS, places[11])
    texts = b"".join(map(_characteristic, characteristics))
    labels = b"".join(_label_set(name, values) for name, values in (sets or {}).items())
    for entry in BEHIND_CHARACTERISTICS:
        places[entry] += len(texts)
    for entry in BEHIND_VALUE_LABELS:
        places[entry] += len(labels)
    pieces = [
        content[:start], struct.pack(f"<{MAP_ENTRIES}Q", *places), content[start + 8 * MAP_ENTRIES : first], texts,
        content[first:second], labels, content[second:],
    ]
    partial = path.with_name(f"{path.name}.labels")
    partial.write_bytes(b"".join(pieces))
    os.replace(partial, path)


def _characteristic(item: Characteristic) -> bytes:
    variable, name, text = item
    body = _name(variable) + _name(name) + text.encode() + b"\0"
    return b"<ch>" + struct.pack("<I", len(body)) + body + b"</ch>"


def _label_set(name: str, values: Mapping[int, str]) -> bytes:
    ordered = sorted(values.items())
    texts = [text.encode() + b"\0" for _, text in ordered]
    offsets, at = [], 0
    for text in texts:
        offsets.append(at)
        at += len(text)
    n = len(ordered)
    table = struct.pack(f"<II{n}I{n}i", n, at, *offsets, *(value for value, _ in ordered)) + b"".join(texts)
    return b"<lbl>" + struct.pack("<I", len(table)) + _name(name) + b"\0" * PADDING + table + b"</lbl>"


def _name(text: str) -> bytes:
    return text.encode()[: NAME_BYTES - 1].ljust(NAME_BYTES, b"\0")
