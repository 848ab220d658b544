"""A stream of bytes to chunks of whole lines in UTF-8, whatever the encoding; and where a large text may be cut."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from jobs.core.errors import InputRefusedError
from jobs.kernels import limits
from jobs.kernels.decoding import HANDLER, decode, width_of
from jobs.kernels.delimited import Grammar, open_quote_start, parse_lines, unix_lines
from jobs.kernels.parts import Piece
from jobs.kernels.rows import Rows

# a piece is cut where lines are whole; among so many bytes there is such a place
_WINDOW = 1 << 20
_BLANK = bytes(range(33))


class CutFileError(InputRefusedError):
    """Raised when a text ends in the middle of a character: the rest was lost on the way."""


def chunks_of_lines(stream: BinaryIO, encoding: str, where: str, start: int = 0, stop: int = -1) -> Iterator[bytes]:
    """Yield whole lines as UTF-8, damaged bytes marked; a line break inside quotes does not end a chunk.

    Parameters
    ----------
    stream : binary file
        Sought to ``start`` unless that is 0.
    encoding : str
    where : str
        For messages.
    start, stop : int
        Bytes of the piece; -1: to the end.

    Raises
    ------
    InputRefusedError
        A line longer than any record, or a last character that was cut.
    """
    held = b""
    for chunk, is_last in _decoded_lines(stream, encoding, where, start, stop):
        chunk = held + chunk
        held = b""
        opened = open_quote_start(chunk) if b'"' in chunk and not is_last else None
        if opened is not None and len(chunk) - opened < limits.MAX_RECORD_BYTES:
            chunk, held = chunk[:opened], chunk[opened:]
        if chunk:
            yield chunk
    if held:
        yield held


def parsed_chunks(
    stream: BinaryIO, grammar: Grammar, where: str, piece: Piece, n_skipped: int
) -> Iterator[Rows]:
    """Yield the rows of a piece; the first ``n_skipped`` lines of the text are titles and headings."""
    to_skip = n_skipped if piece.start == 0 else 0
    for chunk in chunks_of_lines(stream, grammar.encoding, where, piece.start, piece.stop):
        if to_skip:
            chunk, to_skip = _without_lines(chunk, to_skip)
        _refuse_rubble(chunk, grammar, where)
        is_damaged = b"\xef" in chunk and b"\xef\xbf\xbd" in chunk
        # what is damaged is counted column by column: then all of them are made
        rows = parse_lines(chunk, replace(grammar, wanted=None) if is_damaged else grammar)
        # a separator put back has a damaged character before it
        if rows.marks or is_damaged:
            rows = Rows(rows.columns, rows.malformed, rows.marks, rows.noticed, is_damaged=True)
        yield rows


def cut_points(stream: BinaryIO, n_bytes: int, encoding: str, grammar: Grammar, size: int = 0) -> tuple[Piece, ...]:
    """Pieces of a text that is not packed, cut at line breaks between whole records.

    Newline is never part of a character of these encodings. A break inside quotes is avoided: a cut is made only between
    two lines that have the fields of the headings.
    """
    size = size or limits.PIECE_BYTES
    if width_of(encoding) > 1 or n_bytes <= size * 3 // 2:
        return (Piece(),)
    cuts = [0]
    for nominal in range(size, n_bytes - size // 2, size):
        stream.seek(nominal)
        at = _place_to_cut(stream.read(_WINDOW), encoding, grammar)
        if at is not None and nominal + at > cuts[-1]:
            cuts.append(nominal + at)
    return tuple(Piece(start, stop) for start, stop in zip(cuts, [*cuts[1:], n_bytes], strict=True))


def _place_to_cut(window: bytes, encoding: str, grammar: Grammar) -> int | None:
    at = window.find(b"\n")
    if at < 0:
        return None
    if b'"' not in window:
        return at + 1
    while at >= 0:
        lines = window[at + 1 :].split(b"\n", 2)[:2]
        if len(lines) == 2 and all(_is_record(line, encoding, grammar) for line in lines):
            return at + 1
        at = window.find(b"\n", at + 1)
    return None


def _is_record(line: bytes, encoding: str, grammar: Grammar) -> bool:
    rows = parse_lines(decode(line, encoding).encode("utf-8"), grammar)
    return len(rows) == 1 and not rows.malformed and not rows.marks


def _without_lines(chunk: bytes, n: int) -> tuple[bytes, int]:
    """Take away the first lines that are not blank; returns how many are left to take."""
    at = 0
    while n and at < len(chunk):
        end = min((found for mark in (b"\n", b"\r") if (found := chunk.find(mark, at)) >= 0), default=len(chunk) - 1) + 1
        n -= bool(chunk[at:end].strip(_BLANK))
        at = end
    return chunk[at:], n


def _decoded_lines(
    stream: BinaryIO, encoding: str, where: str, start: int, stop: int
) -> Iterator[tuple[bytes, bool]]:
    blocks = _blocks(stream, start, stop)
    if width_of(encoding) > 1:
        decoder = codecs.getincrementaldecoder(encoding)(HANDLER)
        decoded = ((decoder.decode(block, not block).encode("utf-8", "replace"), not block) for block in blocks)
        for lines, is_last in _whole_lines(decoded, where):
            yield lines.removeprefix(codecs.BOM_UTF8), is_last
        return
    for lines, is_last in _whole_lines(((block, not block) for block in blocks), where):
        if is_last:
            _refuse_cut(lines, encoding, where)
        yield _as_utf8(lines.removeprefix(codecs.BOM_UTF8) if encoding == "utf-8" else lines, encoding), is_last


def _blocks(stream: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    """Blocks of a piece, and an empty one at its end."""
    if start:
        stream.seek(start)
    left = stop - start if stop >= 0 else None
    while True:
        block = stream.read(limits.CHUNK_BYTES if left is None else min(limits.CHUNK_BYTES, left))
        if left is not None:
            left -= len(block)
        yield block
        if not block:
            return


def _whole_lines(blocks: Iterator[tuple[bytes, bool]], where: str) -> Iterator[tuple[bytes, bool]]:
    pending: list[bytes] = []
    n_pending = 0
    for block, is_last in blocks:
        at = block.rfind(b"\n")
        if at < 0:
            # the last one may be half of a line break
            at = block.rfind(b"\r", 0, -1)
        if is_last or at >= 0:
            yield b"".join([*pending, block[: at + 1] if not is_last else block]), is_last
            pending, n_pending = [block[at + 1 :]] if not is_last else [], len(block) - at - 1
        else:
            pending.append(block)
            n_pending += len(block)
        if n_pending > limits.MAX_RECORD_BYTES:
            raise InputRefusedError(
                f"{where}: a line of more than {limits.MAX_RECORD_BYTES >> 20} MB. No record is that long: the file is no"
                " text, its line breaks were lost, or it is damaged. Deliver it again."
            )


def _refuse_rubble(chunk: bytes, grammar: Grammar, where: str) -> None:
    """Refuse a chunk of lines too short to hold their separators: judged one by one, millions of them take minutes."""
    if len(chunk) < _WINDOW or _n_breaks(chunk) * grammar.n_columns <= 2 * len(chunk):
        return
    lines = unix_lines(chunk)
    # a sound line has a separator less than columns, and its break: a text of half as much on average is no table
    n_lines = lines.count(b"\n")
    if len(lines) >= _WINDOW and 2 * len(lines) < n_lines * grammar.n_columns:
        raise InputRefusedError(
            f"{where}: {n_lines:,} lines of {len(lines) / n_lines:.1f} bytes on average follow each other, too short for"
            f" {grammar.n_columns} fields. They are not records under its headings: deliver it again."
        )


def _n_breaks(chunk: bytes) -> int:
    return chunk.count(b"\n") + chunk.count(b"\r")


def _as_utf8(lines: bytes, encoding: str) -> bytes:
    if lines.isascii():
        return lines
    if encoding == "utf-8":
        try:
            lines.decode("utf-8")
            return lines
        except UnicodeDecodeError:
            pass
    return decode(lines, encoding).encode("utf-8", "replace")


def _refuse_cut(lines: bytes, encoding: str, where: str) -> None:
    """The last line ends, without its line break, in the middle of a character."""
    decoder = codecs.getincrementaldecoder(encoding)(HANDLER)
    decoder.decode(lines.rpartition(b"\n")[2])
    if decoder.getstate()[0]:
        raise CutFileError(
            f"{where}: the file ends in the middle of a {encoding} character: it was cut on the way. Deliver it again whole."
        )
