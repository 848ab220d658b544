"""Amounts: texts to exact decimals, rounded half up as people and customs round; one reader for landing and cleaning."""

from __future__ import annotations

import polars as pl

from jobs.kernels.plain_text import clean_text, unquoted

THOUSANDS_NUMBER = r"^[-+]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?$"
SCIENTIFIC_NUMBER = r"^[-+]?[0-9.]+[eE]"
#: A number in which a comma, or several points, can only stand as in Europe: every other comma of its column is doubtful.
DECIMAL_COMMA = (
    "^\\s*[-+]?(?:[0-9 \u00a0\u202f]*,"
    r"(?:[0-9]{1,2}|[0-9]{4,})|(?:0|[0-9]{4,}),[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]*"
    r"|[0-9]{1,3}(?:\.[0-9]{3}){2,})\s*$"
)
#: One in which they can only stand between thousands.
CLEAR_THOUSANDS = r"^\s*[-+]?[0-9]{1,3}(?:(?:,[0-9]{3})+\.[0-9]+|(?:,[0-9]{3}){2,})\s*$"
_EXACT = pl.Decimal(38, 18)
#: A text with more decimals than these is longer than so many bytes.
_LONG = 19


def read_numbers(texts: pl.Series, precision: int, scale: int) -> pl.Series:
    """Read numbers as people and programs write them.

    ``1234.5``, ``.5`` and ``1.`` (Stata), ``1,234.50``, ``1.5E+03``, full-width digits, spaces, and the quotes a spreadsheet
    puts to a text (``="5"``). A comma before decimals is not read: ``1,234`` would be two numbers. A unit beside a number is
    not read either: it may be another than ours.

    Parameters
    ----------
    texts : polars.Series of str
    precision, scale : int
        Of the result, at most 18 decimals.

    Returns
    -------
    polars.Series of Decimal(precision, scale)
        Rounded half away from zero; null for what is no number, or too large.
    """
    if (texts.str.len_bytes() > _LONG).any():
        # cut, not rounded: what decides between two cents stays what it was
        texts = texts.str.replace(r"(\.[0-9]{18})[0-9]+", "${1}")
    numbers = texts.cast(_EXACT, strict=False)
    is_odd = numbers.is_null() & texts.is_not_null()
    if is_odd.any():
        odd = texts.filter(is_odd)
        distinct = odd.unique().to_frame("text")
        plain = unquoted(clean_text(pl.col("text")))
        known = distinct.select(
            "text",
            pl.when(plain.str.contains(THOUSANDS_NUMBER)).then(plain.str.replace_all(",", "", literal=True)).otherwise(plain)
            .cast(_EXACT, strict=False).alias("number"),
        )
        found = odd.to_frame("text").join(known, on="text", how="left", maintain_order="left").get_column("number")
        numbers = numbers.scatter(is_odd.arg_true(), found)
    return numbers.round(scale, mode="half_away_from_zero").cast(pl.Decimal(precision, scale), strict=False)


def read_cents(texts: pl.Series) -> pl.Series:
    """Read amounts as whole hundredths, below ten to the sixteenth; null for what is no number."""
    return (read_numbers(texts, *DOLLARS) * 100).cast(pl.Int64)


#: Precision and scale of an amount: beyond it stands no declaration but a mistake.
DOLLARS = (18, 2)
