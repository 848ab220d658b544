"""What disks, people and copy tools did to a lake: found by listing and reading logs, before Java or Spark touches it.

Three depths. ``listing``: marker, logs back to the last checkpoint, names and sizes of live files; a second for ten
thousand files, asked by every job before it calls anything up to date. ``log``: every log entry, the manifest and the
first and last bytes of every file. ``deep``: every column of every live file, against the checksum of its commit.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from jobs.core import checksums
from jobs.core.checksums import Share, ToVerify, footer_fault, read_recorded, recorded_versions, verify_files
from jobs.core.delta_log import LOG, LogFault, TableLog, read_log
from jobs.core.errors import DamagedLakeError, LakeError
from jobs.core.protection import STATE, state_fault
from jobs.core.stored_files import StoredFiles, hadoop_checksum_fails
from schemas import bronze, gold, ops, silver
from schemas.catalog import TABLES
from schemas.migrations import LAKE_FORMAT

MARKER = "_customs_lake.json"
_logger = logging.getLogger("customs_lake")
UNFINISHED_REPAIR = "_repair.json"
#: What a deep look found in files whose names and sizes are right: a listing cannot, and must not call them up to date.
FOUND_DEEP = "_damage.json"
Depth = Literal["listing", "log", "deep"]
Kind = Literal[
    "marker", "place", "absent", "log", "history", "data", "record", "folder", "privacy", "unreadable", "unfinished"
]
OWN_FOLDERS = ("_checksums", "_locks")  # beside the layers
_NO_FOLDER = {
    "file": "is a file, not a folder", "dangling": "is a link to nowhere", "other": "is no folder",
    "link": "is a link to another place, which the rights, checks and erasures of the lake do not reach",
}
SHOWN = 3
#: Of Linux and macOS file systems; of a path so much is left to the files of tables.
MAX_NAME_BYTES, MAX_PATH_BYTES = 255, 3_700


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it was left.

    Attributes
    ----------
    kind : str
        marker; place (the table is no folder); absent (it is gone or older than recorded); log (its state cannot be told);
        history (a log file that the present state does not need); data (a live file); record (a checksum); folder (one of
        the lake's own is none); privacy (how it keeps persons and firms); unreadable (rights or the disk forbid looking);
        unfinished (a repair was interrupted).
    table : str
        ``layer.name``, or the marker's name.
    file : str
        Below the table; empty for the table itself.
    what : str
    version : int
        Of a log entry or checkpoint, -1 otherwise.
    """

    kind: Kind
    table: str
    file: str
    what: str
    version: int = -1

    @property
    def sentence(self) -> str:
        """Table, file and what was found."""
        # the record of a table's checksums stands beside it
        file = self.file.removeprefix("../../")
        return f"{self.table}: {file} {self.what}" if file else f"{self.table}: {self.what}"


@dataclass(slots=True)
class Examined:
    """A lake as it was found.

    Attributes
    ----------
    files : StoredFiles
    logs : dict of str to TableLog
        By table, of those that have a log.
    damages : list of Damage
    marker : dict or None
        None when it cannot be believed.
    """

    files: StoredFiles
    logs: dict[str, TableLog] = field(default_factory=dict)
    damages: list[Damage] = field(default_factory=list)
    marker: dict[str, Any] | None = None

    def of(self, table: str) -> list[Damage]:
        """Damages of one table."""
        return [damage for damage in self.damages if damage.table == table]


def examine(
    root: str, depth: Depth = "listing", *, progress: Callable[[int, int], None] = lambda done, total: None,
    share: Share | None = None,
) -> Examined:
    """Look for damage; nothing is changed, and damaged content raises nothing.

    Parameters
    ----------
    root : str
        Of the lake.
    depth : {'listing', 'log', 'deep'}
    progress : callable
        Takes bytes verified and bytes in all, of a deep look.
    share : callable, optional
        What shares the files of a deep look out among executors.

    Raises
    ------
    LakeError
        If the folder is no lake, or of a newer product.
    """
    files = StoredFiles(root)
    found = Examined(files)
    try:
        present = [name for name in TABLES if _stands(files, name)]
        if files.kind(MARKER) == "nothing" and not present:
            raise LakeError(f"{root}: no lake there. Check --lake, or load files first with `customs-lake run`.")
        if files.kind(UNFINISHED_REPAIR) != "nothing":
            found.damages.append(Damage("unfinished", UNFINISHED_REPAIR, "", "a repair was interrupted"))
        odd = [(name, what) for name in OWN_FOLDERS if (what := _NO_FOLDER.get(files.kind(name)))]
        found.damages += [Damage("folder", name, "", what) for name, what in odd]
        for name in TABLES:
            _examine_table(found, name, depth)
        _expect_ledger(found)
        erased = found.logs.get(ops.ERASURE.name)
        if what := state_fault(files, has_erasures=erased is not None and bool(erased.files)):
            found.damages.append(Damage("privacy", STATE, "", what))
        if depth != "listing":
            _compare_with_manifest(found)
        if depth == "deep":
            _verify(found, progress, share)
            _note_deep(found)
        else:
            _remember_deep(found)
        _examine_marker(found)
    except OSError as error:
        where = str(error.filename or root).removeprefix(f"{root}/")
        found.damages.append(Damage("unreadable", where, "", f"cannot be read ({error.strerror or error})"))
    return found


