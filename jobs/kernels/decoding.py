"""Bytes to text: which encoding, and what to do with a byte that does not belong to it.

A damaged byte becomes U+FFFD and nothing beside it is lost: the separator after a name that was cut in the middle of a
character stays a separator. The euro sign of code page 936 (byte 0x80) is not in GB 18030's table and is repaired.
Newline is never part of a character of GB 18030, GBK, Big5 or UTF-8, so such texts may be cut at newlines.
"""

from __future__ import annotations

import codecs
from collections import Counter
from dataclasses import dataclass
from itertools import islice

DAMAGED = "\ufffd"
#: Texts a delivery may be in, in the order they are tried. GB 18030 includes GBK and code page 936.
ENCODINGS = ("utf-8", "gb18030", "big5hkscs")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    # before that of UTF-16, which it starts with
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_EURO = 0x80
# first bytes of the common characters
_COMMON = {"gb18030": (0xB0, 0xD7), "big5hkscs": (0xA4, 0xC6)}
#: A text with fewer common characters was written in another encoding.
MIN_SHARE_COMMON = 0.75
_UTF16_SHARE = 0.2
#: Chinese characters by which it is told.
MAX_LETTERS = 5000
HANDLER = "customs-lake-damaged"


@dataclass(frozen=True, slots=True)
class ByteOrder:
    """A byte-order mark: the encoding it names and its length in bytes."""

    encoding: str
    length: int


def _mark_damage(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    if error.object[error.start] == _EURO and error.encoding.startswith(("gb", "cp936")):
        return "\u20ac", error.start + 1
    if error.encoding.startswith("utf"):
        # the codec knows where the broken sequence ends, and never takes a separator with it
        return DAMAGED, error.end
    # one byte only: what follows a cut character is a character or separator of its own
    return DAMAGED, error.start + 1


codecs.register_error(HANDLER, _mark_damage)


def byte_order_mark(start: bytes) -> ByteOrder | None:
    """Return the encoding that the first bytes of a text name, if they do."""
    for mark, encoding in _BOMS:
        if start.startswith(mark):
            return ByteOrder(encoding, len(mark))
    return None


def guess_utf16(start: bytes) -> str | None:
    """UTF-16 without a mark: separators and digits leave a zero byte in every second place."""
    even, odd = start[0::2].count(0), start[1::2].count(0)
    if max(even, odd) < _UTF16_SHARE * len(start) / 2 or min(even, odd) > max(even, odd) / 10:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def width_of(encoding: str) -> int:
    """Bytes of the smallest unit of a text: a line break is a line break only at a multiple of it."""
    return 2 if encoding.startswith("utf-16") else 4 if encoding.startswith("utf-32") else 1


def decode(data: bytes, encoding: str) -> str:
    """Decode whole lines, marking damaged bytes with U+FFFD."""
    rest = len(data) % width_of(encoding)
    if rest:
        return data[:-rest].decode(encoding, HANDLER) + DAMAGED
    # of UTF-8 Python marks damage as our handler does, and much faster where all is damage
    return data.decode(encoding, "replace" if encoding == "utf-8" else HANDLER)


def share_common(text: str, encoding: str) -> float:
    """Share of the Chinese characters that are common ones: level one of GB 2312, or of Big5; 1 when there are none."""
    if encoding not in _COMMON:
        return 1.0
    counted = Counter(islice((letter for letter in text if "\u4e00" <= letter <= "\u9fff"), MAX_LETTERS))
    first, last = _COMMON[encoding]
    common = sum(n for letter, n in counted.items() if first <= letter.encode(encoding, "replace")[0] <= last)
    return common / counted.total() if counted else 1.0
