"""What one commit did, and what a log entry says of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

PRODUCT = "customs-lake"
# operations that change rows; all others (compaction, properties, new columns) leave every row as it was
ROW_OPERATIONS = frozenset({"WRITE", "DELETE", "UPDATE", "MERGE", "TRUNCATE", "RESTORE", "STREAMING UPDATE", "CONVERT"})


@dataclass(frozen=True, slots=True)
class Written:
    """What one commit did.

    Attributes
    ----------
    version : int
        Delta version after the write.
    n_rows : int
        Rows the commit wrote.
    skipped : bool
        True when Delta had this transaction already and wrote nothing.
    """

    version: int
    n_rows: int
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Commit:
    """One entry of a table's log.

    Attributes
    ----------
    version : int
    timestamp_ms : int
        Milliseconds since 1970, UTC.
    operation : str
        Delta's name: WRITE, DELETE, OPTIMIZE, ...
    metadata : dict
        What the writer said of itself.
    metrics : dict
        Delta's numbers, as text.
    """

    version: int
    timestamp_ms: int
    operation: str
    metadata: dict[str, Any]
    metrics: dict[str, str]

    @property
    def is_ours(self) -> bool:
        """Tell whether this product made the commit."""
        return self.metadata.get("product") == PRODUCT

    @property
    def changes_rows(self) -> bool:
        """Tell whether rows may differ from the version before."""
        return self.operation.split(" ")[0] in ROW_OPERATIONS or self.operation.startswith(("CREATE TABLE AS", "REPLACE"))

    @property
    def n_rows(self) -> int:
        """Rows that it wrote, by the name that Spark or Delta's own library gives the number."""
        return int(self.metrics.get("numOutputRows", self.metrics.get("num_added_rows", 0)))


def parse_commit(version: int, text: str) -> Commit:
    """Return one log entry of Delta as a commit; what cannot be read of it is empty."""
    info: dict[str, Any] = {}
    for line in text.splitlines():
        if line.startswith('{"commitInfo"'):
            info = json.loads(line)["commitInfo"]
            break
    try:
        metadata = json.loads(info.get("userMetadata") or "{}")
    except ValueError:
        metadata = {}
    return Commit(
        version, int(info.get("timestamp", 0)), str(info.get("operation", "unknown")),
        metadata if isinstance(metadata, dict) else {}, info.get("operationMetrics") or {},
    )
