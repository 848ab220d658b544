"""From the TOML of conf/tables to result tables: every key known, every value allowed, all faults of all files together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

from estimation.errors import SpecificationError
from estimation.tables.spec import RESILIENCE, Column, Options, ResultTable, SampleRule, TableSpecError, condition_of


def parse_tables(
    shared: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]], *, profile: str = "defensible"
) -> tuple[ResultTable, ...]:
    """Return the tables of one profile in order of their numbers.

    Parameters
    ----------
    shared : mapping
        Parsed ``model.toml``.
    tables : mapping
        File name without ending to its parsed content.
    profile : str
        Section of ``[options]``.

    Raises
    ------
    TableSpecError
        With every fault of every file, one a line: the file, the key and what is allowed.
    """
    profiles = shared.get("options", {})
    if profile not in profiles:
        raise TableSpecError(f"profile: expected one of {', '.join(profiles)}; found {profile!r}.")
    faults: list[str] = []
    parsed = []
    for name, content in tables.items():
        with _gathered(faults):
            parsed.append(_table(name, content, shared, profile))
    _stop_at(faults)
    numbers = [table.number for table in parsed]
    repeated = sorted({number for number in numbers if numbers.count(number) > 1})
    if repeated:
        raise TableSpecError(f"result tables: the numbers {repeated} are used twice; give each table its own.")
    return tuple(sorted(parsed, key=lambda table: table.number))


def select_tables(tables: Sequence[ResultTable], wanted: str) -> tuple[ResultTable, ...]:
    """Return the tables named in ``all`` or ``1,4`` or ``table1,mine``."""
    if wanted.strip().lower() in ("", "all"):
        return tuple(tables)
    by_name = {table.name: table for table in tables} | {str(table.number): table for table in tables}
    parts = [part.strip() for part in wanted.split(",") if part.strip()]
    unknown = [part for part in parts if part not in by_name]
    if unknown:
        known = ", ".join(f"{table.number} ({table.name})" for table in tables)
        raise TableSpecError(f"tables: found {', '.join(unknown)}; expected all, or some of {known}.")
    return tuple(dict.fromkeys(by_name[part] for part in parts))


_MODEL_KEYS = (
    "dependent_lags", "resilience", "endogenous", "predetermined", "exogenous", "external_instruments",
    "reversed_measures", "fixed_controls",
)
_LISTS = ("endogenous", "predetermined", "exogenous", "external_instruments", "reversed_measures", "fixed_controls")
_TABLE_KEYS = (
    "number", "title", "title_zh", "where", "cluster", "model", "samples", "options", "panel", "labels", "column",
)
_COLUMN_KEYS = ("sample", "dependent", "where", "cluster", "options", *_MODEL_KEYS)
_PANEL_KEYS = ("extra",)


def _table(name: str, content: Mapping[str, Any], shared: Mapping[str, Any], profile: str) -> ResultTable:
    faults: list[str] = []
    with _gathered(faults):
        _known(content, _TABLE_KEYS, name)
    with _gathered(faults):
        _numbered(content, name)
    model = {**shared.get("model", {}), **_section(content, "model", name, faults)}
    with _gathered(faults):
        _known(model, _MODEL_KEYS, f"{name} [model]")
    samples = {}
    for key, value in {**shared.get("samples", {}), **_section(content, "samples", name, faults)}.items():
        with _gathered(faults):
            samples[key] = _dataclass(SampleRule, {"name": key, **value}, f"{name} sample {key}")
    own = _options_of(_section(content, "options", name, faults), profile)
    with _gathered(faults):
        _dataclass(Options, own, f"{name} options")
    # a fault of the table's options is one fault, not one of each column
    own = {} if faults else {**own, **_cluster_of(content)}
    columns = []
    for position, entry in enumerate(_listed_columns(content), start=1):
        with _gathered(faults):
            where = f"{name} column {position}"
            entry = {**entry, "where": _both(content.get("where", ""), entry.get("where", ""), where)}
            options = {**shared["options"][profile], **own}
            columns.append(_column(name, position, entry, model, samples, options, profile))
    labels: dict[str, tuple[str, str]] = {}
    with _gathered(faults):
        labels = _labels(_section(content, "labels", name, faults), name)
    panel = _section(content, "panel", name, faults)
    with _gathered(faults):
        _known(panel, _PANEL_KEYS, f"{name} [panel]")
    _stop_at(faults)
    title = content.get("title", name)
    return ResultTable(
        name, content["number"], title, content.get("title_zh", title), tuple(columns), profile, content, labels,
        str(panel.get("extra", "")),
    )


def _numbered(content: Mapping[str, Any], name: str) -> None:
    number = content.get("number")
    if not isinstance(number, int) or isinstance(number, bool) or not _listed_columns(content):
        raise TableSpecError(f"{name}: expected `number = N` and at least one [[column]].")


def _listed_columns(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the columns of a file; none where ``column`` is no list of sections."""
    found = content.get("column", [])
    return found if isinstance(found, list) and all(isinstance(one, Mapping) for one in found) else []


