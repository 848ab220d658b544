"""Render docs/data_dictionary.md from the schemas; a test says when the page is stale."""

from __future__ import annotations

import sys
from pathlib import Path

from schemas.catalog import TABLES
from schemas.table import Table

LAYERS = {
    "ref": "Reference: look-up tables with their validity",
    "bronze": "Bronze: as delivered",
    "silver": "Silver: typed, keyed, one row = one fact",
    "gold": "Gold: what a study reads",
    "ops": "Operations: what was done, from what, and whether it balances",
}


def render() -> str:
    """Return the data dictionary as Markdown."""
    parts = ["# Data dictionary", "", "Generated from `schemas/` by `make dictionary`; do not edit.", ""]
    for layer, title in LAYERS.items():
        parts += [f"## {title}", ""]
        for table in sorted((item for item in TABLES.values() if item.layer == layer), key=lambda item: item.name):
            parts += _table(table)
    return "\n".join(parts)


def _table(table: Table) -> list[str]:
    partition = f" Partitioned by {', '.join(table.partition_by)}." if table.partition_by else ""
    lines = [f"### {table.name}", "", f"{table.description} Key: {', '.join(table.key)}.{partition}{_origin(table)}", ""]
    lines += [f"- {caveat}" for caveat in table.caveats]
    lines += [""] if table.caveats else []
    lines += ["| column | type | null | meaning |", "|---|---|---|---|"]
    lines += [
        f"| {column.name} | {column.type} | {'no' if column.required else 'yes'} | {column.comment.replace('|', '/')} |"
        for column in table.fields
    ]
    if table.checks:
        lines += ["", "Checks: " + "; ".join(f"`{expression}`" for expression in table.checks.values()) + "."]
    return [*lines, ""]


def _origin(table: Table) -> str:
    jobs = " and ".join(f"`{job}`" for job in table.made_by) or "every job"
    return f" Written by {jobs}{' from ' + ', '.join(table.made_from) if table.made_from else ''}."


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render(), encoding="utf-8")
