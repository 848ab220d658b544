"""The small language in which variables are named: lags, differences, products, categories, functions, wildcards.

    x                 a column
    L.x L2.x F.x D.x  its lag, second lag, lead, difference
    x:z               the product of two (each factor may carry a lag: ``L.x:z``)
    C(prov)           one dummy per value of a column but the smallest; ``C(prov, base=37)`` leaves out another one
    prov=37           one of these dummies
    log(x) I(x**2)    a function of columns, row by row
    yr* yr1-yr9       Stata's lists of columns, resolved against the data

A column whose own name reads like one of these wins over the reading. Only arithmetic and the functions listed here are
evaluated, so a specification file can never run a program.
"""

from __future__ import annotations

import ast
import fnmatch
import re
from collections.abc import Callable, Container, Iterable, Mapping

import numpy as np
import pandas as pd

from estimation.dynamic_panel.terms import factors, hint, read_term
from estimation.errors import SpecificationError, UnknownColumnError

_CATEGORY = re.compile(r"^C\(\s*([^(),]+?)\s*(?:,\s*base\s*=\s*([^()]+?)\s*)?\)$")
_RANGE = re.compile(r"^([^\s()=:*?-]+)-([^\s()=:*?-]+)$")
# more dummies than this are a slip: the entity itself, or a continuous column
MOST_LEVELS = 200
FUNCTIONS: dict[str, Callable[..., pd.Series]] = {
    "I": lambda value: value,
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
    "log10": np.log10,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
}
_ARITHMETIC = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Constant, ast.Name, ast.Load, ast.Call, ast.Add, ast.Sub, ast.Mult,
    ast.Div, ast.Pow, ast.USub, ast.UAdd, ast.Attribute, ast.Compare, ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.Eq, ast.NotEq,
)  # fmt: skip


def atoms(term: str, known: Container[str]) -> tuple[str, ...]:
    """Return what a term is made of, without operators: columns, dummies, functions of columns."""
    if term in known:
        return (term,)
    return tuple(read_term(factor, known).column for factor in factors(term))


def expand_terms(terms: Iterable[str], frame: pd.DataFrame) -> tuple[str, ...]:
    """Resolve categories and lists of columns against the data.

    Parameters
    ----------
    terms : iterable of str
    frame : DataFrame
        The data, with the keys as columns.

    Returns
    -------
    tuple of str
        Terms without ``C()`` and wildcards, each once.

    Raises
    ------
    UnknownColumnError, SpecificationError
    """
    out: dict[str, None] = {}
    for term in terms:
        out.update(dict.fromkeys(_expanded(term, frame)))
    return tuple(out)


def needs_expansion(term: str) -> bool:
    """Whether a term may stand for several once the data are known."""
    return "C(" in term or "*" in term or "?" in term or "-" in term


def _expanded(term: str, frame: pd.DataFrame) -> list[str]:
    if term in frame.columns or not needs_expansion(term):
        return [term]
    product = [""]
    for factor in factors(term):
        choices = _choices(factor, frame)
        product = [f"{left}:{right}" if left else right for left in product for right in choices]
    return product


def _choices(factor: str, frame: pd.DataFrame) -> list[str]:
    """Return what one factor stands for."""
    if factor in frame.columns:
        return [factor]
    inner = read_term(factor, frame.columns).column
    if inner != factor:
        prefix = factor[: len(factor) - len(inner)]
        return [prefix + choice for choice in _choices(inner, frame)]
    category = _CATEGORY.match(factor)
    if category is not None:
        return _dummies(category.group(1), category.group(2), frame)
    if ("*" in factor or "?" in factor) and "(" not in factor:
        return _matching(factor, frame)
    between = _RANGE.match(factor)
    return [factor] if between is None else _between(between.group(1), between.group(2), frame)


def _matching(pattern: str, frame: pd.DataFrame) -> list[str]:
    found = [str(name) for name in frame.columns if fnmatch.fnmatchcase(str(name), pattern)]
    if not found:
        raise UnknownColumnError(f"no column of the data matches {pattern!r} ({_shown(frame)}).")
    return found


def _between(first: str, last: str, frame: pd.DataFrame) -> list[str]:
    columns = [str(name) for name in frame.columns]
    absent = [name for name in (first, last) if name not in columns]
    if absent:
        raise UnknownColumnError(f"{first}-{last}: {absent[0]!r} is not a column of the data ({_shown(frame)}).")
    start, stop = columns.index(first), columns.index(last)
    if stop < start:
        raise SpecificationError(f"{first}-{last}: {last!r} stands before {first!r} in the data; turn them round.")
    return columns[start : stop + 1]


