"""Delimited text to rows. Sound chunks go through Polars; a chunk with anything odd in it line by line where it is odd.

A chunk is UTF-8 and holds whole lines. Sound means: no quote, and as many separators as its lines must have; then nothing
is left to judge. Otherwise Arrow's reader splits the lines and hands over each that has not the fields of the headings:
a separator too many at the end is taken off, a line break inside quotes is mended, a separator that a cut character
swallowed is put back, and what is left is malformed and kept as a whole.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv

from jobs.kernels.decoding import DAMAGED
from jobs.kernels.rows import BREAK, STRAY_QUOTE, SWALLOWED, TRAILING, Rows, strings

# a quoted field that runs over more lines than this is a stray quote, not a field
MAX_LINES_IN_QUOTES = 100
_BLANK = "".join(map(chr, range(33)))
_PLACE = "\x1e\x1e"
# the second byte of a GBK character may be one of these separators
_INSIDE_GBK = "|^~"


@dataclass(frozen=True, slots=True)
class Grammar:
    """How the lines of a text are split.

    Attributes
    ----------
    n_columns : int
        Fields of a sound line.
    delimiter : str
    encoding : str
        Of the bytes as delivered: where a cut character may have swallowed a separator.
    wanted : frozenset of int or None
        Columns that are made of sound lines, all others being null; None: all.
    """

    n_columns: int
    delimiter: str
    encoding: str
    wanted: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Odd:
    """A line that needed judging: its fields if they could be had, else the whole line."""

    line: str
    fields: tuple[str, ...] = ()
    mark: str = ""


def unix_lines(chunk: bytes) -> bytes:
    """End every line with a newline, whatever system wrote it, and leave out empty lines."""
    if b"\r" in chunk:
        chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    while _has_empty_line(chunk):
        chunk = chunk.replace(b"\n\n", b"\n")
    chunk = chunk.removeprefix(b"\n")
    return chunk if chunk.endswith(b"\n") or not chunk else chunk + b"\n"


def _has_empty_line(chunk: bytes) -> bool:
    # three times as fast as a search for two letters in bytes
    is_end = np.frombuffer(chunk, np.uint8) == ord("\n")
    return bool(np.any(is_end[1:] & is_end[:-1]))


def count_letter(chunk: bytes, letter: str) -> int:
    """How often a letter of ASCII stands in bytes; ``bytes.count`` is slow where it is frequent."""
    return int(np.count_nonzero(np.frombuffer(chunk, np.uint8) == ord(letter)))


def parse_lines(chunk: bytes, grammar: Grammar) -> Rows:
    """Split whole lines (UTF-8) into rows; see the module for what becomes of odd lines."""
    chunk = unix_lines(chunk)
    if not chunk:
        return Rows(tuple(pa.array([], pa.string()) for _ in range(grammar.n_columns)))
    has_quotes = b'"' in chunk
    if not has_quotes:
        n_lines = count_letter(chunk, "\n")
        if count_letter(chunk, grammar.delimiter) == n_lines * (grammar.n_columns - 1):
            sound = _parse_sound(chunk, grammar, n_lines)
            if sound is not None:
                return sound
    held: list[Odd] = []
    if has_quotes:
        chunk = _hold_open_quotes(chunk, grammar, held)
    return _parse_carefully(chunk, grammar, held)


def open_quote_start(chunk: bytes) -> int | None:
    """Offset of the last line that opens a quote no later line of the chunk closes; None when all are closed."""
    starts, odd = _odd_lines(chunk)
    if len(odd) % 2 == 0:
        return None
    return int(starts[odd[-1]]) if len(starts) - odd[-1] <= MAX_LINES_IN_QUOTES else None


def _parse_sound(chunk: bytes, grammar: Grammar, n_lines: int) -> Rows | None:
    wanted = None if grammar.wanted is None else sorted(grammar.wanted)
    schema = {f"c{index}": pl.String for index in range(grammar.n_columns)}
    try:
        frame = pl.read_csv(
            chunk, has_header=False, schema=schema, separator=grammar.delimiter, quote_char=None, columns=wanted,
        )
    except pl.exceptions.PolarsError:
        return None
    # blanks only: a line that is not a row
    if frame.height != n_lines or grammar.n_columns == 1:
        return None
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    columns = [_as_string(column) for column in table.columns]
    if wanted is not None:
        nothing, made = pa.nulls(n_lines, pa.string()), dict(zip(wanted, columns, strict=True))
        columns = [made.get(index, nothing) for index in range(grammar.n_columns)]
    return Rows(tuple(columns))


def _as_string(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return array.cast(pa.string()) if array.type != pa.string() else array


def _parse_carefully(chunk: bytes, grammar: Grammar, held: list[Odd]) -> Rows:
    odd: list[tuple[int, str]] = []

    def judge_later(row: pacsv.InvalidRow) -> str:
        odd.append((row.number, row.text))
        return "skip"

    names = [f"c{index}" for index in range(grammar.n_columns)]
    table = pacsv.read_csv(
        pa.BufferReader(chunk),
        read_options=pacsv.ReadOptions(use_threads=False, column_names=names, block_size=max(len(chunk) + 1, 1 << 16)),
        parse_options=pacsv.ParseOptions(
            delimiter=grammar.delimiter, quote_char='"', double_quote=True, newlines_in_values=False,
            invalid_row_handler=judge_later,
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""],
            quoted_strings_can_be_null=True,
        ),
    )
    columns = tuple(_as_string(column) for column in table.columns)
    judged = [(number - 1, _judge(text, grammar, held)) for number, text in odd]
    blank = sum(1 for _, line in judged if line is None)
    rows = _put_back(columns, judged, grammar)
    return Rows(rows.columns, rows.malformed, rows.marks, {"blank lines": blank} if blank else {})


def _judge(text: str, grammar: Grammar, held: list[Odd]) -> Odd | None:
    if text.startswith(_PLACE):
        return held[int(text.removeprefix(_PLACE))]
    if not text.strip(_BLANK):
        return None
    fields = _split(text, grammar)
    n = grammar.n_columns
    if len(fields) == n:
        return Odd(text, tuple(fields))
    if len(fields) > n and not any(field.strip() for field in fields[n:]):
        return Odd(text, tuple(fields[:n]), TRAILING)
    restored = _restore_swallowed(text, grammar) if len(fields) == n - 1 else None
    return restored or Odd(text)


def _split(text: str, grammar: Grammar) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=grammar.delimiter, strict=False), [])
    except csv.Error:
        # a field beyond the limit of the reader is split as it stands
        return text.split(grammar.delimiter)


def _restore_swallowed(text: str, grammar: Grammar) -> Odd | None:
    """A name cut in the middle of a character took the separator after it for its second half."""
    if grammar.delimiter not in _INSIDE_GBK or not grammar.encoding.startswith("gb"):
        return None
    separator = grammar.delimiter.encode()
    found = [
        index for index, letter in enumerate(text)
        if ord(letter) > 127 and letter != DAMAGED and letter.encode("gb18030", "replace").endswith(separator)
    ]
    if len(found) != 1:
        return None
    restored = text[: found[0]] + DAMAGED + grammar.delimiter + text[found[0] + 1 :]
    return Odd(text, tuple(_split(restored, grammar)), SWALLOWED)


def _odd_lines(chunk: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Starts of all lines, and the numbers of those with an odd number of quotes."""
    letters = np.frombuffer(chunk, np.uint8)
    ends = np.flatnonzero(letters == ord("\n"))
    quotes = np.flatnonzero(letters == ord('"'))
    starts = np.concatenate([[0], ends + 1])
    per_line = np.diff(np.searchsorted(quotes, np.concatenate([starts, [len(letters)]])))
    return starts, np.flatnonzero(per_line % 2)


