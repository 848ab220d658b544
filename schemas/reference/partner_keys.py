"""Spelling of a partner as the look-ups know it: capitals without accents, letters and digits only.

``jobs.kernels.parsing`` does the same to a column of records, from the same characters.
"""

from __future__ import annotations

import re
import unicodedata

_LETTERS = [chr(code) for code in range(0x00C0, 0x0180) if unicodedata.normalize("NFD", chr(code))[0] != chr(code)]
ACCENTED = "".join(_LETTERS) + "".join(chr(code) for code in range(0xFF01, 0xFF5F)) + "ıøØłŁ"
PLAIN = "".join(unicodedata.normalize("NFD", letter)[0] for letter in _LETTERS)
PLAIN += "".join(chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)) + "ioOlL"
"""Letters with accents and full-width forms, and what stands for them."""
DECIMALS = r"^\s*([0-9]{3})\.0+\s*$"
"""A code with the decimals a spreadsheet gave it."""
MEANINGLESS = r"[^\p{L}\p{N}]"
"""For Polars; Python has no classes of letters and says the same with ``[\\W_]``."""
_PLAIN = str.maketrans(ACCENTED, PLAIN)
_DECIMALS, _MEANINGLESS = re.compile(DECIMALS), re.compile(r"[\W_]")


def partner_key(text: str) -> str:
    """Key of a text.

    Examples
    --------
    >>> partner_key("波斯尼亚　黑塞哥维那"), partner_key("刚果（布）"), partner_key("Côte d'Ivoire"), partner_key("502.0")
    ('波斯尼亚黑塞哥维那', '刚果布', 'COTEDIVOIRE', '502')
    """
    plain = _DECIMALS.sub(r"\1", text.translate(_PLAIN))
    return _MEANINGLESS.sub("", plain).upper()
