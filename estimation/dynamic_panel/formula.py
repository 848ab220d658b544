"""A formula as a specification: regressors to the left of the bar, instruments to the right.

    lnvalue ~ L.lnvalue + L(0/1).lnAgg + C(prov) + lnAgg:lnRes | gmm(lnvalue lnAgg, 2:4, collapse) + iv(lnseadis)

The left part is a Wilkinson formula and is taken apart by formulaic (``a*b``, ``(a + b)**2``, ``- 1`` for no constant);
what its factors mean is said in :mod:`estimation.dynamic_panel.terms`. The right part has two words:

    gmm(variables, 2:4, collapse)    lags 2 to 4; ``2:`` all from 2 on; ``2`` the second alone; also: orthogonal
    iv(variables, level)             also: mz (a missing value counts as zero)

Both take an equation (level, difference, both) and passthru, as `GMMStyle` and `IVStyle` explain.

Names with blanks stand in backticks. Lag operators take Stata's lists: ``L(1/2).n``, ``L(0/1).(w k)``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from estimation.dynamic_panel.operators import expand_list
from estimation.dynamic_panel.spec import GMMStyle, InstrumentGroup, IVStyle
from estimation.dynamic_panel.terms import split_outside_brackets
from estimation.errors import SpecificationError

_LAGGED = re.compile(r"(?<![\w.`])(?:(?:[LFDS]\d*)+|[LFDS]\([^()]*\))\.(?=[^\W\d]|[`(])")
_NAME = re.compile(r"(?:(?:[LFDS]\d*)+\.|[LFDS]\([^()]*\)\.)*(?:`[^`]*`|[^\W\d]\w*(?:\.\w+)*)?")
_GROUP = re.compile(r"^(gmm|iv)\s*\((.*)\)$", re.DOTALL | re.IGNORECASE)
_LAGS = re.compile(r"^(\d+)\s*(?:(:)\s*(\d+)?)?$")
_EQUATIONS = {"both": "both", "diff": "difference", "difference": "difference", "level": "level"}
EXAMPLE = "y ~ L.y + x | gmm(y x, 2:4, collapse) + iv(z)"


@dataclass(frozen=True, slots=True)
class Formula:
    """What a formula says.

    Attributes
    ----------
    dependent : str
    regressors : tuple of str
        Terms in the order written, ``C()`` not yet spelled out.
    constant : bool
    instruments : tuple of GMMStyle or IVStyle
    """

    dependent: str
    regressors: tuple[str, ...]
    constant: bool
    instruments: tuple[InstrumentGroup, ...]


def parse_formula(text: str) -> Formula:
    """Read a formula.

    Raises
    ------
    SpecificationError
    """
    if not isinstance(text, str):
        raise SpecificationError(f"formula: expected text such as {EXAMPLE!r}, found {type(text).__name__}.")
    parts = split_outside_brackets(text, "|")
    if len(parts) > 2:
        raise SpecificationError(f"formula: expected one bar between regressors and instruments, found {len(parts) - 1}.")
    dependent, tilde, right = parts[0].partition("~")
    if not tilde or not dependent.strip() or not right.strip() or "~" in right:
        raise SpecificationError(f"formula: expected 'dependent ~ regressors', found {text!r}; e.g. {EXAMPLE!r}.")
    regressors, constant = _regressors(right)
    instruments = tuple(_group(piece) for piece in _pieces(parts[1])) if len(parts) == 2 else ()
    return Formula(dependent.strip().strip("`"), regressors, constant, instruments)


def _regressors(text: str) -> tuple[tuple[str, ...], bool]:
    """Return the terms of the left part in their order, and whether there is a constant."""
    # formulaic costs a third of a second to load, and only a formula needs it
    from formulaic.errors import FormulaicError
    from formulaic.parser import DefaultFormulaParser

    try:
        terms = DefaultFormulaParser().get_terms(_spelled_out(text))
    except (FormulaicError, SyntaxError) as error:
        first = str(error).splitlines()[0]
        raise SpecificationError(f"formula: {text.strip()!r} cannot be read ({first}); e.g. {EXAMPLE!r}.") from error
    names = [":".join(_factor(factor.expr) for factor in term.factors) for term in terms]
    return tuple(name for name in dict.fromkeys(names) if name != "1"), "1" in names


def _factor(expression: str) -> str:
    """Return a factor as a term: I(x ** 2) as I(x**2), names without their backticks."""
    return re.sub(r"\s*(\*\*|[-+*/<>=,()])\s*", r"\1", expression.strip()).replace("`", "").replace(",base=", ", base=")


def _spelled_out(text: str) -> str:
    """Replace lag operators by sums of quoted names, which the formula parser takes as they are."""
    out, at = "", 0
    while match := _LAGGED.search(text, at):
        stop = _end_of_operand(text, match.end())
        terms = [f"`{term}`" for term in expand_list(text[match.start() : stop])]
        out += text[at : match.start()] + (terms[0] if len(terms) == 1 else f"({' + '.join(terms)})")
        at = stop
    return out + text[at:]


def _end_of_operand(text: str, start: int) -> int:
    """Return where the name, quoted name, call or bracket that an operator applies to ends."""
    at = _NAME.match(text, start).end()  # type: ignore[union-attr]  # matches the empty text at worst
    if at == len(text) or text[at] != "(":
        return at
    depth = 0
    for end in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        if depth == 0:
            return end + 1
    raise SpecificationError(f"formula: a bracket is not closed in {text.strip()!r}.")


def _pieces(text: str) -> list[str]:
    pieces = [piece.strip() for piece in split_outside_brackets(text, "+")]
    if not all(pieces):
        raise SpecificationError(f"formula: expected instrument groups joined by +, found {text.strip()!r}.")
    return pieces


def _group(piece: str) -> InstrumentGroup:
    """Read one gmm() or iv()."""
    match = _GROUP.match(piece)
    if match is None:
        raise SpecificationError(
            f"formula: to the right of the bar expected gmm(...) or iv(...), found {piece!r}; e.g. {EXAMPLE!r}."
        )
    kind, (names, *options) = match.group(1).lower(), split_outside_brackets(match.group(2), ",")
    variables = tuple(expand_list(names))
    if not variables:
        raise SpecificationError(f"formula: {piece!r} names no variable.")
    settings = _options([option.strip() for option in options], kind, piece)
    return GMMStyle(variables, **settings) if kind == "gmm" else IVStyle(variables, **settings)


def _options(options: list[str], kind: str, piece: str) -> dict[str, Any]:
    """Read what follows the variables of a group."""
    settings: dict[str, Any] = {}
    for option in options:
        word, lags = option.lower(), _LAGS.match(option)
        key, equals, value = option.partition("=")
        if kind == "gmm" and lags is not None:
            first, colon, last = lags.groups()
            settings["lags"] = (int(first), int(last) if last else None if colon else int(first))
        elif word in _EQUATIONS:
            settings["equation"] = _EQUATIONS[word]
        elif kind == "gmm" and word in ("collapse", "orthogonal"):
            settings[word] = True
        elif kind == "iv" and word == "mz":
            settings["missing"] = "zero"
        elif word in ("passthru", "passthrough"):
            settings["passthrough"] = True
        elif equals and key.strip() == "name":
            settings["name"] = value.strip().strip("'\"")
        else:
            known = "2:4, collapse, orthogonal" if kind == "gmm" else "mz"
            raise SpecificationError(
                f"formula: {piece!r}: option {option!r} is unknown; there are {known}, passthru, diff, level, both, "
                "name='...'."
            )
    return settings
