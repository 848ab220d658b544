"""A Delta log read without Delta: the live files of a table, its columns and commits, and what of the log is damaged.

Reads what this product's tables have: entries, checkpoints of one or several Parquet files, no deletion vectors. Every
fault is a :class:`LogFault` with the file and its version; nothing here raises on damaged content.

References
----------
Delta transaction log protocol, https://github.com/delta-io/delta/blob/master/PROTOCOL.md
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from jobs.core.stored_files import StoredFiles, hadoop_checksum_fails

LOG = "_delta_log"
LAST_CHECKPOINT = "_last_checkpoint"
_ENTRY = re.compile(r"^(\d{20})\.json$")
_CHECKPOINT = re.compile(r"^(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?\.parquet$")
_ACTIONS = frozenset(
    {"commitInfo", "add", "remove", "metaData", "protocol", "txn", "cdc", "domainMetadata", "checkpointMetadata", "sidecar"}
)
_HADOOP_MISMATCH = "is not what was written: its checksum (.crc beside it) is another's"


@dataclass(frozen=True, slots=True)
class LogFault:
    """Something in a log that cannot be what was written.

    Attributes
    ----------
    name : str
        File in the log.
    what : str
    version : int
        Of the entry or checkpoint; -1 for ``_last_checkpoint``.
    is_needed : bool
        The present state cannot be told without it; a fault behind a sound checkpoint costs history only.
    """

    name: str
    what: str
    version: int
    is_needed: bool = True


@dataclass(frozen=True, slots=True)
class LiveFile:
    """A data file of a version.

    Attributes
    ----------
    path : str
        Below the table.
    n_bytes : int
    partition : dict
        Partition column to value, as text.
    n_rows : int
        -1 when the log does not say.
    """

    path: str
    n_bytes: int
    partition: dict[str, str | None] = field(default_factory=dict)
    n_rows: int = -1


@dataclass(frozen=True, slots=True)
class LoggedCommit:
    """One entry of a log.

    Attributes
    ----------
    version : int
    info : dict
        ``commitInfo``.
    added : tuple of LiveFile
    changes_shape : bool
        It holds table metadata: columns or properties.
    """

    version: int
    info: dict[str, Any]
    added: tuple[LiveFile, ...] = ()
    changes_shape: bool = False

    @property
    def metadata(self) -> dict[str, Any]:
        """What the writer said of itself."""
        try:
            stated = json.loads(self.info.get("userMetadata") or "{}")
        except (ValueError, TypeError):
            return {}
        return stated if isinstance(stated, dict) else {}


@dataclass(slots=True)
class TableLog:
    """What a table's log says.

    Attributes
    ----------
    version : int
        Latest version that can be told; -1 for a table that is not there.
    newest : int
        Highest version that any name in the log has.
    files : dict of str to LiveFile
        Data files of ``version``, by path.
    commits : list of LoggedCommit
        Entries that were read, ascending.
    columns : dict of str to str
        Columns and types, as Delta writes them.
    configuration : dict
    partition_by : tuple of str
    faults : list of LogFault
    checkpoints : tuple of int
        Versions that a checkpoint stands for.
    entries : tuple of int
        Versions that have an entry, read or not.
    """

    version: int = -1
    newest: int = -1
    files: dict[str, LiveFile] = field(default_factory=dict)
    commits: list[LoggedCommit] = field(default_factory=list)
    columns: dict[str, Any] = field(default_factory=dict)
    configuration: dict[str, str] = field(default_factory=dict)
    partition_by: tuple[str, ...] = ()
    faults: list[LogFault] = field(default_factory=list)
    checkpoints: tuple[int, ...] = ()
    entries: tuple[int, ...] = ()

    @property
    def is_known(self) -> bool:
        """The present state can be told."""
        return self.version == self.newest and not any(fault.is_needed for fault in self.faults)


def read_log(files: StoredFiles, table: str, *, every_entry: bool = False) -> TableLog:
    """Read a table's log.

    Parameters
    ----------
    files : StoredFiles
    table : str
        Its path below the root.
    every_entry : bool
        Look at entries behind the checkpoint, too, and at every checkpoint.

    Returns
    -------
    TableLog
        Up to the version before the first fault; without a log, a version of -1.
    """
    folder = f"{table}/{LOG}"
    names = files.names(folder)
    entries = {int(match.group(1)): name for name in names if (match := _ENTRY.match(name))}
    checkpoints = _checkpoints(names)
    newest = max([*entries, *checkpoints], default=-1)
    log = TableLog(newest=newest, checkpoints=tuple(sorted(checkpoints)), entries=tuple(sorted(entries)))
    if log.newest < 0:
        return log
    start = _start_at_checkpoint(files, folder, checkpoints, log, every_entry=every_entry)
    _check_last_checkpoint(files, folder, names, checkpoints, log)
    if every_entry:
        for version in sorted(version for version in entries if version <= start):
            commit, fault = _read_entry(files, folder, entries[version], version)
            if fault:
                log.faults.append(LogFault(fault.name, fault.what, version, is_needed=False))
            elif commit:
                log.commits.append(commit[0])
    for version in range(start + 1, log.newest + 1):
        if version not in entries:
            log.faults.append(LogFault(f"{version:020}.json", "is gone", version))
            return log
        read, fault = _read_entry(files, folder, entries[version], version)
        if fault or read is None:
            log.faults.append(fault or LogFault(entries[version], "is gone", version))
            return log
        _apply(log, *read)
    return log


def read_commits(files: StoredFiles, table: str, *, known: Collection[int] = ()) -> list[LoggedCommit]:
    """Entries of a log that are not known yet, ascending, behind the checkpoint too; those that are damaged are left out."""
    folder = f"{table}/{LOG}"
    found = []
    for name in files.names(folder):
        if (match := _ENTRY.match(name)) and int(match.group(1)) not in known:
            read, _ = _read_entry(files, folder, name, int(match.group(1)))
            found += [read[0]] if read else []
    return found


def _checkpoints(names: Sequence[str]) -> dict[int, list[str]]:
    """Version to the files of its checkpoint, where all of them are there."""
    found: dict[int, dict[str, list[str]]] = {}
    for name in names:
        if match := _CHECKPOINT.match(name):
            found.setdefault(int(match.group(1)), {}).setdefault(match.group(3) or "", []).append(name)
    return {
        version: next(iter(whole))
        for version, kinds in found.items()
        if (whole := [of_kind for n_parts, of_kind in kinds.items() if len(of_kind) == int(n_parts or 1)])
    }


def _start_at_checkpoint(
    files: StoredFiles, folder: str, checkpoints: dict[int, list[str]], log: TableLog, *, every_entry: bool
) -> int:
    """Take over the latest sound checkpoint; returns its version, -1 without."""
    start = -1
    for version in sorted(checkpoints, reverse=True):
        if start >= 0 and not every_entry:
            break
        for name in checkpoints[version]:
            reason = _read_checkpoint(files, f"{folder}/{name}", log if start < 0 else TableLog())
            if reason:
                log.faults.append(LogFault(name, reason, version, is_needed=False))
                break
        else:
            start = max(start, version)
        if start < 0:
            log.files.clear()
    log.version = start
    return start


def _read_checkpoint(files: StoredFiles, path: str, log: TableLog) -> str:
    """Add the files and the metadata of a checkpoint; returns what is wrong with it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        content = files.read(path)
        if not content:
            return "is empty" if content is not None else "is gone"
        table = pq.read_table(io.BytesIO(content), columns=["add", "metaData"], partitioning=None)
        for row in table.column("add").drop_null().to_pylist():
            _add(log, row | {"partitionValues": dict(row.get("partitionValues") or {})})
        for row in table.column("metaData").drop_null().to_pylist():
            _describe(log, row | {"configuration": dict(row.get("configuration") or {})})
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        return f"cannot be read ({_first_line(error)})"
    return ""


