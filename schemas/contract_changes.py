"""What a newer contract takes away from those who rely on an older one, and whether a migration brings it about.

Breaking is what a reader, or a lake that is already there, cannot take: a table or column gone, another type, unit,
key or partition, a column that may be null where it was not or the other way round, another list of allowed values,
another check. A new list or check counts in both directions: the older lake's own constraint refuses what the newer
product writes, until a migration replaces it. New tables and new columns that may be null break nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.migrations import ExtendKey, LeaveTable, Migration, RenameColumn, ReplaceCheck, Step, WidenColumn

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One breaking change.

    Attributes
    ----------
    table : str
        ``layer.name``.
    part : str
        Column or constraint; empty for the table itself.
    kind : str
        ``table gone``, ``column gone``, ``type``, ``unit``, ``key``, ``partition``, ``must not be null``,
        ``may be null``, ``column required``, ``allowed values`` or ``check``.
    old, new : str
        As the contracts have it; empty where there is none.
    """

    table: str
    part: str
    kind: str
    old: str
    new: str

    def __str__(self) -> str:
        place = f"{self.table}.{self.part}" if self.part else self.table
        return f"{place}: {self.kind}, from {self.old or 'nothing'} to {self.new or 'nothing'}"


def breaking_changes(old: Iterable[Document], new: Iterable[Document]) -> list[Change]:
    """Return the breaking changes between two sets of contracts, whether one document or one a table.

    Parameters
    ----------
    old, new : iterable of dict
        Documents of the Open Data Contract Standard as :mod:`schemas.contracts` makes them.
    """
    newer = _schema_objects(new)
    found: list[Change] = []
    for name, table in _schema_objects(old).items():
        if name not in newer:
            found.append(Change(name, "", "table gone", "a table", ""))
        else:
            found += _of_table(name, table, newer[name])
    return found


def unmigrated(changes: Iterable[Change], migrations: Sequence[Migration], since: int) -> list[Change]:
    """Return the changes that no migration to a format above ``since`` brings about."""
    steps = [step for migration in migrations if migration.format > since for step in migration.steps]
    return [change for change in changes if not any(_brings_about(step, change) for step in steps)]


def lake_format_of(documents: Iterable[Document]) -> int:
    """Lake format of the product that wrote the contracts; 1 where they do not say."""
    found = [_custom(document).get("lakeFormat") for document in documents]
    return min((int(value) for value in found if value is not None), default=1)


def _brings_about(step: Step, change: Change) -> bool:
    if step.table != change.table:
        return False
    if isinstance(step, RenameColumn):
        return change.kind == "column gone" and change.part == step.column
    if isinstance(step, WidenColumn):
        return change.kind == "type" and change.part == step.column and change.new == step.type
    if isinstance(step, ExtendKey):
        return change.kind == "key" and change.new == ", ".join(step.key)
    if isinstance(step, LeaveTable):
        return change.kind == "table gone"
    if isinstance(step, ReplaceCheck):
        return change.kind in ("check", "allowed values") and change.part.lower() == step.name.lower()
    return False


def _schema_objects(documents: Iterable[Document]) -> dict[str, Document]:
    # other tools may leave the second name out
    return {item.get("businessName") or item["name"]: item for document in documents for item in document.get("schema", ())}


def _of_table(name: str, old: Document, new: Document) -> Iterator[Change]:
    for kind, flag, position in (
        ("key", "primaryKey", "primaryKeyPosition"),
        ("partition", "partitioned", "partitionKeyPosition"),
    ):
        before, after = (_ordered(table, flag, position) for table in (old, new))
        if before != after:
            yield Change(name, "", kind, before, after)
    yield from _of_checks(name, _checks(old), _checks(new), "check")
    columns, newer = _columns(old), _columns(new)
    for column, described in columns.items():
        if column not in newer:
            yield Change(name, column, "column gone", described.get("physicalType", ""), "")
        else:
            yield from _of_column(name, described, newer[column])
    for column, described in newer.items():
        if column not in columns and described.get("required"):
            yield Change(name, column, "column required", "", described.get("physicalType", ""))


def _of_column(table: str, old: Document, new: Document) -> Iterator[Change]:
    column = old["name"]
    types = [item.get("physicalType", "") for item in (old, new)]
    if types[0] != types[1]:
        yield Change(table, column, "type", *types)
    units = [_custom(item).get("unit", "") for item in (old, new)]
    if units[0] != units[1]:
        yield Change(table, column, "unit", *units)
    required = [bool(item.get("required")) for item in (old, new)]
    if required[0] != required[1]:
        words = ["never null" if flag else "may be null" for flag in required]
        yield Change(table, column, "must not be null" if required[1] else "may be null", *words)
    yield from _of_checks(table, _vocabulary(old), _vocabulary(new), "allowed values")


def _of_checks(table: str, old: Mapping[str, str], new: Mapping[str, str], kind: str) -> Iterator[Change]:
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield Change(table, name, kind, old.get(name, ""), new.get(name, ""))


def _ordered(table: Document, flag: str, position: str) -> str:
    chosen = [item for item in table.get("properties", ()) if item.get(flag)]
    return ", ".join(item["name"] for item in sorted(chosen, key=lambda item: item[position]))


def _columns(table: Document) -> dict[str, Document]:
    return {item["name"]: item for item in table.get("properties", ())}


def _checks(table: Document) -> dict[str, str]:
    return {rule["name"]: rule["description"] for rule in table.get("quality", ()) if rule["type"] == "sql"}


def _vocabulary(column: Document) -> dict[str, str]:
    # under the name of the constraint that Delta holds the rows against
    return {
        rule["name"]: ", ".join(sorted(rule["arguments"]["validValues"]))
        for rule in column.get("quality", ())
        if rule.get("metric") == "invalidValues"
    }


def _custom(document: Document) -> dict[str, Any]:
    return {item["property"]: item["value"] for item in document.get("customProperties", ())}
