"""Stata's ``if`` and ``in`` on a table: which rows they keep.

Stata's missing value is larger than every number and one operator differs from Python's in rank, so a condition is read
by its own small grammar and not handed to pandas.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd

from estimation.errors import SpecificationError, UnknownColumnError

_TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)|(\"[^\"]*\")|((?:(?:[LFDlfd]\d*)+\.)?[^\W\d]\w*)|(==|!=|~=|<=|>=|[-+*/^<>&|!~(),.]))"
)
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("|",),
    ("&",),
    ("==", "!=", "~=", "<", "<=", ">", ">="),
    ("+", "-"),
    ("*", "/"),
)
# for a comparison a missing value is larger than any number
_BINARY: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "|": lambda a, b: ((a != 0) | (b != 0)).astype(float),
    "&": lambda a, b: ((a != 0) & (b != 0)).astype(float),
    "==": lambda a, b: (a == b).astype(float),
    "!=": lambda a, b: (a != b).astype(float),
    "~=": lambda a, b: (a != b).astype(float),
    "<": lambda a, b: (a < b).astype(float),
    "<=": lambda a, b: (a <= b).astype(float),
    ">": lambda a, b: (a > b).astype(float),
    ">=": lambda a, b: (a >= b).astype(float),
    "+": lambda a, b: _missing(a + b),
    "-": lambda a, b: _missing(np.where(np.isinf(a) | np.isinf(b), np.inf, a - b)),
    "*": lambda a, b: _missing(np.where(np.isinf(a) | np.isinf(b), np.inf, a * b)),
    "/": lambda a, b: _missing(np.where(np.isinf(a) | np.isinf(b) | (b == 0), np.inf, a / np.where(b == 0, 1, b))),
    "^": lambda a, b: _missing(np.where(np.isinf(a) | np.isinf(b), np.inf, np.power(a, b))),
}


def operated_names(condition: str) -> tuple[str, ...]:
    """Return the names with lag operators in a condition, ``L.x`` of ``L.x > 5``."""
    return tuple(dict.fromkeys(re.findall(r"(?<![\w.])(?:[LFD]\d*)+\.[^\W\d]\w*", condition, re.IGNORECASE)))


def named_columns(condition: str) -> tuple[str, ...]:
    """Return the columns a condition is about, without operators: ``x`` and ``z`` of ``L.x > 5 & missing(z)``."""
    bare = re.sub(r'"[^"]*"', '""', condition)
    names = re.findall(r"(?<![\w.])(?:(?:[LFDlfd]\d*)+\.)?([^\W\d]\w*)(?!\s*\(|[\w.])", bare)
    return tuple(dict.fromkeys(names))


def rows_kept(frame: pd.DataFrame, condition: str = "", rows: str = "") -> np.ndarray | None:
    """Return which rows ``if condition in rows`` keeps, shape (n_rows,), or None where there is no restriction.

    Parameters
    ----------
    frame : DataFrame
    condition : str
        Comparisons, arithmetic, ``& | !``, ``inrange() inlist() missing()``, text in double quotes. A name with an operator,
        ``L.x``, must be a column of that name; `StataCommand` makes it from the panel.
    rows : str
        ``10``, ``1/500``, ``f/l`` or ``-5/l``, in the order of the table.

    Raises
    ------
    SpecificationError, UnknownColumnError
    """
    if not condition and not rows:
        return None
    kept = np.ones(len(frame), dtype=bool)
    if condition:
        kept &= _Condition(condition, frame).value() != 0
    if rows:
        kept &= _range(rows, len(frame))
    return kept


def check_condition(condition: str, rows: str = "") -> None:
    """Refuse a condition that cannot be read, before there are data.

    Raises
    ------
    SpecificationError
    """
    if condition:
        _Condition(condition, None).value()
    if rows:
        _range(rows, 1_000_000)


def _range(text: str, n_rows: int) -> np.ndarray:
    first, _, last = text.replace(" ", "").partition("/")
    start = _row(first, n_rows, text)
    stop = _row(last, n_rows, text) if last else start
    if stop < start:
        raise SpecificationError(f"in {text}: expected rows from the smaller to the larger.")
    at = np.arange(1, n_rows + 1)
    return (at >= start) & (at <= stop)


def _row(text: str, n_rows: int, where: str) -> int:
    if text.lower() in ("f", "l"):
        return 1 if text.lower() == "f" else n_rows
    if not re.fullmatch(r"-?\d+", text) or int(text) == 0:
        raise SpecificationError(f"in {where}: expected rows such as 1/500, found {text!r}.")
    return int(text) if int(text) > 0 else n_rows + 1 + int(text)


def _missing(values: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), np.inf, values)


class _Condition:
    """A condition read by recursive descent; values are floats, text is compared as text, missing is infinite."""

    def __init__(self, text: str, frame: pd.DataFrame | None) -> None:
        self.text, self.frame = text, frame
        self.tokens = self._tokens(text)
        self.at = 0

    def _tokens(self, text: str) -> list[str]:
        found, at = [], 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._error(f"found {text[at : at + 12]!r}")
            found.append(match.group(0).strip())
            at = match.end()
        return found

    def _error(self, what: str) -> SpecificationError:
        return SpecificationError(f"if {self.text}: expected a condition such as year >= 1980 & ind == 3, {what}.")

    def value(self) -> np.ndarray:
        value = self._level(0)
        if self.at < len(self.tokens):
            raise self._error(f"found {self.tokens[self.at]!r} after it")
        if value.dtype == object and self.frame is not None:
            raise self._error("found text alone")
        return value

    def _peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _take(self, expected: str = "") -> str:
        token = self._peek()
        if not token or (expected and token != expected):
            raise self._error(f"found {token or 'its end'!r}" + (f" where {expected!r} belongs" if expected else ""))
        self.at += 1
        return token

    def _level(self, level: int) -> np.ndarray:
        if level == len(_LEVELS):
            return self._power()
        left = self._level(level + 1)
        while self._peek() in _LEVELS[level]:
            operator = self._take()
            right = self._level(level + 1)
            if self.frame is None:
                continue
            text = left.dtype == object or right.dtype == object
            if text and operator not in ("==", "!=", "~="):
                raise self._error(f"found text beside {operator!r}")
            if text and left.dtype != right.dtype:
                raise self._error("found text compared with a number")
            left = _BINARY[operator](left, right)
        return left

    def _power(self) -> np.ndarray:
        base = self._unary()
        if self._peek() != "^":
            return base
        self._take()
        return _BINARY["^"](base, self._power())

    def _unary(self) -> np.ndarray:
        if self._peek() in ("!", "~"):
            self._take()
            return (self._unary() == 0).astype(float)
        if self._peek() in ("-", "+"):
            sign = self._take()
            value = self._unary()
            return np.where(np.isinf(value), np.inf, -value) if sign == "-" else value
        return self._primary()

    def _primary(self) -> np.ndarray:
        token = self._take()
        if token == "(":
            value = self._level(0)
            self._take(")")
            return value
        if token == ".":
            return np.full(self._length(), np.inf)
        if token[0] == '"':
            return np.full(self._length(), token[1:-1], dtype=object)
        if token[0].isdigit() or token[0] == ".":
            return np.full(self._length(), float(token))
        if self._peek() == "(":
            return self._function(token)
        return self._column(token)

    def _function(self, name: str) -> np.ndarray:
        self._take("(")
        arguments = [self._level(0)]
        while self._peek() == ",":
            self._take()
            arguments.append(self._level(0))
        self._take(")")
        if self.frame is None:
            return np.ones(1)
        first, *rest = arguments
        if name in ("missing", "mi") and not rest:
            return (first == "").astype(float) if first.dtype == object else np.isinf(first).astype(float)
        if name == "inrange" and len(rest) == 2:
            upper = np.where(np.isinf(rest[1]), np.finfo(float).max, rest[1])
            return ((first >= rest[0]) & (first <= upper)).astype(float)
        if name == "inlist" and rest:
            return np.any([first == other for other in rest], axis=0).astype(float)
        if name == "abs" and not rest:
            return np.abs(first)
        raise self._error(f"found the function {name}(); there are missing, inrange, inlist, abs")

    def _length(self) -> int:
        return 1 if self.frame is None else len(self.frame)

    def _column(self, name: str) -> np.ndarray:
        if self.frame is None:
            return np.ones(1)
        if name not in self.frame.columns and "." in name:
            raise self._error(f"found {name}, which needs the panel's keys; make it a column first")
        if name not in self.frame.columns:
            known = ", ".join(map(str, list(self.frame.columns)[:30]))
            raise UnknownColumnError(f"if {self.text}: {name!r} is not a column of the data ({known}).")
        column = self.frame[name]
        if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            return _missing(column.to_numpy(dtype=float, na_value=np.nan))
        return column.fillna("").astype(str).to_numpy(dtype=object)
