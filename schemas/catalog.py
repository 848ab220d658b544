"""All tables of the lake by name."""

from __future__ import annotations

import hashlib
from importlib import import_module

from schemas.table import Table

MODULES = ("places", "bronze", "yearbook", "firms", "silver", "gold", "indicators", "panel", "results", "ops")


def _collect() -> dict[str, Table]:
    tables: dict[str, Table] = {}
    for name in MODULES:
        for table in import_module(f"schemas.{name}").TABLES:
            tables[table.name] = table
    return tables


TABLES: dict[str, Table] = _collect()


def declared_columns() -> str:
    """Hash of the columns of all tables: a lake whose marker has it needs no column added."""
    columns = sorted((table.name, [(column.name, column.type) for column in table.fields]) for table in TABLES.values())
    return hashlib.sha256(repr(columns).encode()).hexdigest()[:16]
