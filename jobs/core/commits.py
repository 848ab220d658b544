"""What one commit did, and what a log entry says of it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.core.direct import is_lost_race

PRODUCT = "customs-lake"
_TRIES = 4
# operations that change rows; all others (compaction, properties, new columns) leave every row as it was
ROW_OPERATIONS = frozenset({"WRITE", "DELETE", "UPDATE", "MERGE", "TRUNCATE", "RESTORE", "STREAMING UPDATE", "CONVERT"})

log = logging.getLogger("customs_lake")


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


def mark_of(metadata: dict[str, Any] | None, write_id: str) -> str:
    """What a commit of ours says of itself, by which it is known again in the log."""
    return json.dumps({"product": PRODUCT, "write": write_id} | (metadata or {}), sort_keys=True, default=str)


def retry_conflicts(write: Callable[[], None], name: str) -> None:
    """Repeat a write that lost a race against another writer's commit; a frame of Spark is computed anew."""
    for attempt in range(1, _TRIES + 1):
        try:
            return write()
        except Exception as error:
            is_lost = "DELTA_CONCURRENT" in str(error) or is_lost_race(error)
            if attempt == _TRIES or not is_lost:
                raise
            log.info("%s: another writer committed first, writing again (%d of %d)", name, attempt, _TRIES - 1)
            time.sleep(attempt)
    return None
