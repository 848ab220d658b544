"""A sample of a text by which its encoding and headings are told: its first lines, and lines beyond ASCII from further on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from conf.layouts import Layout
from jobs.core.errors import InputRefusedError
from jobs.kernels import limits
from jobs.kernels.decoding import ENCODINGS, byte_order_mark, guess_utf16

HEAD_BYTES = 64 << 10
#: Lines beyond ASCII are looked for until so many bytes of them are found.
ENOUGH_BYTES = 32 << 10
_BLOCK = 4 << 20


def take_sample(stream: BinaryIO, where: str) -> tuple[bytes, bool]:
    """Read the first lines of a text; if they are ASCII only, add the first lines further on that are not.

    Returns
    -------
    (bytes, bool)
        Whole lines, and whether they are the whole text.

    Raises
    ------
    InputRefusedError
        When its first line is longer than any record.
    """
    head = _first_lines(stream, where)
    if len(head) < HEAD_BYTES:
        return head, True
    whole, rest = _cut_at_line(head)
    if not whole.isascii() or b"\0" in whole[:64]:
        return whole, False
    found: list[bytes] = []
    # headings and codes say nothing of the encoding: a line with a word in it does
    while sum(map(len, found)) < ENOUGH_BYTES and (block := stream.read(_BLOCK)):
        lines, rest = _cut_at_line(rest + block)
        if not lines.isascii():
            found.append(b"\n".join(line for line in lines.split(b"\n")[:200_000] if not line.isascii())[: ENOUGH_BYTES])
    return b"".join([whole, *(_cut_at_line(lines + b"\n")[0] for lines in found)]), False


def _first_lines(stream: BinaryIO, where: str) -> bytes:
    """At least :data:`HEAD_BYTES`, and as much as the first line needs."""
    head = stream.read(HEAD_BYTES)
    n_read = len(head)
    blocks = [head]
    while n_read and not any(mark in blocks[-1] for mark in (b"\n", b"\r")):
        block = stream.read(_BLOCK)
        if not block:
            break
        blocks.append(block)
        n_read += len(block)
        if n_read > limits.MAX_RECORD_BYTES:
            raise InputRefusedError(
                f"{where}: a line of more than {limits.MAX_RECORD_BYTES >> 20} MB. No record is that long: the file is no"
                " text, its line breaks were lost, or it is damaged. Deliver it again."
            )
    return b"".join(blocks)


def _cut_at_line(data: bytes) -> tuple[bytes, bytes]:
    at = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    return (data[:at], data[at:]) if at else (data, b"")


def encodings_to_try(sample: bytes, layouts: Sequence[Layout], path: str) -> tuple[tuple[str, ...], int]:
    """Encodings a text may be in, and the length of its byte-order mark."""
    mark = byte_order_mark(sample[:4])
    if mark is not None:
        return (mark.encoding,), mark.length
    guessed = guess_utf16(sample[: 1 << 14])
    if guessed:
        return (guessed,), 0
    asked = tuple(
        layout.form.encoding for layout in layouts
        if layout.form.encoding and layout.is_for(path) and layout.form.encoding not in ENCODINGS
    )
    return (*ENCODINGS, *dict.fromkeys(asked)), 0
