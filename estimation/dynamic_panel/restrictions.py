"""Linear restrictions in words: ``w + k = 1``, ``2*w = L.w``, ``x = z = 0``.

Names are found before numbers and signs, the longest first, so that parameters called ``year=2005``, ``L.n`` or ``x:z`` need
no quotation marks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from estimation.errors import SpecificationError, UnknownColumnError

_NUMBER = r"\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+"


@dataclass(slots=True)
class Restriction:
    """sum of weight x parameter = value.

    Attributes
    ----------
    weights : dict of str to float
    value : float
    """

    weights: dict[str, float] = field(default_factory=dict)
    value: float = 0.0

    def __str__(self) -> str:
        """Return the restriction in words."""
        terms: list[str] = []
        for name, weight in self.weights.items():
            size = "" if abs(weight) == 1 else f"{abs(weight):g}*"
            sign = ("- " if weight < 0 else "+ ") if terms else ("-" if weight < 0 else "")
            terms.append(f"{sign}{size}{name}")
        return f"{' '.join(terms)} = {self.value:g}"


def read_restrictions(text: str, names: Sequence[str]) -> list[Restriction]:
    """Return the restrictions of a text; several are separated by commas, and a chain of equalities is several.

    Parameters
    ----------
    text : str
    names : sequence of str
        Parameters of the fit.

    Raises
    ------
    UnknownColumnError, SpecificationError
    """
    found: list[Restriction] = []
    for equation in _split(_tokens(text, names), ","):
        sides = [_side(side, text, names) for side in _split(equation, "=")]
        if len(sides) == 1:
            sides.append(Restriction())
        found += [_difference(left, right, text) for left, right in zip(sides, sides[1:], strict=False)]
    return found


def read_combination(text: str, names: Sequence[str]) -> Restriction:
    """Return one linear combination, ``w + k`` or ``w + k = 1``.

    Raises
    ------
    UnknownColumnError, SpecificationError
    """
    found = read_restrictions(text, names)
    if len(found) != 1:
        raise SpecificationError(f"{text!r}: expected one combination, found {len(found)}.")
    return found[0]


def _tokens(text: str, names: Sequence[str]) -> list[str]:
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    # a name ends where no letter, digit or dot follows, so that "w" is not found in "wage"
    pattern = re.compile(rf"\s*(?:((?:{known})(?![\w.]))|({_NUMBER})|([-+*/=,()]))")
    tokens, at = [], 0
    while at < len(text.rstrip()):
        match = pattern.match(text, at)
        if match is None:
            raise UnknownColumnError(
                f"{text!r}: {text[at:].split()[0]!r} is not a parameter of this fit; there are {', '.join(names)}."
            )
        tokens.append(match.group(0).strip())
        at = match.end()
    return tokens


def _split(tokens: list[str], separator: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for token in tokens:
        if token == separator:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _side(tokens: list[str], text: str, names: Sequence[str]) -> Restriction:
    """Read a sum of terms; its constant is in `value`."""
    if not tokens:
        raise SpecificationError(f"{text!r}: expected a combination of parameters on either side, found nothing.")
    side, at = Restriction(), 0
    while at < len(tokens):
        sign = 1.0
        while at < len(tokens) and tokens[at] in "+-":
            sign *= -1.0 if tokens[at] == "-" else 1.0
            at += 1
        at = _term(tokens, at, sign, side, text, names)
        if at < len(tokens) and tokens[at] not in "+-":
            raise SpecificationError(f"{text!r}: expected a sign between terms, found {tokens[at]!r}.")
    return side


def _term(tokens: list[str], at: int, sign: float, side: Restriction, text: str, names: Sequence[str]) -> int:
    """Read number, name, number*name or name/number into a side and return where it ends."""
    factor, name, operator = sign, "", "*"
    while at < len(tokens) and tokens[at] not in "+-":
        token = tokens[at]
        if token in "*/":
            operator = token
        elif token in names and not name and operator == "*":
            name = token
        elif re.fullmatch(_NUMBER, token):
            number = float(token)
            if operator == "/" and number == 0:
                raise SpecificationError(f"{text!r}: division by zero.")
            factor = factor * number if operator == "*" else factor / number
            operator = "*"
        else:
            raise SpecificationError(f"{text!r}: expected terms such as 2*w, found {token!r}; brackets are not read.")
        at += 1
    if at and tokens[at - 1] in "+-*/":
        raise SpecificationError(f"{text!r}: expected a term after {tokens[at - 1]!r}, found nothing.")
    if name:
        side.weights[name] = side.weights.get(name, 0.0) + factor
    else:
        side.value += factor
    return at


def _difference(left: Restriction, right: Restriction, text: str) -> Restriction:
    weights = dict(left.weights)
    for name, weight in right.weights.items():
        weights[name] = weights.get(name, 0.0) - weight
    kept = {name: weight for name, weight in weights.items() if weight}
    if not kept:
        raise SpecificationError(f"{text!r}: no parameter is left in it.")
    return Restriction(kept, right.value - left.value)
