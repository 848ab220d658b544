"""A layout file to a layout; every fault is a sentence with file and line."""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from conf.layouts.layout import FileForm, Layout
from schemas.fields import RAW_COLUMNS

MULTIPLIED = ("value", "quantity", "unit_price")
#: The first rows of a table, among which headings are looked for, are so many and a few more.
MAX_SKIP_LINES = 100
DELIMITERS = (",", "\t", ";", "|", "^", "~")
_TEXT_KEYS = ("name", "description", "period", "year_from", "name_pattern", "script", "note", "kind")
_LIST_KEYS = ("encodings", "required")
_TABLE_KEYS = ("columns", "constants", "values", "units", "from_name", "file")
_FORM_KEYS = ("encoding", "delimiter", "sheet", "decimal", "skip_lines", "headings", "names")


class LayoutError(ValueError):
    """Raised when a layout file is incomplete or names a column the bronze table does not have."""


def parse_layout(text: str, where: str) -> Layout:
    """Turn the text of a layout file into a layout, checking every name in it.

    Parameters
    ----------
    text : str
        TOML.
    where : str
        The file, for messages.

    Raises
    ------
    LayoutError
        With file, line, what was expected and what was found.
    """
    entry = read_toml(text, where)

    def refuse(key: str, sentence: str) -> LayoutError:
        return LayoutError(f"{where}, line {line_of(text, key)}: {sentence}")

    for key in entry:
        if key not in (*_TEXT_KEYS, *_LIST_KEYS, *_TABLE_KEYS):
            allowed = ", ".join((*_TEXT_KEYS, *_LIST_KEYS, *_TABLE_KEYS))
            raise refuse(key, f"unknown key {key!r}; expected one of {allowed}.")
    for key in ("name", "columns"):
        if key not in entry:
            raise refuse("", f"{key} is missing.")
    _check_types(entry, refuse)
    columns = {
        column: _headings(column, given, refuse) for column, given in _columns_of(entry, "columns", refuse).items()
    }
    required = tuple(entry.get("required", columns))
    for column in required:
        if column not in columns:
            raise refuse("required", f"required column {column!r} has no headings in [columns].")
    period = entry.get("period", "year")
    if period not in ("month", "year"):
        raise refuse("period", f"period must be month or year; found {period!r}.")
    if entry.get("year_from", "") not in ("", "name", "rows"):
        raise refuse("year_from", f"year_from must be name or rows; found {entry['year_from']!r}.")
    if entry.get("script", "") not in ("", "traditional"):
        raise refuse("script", f"script must be traditional, or left out; found {entry['script']!r}.")
    _check_pattern("name_pattern", entry.get("name_pattern", ""), refuse)
    _check_groups(entry.get("name_pattern", ""), refuse)
    for encoding in entry.get("encodings", ()):
        _check_encoding("encodings", encoding, refuse)
    return Layout(
        name=entry["name"], description=entry.get("description", entry["name"]), period=period,
        encodings=tuple(entry.get("encodings", ("utf-8", "gb18030"))), required=required, columns=columns,
        constants={name: str(value) for name, value in _columns_of(entry, "constants", refuse).items()},
        values=_values(entry, refuse), units=_units(entry, refuse), from_name=_from_name(entry, refuse),
        form=_form(entry.get("file", {}), refuse), year_from=entry.get("year_from", ""),
        name_pattern=entry.get("name_pattern", ""), script=entry.get("script", ""), note=entry.get("note", ""),
    )


