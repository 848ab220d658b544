"""What the name of a variable means: a column of the data under lag, lead and difference operators.

Operators are written as in Stata: ``L.x``, ``L2.x``, ``D.x``, ``F.x``, ``L.D.x`` or ``LD.x``, small letters too. A name is
read once, here; afterwards the design keeps what each of its columns is (`Role`), and nothing is read back out of a name.
Every chain of operators is L^a (1 - L)^b, which is all that long-run effects need to know.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Literal

from estimation.errors import SpecificationError

_OPERATORS = re.compile(r"^((?:[LFDlfd]\d*)+)\.(.+)$")
_ONE = re.compile(r"([LFD])(\d*)")
_LAG_LIST = re.compile(r"^[LFDlfd]\(.*\)\.(.+)$")

Kind = Literal["regressor", "lag", "period", "constant"]


@dataclass(frozen=True, slots=True)
class Term:
    """A column under operators.

    Attributes
    ----------
    name : str
        As written.
    column : str
        Column of the data.
    operators : tuple of (str, int)
        "L", "F" or "D" with the number of periods or differences, the one applied first in front.
    """

    name: str
    column: str
    operators: tuple[tuple[str, int], ...] = ()

    @property
    def lag(self) -> int:
        """Net number of periods the term looks back, negative for leads."""
        return sum(n if kind == "L" else -n for kind, n in self.operators if kind != "D")

    @property
    def differences(self) -> int:
        """How often it is differenced."""
        return sum(n for kind, n in self.operators if kind == "D")

    @property
    def meaning(self) -> tuple[str, int, int]:
        """What two names of one thing share: column, lag, differences."""
        return self.column, self.lag, self.differences


def split_outside_brackets(text: str, separator: str) -> list[str]:
    """Split at every `separator` that stands outside brackets and quotation marks."""
    parts, depth, start, quoted = [], 0, 0, ""
    for at, letter in enumerate(text):
        if quoted:
            quoted = "" if letter == quoted else quoted
        elif letter in "`\"'":
            quoted = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == separator and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def factors(name: str) -> tuple[str, ...]:
    """Return the factors of a product ``L.x:z``, one for a plain name."""
    return tuple(split_outside_brackets(name, ":")) if ":" in name else (name,)


def read_term(name: str, columns: Container[str]) -> Term:
    """Return the meaning of a name; a column of exactly that name wins over an operator, a product is its own column."""
    if name not in columns and len(factors(name)) > 1:
        return Term(name, name)
    operators: list[tuple[str, int]] = []
    rest = name
    while rest not in columns:
        match = _OPERATORS.match(rest)
        if match is None:
            break
        found = [(kind, int(count) if count else 1) for kind, count in _ONE.findall(match.group(1).upper())]
        # the operator nearest to the variable is applied first
        operators = [*reversed(found), *operators]
        rest = match.group(2)
    return Term(name, rest, tuple(operators))


def check_ambiguous(name: str, columns: Container[str]) -> None:
    """Refuse a name that is a column and also an operator on another column.

    Raises
    ------
    SpecificationError
    """
    match = _OPERATORS.match(name)
    if name not in columns or match is None:
        return
    inner = read_term(match.group(2), columns).column
    if inner in columns:
        raise SpecificationError(
            f"{name!r} is a column of the data and also the operator {match.group(1)} on the column {inner!r}; which is "
            f"meant cannot be known. Rename the column {name!r}, or leave it out of the data."
        )


def hint(name: str) -> str:
    """Return what to write instead of a notation that is not known here; empty for an ordinary name."""
    listed = _LAG_LIST.match(name)
    if listed is not None:
        inner = listed.group(1)
        return f" Write each lag by itself: 'L.{inner}', 'L2.{inner}'; a formula takes lists (from_formula)."
    if name.startswith("C("):
        return " A category is C(column), another base C(column, base=value)."
    if re.match(r"^(lag|shift|diff)\(", name):
        return " A lag is L.x, the second L2.x, a difference D.x."
    if re.match(r"^[Ss]\d*\.", name):
        return " Seasonal differences have no operator; make the difference a column of the data first."
    if "#" in name or re.match(r"^([ibc]|ib\d+)\.", name) or "*" in name:
        return " Write a product as x:z and a dummy for each value as C(x); Stata's notation is read by estimation.stata."
    return ""


@dataclass(frozen=True, slots=True)
class Role:
    """What a column of X is.

    Attributes
    ----------
    kind : {"regressor", "lag", "period", "constant"}
        "lag" is a lag of the dependent variable (or of its level, in an equation for its change).
    term : Term or None
        None for period dummies and the constant.
    period : int or None
        Period of a dummy.
    weight : float
        Share of the coefficient in the autoregressive sum: 1 for a lag of the variable whose long run is meant, 0 for its
        lagged changes, which vanish in the long run.
    """

    kind: Kind
    term: Term | None = None
    period: int | None = None
    weight: float = 0.0


def roles_of(dependent: Term, regressors: Sequence[Term]) -> tuple[Role, ...]:
    """Return the role of every regressor.

    Notes
    -----
    With q = L^c (1 - L)^d the operators of the dependent variable and p = L^a (1 - L)^b those of a regressor made from the
    same column, the regressor is a lag if a > c or b < d. The long run is that of the column differenced min(d, all b)
    times: terms differenced more often are zero there.
    """
    lagged = [is_lag(dependent, term) for term in regressors]
    order = level_order(dependent, [term for term, lag in zip(regressors, lagged, strict=True) if lag])
    return tuple(
        Role("lag", term, weight=float(term.differences == order)) if lag else Role("regressor", term)
        for term, lag in zip(regressors, lagged, strict=True)
    )


def level_order(dependent: Term, lags: Sequence[Term]) -> int:
    """Return how often the variable whose long run is meant is differenced."""
    return min([dependent.differences, *(term.differences for term in lags)])


def is_lag(dependent: Term, term: Term) -> bool:
    """Whether a term is made from earlier values of the dependent variable's column."""
    return term.column == dependent.column and term.lag > dependent.lag


def check_terms(dependent: Term, regressors: Sequence[Term]) -> None:
    """Refuse two names of one thing, and the dependent variable on both sides.

    Raises
    ------
    SpecificationError
    """
    seen: dict[tuple[str, int, int], str] = {}
    for term in regressors:
        if term.meaning == dependent.meaning:
            raise SpecificationError(
                f"regressors: {term.name!r} is the dependent variable {dependent.name!r} itself; enter its lags only."
            )
        if term.meaning in seen:
            raise SpecificationError(
                f"regressors: {seen[term.meaning]!r} and {term.name!r} are the same variable; name it once."
            )
        seen[term.meaning] = term.name