def is_lake(root: str) -> bool:
    """Tell whether something of a lake stands at a root: its marker, or a table."""
    files = StoredFiles(root)
    try:
        return files.kind(MARKER) != "nothing" or any(_stands(files, name) for name in TABLES)
    except OSError:
        return True


def refuse_damage(root: str, *, raw: object = None) -> None:
    """Refuse to work on a lake in which a listing shows damage; a folder that is not a lake yet passes.

    Raises
    ------
    DamagedLakeError
        With what was found and the command that mends it.
    """
    refuse_path(root)
    try:
        if not is_lake(root):
            return
        damages = examine(root).damages
    except LakeError:
        # not a lake, a newer one, or a store that only Java can open: what opens it says so
        return
    if damages:
        shown = "".join(f"\n  {damage.sentence}" for damage in damages[:SHOWN])
        more = f"\n  and {len(damages) - SHOWN} more (`customs-lake fsck` lists them)" if len(damages) > SHOWN else ""
        raise DamagedLakeError(
            f"{root} is damaged; nothing was changed.{shown}{more}\nMend it: {repair_command(root, raw)}"
        )


def refuse_path(root: str) -> None:
    """Refuse a place whose files could not be named: Delta adds some 200 bytes to the path of a lake.

    Raises
    ------
    LakeError
    """
    files = StoredFiles(root)
    if not files.is_local:
        return
    path = str(files.path().absolute())
    longest = max((len(os.fsencode(part)) for part in path.split("/")), default=0)
    if longest > MAX_NAME_BYTES or len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise LakeError(
            f"--lake: a path of {len(os.fsencode(path)):,} bytes whose longest name has {longest:,}. File systems take names"
            f" of {MAX_NAME_BYTES} bytes and paths of 4,096, of which tables need some: at most {MAX_PATH_BYTES:,} for a lake."
        )
    if any(ord(character) < 32 or ord(character) == 127 for character in path):
        raise LakeError("--lake: a path with a control character (line break, tab). Choose another name for the folder.")


def repair_command(root: str, raw: object = None) -> str:
    """The command that mends a lake."""
    return f"customs-lake repair --lake {root} --raw {raw or 'RAW'}"


def _stands(files: StoredFiles, name: str) -> bool:
    return files.kind(name.replace(".", "/")) != "nothing"


def _examine_table(found: Examined, name: str, depth: Depth) -> None:
    files, table = found.files, name.replace(".", "/")
    versions = recorded_versions(files, table)
    layer = table.split("/")[0]
    for place in (layer, table, f"{table}/{LOG}"):
        if (what := _NO_FOLDER.get(files.kind(place))) is not None:
            at = "" if place == table else f"its folder {place} "
            found.damages.append(Damage("place", name, "", f"{at}{what}"))
            return
    log = read_log(files, table, every_entry=depth != "listing")
    recorded = max(versions, default=-1)
    if log.newest < 0:
        left = any(path.endswith(".parquet") for path in files.sizes(table)) if files.kind(table) == "folder" else False
        if versions:
            found.damages.append(Damage("absent", name, "", f"is gone; it was at version {recorded}"))
        elif left:
            found.damages.append(Damage("absent", name, LOG, "is gone, its data files are there"))
        return
    found.logs[name] = log
    if depth != "listing":
        _compare_entries(found, name, log)
    if (what := _NO_FOLDER.get(files.kind(checksums.record_folder(table)))) is not None:
        found.damages.append(Damage("record", name, f"../../{checksums.record_folder(table)}", what))
    for version in checksums.lost_records(files, table, log, with_last=depth != "listing"):
        path = f"../../{checksums.record_path(table, version)}"
        found.damages.append(Damage("record", name, path, "is gone: nothing proves that version whole", version))
    for fault in log.faults:
        kind: Kind = "log" if fault.is_needed else "history"
        found.damages.append(Damage(kind, name, f"{LOG}/{fault.name}", fault.what, fault.version))
    if log.is_known and log.newest < recorded:
        found.damages.append(
            Damage("absent", name, "", f"is at version {log.newest}, {recorded} was committed: log entries were taken away")
        )
    if log.is_known:
        found.damages += _data_damages(files, name, log, depth)