def _dummies(column: str, base: str | None, frame: pd.DataFrame) -> list[str]:
    labels = list(dict.fromkeys(map(level_label, _levels(column, frame))))
    if base is None:
        labels = labels[1:]
    elif base.strip("'\"") in labels:
        labels.remove(base.strip("'\""))
    elif base != "none":
        raise SpecificationError(f"C({column}, base={base}): the values are {', '.join(labels[:10])}.")
    if not labels:
        raise SpecificationError(f"C({column}): expected at least two values, found one; take it out.")
    return [f"{column}={label}" for label in labels]


def _levels(column: str, frame: pd.DataFrame) -> list[object]:
    if column not in frame.columns:
        raise UnknownColumnError(f"C({column}): {column!r} is not a column of the data ({_shown(frame)}).")
    levels = list(frame[column].dropna().unique())
    if len(levels) > MOST_LEVELS:
        raise SpecificationError(
            f"C({column}): {len(levels)} values, more than {MOST_LEVELS}. Entity effects are removed by the transform "
            "already; a continuous variable enters by its own name."
        )
    if not levels:
        raise SpecificationError(f"C({column}): every value is missing.")
    same = len({type(level) for level in levels}) == 1
    return list(np.sort(np.array(levels if same else list(map(str, levels)))))


def level_label(value: object) -> str:
    """Return how a value of a category is written in the name of its dummy; 37.0 is 37."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def is_derived(atom: str) -> bool:
    """Whether an atom that is not a column is made from columns: a dummy or a function."""
    return "=" in atom or "(" in atom


def derived_column(atom: str, frame: pd.DataFrame) -> pd.Series:
    """Return a dummy ``column=value`` or a function of columns, row by row.

    Raises
    ------
    UnknownColumnError, SpecificationError
    """
    column, label = _dummy_of(atom)
    if label and column in frame.columns:
        values = frame[column]
        return (values.map(level_label, na_action="ignore") == label).astype(float).where(values.notna())
    return evaluate(atom, frame)


def _dummy_of(atom: str) -> tuple[str, str]:
    """Return column and value of a dummy's name; no value if it reads like a comparison."""
    column, _, label = atom.partition("=")
    return column, "" if label.startswith("=") else label


def source_columns(atom: str, frame: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns a dummy or a function is made from, the column itself if it is one."""
    if atom in frame.columns:
        return (atom,)
    column, label = _dummy_of(atom)
    if label and column in frame.columns:
        return (column,)
    names = {node.id for node in ast.walk(_parsed(atom)) if isinstance(node, ast.Name)}
    return tuple(sorted(names - set(FUNCTIONS) - {"np"}))


def evaluate(expression: str, frame: pd.DataFrame) -> pd.Series:
    """Evaluate arithmetic over columns; a missing value gives a missing result.

    Raises
    ------
    UnknownColumnError, SpecificationError
    """
    tree = _parsed(expression)
    names: Mapping[str, pd.Series] = {str(name): frame[name] for name in source_columns(expression, frame) if name in frame}
    unknown = [name for name in source_columns(expression, frame) if name not in names]
    if unknown:
        raise UnknownColumnError(f"{expression}: {unknown[0]!r} is not a column of the data ({_shown(frame)}).")
    code = compile(_plain_calls(tree), "<term>", "eval")
    try:
        with np.errstate(all="ignore"):
            value = eval(code, {"__builtins__": {}}, {**FUNCTIONS, **names})  # noqa: S307 - only what _parsed lets through
            return pd.Series(value, index=frame.index, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise SpecificationError(f"{expression}: it cannot be computed from the data ({error}).") from error


def _parsed(expression: str) -> ast.Expression:
    """Return the expression's tree, refusing all but arithmetic and the listed functions."""
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError) as error:
        raise SpecificationError(f"{expression!r} is neither a column nor an expression of columns.") from error
    for node in ast.walk(tree):
        function = isinstance(node, ast.Call) and _function_name(node) not in FUNCTIONS
        keywords = isinstance(node, ast.Call) and bool(node.keywords)
        dotted = isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "np")
        text = isinstance(node, ast.Constant) and not isinstance(node.value, int | float)
        if not isinstance(node, _ARITHMETIC) or function or keywords or dotted or text:
            raise SpecificationError(
                f"{expression!r}: expected arithmetic over columns with {', '.join(sorted(FUNCTIONS))} or C(column); "
                "make anything else a column of the data first." + hint(expression)
            )
    return tree


def _function_name(call: ast.Call) -> str:
    """Return the function's name, np.log being log."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


class _WithoutModule(ast.NodeTransformer):
    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:  # noqa: N802 - the name NodeTransformer looks for
        return ast.copy_location(ast.Name(node.attr, ast.Load()), node)


def _plain_calls(tree: ast.Expression) -> ast.Expression:
    return ast.fix_missing_locations(_WithoutModule().visit(tree))


def _shown(frame: pd.DataFrame) -> str:
    return f"{len(frame.columns)} columns: {', '.join(map(str, list(frame.columns)[:30]))}"