def _check_last_checkpoint(
    files: StoredFiles, folder: str, names: Sequence[str], checkpoints: dict[int, list[str]], log: TableLog
) -> None:
    if LAST_CHECKPOINT not in names:
        return
    try:
        version = json.loads(files.read(f"{folder}/{LAST_CHECKPOINT}") or b"")["version"]
        if isinstance(version, bool) or not isinstance(version, int):
            raise ValueError(f"its version is {version!r}")
        what = "" if version in checkpoints else f"names version {version}, of which there is no checkpoint"
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        what = f"cannot be read ({_first_line(error)})"
    if what:
        log.faults.append(LogFault(LAST_CHECKPOINT, what, -1, is_needed=False))


def _read_entry(
    files: StoredFiles, folder: str, name: str, version: int
) -> tuple[tuple[LoggedCommit, list[dict[str, Any]]] | None, LogFault | None]:
    try:
        content = files.read(f"{folder}/{name}")
        checksums = files.read(f"{folder}/.{name}.crc")
    except OSError as error:
        return None, LogFault(name, f"cannot be read ({error.strerror or error})", version)
    if not content:
        return None, LogFault(name, "is empty" if content is not None else "is a link to nowhere", version)
    try:
        actions = [json.loads(line) for line in content.decode("utf-8").splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        what = "is cut or damaged" if content.lstrip().startswith(b"{") else "is not JSON"
        return None, LogFault(name, f"{what} ({_first_line(error)})", version)
    what = _odd(actions, version)
    if not what and hadoop_checksum_fails(content, checksums):
        what = _HADOOP_MISMATCH
    if what:
        return None, LogFault(name, what, version)
    info: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    scratch = TableLog()
    for action in actions:
        if "add" in action:
            _add(scratch, action["add"])
    shape = any("metaData" in action for action in actions)
    return (LoggedCommit(version, info, tuple(scratch.files.values()), shape), actions), None


def _odd(actions: Sequence[Any], version: int) -> str:
    """What is wrong with the actions of an entry; empty when nothing is."""
    if not actions or not all(_is_action(action) for action in actions):
        return "does not hold actions of Delta"
    names = [next(iter(action)) for action in actions]
    if strange := sorted(set(names) - _ACTIONS):
        return f"holds actions that Delta does not know ({', '.join(strange)[:80]})"
    for action in actions:
        (kind, values), = action.items()
        if odd := [key for key, is_right in _VALUES.get(kind, {}).items() if not is_right(values.get(key))]:
            return f"has a line '{kind}' that lacks {' and '.join(odd)}, or has odd ones"
    if version == 0 and not {"protocol", "metaData"} <= set(names):
        return "is cut: the first entry lacks protocol or columns"
    info: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    metrics = info.get("operationMetrics") or {}
    stated = metrics.get("numFiles") if info.get("operation") == "WRITE" else None
    is_short = stated is not None and str(stated).isdigit() and int(stated) != names.count("add")
    # Spark counts files without rows, too, which no entry names: all rows are there then
    n_rows = sum(_n_rows(action["add"]) for action in actions if "add" in action)
    if is_short and str(metrics.get("numOutputRows")) != str(n_rows):
        return f"is cut: it speaks of {stated} data files and names {names.count('add')}"
    return ""


def _is_action(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), dict)


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and "\0" not in unquote(value)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict) and all(one is None or isinstance(one, str) for one in value.values())


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_schema(value: Any) -> bool:
    try:
        fields = json.loads(value)["fields"]
        return all(isinstance(one["name"], str) and "type" in one for one in fields)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


