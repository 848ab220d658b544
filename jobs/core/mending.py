"""Make a damaged lake readable again, without Java: what is broken is moved aside, what is lost is taken out of the log.

Afterwards every log can be read and every live file is whole; what is missing is written down in ``_repair.json`` first,
so that a repair that is interrupted leaves a lake that refuses to be used until ``repair`` has gone on. Nothing with
records in it is kept aside: a data file that no version needs stays where it is until vacuum takes it.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from jobs.core.checksums import record_checksums, record_path, recorded_versions
from jobs.core.commits import PRODUCT
from jobs.core.damage import (
    FOUND_DEEP,
    MARKER,
    UNFINISHED_REPAIR,
    Damage,
    Examined,
    parse_marker,
    unfinished_scopes,
)
from jobs.core.delta_log import LOG, TableLog, read_log
from jobs.core.errors import LakeError
from jobs.core.locks import hold_work
from jobs.core.protection import STATE
from jobs.core.stored_files import StoredFiles
from schemas import bronze, firms, indicators, ops, silver
from schemas.catalog import TABLES
from schemas.migrations import AddColumns, Migration, pending_migrations

ASIDE = "_damaged"
#: Tables that hold persons or codes and names of firms, or their pseudonyms.
OF_FIRMS = (
    bronze.DECLARATION, silver.DECLARATION, silver.QUARANTINE, firms.FIRM_ACCOUNT, firms.FIRM_QUARANTINE, firms.FIRM_TFP,
    indicators.CITY_FIRM,
)

@dataclass(frozen=True, slots=True)
class Scope:
    """What of a table is to be made anew.

    Attributes
    ----------
    years : frozenset of int or None
        None: everything, whatever its years.
    """

    years: frozenset[int] | None = None

    def with_(self, other: Scope | None) -> Scope:
        """Both together."""
        if other is None:
            return self
        return Scope(None if self.years is None or other.years is None else self.years | other.years)


def scopes_of(found: Examined) -> dict[str, Scope]:
    """What of which table is to be made anew; tables whose damage cost nothing are not among them.

    Raises
    ------
    LakeError
        If something cannot even be looked at: rights or the disk; or if what was erased would come back.
    """
    unreadable = [damage for damage in found.damages if damage.kind == "unreadable"]
    if unreadable:
        raise LakeError(
            f"{found.files.root}: {'; '.join(damage.sentence for damage in unreadable[:3])}. Give the user who runs this the"
            " right to read and write the lake (chown, chmod), or check the disk; then repair again."
        )
    state = [damage for damage in found.damages if damage.kind == "privacy"]
    if state and ops.ERASURE.name in found.logs and found.logs[ops.ERASURE.name].files:
        raise LakeError(
            f"{found.files.root}: {state[0].sentence}. Records were erased from this lake, and without the key of their hashes"
            f" they would come back. Restore {STATE} from a copy; without one, load into a new lake and erase there."
        )
    scopes = {name: Scope(years) for name, years in unfinished_scopes(found.files).items()}
    for damage in found.damages:
        if damage.kind in ("place", "absent", "log"):
            scopes[damage.table] = Scope()
        elif damage.kind == "data":
            scopes[damage.table] = Scope(_years_of(found, damage)).with_(scopes.get(damage.table))
    if state:
        # under which settings they were written cannot be told: the present ones are to hold for all of them
        scopes |= {table.name: Scope() for table in OF_FIRMS if table.name in found.logs}
    return scopes


def make_readable(found: Examined, scopes: Mapping[str, Scope]) -> None:
    """Move aside what is broken and take lost files out of the logs; the lock of the lake is the caller's.

    Parameters
    ----------
    found : Examined
    scopes : mapping
        Of :func:`scopes_of`; written down before anything is changed.
    """
    files = found.files
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + f"-{uuid.uuid4().hex[:6]}"
    if scopes:
        wanted = {name: sorted(scope.years) if scope.years is not None else None for name, scope in scopes.items()}
        if files.kind(UNFINISHED_REPAIR) != "file":
            files.delete(UNFINISHED_REPAIR)
        files.write(UNFINISHED_REPAIR, json.dumps({"tables": wanted}, sort_keys=True).encode())
    if files.kind(ASIDE) != "folder":
        files.delete(ASIDE)
    for damage in found.damages:
        if damage.kind == "folder":
            files.delete(damage.table)
    for name in dict.fromkeys(damage.table for damage in found.damages):
        if name in TABLES:
            _mend_table(files, name, found, f"{ASIDE}/{stamp}")
    if any(damage.kind == "privacy" for damage in found.damages):
        files.move(STATE, f"{ASIDE}/{stamp}/{STATE}")
        # the next load finds neither records nor a policy, and writes down its own
        _set_aside_whole(files, bronze.DECLARATION.relative_path, f"{ASIDE}/{stamp}")
    if any(damage.kind == "marker" for damage in found.damages) or _is_ahead(found):
        _write_marker(files, f"{ASIDE}/{stamp}")


def _is_ahead(found: Examined) -> bool:
    """Tell whether the marker speaks of versions that were taken back with a damaged log."""
    versions = {name: read_log(found.files, name.replace(".", "/")).newest for name in TABLES}
    return bool(parse_marker(found.files.read(MARKER) or b"", versions)[1])


def finish(files: StoredFiles) -> None:
    """The repair is complete: the lake may be used, and what was broken is needed no more."""
    files.delete(ASIDE)
    files.delete(UNFINISHED_REPAIR)
    if files.kind(FOUND_DEEP) != "nothing":
        files.delete(FOUND_DEEP)


def _years_of(found: Examined, damage: Damage) -> frozenset[int] | None:
    log = found.logs[damage.table]
    item = log.files.get(damage.file)
    value = next(iter(item.partition.values()), None) if item else None
    return frozenset({int(value)}) if value is not None and value.lstrip("-").isdigit() else None


def _mend_table(files: StoredFiles, name: str, found: Examined, aside: str) -> None:
    table, damages = name.replace(".", "/"), found.of(name)
    kinds = {damage.kind for damage in damages}
    log = found.logs.get(name)
    if "place" in kinds or ("absent" in kinds and log is None):
        _set_aside_whole(files, table, aside)
        return
    for damage in damages:
        if damage.kind == "record":
            files.delete(damage.file.removeprefix("../../"))
        elif damage.kind == "history":
            _set_history_aside(files, table, damage, aside)
    assert log is not None
    if "log" in kinds:
        first = min(damage.version for damage in damages if damage.kind == "log")
        if first <= 0 or not _cut_log(files, table, first, aside):
            _set_aside_whole(files, table, aside)
            return
    if "absent" in kinds:
        _forget_records(files, table, log.newest + 1, aside)
    if "record" in kinds and not kinds & {"log", "absent"}:
        # a deep look has read every column of what no record proves
        record_checksums(files, table)
    if "data" in kinds:
        _take_out(files, name, read_log(files, table), [damage for damage in damages if damage.kind == "data"])


def _set_aside_whole(files: StoredFiles, table: str, aside: str) -> None:
    """A table that cannot be told from its log is built anew in a new place of the same name."""
    layer = table.split("/")[0]
    for place in (layer, table):
        kind = files.kind(place)
        if kind == "nothing" or (place == layer and kind == "folder"):
            continue
        if kind in ("link", "dangling"):
            # what is behind a link is not the lake's: another table, or a folder of somebody's
            files.delete(place)
            break
        if kind == "folder":
            # only the log is kept: the data files hold records of persons and firms, and are built again
            if files.kind(f"{place}/{LOG}") in ("folder", "file"):
                files.move(f"{place}/{LOG}", f"{aside}/tables/{table}/{LOG}")
            files.delete(place)
        else:
            files.move(place, f"{aside}/tables/{place}.file")
        break
    _forget_records(files, table, 0, aside)


def _set_history_aside(files: StoredFiles, table: str, damage: Damage, aside: str) -> None:
    names = [damage.file.rpartition("/")[2]]
    if damage.version >= 0 and ".checkpoint" in names[0]:
        of_version = f"{damage.version:020}.checkpoint"
        names = [name for name in files.names(f"{table}/{LOG}") if name.startswith(of_version)]
        names.append("_last_checkpoint")
    for name in names:
        _set_log_file_aside(files, table, name, aside)


def _cut_log(files: StoredFiles, table: str, first: int, aside: str) -> bool:
    """Take the log back to the version before a damaged entry; False when no version is left."""
    for name in files.names(f"{table}/{LOG}"):
        if name[:20].isdigit() and int(name[:20]) >= first:
            _set_log_file_aside(files, table, name, aside)
    _set_log_file_aside(files, table, "_last_checkpoint", aside)
    _forget_records(files, table, first, aside)
    log = read_log(files, table)
    return log.is_known and log.version >= 0


def _set_log_file_aside(files: StoredFiles, table: str, name: str, aside: str) -> None:
    for each in (name, f".{name}.crc"):
        if files.kind(f"{table}/{LOG}/{each}") != "nothing":
            files.move(f"{table}/{LOG}/{each}", f"{aside}/tables/{table}/{LOG}/{each}")


def _forget_records(files: StoredFiles, table: str, first: int, aside: str) -> None:
    for version in recorded_versions(files, table):
        if version >= first:
            files.move(record_path(table, version), f"{aside}/{record_path(table, version)}")


def _take_out(files: StoredFiles, name: str, log: TableLog, damages: Iterable[Damage]) -> None:
    """Commit that damaged files are live no more; of tables by year all files of the year, which is built as a whole."""
    table = name.replace(".", "/")
    bad = {damage.file for damage in damages}
    partitions = {tuple(log.files[path].partition.items()) for path in bad if path in log.files}
    # records of what happened: a file of them that is lost is lost, the others stay
    is_history = TABLES[name].layer == "ops" and not TABLES[name].partition_by
    gone = [
        item for item in log.files.values()
        if item.path in bad or (not is_history and tuple(item.partition.items()) in partitions)
    ]
    if not gone:
        return
    now = int(time.time() * 1000)
    mark = {"product": PRODUCT, "write": uuid.uuid4().hex, "repair": sorted(bad)[:5]}
    actions: list[dict[str, Any]] = [
        {
            "commitInfo": {
                "timestamp": now, "operation": "DELETE", "operationParameters": {"predicate": "[]"},
                "readVersion": log.version, "isolationLevel": "Serializable", "isBlindAppend": False, "engineInfo": PRODUCT,
                "operationMetrics": {"numRemovedFiles": str(len(gone))}, "userMetadata": json.dumps(mark, sort_keys=True),
            }
        }
    ]
    actions += [
        {
            "remove": {
                # as Spark writes it: the path of a file is a URI
                "path": quote(item.path, safe="/=:.-_~"), "deletionTimestamp": now, "dataChange": True,
                "extendedFileMetadata": True, "partitionValues": item.partition, "size": item.n_bytes,
            }
        }
        for item in gone
    ]
    text = "".join(json.dumps(action, ensure_ascii=False) + "\n" for action in actions)
    files.write(f"{table}/{LOG}/{log.version + 1:020}.json", text.encode(), is_new=True)
    record_checksums(files, table)


def _write_marker(files: StoredFiles, aside: str) -> None:
    """The marker from what the tables say: their columns tell the format, their logs when their shape changed."""
    logs = {name: log for name in TABLES if (log := read_log(files, name.replace(".", "/"), every_entry=True)).version >= 0}
    lake_format = 1
    for migration in pending_migrations(1):
        if not _is_done(migration, logs):
            break
        lake_format = migration.format
    floors = {}
    for name, log in logs.items():
        changes = [commit.version for commit in log.commits if commit.changes_shape and commit.version > 0]
        if changes:
            floors[name] = max(changes)
    former = _origin(files)
    for name in (MARKER, f".{MARKER}.crc"):
        if files.kind(name) != "nothing":
            files.move(name, f"{aside}/{name}")
    # without a word on columns the next run compares them all
    marker = {"format": lake_format, "product": PRODUCT, "floors": floors, "columns": ""} | former
    files.write(MARKER, (json.dumps(marker, sort_keys=True) + "\n").encode())


def _origin(files: StoredFiles) -> dict[str, str]:
    """What a marker that is odd otherwise says of its records; no table knows it."""
    try:
        origin = json.loads(files.read(MARKER) or b"")["origin"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {"origin": origin} if origin in ("generated", "delivered", "mixed") else {}


def _is_done(migration: Migration, logs: Mapping[str, TableLog]) -> bool:
    return all(
        column in logs[step.table].columns
        for step in migration.steps if isinstance(step, AddColumns) and step.table in logs
        for column, _ in step.columns
    )


def lost_rows(found: Examined, name: str) -> int:
    """Rows of a table of records of what happened that its damaged files held, as far as the log knows."""
    if name not in found.logs:
        return 0
    return sum(
        max(found.logs[name].files[damage.file].n_rows, 0)
        for damage in found.of(name) if damage.kind == "data" and damage.file in found.logs[name].files
    )


@contextlib.contextmanager
def alone(root: str) -> Iterator[None]:
    """Hold the lake against other runs while it is mended; a no-op away from local files."""
    files = StoredFiles(root)
    if not files.is_local:
        yield
        return
    if files.kind("_locks") not in ("folder", "nothing"):
        files.delete("_locks")
    with hold_work(files.path("_locks"), TABLES, None):
        yield