def read_toml(text: str, where: str) -> dict[str, Any]:
    """Read TOML; a fault in its grammar names file and line."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise LayoutError(f"{where}: not valid TOML: {error}. Texts stand in quotes, lists in square brackets.") from error


def line_of(text: str, key: str) -> int:
    """Line (from 1) on which a key or a section stands; 1 when it stands nowhere."""
    name = re.escape(key)
    pattern = re.compile(rf"""^\s*(?:["']?{name}["']?\s*=|\[{name}\])""", re.MULTILINE)
    found = pattern.search(text) if key else None
    return text.count("\n", 0, found.start()) + 1 + found.group().count("\n") if found else 1


Refuse = Callable[[str, str], LayoutError]


def _check_types(entry: Mapping[str, Any], refuse: Refuse) -> None:
    for key in _TEXT_KEYS:
        if not isinstance(entry.get(key, ""), str):
            raise refuse(key, f"{key} must be a text in quotes; found {entry[key]!r}.")
    for key in _LIST_KEYS:
        given = entry.get(key, [])
        if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
            raise refuse(key, f'{key} must be a list of texts such as ["a", "b"]; found {given!r}.')
    for key in _TABLE_KEYS:
        if not isinstance(entry.get(key, {}), dict):
            raise refuse(key, f"[{key}] must be a section; found {entry[key]!r}.")


def _columns_of(entry: Mapping[str, Any], section: str, refuse: Refuse) -> dict[str, Any]:
    given = entry.get(section, {})
    for column in given:
        if column not in RAW_COLUMNS:
            raise refuse(column, f"[{section}] names the unknown column {column!r}; expected one of {', '.join(RAW_COLUMNS)}.")
    return given


def _headings(column: str, given: Any, refuse: Refuse) -> tuple[str, ...]:
    headings = [given] if isinstance(given, str) else given
    if not isinstance(headings, list) or not headings or not all(isinstance(item, str) and item for item in headings):
        raise refuse(column, f'the headings of {column} must be texts such as ["金额", "value"]; found {given!r}.')
    return tuple(headings)


def _values(entry: Mapping[str, Any], refuse: Refuse) -> dict[str, dict[str, str]]:
    found = {}
    for column, given in _columns_of(entry, "values", refuse).items():
        if not isinstance(given, dict):
            raise refuse(f"values.{column}", f'[values.{column}] must be lines such as "1" = "出口"; found {given!r}.')
        found[column] = {str(key): str(value) for key, value in given.items()}
    return found


def _units(entry: Mapping[str, Any], refuse: Refuse) -> dict[str, float]:
    for column, given in entry.get("units", {}).items():
        if column not in MULTIPLIED:
            raise refuse(column, f"[units] knows {', '.join(MULTIPLIED)}; found {column!r}.")
        if isinstance(given, bool) or not isinstance(given, (int, float)) or given <= 0:
            raise refuse(column, f"the unit of {column} must be a positive number, such as 1000; found {given!r}.")
    return {column: float(given) for column, given in entry.get("units", {}).items()}


def _from_name(entry: Mapping[str, Any], refuse: Refuse) -> dict[str, dict[str, str]]:
    found = {}
    for column, given in _columns_of(entry, "from_name", refuse).items():
        if column != "flow":
            raise refuse(f"from_name.{column}", "[from_name] can give flow only.")
        if not isinstance(given, dict):
            raise refuse(f"from_name.{column}", f'[from_name.{column}] needs lines such as "_exp" = "出口"; found {given!r}.')
        for pattern in given:
            _check_pattern(pattern, pattern, refuse)
        found[column] = {str(pattern): str(value) for pattern, value in given.items()}
    return found


def _form(given: Mapping[str, Any], refuse: Refuse) -> FileForm:
    for key in given:
        if key not in _FORM_KEYS:
            raise refuse(key, f"[file] knows {', '.join(_FORM_KEYS)}; found {key!r}.")
    if given.get("delimiter", "") and given["delimiter"] not in DELIMITERS:
        allowed = " ".join(map(repr, DELIMITERS))
        raise refuse("delimiter", f"the delimiter must be one of {allowed}; found {given['delimiter']!r}.")
    if given.get("decimal", ".") not in (".", ","):
        raise refuse("decimal", f'decimal must be "." or ","; found {given["decimal"]!r}.')
    if given.get("encoding"):
        _check_encoding("encoding", given["encoding"], refuse)
    skip = given.get("skip_lines", 0)
    if isinstance(skip, bool) or not isinstance(skip, int) or not 0 <= skip <= MAX_SKIP_LINES:
        raise refuse("skip_lines", f"skip_lines must be a number of lines from 0 to {MAX_SKIP_LINES}; found {skip!r}.")
    for key in ("headings", "names"):
        listed = given.get(key, [])
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            raise refuse(key, f"{key} must be a list of texts; found {listed!r}.")
    for pattern in given.get("names", ()):
        _check_pattern("names", pattern, refuse)
    # lists of TOML as the tuples of a frozen form
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    return FileForm(**fields)


def _check_pattern(key: str, pattern: str, refuse: Refuse) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise refuse(key, f"{pattern!r} is not a regular expression ({error}).") from error


def _check_groups(pattern: str, refuse: Refuse) -> None:
    if not pattern:
        return
    groups = re.compile(pattern).groupindex
    if "year" not in groups or set(groups) - {"year", "month"}:
        raise refuse(
            "name_pattern",
            "name_pattern needs the group (?P<year>...) and may have (?P<month>...), no other; found"
            f" {', '.join(groups) or 'none'}.",
        )


def _check_encoding(key: str, name: str, refuse: Refuse) -> None:
    try:
        codecs.lookup(name)
    except LookupError as error:
        raise refuse(key, f"{name!r} is not the name of an encoding; such as utf-8, gb18030, big5, utf-16.") from error
