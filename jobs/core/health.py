"""The health of a table's files: how many, how small, how uneven, how long its log; no data are read."""

from __future__ import annotations

from dataclasses import dataclass

from conf.operations import Operations
from jobs.core.lake import Lake
from jobs.core.upkeep import data_files
from schemas.table import Table

MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Health:
    """State of one table's files.

    Attributes
    ----------
    table : str
    version : int
    n_files, n_small, n_bytes : int
        Data files of the latest version, those below ``operations.small_file_mb``, and their size.
    crowded : tuple of str
        Partitions with more than ``operations.max_small_files`` small files; an empty text stands for the whole table.
    skew : float
        Largest file over the mean file, worst partition with at least three files.
    n_log_entries : int
        Log entries since the last checkpoint.
    has_statistics : bool
        Delta keeps minimum and maximum for at least one column.
    """

    table: str
    version: int
    n_files: int
    n_small: int
    n_bytes: int
    crowded: tuple[str, ...]
    skew: float
    n_log_entries: int
    has_statistics: bool

    @property
    def crowded_years(self) -> str:
        """In how many years small files stand; nothing for a table that knows no years."""
        return f" in {len(self.crowded)} years" if self.crowded != ("",) else ""

    def findings(self, *, max_log_entries: int, max_skew: float) -> list[str]:
        """What deserves attention, each with what helps."""
        found = []
        if self.crowded:
            found.append(f"{self.n_small} small files{self.crowded_years}: compact")
        if self.skew > max_skew:
            found.append(f"largest file {self.skew:.1f} times the mean: compact")
        if self.n_log_entries > max_log_entries:
            found.append(f"{self.n_log_entries} log entries since the last checkpoint: checkpoint")
        if not self.has_statistics and self.n_files:
            found.append("no column statistics: readers open every file")
        return found


def table_health(lake: Lake, table: Table, options: Operations) -> Health:
    """Look at the files of a table's latest version; no data are read."""
    stored = {item.path: item.n_bytes for item in lake.store.walk(table.relative_path)}
    files = {path: stored.get(path, 0) for path in data_files(lake, table)}
    limit = options.small_file_mb * MEGABYTE
    groups: dict[str, list[int]] = {}
    for path, n_bytes in files.items():
        groups.setdefault(path.rpartition("/")[0] if table.partition_by else "", []).append(n_bytes)
    small = {name: sum(size < limit for size in sizes) for name, sizes in groups.items()}
    skews = [max(sizes) * len(sizes) / max(sum(sizes), 1) for sizes in groups.values() if len(sizes) >= 3]
    names = lake.store.names(f"{table.relative_path}/_delta_log")
    checkpoints = [int(name[:20]) for name in names if ".checkpoint" in name and name[:20].isdigit()]
    version = lake.version(table)
    indexed = table.properties.get("delta.dataSkippingStatsColumns", ",".join(table.columns))
    return Health(
        table.name, version, len(files), sum(small.values()), sum(files.values()),
        tuple(sorted(name for name, n in small.items() if n > options.max_small_files)),
        max(skews, default=1.0), version - max(checkpoints, default=-1), bool(indexed),
    )
