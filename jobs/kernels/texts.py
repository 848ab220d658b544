"""Stored bytes and numbers to texts, each distinct one once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.kernels.decoding import DAMAGED, MIN_SHARE_COMMON, decode, share_common

#: A float keeps every whole number up to here, a double up to the other.
EXACT_IN_FLOAT, EXACT_IN_DOUBLE = 2**24, 2**53


def decode_distinct(stored: pa.Array, encoding: str) -> pa.Array:
    """Decode an array of bytes: distinct texts all at once, for newline is never part of a character.

    A text that should be UTF-8 and is not, and is good GB 18030 as a whole, was never translated and is read as that.
    """
    return decode_column(stored, encoding)[0]


def decode_column(stored: pa.Array, encoding: str) -> tuple[pa.Array, bool]:
    """As :func:`decode_distinct`, and whether any text holds a mark of damage."""
    if encoding == "utf-8":
        try:
            texts = _empty_to_null(stored.cast(pa.string()))
            return texts, count_damaged(texts) > 0
        except pa.ArrowInvalid:
            pass
    coded = stored.dictionary_encode()
    distinct = coded.dictionary.to_pylist()
    if encoding == "utf-8":
        texts = [_untranslated(text) for text in distinct]
    else:
        joined = b"\n".join(distinct)
        if joined.count(b"\n") == len(distinct) - 1:
            texts = decode(joined, encoding).split("\n")
        else:
            # a line break in a text itself, or no text at all
            texts = [decode(text, encoding) for text in distinct]
    decoded = pa.array([text or None for text in texts], pa.string())
    return decoded.take(coded.indices), count_damaged(decoded) > 0


def _untranslated(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        # a character that is cut at the end is damage; anything else may be an encoding of its own
        if error.end < len(text) or len(text) - error.start > 3 or text[: error.start].isascii():
            try:
                untranslated = text.decode("gb18030")
            except UnicodeDecodeError:
                pass
            else:
                # GB 18030 decodes nearly anything: a text of rare characters was something else
                if share_common(untranslated, "gb18030") > MIN_SHARE_COMMON:
                    return untranslated
        return decode(text, "utf-8")


def _empty_to_null(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def number_texts(values: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
    """Numbers as the shortest decimals that read back as the same numbers; a whole number has no point.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Integers or floats.
    missing : ndarray of bool, shape (n,), optional
        Which stand for nothing; a float that is not finite always does.
    """
    if values.dtype.kind == "b":
        values = values.astype(np.int8)
    if values.dtype.kind in "iu":
        return pa.array(values, mask=missing).cast(pa.string())
    absent = ~np.isfinite(values)
    if missing is not None:
        absent |= missing
    whole = ~absent & (np.abs(values) <= EXACT_IN_DOUBLE) & (np.trunc(values) == values)
    integers = pa.array(np.where(whole, values, 0).astype(np.int64), mask=~whole).cast(pa.string())
    if (whole | absent).all():
        return integers
    others = pa.array(values, mask=whole | absent).cast(pa.string())
    return pc.coalesce(integers, _without_exponent(others, values))


def _without_exponent(texts: pa.Array, values: np.ndarray) -> pa.Array:
    powers = np.asarray(pc.fill_null(pc.match_substring(texts, "e"), False))
    if not powers.any():
        return texts
    plain = np.full(len(values), None, dtype=object)
    plain[powers] = [np.format_float_positional(value, trim="-") for value in values[powers]]
    return pc.coalesce(pa.array(plain, pa.string()), texts)


def count_inexact(values: np.ndarray) -> int:
    """Numbers beyond what their type keeps exactly: as codes they may be other codes."""
    if values.dtype.kind != "f":
        return 0
    limit = EXACT_IN_FLOAT if values.dtype.itemsize == 4 else EXACT_IN_DOUBLE
    with np.errstate(invalid="ignore"):
        return int((np.isfinite(values) & (np.abs(values) > limit)).sum())


def count_damaged(column: pa.Array) -> int:
    """Texts that hold a mark of damage."""
    return int(pc.sum(pc.match_substring(column, DAMAGED)).as_py() or 0)


def holds_any(column: pa.Array, words: Iterable[bytes]) -> bool:
    """Tell whether any of some words stands anywhere in a column of texts; a search through its bytes, which costs little."""
    _, offsets, letters = column.buffers()
    if letters is None or not len(column):
        return False
    bounds = np.frombuffer(offsets, np.int32)
    stored = memoryview(letters)[bounds[column.offset] : bounds[column.offset + len(column)]].tobytes()
    # a letter beyond ASCII is not looked for where there is none
    is_ascii = stored.isascii()
    return any(word in stored for word in words if not is_ascii or word.isascii())
