"""How a table begins: the first entry of its log, with columns, comments, constraints and protocol, as Delta itself writes it.

Written as one small file instead of by a statement of Spark, which takes about a second for each of some forty tables.

References
----------
Delta transaction log protocol, https://github.com/delta-io/delta/blob/master/PROTOCOL.md: "Actions", "Schema
Serialization Format", "Column Invariants" (writer version 2) and "CHECK constraints" (writer version 3)
"""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import Any

from schemas.migrations import LAKE_FORMAT
from schemas.table import Table

READER_VERSION = 1
#: The least writer that knows NOT NULL and append-only tables, and the least that knows CHECK constraints.
WRITER_VERSION, CHECKING_WRITER_VERSION = 2, 3
_PRIMITIVE = {"int": "integer", "bigint": "long", "smallint": "short"}


def first_entry(table: Table, mark: str) -> str:
    """Text of version 0 of a table's log.

    Parameters
    ----------
    table : Table
    mark : str
        What the commit says of itself.
    """
    now = int(time.time() * 1000)
    configuration = _configuration(table)
    info = {
        "timestamp": now, "operation": "CREATE TABLE", "isBlindAppend": True, "isolationLevel": "Serializable",
        "operationParameters": {
            "partitionBy": json.dumps(list(table.partition_by)), "description": table.description, "isManaged": "false",
            "properties": json.dumps(configuration),
        },
        "operationMetrics": {}, "engineInfo": "customs-lake", "txnId": str(uuid.uuid4()), "userMetadata": mark,
    }
    metadata = {
        "id": str(uuid.uuid4()), "description": table.description, "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps(delta_schema(table), ensure_ascii=False), "partitionColumns": list(table.partition_by),
        "configuration": configuration, "createdTime": now,
    }
    writer = CHECKING_WRITER_VERSION if table.check_constraints() else WRITER_VERSION
    protocol = {"minReaderVersion": READER_VERSION, "minWriterVersion": writer}
    actions: list[dict[str, Any]] = [{"commitInfo": info}, {"metaData": metadata}, {"protocol": protocol}]
    return "".join(json.dumps(action, ensure_ascii=False) + "\n" for action in actions)


def delta_schema(table: Table) -> dict[str, Any]:
    """Columns of a table as Delta writes them."""
    return {
        "type": "struct",
        "fields": [
            {
                "name": column.name, "type": delta_type(column.type), "nullable": not column.required,
                "metadata": {"comment": column.comment},
            }
            for column in table.fields
        ],
    }


def delta_type(ddl: str) -> str | dict[str, Any]:
    """Delta's word for a column's DDL type."""
    if inner := re.fullmatch(r"array<(.+)>", ddl):
        return {"type": "array", "elementType": delta_type(inner[1]), "containsNull": True}
    if inner := re.fullmatch(r"map<string, *(.+)>", ddl):
        return {"type": "map", "keyType": "string", "valueType": delta_type(inner[1]), "valueContainsNull": True}
    return _PRIMITIVE.get(ddl, ddl.replace(" ", ""))


def _configuration(table: Table) -> dict[str, str]:
    # a constraint is a property: ALTER TABLE ADD CONSTRAINT would cost a scan and a commit each
    checks = {f"delta.constraints.{name}": expression for name, expression in table.check_constraints().items()}
    only_grows = {"delta.appendOnly": "true"} if table.append_only else {}
    return {"customs_lake.format": str(LAKE_FORMAT), **checks, **table.properties, **only_grows}