#: What the present state is told by, of each action, and how a right one looks.
_VALUES: dict[str, dict[str, Callable[[Any], bool]]] = {
    "commitInfo": {
        "timestamp": lambda one: one is None or _is_size(one), "operation": lambda one: one is None or isinstance(one, str),
        "operationMetrics": lambda one: one is None or isinstance(one, dict),
    },
    "add": {"path": _is_path, "size": _is_size, "partitionValues": _is_mapping},
    "remove": {"path": _is_path},
    "metaData": {
        "schemaString": _is_schema, "partitionColumns": _is_list, "configuration": lambda one: one is None or _is_mapping(one),
    },
}


def _apply(log: TableLog, commit: LoggedCommit, actions: Sequence[dict[str, Any]]) -> None:
    for action in actions:
        if "add" in action:
            _add(log, action["add"])
        elif "remove" in action:
            log.files.pop(unquote(action["remove"]["path"]), None)
        elif "metaData" in action:
            _describe(log, action["metaData"])
    log.commits.append(commit)
    log.version = commit.version


def _add(log: TableLog, add: dict[str, Any]) -> None:
    path = unquote(add["path"])
    log.files[path] = LiveFile(path, int(add["size"]), dict(add.get("partitionValues") or {}), _n_rows(add))


def _n_rows(add: dict[str, Any]) -> int:
    try:
        return int(json.loads(add.get("stats") or "{}").get("numRecords", -1))
    except (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return -1


def _describe(log: TableLog, metadata: dict[str, Any]) -> None:
    schema = json.loads(metadata["schemaString"])
    log.columns = {column["name"]: column["type"] for column in schema["fields"]}
    log.configuration = dict(metadata.get("configuration") or {})
    log.partition_by = tuple(metadata.get("partitionColumns") or ())


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