def _hold_open_quotes(chunk: bytes, grammar: Grammar, held: list[Odd]) -> bytes:
    """Take lines whose quotes do not close out of the chunk, leaving a mark where they stood."""
    starts, odd = _odd_lines(chunk)
    if not len(odd):
        return chunk
    pieces, at, k = [], 0, 0
    while k < len(odd):
        first = int(odd[k])
        last = int(odd[k + 1]) if k + 1 < len(odd) else first
        record = _mend(chunk, starts, first, last, grammar)
        if record is None:
            last, record = first, _literal(_line(chunk, starts, first, first), grammar)
        else:
            k += 1
        pieces += [chunk[at : int(starts[first])], f"{_PLACE}{len(held)}\n".encode()]
        held.append(record)
        at = int(starts[last + 1]) if last + 1 < len(starts) else len(chunk)
        k += 1
    return b"".join([*pieces, chunk[at:]])


def _line(chunk: bytes, starts: np.ndarray, first: int, last: int) -> str:
    stop = int(starts[last + 1]) if last + 1 < len(starts) else len(chunk)
    return chunk[int(starts[first]) : stop].decode("utf-8").removesuffix("\n")


def _mend(chunk: bytes, starts: np.ndarray, first: int, last: int, grammar: Grammar) -> Odd | None:
    """One record of several lines, if together they have the fields of the headings."""
    if first == last or last - first > MAX_LINES_IN_QUOTES:
        return None
    text = _line(chunk, starts, first, last)
    try:
        records = list(csv.reader(text.splitlines(keepends=True), delimiter=grammar.delimiter))
    except csv.Error:
        return None
    if len(records) != 1:
        return None
    fields = records[0]
    if len(fields) > grammar.n_columns and not any(field.strip() for field in fields[grammar.n_columns :]):
        fields = fields[: grammar.n_columns]
    return Odd(text, tuple(fields), BREAK) if len(fields) == grammar.n_columns else None


def _literal(text: str, grammar: Grammar) -> Odd:
    """A line with a quote that closes nowhere: the quote is a letter, if that gives the fields of the headings."""
    fields = text.split(grammar.delimiter)
    return Odd(text, tuple(fields), STRAY_QUOTE) if len(fields) == grammar.n_columns else Odd(text)


def _put_back(columns: tuple[pa.Array, ...], judged: list[tuple[int, Odd | None]], grammar: Grammar) -> Rows:
    """Set the judged lines among the sound rows, in the order of the file; ``None`` was a blank line."""
    lines = [(number, line) for number, line in judged if line is not None]
    if not lines:
        return Rows(columns)
    blank = np.array([number for number, line in judged if line is None], dtype=np.int64)
    # numbers count every line the reader saw, blank ones too
    at = np.array([number for number, _ in lines], dtype=np.int64)
    at -= np.searchsorted(blank, at)
    n_sound = len(columns[0])
    order = np.full(n_sound + len(lines), -1, dtype=np.int64)
    order[at] = n_sound + np.arange(len(lines))
    order[order < 0] = np.arange(n_sound)
    take = pa.array(order)
    empty = ("",) * grammar.n_columns
    added = [line.fields or empty for _, line in lines]
    merged = tuple(
        pa.concat_arrays([column, strings([fields[index] for fields in added])]).take(take)
        for index, column in enumerate(columns)
    )
    rows = [int(number) for number in at]
    return Rows(
        merged,
        {row: line.line for row, (_, line) in zip(rows, lines, strict=True) if not line.fields},
        {row: (line.mark,) for row, (_, line) in zip(rows, lines, strict=True) if line.mark},
    )
