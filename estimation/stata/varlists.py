"""Stata's lists of variables as terms, and terms as Stata writes them.

    i.year  ib1980.year  ibn.year  1980.year     C(year)  C(year, base=1980)  C(year, base=none)  year=1980
    c.x#c.z  cL.x#c.z  c.x##c.z                  x:z  L.x:z  x, z, x:z
    i.ind#c.x  i.ind##c.x                        C(ind, base=none):x  C(ind), x, C(ind):x
    L(0/2).(k ys)  LD.n  yr*  yr1976-yr1984      each lag by itself; L.D.n; resolved against the data
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from estimation.dynamic_panel.operators import expand_list
from estimation.dynamic_panel.terms import factors
from estimation.errors import SpecificationError

_FACTOR = re.compile(r"^i(b(?:n|\(?\d+\)?)?)?\.(.+)$|^b(\d+|n)\.(.+)$")
_VALUE = re.compile(r"^(\d+)\.(.+)$")
_CONTINUOUS = re.compile(r"^c((?:[LFD]\d*)*)\.(.+)$")
_STATA_NAME = re.compile(r"^[^\W\d]\w*$")
_CATEGORY = re.compile(r"^C\(([^,()]+)(?:, base=([^)]+))?\)$")
_OPERATORS = re.compile(r"^((?:[LFD]\d*\.)*)(.*)$")
_SQUARE = re.compile(r"^I\((\w+)\*\*2\)$")


def read_varlist(text: str) -> tuple[str, ...]:
    """Return the terms of a list of variables.

    Raises
    ------
    SpecificationError
    """
    return tuple(dict.fromkeys(expand_list(text, _leaf)))


def _leaf(word: str) -> list[str]:
    """Return the terms of one word without operators in front."""
    if "##" in word:
        parts = word.split("##")
        if len(parts) != 2 or "#" in parts[0] + parts[1]:
            raise SpecificationError(f"{word}: expected a product of two, found more; write the terms one by one.")
        left, right = (_one(part, crossed=False) for part in parts)
        return [left, right, f"{left}:{right}"]
    if "#" not in word:
        return [_one(word, crossed=None)]
    parts = word.split("#")
    categories = [part for part in parts if not part.startswith("c")]
    if len(categories) > 1:
        raise SpecificationError(f"{word}: a product of two categories has no reading here; write i.a##i.b.")
    return [":".join(_one(part, crossed=True) for part in parts)]


def _one(word: str, *, crossed: bool | None) -> str:
    """Return one factor; a category crossed with ``#`` alone keeps a column for each of its values, as in Stata."""
    continuous = _CONTINUOUS.match(word)
    if continuous is not None:
        operators = re.sub(r"([LFD]\d*)", r"\1.", continuous.group(1))
        return operators + continuous.group(2)
    category = _FACTOR.match(word)
    if category is not None:
        base = category.group(1) or category.group(3)
        return _category(category.group(2) or category.group(4), base, crossed=bool(crossed))
    value = _VALUE.match(word)
    if value is not None:
        return f"{value.group(2)}={value.group(1)}"
    # in a product Stata takes a bare name for a category
    return _category(word, None, crossed=crossed) if crossed is not None else word.replace("`", "")


def _category(column: str, base: str | None, *, crossed: bool) -> str:
    number = (base or "").lstrip("b").strip("()")
    if number == "n" or (crossed and not number):
        return f"C({column}, base=none)"
    return f"C({column}, base={number})" if number else f"C({column})"


def write_varlist(terms: Iterable[str]) -> str:
    """Return terms as Stata writes them.

    Raises
    ------
    SpecificationError
        For functions of columns and names that Stata does not allow.
    """
    listed = tuple(terms)
    words: list[str] = []
    skipped: set[str] = set()
    for at, term in enumerate(listed):
        if term in skipped:
            continue
        crossed = _crossed(term, listed[at:])
        skipped |= set(crossed)
        words.append(_both_effects(crossed) if crossed else write_term(term))
    return " ".join(words)


def _crossed(term: str, rest: Sequence[str]) -> tuple[str, ...]:
    """Return C(a), x and C(a):x where they stand together, which Stata writes a##b."""
    if len(rest) < 3 or rest[2] != f"{rest[0]}:{rest[1]}" or not _CATEGORY.match(term) or "base=none" in term:
        return ()
    return tuple(rest[:3])


def _both_effects(crossed: Sequence[str]) -> str:
    return "##".join(_written_factor(part, in_product=True) for part in crossed[:2])


def write_term(term: str) -> str:
    """Return one term as Stata writes it."""
    square = _SQUARE.match(term)
    if square is not None:
        return f"c.{square.group(1)}#c.{square.group(1)}"
    parts = factors(term)
    if len(parts) == 1:
        return _written_factor(term, in_product=False)
    for part in parts:
        category = _CATEGORY.match(part)
        if category is not None and category.group(2) != "none":
            raise SpecificationError(
                f"{term}: Stata keeps a column for each value in i.{category.group(1)}#...; put {part} and the other factor "
                f"before it (written i.{category.group(1)}##...), or use C({category.group(1)}, base=none)."
            )
    return "#".join(_written_factor(part, in_product=True) for part in parts)


def _written_factor(factor: str, *, in_product: bool) -> str:
    category = _CATEGORY.match(factor)
    if category is not None:
        column, base = _checked(category.group(1)), category.group(2)
        if in_product and base == "none":
            return f"i.{column}"
        return f"i.{column}" if base is None else f"ib{'n' if base == 'none' else base}.{column}"
    column, equals, value = factor.partition("=")
    if equals and value.isdigit():
        return f"{value}.{_checked(column)}"
    operators, column = _OPERATORS.match(factor).groups()  # type: ignore[union-attr]  # matches the empty text at worst
    if not in_product and (set("*?-") & set(column)) and not set("()=") & set(column):
        return operators.replace(".", "") + ("." if operators else "") + column
    joined = operators.replace(".", "")
    lead = "c" if in_product else ""
    return f"{lead}{joined}{'.' if joined or lead else ''}{_checked(column)}"


def _checked(column: str) -> str:
    if not _STATA_NAME.match(column):
        raise SpecificationError(
            f"{column!r} cannot be written in a command of Stata; make it a variable first, such as generate v1 = {column}."
        )
    return column
