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


def numbers_of(texts: pl.Series, precision: int, scale: int) -> pl.Series:
    """The decimals that texts from :func:`number_text` say, rounded half up; null when one is too large for the type."""
    kind = pl.Decimal(precision, scale)
    is_power = texts.str.contains("[eE]").fill_null(False)
    # Polars rounds a half to the even digit: anything behind the half decides
    is_half = texts.str.contains(rf"\.[0-9]{{{scale}}}50*$").fill_null(False)
    if is_half.any():
        texts = texts.zip_with(~is_half, texts + "1")
    if not is_power.any():
        return texts.cast(kind, strict=False)
    distinct = texts.filter(is_power).unique()
    powers = pl.Series([_power(text, precision, scale) for text in distinct], dtype=kind)
    known = pl.DataFrame({"text": distinct, "number": powers})
    frame = pl.DataFrame({"text": texts, "is_power": is_power, "plain": texts.set(is_power, None).cast(kind, strict=False)})
    found = frame.join(known, on="text", how="left", maintain_order="left")
    return found.select(pl.when("is_power").then("number").otherwise("plain")).to_series()


def _power(text: str, precision: int, scale: int) -> Decimal | None:
    with localcontext(prec=200):
        number = Decimal(text)
        if len(number.as_tuple().digits) + int(number.as_tuple().exponent) > MAX_DIGITS:
            return None
        rounded = number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
    return rounded if abs(rounded) < 10 ** (precision - scale) else None
