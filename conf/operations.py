"""How the lake is watched and kept: log lines, lineage, compaction, retention. None of it changes a result."""

from __future__ import annotations

import re
from dataclasses import dataclass

from conf.errors import SettingsError

DAY_HOURS = 24
# Delta refuses to vacuum closer than this: a reader or a slow writer may still need the files
SHORTEST_RETENTION_DAYS = 7
_ADDRESS = re.compile(r"(mailto:[^@\s]+@\S+|https?://\S+)$")


@dataclass(frozen=True, slots=True)
class Operations:
    """Section ``operations``.

    Attributes
    ----------
    log_file : str
        File for one JSON line per event; empty: none.
    lineage : str
        OpenLineage endpoint (``http://...``) or a file; empty: none, unless ``OPENLINEAGE_URL`` is set.
    lineage_namespace : str
        Namespace of the jobs in OpenLineage.
    metrics_file : str
        Prometheus text file (``.prom``) with each job's last end, for node_exporter's text-file collector; empty: none.
    small_file_mb : int
        A data file below this many megabytes counts as small.
    max_small_files : int
        A year (or an unpartitioned table) with more small files is compacted.
    bronze_retention_days, silver_retention_days, gold_retention_days, ops_retention_days : int
        Replaced files younger than this are kept by vacuum; pinned versions are kept beyond it.
    owner, contact : str
        Who answers for the lake, and the address for questions (``mailto:``, ``https://``): named in data contracts.
    max_log_entries : int
        A table whose log has more entries since its last checkpoint is reported.
    max_skew : float
        A year whose largest file is more than this many times the mean is reported.
    """

    log_file: str = ""
    lineage: str = ""
    lineage_namespace: str = "customs-lake"
    metrics_file: str = ""
    small_file_mb: int = 32
    max_small_files: int = 4
    bronze_retention_days: int = 30
    silver_retention_days: int = 90
    gold_retention_days: int = 365
    ops_retention_days: int = 30
    max_log_entries: int = 100
    max_skew: float = 4.0
    owner: str = "data owner of the lake"
    contact: str = ""

    def __post_init__(self) -> None:
        short = [
            name for name in ("bronze", "silver", "gold", "ops")
            if getattr(self, f"{name}_retention_days") < SHORTEST_RETENTION_DAYS
        ]
        if short:
            raise SettingsError(
                f"operations: retention of {', '.join(short)} is below {SHORTEST_RETENTION_DAYS} days, the shortest at"
                " which no running reader can lose its files."
            )
        if self.metrics_file and not self.metrics_file.endswith(".prom"):
            raise SettingsError(
                f"operations.metrics_file: expected a name ending in .prom, which is what the collector reads; found"
                f" {self.metrics_file!r}."
            )
        if self.small_file_mb < 1 or self.max_small_files < 1:
            raise SettingsError("operations: small_file_mb and max_small_files must be at least 1.")
        if self.contact and not _ADDRESS.match(self.contact):
            raise SettingsError(f"operations.contact: expected mailto:NAME or https://PAGE; found {self.contact!r}.")

    def retention_hours(self, layer: str) -> int:
        """Hours for which replaced files of a layer are kept."""
        days = getattr(self, f"{layer}_retention_days", self.gold_retention_days)
        return days * DAY_HOURS
