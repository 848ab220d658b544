"""Text as it was typed: full-width digits, spaces of every kind, words that mean nothing."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

# full-width forms of digits and the punctuation that occurs in numbers and codes (Unicode block FF00)
FULL_WIDTH = "０１２３４５６７８９．，－＋"
HALF_WIDTH = "0123456789.,-+"
# every space Unicode knows that is seen in the files: ASCII, no-break, ideographic, zero-width, byte-order mark
SPACES = "[\\s\\u00A0\\u3000\\u2002\\u2003\\u2009\\u200B\\uFEFF]+"
MISSING_WORDS = ("", "NULL", "NAN", "N/A", "NA", "未知", "不详", "#N/A")


def without_spaces(column: Column) -> Column:
    """Remove all spaces, inner ones too."""
    return F.regexp_replace(column, SPACES, "")


def half_width(column: Column) -> Column:
    """Turn full-width digits and number punctuation into ASCII."""
    return F.translate(column, FULL_WIDTH, HALF_WIDTH)


def or_missing(column: Column) -> Column:
    """Turn empty text and the words that stand for nothing into null."""
    return F.when(~F.upper(column).isin(*MISSING_WORDS), column)


def clean_text(column: Column) -> Column:
    """Text without spaces, half-width digits, null when it says nothing."""
    return or_missing(half_width(without_spaces(column)))