def _section(content: Mapping[str, Any], key: str, name: str, faults: list[str]) -> Mapping[str, Any]:
    found = content.get(key, {})
    if isinstance(found, Mapping):
        return found
    faults.append(f"{name}: expected a section [{key}], found {key} = {found!r}.")
    return {}


def _cluster_of(section: Mapping[str, Any]) -> dict[str, Any]:
    return {"cluster": section["cluster"]} if "cluster" in section else {}


def _both(first: Any, second: Any, where: str) -> str:
    """Return the condition that both conditions hold."""
    parts = [part for part in (condition_of(first, f"{where} where"), condition_of(second, f"{where} where")) if part]
    return parts[0] if len(parts) == 1 else " & ".join(f"({part})" for part in parts)


def _labels(section: Mapping[str, Any], name: str) -> dict[str, tuple[str, str]]:
    """Read ``x = "English"``, ``x = ["English", "中文"]`` or ``x = { en = "English", zh = "中文" }``."""
    labels = {}
    for term, given in section.items():
        pair = [given.get("en", term), given.get("zh", given.get("en", term))] if isinstance(given, Mapping) else given
        pair = [pair, pair] if isinstance(pair, str) else pair
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(one, str) and one for one in pair):
            raise TableSpecError(f'{name} [labels] {term}: expected "text" or ["English", "中文"], found {given!r}.')
        labels[term] = (pair[0], pair[1])
    return labels


def _options_of(section: Mapping[str, Any], profile: str) -> dict[str, Any]:
    """Options a file states for all profiles (plain keys) and for one (a sub-table of its name)."""
    plain = {key: value for key, value in section.items() if not isinstance(value, Mapping)}
    return {**plain, **section.get(profile, {})}


def _column(
    table: str, position: int, entry: Mapping[str, Any], model: Mapping[str, Any], samples: Mapping[str, SampleRule],
    options: Mapping[str, Any], profile: str,
) -> Column:
    where = f"{table} column {position}"
    faults: list[str] = []
    with _gathered(faults):
        _known(entry, _COLUMN_KEYS, where)
    if not isinstance(entry.get("dependent"), str):
        faults.append(f"{where}: expected `dependent = \"lnvalue\"` or another outcome of the panel.")
    sample = entry.get("sample", "full")
    if sample not in samples:
        faults.append(f"{where}: sample {sample!r} is not defined; there are {', '.join(samples)}.")
    merged = {**model, **{key: entry[key] for key in _MODEL_KEYS if key in entry}}
    resilience = merged.get("resilience", "lnRes")
    faults += [
        f'{where}: {key}: expected a list such as ["lnfdi", "lnrd"], found {merged[key]!r}.'
        for key in _LISTS if key in merged and not _is_list_of_text(merged[key])
    ]
    if not isinstance(resilience, str):
        faults.append(f"{where}: resilience: expected a variable of the panel, found {resilience!r}.")
    own = None
    with _gathered(faults):
        stated = {**_options_of(entry.get("options", {}), profile), **_cluster_of(entry)}
        own = _dataclass(Options, {**options, **stated}, f"{where} options")
    lags = merged.get("dependent_lags", 1)
    if not isinstance(lags, int) or lags < 0:
        faults.append(f"{where}: dependent_lags must be a whole number from 0 on, found {lags!r}.")
    _stop_at(faults)
    assert own is not None  # a fault of the options has stopped above

    def listed(key: str) -> tuple[str, ...]:
        return tuple(item.replace(RESILIENCE, resilience) for item in merged.get(key, ()))

    rule = samples[sample]
    return Column(
        table, position, entry["dependent"], resilience, replace(rule, where=_both(rule.where, entry["where"], where)),
        listed("endogenous"), listed("predetermined"), listed("exogenous"), listed("external_instruments"), lags, own,
        -1 if resilience in merged.get("reversed_measures", ()) else 1, listed("fixed_controls"),
    )


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _known(section: Mapping[str, Any], allowed: Sequence[str], where: str) -> None:
    unknown = sorted(set(section) - set(allowed))
    if unknown:
        raise TableSpecError(f"{where}: unknown {', '.join(unknown)}; expected {', '.join(dict.fromkeys(allowed))}.")


def _dataclass(kind: type, values: Mapping[str, Any], where: str) -> Any:
    _known(values, [item.name for item in fields(kind)], where)
    faults: list[str] = []
    if kind is Options:
        # each value by itself, so that two wrong ones are two faults
        for key, value in values.items():
            with _gathered(faults, where):
                kind(**{key: value})
    _stop_at(faults)
    made = None
    with _gathered(faults, where):
        made = kind(**values)
    _stop_at(faults)
    return made


@contextmanager
def _gathered(faults: list[str], where: str = "") -> Iterator[None]:
    """Add the faults that are found inside to a list, one a line."""
    try:
        yield
    except (SpecificationError, TypeError) as error:
        faults += [f"{where}: {line}" if where else line for line in str(error).splitlines()]


def _stop_at(faults: Sequence[str]) -> None:
    """Raise the gathered faults, each once."""
    if faults:
        raise TableSpecError("\n".join(dict.fromkeys(faults)))
