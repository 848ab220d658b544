"""Limits beyond which a delivered thing is refused with a sentence, before memory or disk are gone."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

#: A record longer than this (bytes, after decoding) is not a record; the longest field seen in a delivery had 1.2 million.
MAX_RECORD_BYTES = 64 << 20
#: What is unpacked from an archive may be this many times its size; customs text packs ten to twenty times.
MAX_PACKING_RATIO = 400
#: ... once it is larger than this (bytes): a small member of one repeated letter harms nobody.
PACKING_FREE_BYTES = 64 << 20
#: Members of one archive, tables of one database, sheets of one workbook.
MAX_MEMBERS = 5_000
#: Rows that Excel itself writes into a sheet at most; a sheet with more was not written by it.
MAX_SHEET_ROWS = 1_048_576
#: A workbook may unpack to so many bytes: a full sheet of twenty columns takes 0.8 GB.
MAX_WORKBOOK_BYTES = 3 << 30
#: Archives inside archives.
MAX_DEPTH = 3
#: A text that is not packed is read in pieces of this many bytes, a Stata file in pieces of so many.
PIECE_BYTES = 128 << 20
#: Bytes that are decoded and parsed at once.
CHUNK_BYTES = 8 << 20
#: Lines at the top among which the headings are looked for.
MAX_LINES_ABOVE = 30


def overlap(spans: Iterable[tuple[int, int]]) -> bool:
    """Tell whether spans of bytes, each a begin and a length, share any: what unpacks the same bytes again and again is small.

    Examples
    --------
    >>> overlap([(0, 10), (10, 5)]), overlap([(0, 10), (9, 5)]), overlap([(3, 0), (3, 0)])
    (False, True, True)
    """
    ordered = sorted(spans)
    return any(begin + max(n_bytes, 1) > following for (begin, n_bytes), (following, _) in pairwise(ordered))
