"""A command line of Stata taken apart: program, variables, if, in, weights, options with their arguments.

Only the grammar is here; what an option means is the business of its program's module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from estimation.errors import SpecificationError

_PREFIX = re.compile(
    r"^(?:(?:xi|qui(?:etly)?|cap(?:ture)?|noi(?:sily)?)\s*:?\s+|eststo(?:\s+\w+)?(?:\s*,[^:]*)?\s*:\s*)+", re.IGNORECASE
)
# Stata lets a blank stand behind the operator's full stop, and none between L(0/1) and its variable
_BLANK = re.compile(r"(?<![\w.])((?:[LFDS]\d*)+|[LFDS]\([^()]*\))\.\s+(?=[\w(])", re.IGNORECASE)
_NO_STOP = re.compile(r"(?<![\w.])([LFDS]\(\s*-?\d+(?:\s*/\s*\d+)?\s*\))(?=[^\W\d])", re.IGNORECASE)
_MACRO = re.compile(r"\$\{?\w+|`\w*'")
_CONTINUED = re.compile(r"///[^\n]*\n|/\*.*?\*/", re.DOTALL)
_WEIGHT = re.compile(r"\[\s*(\w+)\s*=\s*([^\]]+?)\s*\]")
_OPTION = re.compile(r"\s*([A-Za-z_]\w*)\s*(\(?)")


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The pieces of a command.

    Attributes
    ----------
    program : str
    variables : str
        The list before the comma.
    condition, rows : str
        What stands after ``if`` and ``in``; empty for none.
    weight : tuple of (str, str) or None
        Kind and column.
    options : tuple of (str, str or None)
        Name as written and argument.
    """

    program: str
    variables: str
    condition: str
    rows: str
    weight: tuple[str, str] | None
    options: tuple[tuple[str, str | None], ...]


def read_command_line(text: str) -> CommandLine:
    """Take a command apart.

    Raises
    ------
    SpecificationError
    """
    if not isinstance(text, str) or not text.strip():
        raise SpecificationError("expected a command such as 'xtabond2 n L.n w, gmm(L.n) iv(w)', found nothing.")
    line = " ".join(_CONTINUED.sub(" ", text).split()).removeprefix(". ").rstrip("; ")
    macro = _MACRO.search(line)
    if macro is not None:
        raise SpecificationError(f"{macro.group(0)} is a macro of Stata; put what it holds in its place.")
    line = _NO_STOP.sub(r"\1.", _BLANK.sub(r"\1.", _PREFIX.sub("", line)))
    head, options = _at_comma(line)
    program, _, rest = head.strip().partition(" ")
    rest, weight = _weight(rest)
    rest, rows = _word(rest, "in")
    rest, condition = _word(rest, "if")
    return CommandLine(program, rest.strip(), condition, rows, weight, tuple(read_options(options)))


def read_options(text: str) -> list[tuple[str, str | None]]:
    """Return options as (name, argument or None), in order."""
    found: list[tuple[str, str | None]] = []
    at = 0
    while at < len(text):
        if text[at].isspace() or text[at] == ",":
            at += 1
            continue
        match = _OPTION.match(text, at)
        if match is None:
            if text[at] == ")":
                raise SpecificationError(f"a bracket is closed that was not opened before {text[at : at + 20]!r}.")
            raise SpecificationError(f"options: expected a word, found {text[at : at + 20]!r}.")
        name, bracket = match.groups()
        if not bracket:
            found.append((name, None))
            at = match.end()
            continue
        stop = _closing(text, match.end() - 1)
        found.append((name, text[match.end() : stop].strip()))
        at = stop + 1
    return found


def resolve_option(name: str, known: Mapping[str, str], where: str) -> str:
    """Return the full name of an abbreviated option; `known` maps full names to their shortest forms.

    Raises
    ------
    SpecificationError
    """
    lower = name.lower()
    for full, shortest in known.items():
        if full.startswith(lower) and len(lower) >= len(shortest):
            return full
    raise SpecificationError(f"{where}: option {name!r} is unknown; there are {', '.join(known)}.")


def at_comma(text: str) -> tuple[str, str]:
    """Split a list of variables from its suboptions."""
    return _at_comma(text)


def whole_numbers(text: str | None, where: str) -> list[int | None]:
    """Return the numbers of an argument, None for a full stop.

    Raises
    ------
    SpecificationError
    """
    out: list[int | None] = []
    for piece in (text or "").replace(",", " ").replace("/", " ").split():
        if piece != "." and not re.fullmatch(r"-?\d+", piece):
            raise SpecificationError(f"{where}: expected whole numbers or a full stop, found {piece!r}.")
        out.append(None if piece == "." else int(piece))
    return out


def written(name: str, parts: Sequence[str]) -> str:
    """Return ``name(a, b c)`` from the list before the comma and the suboptions after it."""
    first, *rest = parts
    suffix = " ".join(part for part in rest if part)
    return f"{name}({first}{', ' + suffix if suffix else ''})"


def _at_comma(text: str) -> tuple[str, str]:
    depth = 0
    for at, letter in enumerate(text):
        depth += {"(": 1, ")": -1, "[": 1, "]": -1}.get(letter, 0)
        if depth < 0:
            raise SpecificationError(f"a bracket is closed that was not opened in {text!r}.")
        if letter == "," and depth == 0:
            return text[:at], text[at + 1 :]
    if depth:
        raise SpecificationError(f"a bracket is not closed in {text!r}.")
    return text, ""


def _closing(text: str, start: int) -> int:
    depth = 0
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return at
    raise SpecificationError(f"a bracket is not closed in {text[start - 10 if start > 10 else 0 :]!r}.")


def _weight(text: str) -> tuple[str, tuple[str, str] | None]:
    match = _WEIGHT.search(text)
    if match is None:
        return text, None
    return text[: match.start()] + " " + text[match.end() :], (match.group(1), match.group(2))


def _word(text: str, word: str) -> tuple[str, str]:
    """Split what stands after ``if`` or ``in`` from what stands before it."""
    match = re.search(rf"(?:^|\s){word}\s+(.+)$", text)
    return (text, "") if match is None else (text[: match.start()], match.group(1).strip())
