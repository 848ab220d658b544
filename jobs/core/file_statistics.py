"""What a table's log says of a data file, so that readers can leave it out: rows, least and greatest values, empty ones.

References
----------
Delta transaction log protocol, https://github.com/delta-io/delta/blob/master/PROTOCOL.md: "Per-file Statistics"
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.table import Table

#: Delta's default: statistics of so many columns, and of so many first characters of a text.
STATISTICS_COLUMNS, STATISTICS_CHARACTERS = 32, 32
_LAST_ASCII, _LAST_CHARACTER = "\x7f", "\U0010ffff"
# a day, a number, a text: what Parquet and Delta order alike; their least and greatest stand in the log
_ORDERED = (pa.types.is_integer, pa.types.is_decimal, pa.types.is_string, pa.types.is_date)


def statistics_columns(table: Table) -> tuple[str, ...]:
    """Columns of which a table's log keeps the least and greatest value of each file."""
    named = table.properties.get("delta.dataSkippingStatsColumns")
    inside = [name for name in table.columns if name not in table.partition_by]
    return tuple(named.split(",")) if named else tuple(inside[:STATISTICS_COLUMNS])


def delta_statistics(footer: pq.FileMetaData, columns: Sequence[str]) -> str:
    """A file's statistics as Delta writes them, from those of its row groups."""
    schema = footer.schema.to_arrow_schema()
    wanted = [name for name in columns if any(is_kind(schema.field(name).type) for is_kind in _ORDERED)]
    positions = {footer.schema.column(k).path: k for k in range(footer.num_columns)}
    least, greatest, empty = {}, {}, {}
    for name in wanted:
        found = [footer.row_group(k).column(positions[name]).statistics for k in range(footer.num_row_groups)]
        if any(item is None for item in found):
            continue
        empty[name] = str(sum(item.null_count for item in found))
        bounds = [item for item in found if item.has_min_max]
        # of a group that has values and no bounds nothing can be said
        if bounds and all(item.has_min_max or not item.num_values for item in found):
            least[name] = _json(_shortened(min(item.min for item in bounds)))
            greatest[name] = _json(_above(max(item.max for item in bounds)))
    parts = {"minValues": least, "maxValues": greatest, "nullCount": empty}
    return _object({"numRecords": str(footer.num_rows)} | {key: _object(part) for key, part in parts.items()})


def _shortened(value: Any) -> Any:
    return value[:STATISTICS_CHARACTERS] if isinstance(value, str) else value


def _above(value: Any) -> Any:
    """A text that is not less, of about the length that Delta keeps."""
    if not isinstance(value, str) or len(value) <= STATISTICS_CHARACTERS:
        return value
    following = value[STATISTICS_CHARACTERS]
    return value[:STATISTICS_CHARACTERS] + (_LAST_ASCII if following < _LAST_ASCII else _LAST_CHARACTER)


def _object(members: Mapping[str, str]) -> str:
    """A JSON object of values that are JSON already: the digits of a decimal would not survive a float."""
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in members.items()) + "}"


def _json(value: Any) -> str:
    """A value as Delta writes it into a log: a decimal as a number with all its digits, a day as text."""
    if isinstance(value, Decimal):
        return format(value, "f")
    return json.dumps(value.isoformat() if isinstance(value, dt.date) else value, ensure_ascii=False)
