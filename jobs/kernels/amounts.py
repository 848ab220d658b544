"""Amounts: texts to exact decimals, rounded half up as people and customs round."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext

import polars as pl

PLAIN_NUMBER = r"^[-+]?[0-9]{1,17}(\.[0-9]+)?$"
THOUSANDS_NUMBER = r"^[-+]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?$"
SCIENTIFIC_NUMBER = r"^[0-9](\.[0-9]+)?[eE]\+?[0-9]{1,2}$"
# a decimal has so many digits at most; a zero of a higher power has no place in it either
MAX_DIGITS = 38


def number_text(text: pl.Expr) -> pl.Expr:
    """The text of a number without thousands separators; null when it is none."""
    is_number = text.str.contains(PLAIN_NUMBER) | text.str.contains(SCIENTIFIC_NUMBER)
    return (
        pl.when(is_number).then(text)
        .when(text.str.contains(THOUSANDS_NUMBER)).then(text.str.replace_all(",", "", literal=True))
    )


def number_of(text: pl.Expr, precision: int, scale: int) -> pl.Expr:
    """The decimal that a text from :func:`number_text` says, rounded half up; null when it is too large for the type."""
    kind = pl.Decimal(precision, scale)
    is_power = text.str.contains("[eE]")
    # Polars rounds a half to the even digit: anything behind the half decides
    is_half = text.str.contains(rf"\.[0-9]{{{scale}}}50*$")
    plain = pl.when(is_half).then(text + "1").otherwise(text)
    powers = pl.when(is_power).then(text).map_batches(lambda texts: _powers(texts, precision, scale), return_dtype=kind)
    return pl.when(is_power).then(powers).otherwise(pl.when(~is_power).then(plain).cast(kind, strict=False))


def _powers(texts: pl.Series, precision: int, scale: int) -> pl.Series:
    """Numbers written with a power of ten; few of them are."""
    if texts.null_count() == len(texts):
        return pl.Series(texts.name, [None] * len(texts), pl.Decimal(precision, scale))
    distinct = texts.drop_nulls().unique()
    known = pl.DataFrame(
        {"text": distinct, "number": pl.Series([_power(text, precision, scale) for text in distinct],
                                               dtype=pl.Decimal(precision, scale))}
    )
    return texts.to_frame("text").join(known, on="text", how="left", maintain_order="left").get_column("number")


def _power(text: str, precision: int, scale: int) -> Decimal | None:
    with localcontext(prec=200):
        number = Decimal(text)
        if len(number.as_tuple().digits) + int(number.as_tuple().exponent) > MAX_DIGITS:
            return None
        rounded = number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
    return rounded if abs(rounded) < 10 ** (precision - scale) else None
