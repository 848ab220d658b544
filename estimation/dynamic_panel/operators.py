"""Lists of variables with lag operators, as Stata writes them: ``L(0/2).(k ys) LD.n D2.w``.

Spelled out here into terms with one operator each (``L2.k``, ``L.D.n``), for formulas and for Stata's commands alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from estimation.errors import SpecificationError

_PREFIX = re.compile(r"^((?:[LFDS]\d*)+|[LFDS]\([^()]*\))\.(?=.)", re.IGNORECASE | re.DOTALL)
_ONE = re.compile(r"([LFDS])(\d*)")
# lags beyond this are a slip of the pen: no panel here has so many periods
DEEPEST = 500


def split_words(text: str) -> list[str]:
    """Split at blanks and plus signs that stand outside brackets and backticks."""
    words, depth, quoted, word = [], 0, False, ""
    for letter in text:
        quoted ^= letter == "`"
        depth += 0 if quoted else {"(": 1, ")": -1}.get(letter, 0)
        if depth < 0:
            raise SpecificationError(f"a bracket is closed that was not opened in {text.strip()!r}.")
        if depth == 0 and not quoted and (letter.isspace() or letter == "+"):
            words.append(word)
            word = ""
        else:
            word += letter
    if depth or quoted:
        raise SpecificationError(f"a {'backtick' if quoted else 'bracket'} is not closed in {text.strip()!r}.")
    return [word for word in [*words, word] if word]


def expand_list(text: str, leaf: Callable[[str], list[str]] | None = None) -> list[str]:
    """Return the terms of a list of variables, each once, in order.

    Parameters
    ----------
    text : str
    leaf : callable, optional
        What to make of a word without operators; by default its backticks are taken off.

    Raises
    ------
    SpecificationError
    """
    terms: dict[str, None] = {}
    for word in split_words(text):
        terms.update(dict.fromkeys(expand_word(word, leaf or _unquoted)))
    return list(terms)


def expand_word(word: str, leaf: Callable[[str], list[str]]) -> list[str]:
    """Return the terms of one word, its lag operators spelled out."""
    match = _PREFIX.match(word)
    if match is None:
        inner = word[1:-1] if word.startswith("(") and word.endswith(")") else None
        return leaf(word) if inner is None else expand_list(inner, leaf)
    rest = word[match.end() :]
    return [prefix + term for term in expand_word(rest, leaf) for prefix in prefixes(match.group(1))]


def prefixes(operator: str) -> list[str]:
    """Return the prefixes an operator stands for: ``L(0/1)`` is "" and "L.", ``LD`` is "L.D."."""
    letter, bracket, inside = operator.partition("(")
    if bracket:
        return [prefix(letter.upper(), lag) for lag in lag_list(inside.rstrip(")"), operator)]
    return ["".join(prefix(one, int(count or 1)) for one, count in _ONE.findall(operator.upper()))]


def prefix(letter: str, count: int) -> str:
    """Return one operator as a prefix, nothing for zero; a negative lag is a lead."""
    if letter == "S":
        raise SpecificationError(f"S{count}.: seasonal differences are not supported; use x - L{count}.x as a column.")
    if count < 0:
        letter, count = {"L": "F", "F": "L"}[letter], -count
    return "" if count == 0 else f"{letter}." if count == 1 else f"{letter}{count}."


def lag_list(text: str, where: str) -> list[int]:
    """Return the lags of ``0/2`` or ``0 2`` or ``1``."""
    lags: list[int] = []
    for piece in text.replace(",", " ").split():
        first, slash, last = piece.partition("/")
        if not _whole(first) or (slash and not _whole(last)):
            raise SpecificationError(f"{where}: expected lags such as (1/2) or (0 2), found {piece!r}.")
        start, stop = int(first), int(last) if slash else int(first)
        if max(abs(start), abs(stop)) > DEEPEST or stop < start:
            raise SpecificationError(f"{where}: expected lags from the smaller to the larger, found {piece!r}.")
        lags += range(start, stop + 1)
    if not lags:
        raise SpecificationError(f"{where}: expected lags such as (1/2), found none.")
    return lags


def _whole(text: str) -> bool:
    return text.lstrip("-").isdigit()


def _unquoted(word: str) -> list[str]:
    return [word.replace("`", "")]
