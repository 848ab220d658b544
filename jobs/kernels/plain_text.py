"""Text as it was typed: full-width digits, spaces of every kind, words that mean nothing."""

from __future__ import annotations

import polars as pl

# full-width forms of digits and the punctuation that occurs in numbers and codes (Unicode block FF00)
FULL_WIDTH = "０１２３４５６７８９．，－＋"
HALF_WIDTH = "0123456789.,-+"
# every space that is seen in the files: ASCII, no-break, ideographic, en, em, thin, zero-width, byte-order mark; written
# out, for what \s stands for differs between the regular expressions of Java and those of Polars
SPACES = "[ \t\n\x0b\f\r\u00a0\u3000\u2002\u2003\u2009\u200b\ufeff]+"
MISSING_WORDS = (
    "", "NULL", "NAN", "N/A", "NA", "NONE", "未知", "不详", "无", "-", "--", "---", "—", "——", "/", ".",
    "#N/A", "#NULL!", "#VALUE!", "#REF!", "#DIV/0!", "#NAME?", "#NUM!",
)  # a point is how Stata writes a missing number, a dash how people do
# what a spreadsheet needs to keep a code a text: an apostrophe before it, or a formula ="..." around it
SPREADSHEET_QUOTES = "^=?[\"'\u2018\u2019`]+|[\"'\u2019]+$"


def clean_text(column: pl.Expr) -> pl.Expr:
    """Text without spaces, half-width digits, null when it says nothing."""
    text = column.str.replace_all(SPACES, "").str.replace_many(list(FULL_WIDTH), list(HALF_WIDTH))
    return pl.when(~text.str.to_uppercase().is_in(MISSING_WORDS)).then(text)


def unquoted(text: pl.Expr) -> pl.Expr:
    """Text without what a spreadsheet puts to it to keep it a text; null when nothing is left."""
    bare = text.str.replace_all(SPREADSHEET_QUOTES, "")
    return pl.when(bare != "").then(bare)
