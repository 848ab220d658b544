"""Every table as a data contract: a document of the Open Data Contract Standard, made from what the tables say of themselves.

The standard (Bitol, Linux Foundation, version 3.1) describes a data set for those who read it: columns, keys, units, allowed
values, rules of quality, what to beware of, who answers for it and how long it is kept. Nothing is written twice: a
column added to a table is in its contract.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.fields import FIRM_COLUMNS, OPEN_COLUMNS, PERSONAL_COLUMNS, Field
from schemas.table import Table

API_VERSION = "v3.1.0"
Document = dict[str, Any]

_LOGICAL: dict[str, Document] = {
    "string": {"logicalType": "string"},
    "int": {"logicalType": "integer", "logicalTypeOptions": {"format": "i32"}},
    "bigint": {"logicalType": "integer", "logicalTypeOptions": {"format": "i64"}},
    "double": {"logicalType": "number", "logicalTypeOptions": {"format": "f64"}},
    "boolean": {"logicalType": "boolean"},
    "date": {"logicalType": "date"},
    "timestamp": {"logicalType": "timestamp", "logicalTypeOptions": {"timezone": False, "defaultTimezone": "Etc/UTC"}},
}
_ARRAY = re.compile(r"array<(.+)>")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a contract says beside the table: who answers for it, for how long, where.

    Attributes
    ----------
    version : str
        Version of the product.
    lake_format : int
        Format of the lakes it writes.
    owner : str
        Who answers for the lake; empty: the contract names nobody.
    contact : str
        Where questions go: an address such as ``mailto:...`` or ``https://...``.
    days : mapping of str to int
        Layer to the days for which replaced versions are kept.
    lake : str
        Root of the lake the contract is about; empty: of every lake of this product.
    """

    version: str
    lake_format: int
    owner: str = ""
    contact: str = ""
    days: Mapping[str, int] = field(default_factory=dict, hash=False)
    lake: str = ""


def table_contract(table: Table, terms: Terms) -> Document:
    """Return the contract of one table."""
    description = {"purpose": table.description, "usage": "Read by name or path; written by the product's jobs only."}
    if table.caveats:
        description["limitations"] = " ".join(table.caveats)
    return _document(table.name, [table], terms, description) | {"tags": [table.layer]}


def lake_contract(tables: Iterable[Table], terms: Terms) -> Document:
    """Return one contract of all tables, a schema object for each."""
    purpose = "China's customs records from files as delivered to a panel of cities and years, and its estimates."
    ordered = sorted(tables, key=lambda table: table.name)
    return _document("lake", ordered, terms, {"purpose": purpose})


def _document(name: str, tables: list[Table], terms: Terms, description: Mapping[str, str]) -> Document:
    document: Document = {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": f"customs-lake.{name}",
        "name": name,
        "version": terms.version,
        "status": "active",
        "domain": "international trade",
        "description": dict(description),
        "schema": [_schema_object(table) for table in tables],
        "slaProperties": _retention(tables, terms),
        "customProperties": _custom(lakeFormat=terms.lake_format),
    }
    if terms.owner:
        document["team"] = {"name": terms.owner}
    if terms.contact:
        document["support"] = [{"channel": terms.owner or "lake", "url": terms.contact}]
    if terms.lake:
        document["servers"] = [_server(terms.lake, tables)]
    return document


def _retention(tables: list[Table], terms: Terms) -> list[Document]:
    found = []
    for layer in sorted({table.layer for table in tables}):
        kept = {
            "property": "retention",
            "value": "unlimited",
            "element": layer,
            "description": "Rows stay until they are built again, withdrawn or erased on demand; none expires.",
        }
        found.append(kept)
        if layer in terms.days:
            found.append(_versions(layer, tables, terms.days[layer]))
    return found


def _versions(layer: str, tables: list[Table], days: int) -> Document:
    return {
        "property": "versionRetention",
        "value": min(max(days, table.promised_days) for table in tables if table.layer == layer),
        "unit": "d",
        "element": layer,
        "description": "Older versions can be read at least this long; those that a study pinned, until it releases them.",
    }


def _server(lake: str, tables: list[Table]) -> Document:
    place = f"{lake.rstrip('/')}/{tables[0].relative_path}" if len(tables) == 1 else lake
    if "://" not in lake:
        return {"server": "lake", "type": "local", "path": place, "format": "delta"}
    if lake.startswith(("s3a://", "s3://")):
        return {"server": "lake", "type": "s3", "location": place.replace("s3a://", "s3://", 1), "format": "delta"}
    return {"server": "lake", "type": "custom", "location": place, "format": "delta"}


def _schema_object(table: Table) -> Document:
    described: Document = {
        # a name that tools take for a view of their own; the lake's is beside it
        "name": table.name.replace(".", "_"),
        "businessName": table.name,
        "physicalType": "delta table",
        "logicalType": "object",
        "description": table.description,
        "tags": [table.layer],
        "properties": [_property(table, column) for column in table.fields],
        "quality": _rules(table),
    }
    made = {"madeBy": list(table.made_by), "madeFrom": list(table.made_from), "caveats": list(table.caveats)}
    given = {name: value for name, value in made.items() if value} | ({"appendOnly": True} if table.append_only else {})
    return described | ({"customProperties": _custom(**given)} if given else {})


def _property(table: Table, column: Field) -> Document:
    described: Document = {"name": column.name, **_types(column.type), "description": column.meaning}
    described["required"] = column.required
    if column.name in table.key:
        described |= {"primaryKey": True, "primaryKeyPosition": table.key.index(column.name) + 1}
    if column.name in table.partition_by:
        described |= {"partitioned": True, "partitionKeyPosition": table.partition_by.index(column.name) + 1}
    if classification := _classification(column.name):
        described["classification"] = classification
    if column.unit:
        described["customProperties"] = _custom(unit=column.unit)
    if column.allowed:
        described["quality"] = [_allowed(column)]
    return described


def _types(kind: str) -> Document:
    if inner := _ARRAY.fullmatch(kind):
        return {"logicalType": "array", "physicalType": kind, "items": _types(inner[1])}
    if kind.startswith("decimal"):
        return {"logicalType": "number", "physicalType": kind}
    # the standard has no map before 3.2: an object whose names are not known beforehand
    known: Document = {"logicalType": "object"} if kind.startswith("map") else _LOGICAL[kind]
    return {**known, "physicalType": kind}


def _classification(name: str) -> str:
    if name in (*PERSONAL_COLUMNS, *OPEN_COLUMNS):
        return "restricted"
    return "confidential" if name in FIRM_COLUMNS else ""


def _allowed(column: Field) -> Document:
    return {
        "type": "library",
        "name": f"{column.name}_allowed",
        "metric": "invalidValues",
        "dimension": "conformity",
        "arguments": {"validValues": list(column.allowed)},
        "mustBe": 0,
    }


def _rules(table: Table) -> list[Document]:
    unique = {
        "type": "library",
        "name": "key_unique",
        "metric": "duplicateValues",
        "dimension": "uniqueness",
        "arguments": {"properties": list(table.key)},
        "mustBe": 0,
    }
    checks = [
        {
            "type": "sql",
            "name": name,
            "dimension": "conformity",
            "description": expression,
            "query": f"SELECT COUNT(*) FROM ${{table}} WHERE ({expression}) IS NOT TRUE",
            "mustBe": 0,
        }
        for name, expression in table.checks.items()
    ]
    return [unique, *checks]


def _custom(**values: Any) -> list[Document]:
    return [{"property": name, "value": value} for name, value in values.items()]