def _expect_ledger(found: Examined) -> None:
    """Tables of a run that came this far are built from receipts and entered in the manifest, recorded or not."""
    known = {damage.table for damage in found.damages}
    built = (bronze.DECLARATION.name, silver.DECLARATION.name, gold.CITY_EXPORTS.name)
    # a lake of some tables only may have been made by hand
    is_whole = all(name in found.logs and found.logs[name].files for name in built)
    for table in (ops.BUILD, ops.FILE_RECEIPT) if is_whole else ():
        if table.name not in found.logs and table.name not in known:
            found.damages.append(Damage("absent", table.name, "", f"is gone; {built[1]} was built with it"))


def unfinished_scopes(files: StoredFiles) -> dict[str, frozenset[int] | None]:
    """What an interrupted repair was to make anew: table to years, None for all of it."""
    if files.kind(UNFINISHED_REPAIR) == "nothing":
        return {}
    try:
        tables = json.loads(files.read(UNFINISHED_REPAIR) or b"")["tables"]
        return {
            name: None if years is None else frozenset(map(int, years)) for name, years in tables.items() if name in TABLES
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        # what it was about is not known any more: everything
        return dict.fromkeys(TABLES)


def _compare_entries(found: Examined, name: str, log: TableLog) -> None:
    """Hold the log entries against the hashes that were recorded of them."""
    table = name.replace(".", "/")
    recorded = read_recorded(found.files, table)
    found.damages += [Damage("record", name, f"../../{path}", "cannot be read") for path in recorded.odd]
    faulty = {fault.version for fault in log.faults}
    for version, sha256 in recorded.entries.items():
        entry = f"{version:020}.json"
        content = found.files.read(f"{table}/{LOG}/{entry}") if version not in faulty else None
        # an entry behind a checkpoint may have been cleaned up by Delta
        if content is not None and hashlib.sha256(content).hexdigest() != sha256:
            is_needed = version > max((c for c in log.checkpoints if c <= log.newest), default=-1)
            log.faults.append(LogFault(entry, "is not the one that was committed (SHA-256 differs)", version, is_needed))


def _data_damages(files: StoredFiles, name: str, log: TableLog, depth: Depth) -> list[Damage]:
    table = name.replace(".", "/")
    stored, damages = files.sizes(table), []
    for path, item in sorted(log.files.items()):
        if path not in stored:
            what = _in_place_of(files, f"{table}/{path}")
            damages.append(Damage("data", name, path, what))
        elif stored[path] != item.n_bytes:
            damages.append(Damage("data", name, path, f"has {stored[path]:,} bytes, {item.n_bytes:,} were committed"))
        elif depth == "log" and (fault := footer_fault(files, table, item)):
            damages.append(Damage("data", name, path, fault))
    return damages


def _in_place_of(files: StoredFiles, path: str) -> str:
    """What stands where a data file is expected."""
    for place in (path, path.rpartition("/")[0]):
        if (kind := files.kind(place)) in ("dangling", "link"):
            return _NO_FOLDER[kind] if place == path else f"lies in {place.rpartition('/')[2]}, which {_NO_FOLDER[kind]}"
    return "is gone"


def _verify(found: Examined, progress: Callable[[int, int], None], share: Share | None) -> None:
    wanted = []
    bad = {(damage.table, damage.file) for damage in found.damages}
    for name, log in found.logs.items():
        table = name.replace(".", "/")
        recorded = read_recorded(found.files, table).files
        wanted += [
            ToVerify(table, item, recorded.get(path, (0, ""))[1])
            for path, item in sorted(log.files.items()) if log.is_known and (name, path) not in bad
        ]
    for item, fault in verify_files(found.files, wanted, progress=progress, share=share):
        found.damages.append(Damage("data", item.table.replace("/", "."), item.file.path, fault))


def _note_deep(found: Examined) -> None:
    """Write down live files with another content, for every later look; take the note away when there are none."""
    bad = [[damage.table, damage.file] for damage in found.damages if damage.kind == "data"]
    try:
        if bad:
            found.files.write(FOUND_DEEP, json.dumps({"files": bad}).encode())
        elif found.files.kind(FOUND_DEEP) != "nothing":
            found.files.delete(FOUND_DEEP)
    except OSError:
        _logger.warning("fsck: what was found cannot be noted in %s; a run will not know of it.", found.files.root)


def _remember_deep(found: Examined) -> None:
    """Add what the last deep look found in files that are still live."""
    try:
        bad = [(str(table), str(file)) for table, file in json.loads(found.files.read(FOUND_DEEP) or b"")["files"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    known = {(damage.table, damage.file) for damage in found.damages}
    for table, file in bad:
        if (table, file) not in known and table in found.logs and file in found.logs[table].files:
            found.damages.append(Damage("data", table, file, "has another content (found by fsck --deep)"))


def _compare_with_manifest(found: Examined) -> None:
    """Tables that the manifest knows at a version they do not have, for lakes whose commits were not recorded."""
    known = {damage.table for damage in found.damages}
    if ops.BUILD.name in known or ops.BUILD.name not in found.logs:
        return
    for name, version in sorted(_manifest_versions(found).items()):
        if name not in TABLES or name in known:
            continue
        newest = found.logs[name].newest if name in found.logs else -1
        if newest < version:
            what = "is gone" if newest < 0 else f"is at version {newest}"
            found.damages.append(Damage("absent", name, "", f"{what}; the manifest (ops.build) knows version {version}"))


def _manifest_versions(found: Examined) -> dict[str, int]:
    """Version of each table by the builds in force, the latest of each year: a table built anew begins at version 0."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = []
    for path in found.logs[ops.BUILD.name].files:
        try:
            content = found.files.read(f"{ops.BUILD.relative_path}/{path}") or b""
            table = pq.read_table(io.BytesIO(content), columns=["table_name", "year", "table_version", "built_at"])
        except (OSError, pa.ArrowException, ValueError, KeyError) as error:
            what = f"cannot be read ({(str(error).splitlines() or [''])[0][:160]})"
            found.damages.append(Damage("data", ops.BUILD.name, path, what))
            continue
        rows += table.to_pylist()
    rows.sort(key=lambda row: row["built_at"])
    in_force = {(row["table_name"], row["year"]): row["table_version"] for row in rows}
    versions: dict[str, int] = {}
    for (name, _), version in in_force.items():
        versions[name] = max(versions.get(name, -1), int(version))
    return versions


def _examine_marker(found: Examined) -> None:
    files = found.files
    kind = files.kind(MARKER)
    if kind != "file":
        words = {"nothing": "is gone", "folder": "is a folder, not a file", "dangling": "is a link to nowhere"}
        found.damages.append(Damage("marker", MARKER, "", words.get(kind, "is no file")))
        return
    content = files.read(MARKER) or b""
    marker, what = parse_marker(content, {name: log.newest for name, log in found.logs.items()})
    if not what and hadoop_checksum_fails(content, files.read(f".{MARKER}.crc")):
        what = "is not what was written: its checksum (.crc beside it) is another's"
    if what:
        found.damages.append(Damage("marker", MARKER, "", what))
    else:
        found.marker = marker


def parse_marker(content: bytes, versions: dict[str, int] | None = None) -> tuple[dict[str, Any], str]:
    """Read a lake's marker.

    Parameters
    ----------
    content : bytes
    versions : dict of str to int, optional
        Latest version of each table: a floor above it is odd.

    Returns
    -------
    (dict, str)
        The marker, and what is odd about it; empty when nothing is.
    """
    try:
        marker = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return {}, f"is not JSON ({str(error)[:80]})" if content else "is empty"
    if not isinstance(marker, dict) or not _is_whole(marker.get("format")) or marker["format"] < 1:
        return {}, f"has no format: expected a number from 1 to {LAKE_FORMAT}"
    floors = marker.get("floors", {})
    if not isinstance(floors, dict) or not all(_is_whole(value) and value >= -1 for value in floors.values()):
        return {}, f"has odd floors: expected table to version, found {str(floors)[:80]}"
    if not isinstance(marker.get("columns", ""), str):
        return {}, "has odd columns: expected a text"
    above = [name for name, floor in floors.items() if versions and name in versions and floor > versions[name]]
    if above and marker["format"] <= LAKE_FORMAT:
        return {}, f"has floors above the version of {', '.join(above[:SHOWN])}"
    return marker, ""


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def lines_of(damages: Sequence[Damage], command: str) -> Iterator[str]:
    """Damages as lines for a terminal, each with the command that mends it."""
    for damage in damages:
        mend = command if damage.kind != "unreadable" else "give the user who runs this the right to read it (chmod, chown)"
        yield f"error  {damage.sentence}. Repair: {mend}"
