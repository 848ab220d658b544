"""A SHA-256 of every data file, recorded when it is committed, and the check of all live files against it.

``_checksums/<table>/<version>.json`` names the files that a version added, with size and hash, and the hash of its log
entry. Recorded after the commit; what a killed run could not record is recorded with the next commit to the table. A
record never changes, so it may be copied with the lake. Hashing reads what the disk cache still holds.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.core.commits import PRODUCT
from jobs.core.delta_log import LOG, LiveFile, TableLog, read_commits, read_log
from jobs.core.locks import is_committing
from jobs.core.stored_files import StoredFiles

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "_checksums"
VERIFIED = f"{FOLDER}/_verified.json"
#: A check that was interrupted is taken up again for so long.
RESUME_SECONDS = 24 * 3600.0
_BLOCK = 1 << 20
_SAVE_EVERY_SECONDS = 5.0
# of files that go to an executor together, and tasks between two notes of how far the check is
_TASK_BYTES = 512 << 20
_WAVE = 64


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded of a table.

    Attributes
    ----------
    version : int
        Latest version recorded, -1 for none.
    files : dict
        Path below the table to (bytes, SHA-256).
    entries : dict
        Version to the SHA-256 of its log entry.
    odd : tuple of str
        Records that cannot be read.
    """

    version: int
    files: Mapping[str, tuple[int, str]]
    entries: Mapping[int, str]
    odd: tuple[str, ...] = ()


def record_checksums(
    files: StoredFiles, table: str, *, hashes: Mapping[str, tuple[int, str]] | None = None
) -> int:
    """Record the data files that were committed to a table since its last record; return their number.

    Parameters
    ----------
    files : StoredFiles
    table : str
        Its path below the root.
    hashes : mapping, optional
        Path below the table to bytes and SHA-256 of files that were hashed while they were written: not read again.
    """
    known = hashes or {}
    pending = read_commits(files, table, known=set(recorded_versions(files, table)))
    # a file that a later commit took away already may be gone from the disk
    live = read_log(files, table).files if sum(bool(commit.added) for commit in pending) > 1 else None
    n_files = 0
    for commit in pending:
        added = [item for item in commit.added if live is None or item.path in live]
        found = {item.path: known.get(item.path) or _hash(files, f"{table}/{item.path}") for item in added}
        entry = files.read(f"{table}/{LOG}/{commit.version:020}.json") or b""
        record = {
            "version": commit.version, "entry": hashlib.sha256(entry).hexdigest(),
            "files": {path: list(pair) for path, pair in found.items()},
        }
        text = json.dumps(record, ensure_ascii=False, sort_keys=True)
        files.write(f"{record_folder(table)}/{commit.version:020}.json", text.encode())
        n_files += len(added)
    return n_files


def record_missing(files: StoredFiles, tables: Iterable[str]) -> int:
    """Record what killed runs left unrecorded, of tables that have records; return the number of data files."""
    n_files = 0
    for table in tables:
        versions = recorded_versions(files, table)
        if versions and f"{max(versions) + 1:020}.json" in files.names(f"{table}/{LOG}"):
            n_files += record_checksums(files, table)
    return n_files


def lost_records(files: StoredFiles, table: str, log: TableLog, *, with_last: bool) -> list[int]:
    """Versions of our own whose record is gone, of a table that has any: an older product made none.

    Parameters
    ----------
    with_last : bool
        Of the last commits a killed run may have made none yet, which the next one makes up for: count these, too, unless a
        process is at work on the table.
    """
    recorded = recorded_versions(files, table)
    unrecorded = sorted(set(log.entries) - set(recorded)) if recorded else []
    last = [version for version in unrecorded if version > max(recorded)]
    is_settled = with_last and files.is_local and not is_committing(files.path("_locks"), table.replace("/", "."))
    ours = {commit.version for commit in log.commits if commit.metadata.get("product") == PRODUCT} if is_settled else set()
    return [version for version in unrecorded if version not in last or version in ours]


def recorded_versions(files: StoredFiles, table: str) -> list[int]:
    """Versions of a table that are recorded; from names alone."""
    return [int(name[:20]) for name in files.names(record_folder(table)) if name.endswith(".json") and name[:20].isdigit()]


def read_recorded(files: StoredFiles, table: str) -> Recorded:
    """Everything that is recorded of a table; a record that cannot be read is named, not raised."""
    known: dict[str, tuple[int, str]] = {}
    entries: dict[int, str] = {}
    odd, versions = [], recorded_versions(files, table)
    for version in sorted(versions):
        name = f"{record_folder(table)}/{version:020}.json"
        try:
            record = json.loads(files.read(name) or b"")
            if record["version"] != version:
                raise ValueError(record["version"])
            known |= {path: (int(n_bytes), str(sha256)) for path, (n_bytes, sha256) in record["files"].items()}
            entries[version] = str(record["entry"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
            odd.append(name)
    return Recorded(max(versions, default=-1), known, entries, tuple(odd))


def record_path(table: str, version: int) -> str:
    """Where the record of a version stands, below the root."""
    return f"{record_folder(table)}/{version:020}.json"


@dataclass(frozen=True, slots=True)
class ToVerify:
    """A live data file and what is known of it.

    Attributes
    ----------
    table : str
        Path below the root.
    file : LiveFile
    sha256 : str
        Empty when none was recorded; the file is then judged by its columns alone.
    """

    table: str
    file: LiveFile
    sha256: str


#: Runs tasks, given as texts, by the dotted name of a function of (task, *arguments), elsewhere; gives what they yield.
Share = Callable[[Sequence[str], str, tuple], Iterable[str]]


def verify_files(
    files: StoredFiles, wanted: list[ToVerify], *, progress: Callable[[int, int], None] = lambda done, total: None,
    share: Share | None = None,
) -> Iterator[tuple[ToVerify, str]]:
    """Compare the bytes of data files with what was recorded, or read all their columns without; yield the faults.

    Side by side on all cores, or on executors; a check that was interrupted within a day goes on where it stopped.

    Parameters
    ----------
    files : StoredFiles
    wanted : list of ToVerify
    progress : callable
        Takes bytes verified and bytes in all.
    share : callable, optional
        What shares the files out among executors; names and hashes go there, faults come back.
    """
    sound = _sound_before(files)
    total = sum(item.file.n_bytes for item in wanted)
    waiting = [item for item in wanted if _key(item) not in sound]
    done = total - sum(item.file.n_bytes for item in waiting)
    saved = time.monotonic()
    for item, fault in _side_by_side(files, waiting) if share is None else _elsewhere(files, waiting, share):
        done += item.file.n_bytes
        progress(done, total)
        if fault:
            yield item, fault
        else:
            sound.add(_key(item))
        if time.monotonic() - saved > _SAVE_EVERY_SECONDS:
            _save(files, sound)
            saved = time.monotonic()
    _forget_progress(files)


def _side_by_side(files: StoredFiles, waiting: list[ToVerify]) -> Iterator[tuple[ToVerify, str]]:
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        yield from zip(waiting, pool.map(lambda item: _fault(files, item), waiting), strict=True)


def _elsewhere(files: StoredFiles, waiting: list[ToVerify], share: Share) -> Iterator[tuple[ToVerify, str]]:
    """Wave by wave, so that an interrupted check loses one wave at most."""
    tasks: list[list[int]] = [[]]
    for number, item in enumerate(waiting):
        if tasks[-1] and sum(waiting[one].file.n_bytes for one in tasks[-1]) + item.file.n_bytes > _TASK_BYTES:
            tasks.append([])
        tasks[-1].append(number)
    for begin in range(0, len(tasks), _WAVE):
        texts = [
            json.dumps([(number, dataclasses.asdict(waiting[number])) for number in task])
            for task in tasks[begin : begin + _WAVE] if task
        ]
        for text in share(texts, f"{__name__}.faults_of", (files.root,)):
            yield from ((waiting[number], fault) for number, fault in json.loads(text))


def faults_of(task: str, root: str) -> Iterator[pa.RecordBatch]:
    """Verify the files of one task on an executor; yields one row with number and fault of each."""
    import pyarrow as pa

    files = StoredFiles(root)
    found = [
        (number, _fault(files, ToVerify(item["table"], LiveFile(**item["file"]), item["sha256"])))
        for number, item in json.loads(task)
    ]
    yield pa.RecordBatch.from_pydict({"result": pa.array([json.dumps(found)], pa.string())})


def _fault(files: StoredFiles, item: ToVerify) -> str:
    """What is wrong with a data file; empty when nothing is."""
    path = f"{item.table}/{item.file.path}"
    try:
        if not item.sha256:
            return _column_fault(files, path, item.file)
        # the bytes that were committed hold the columns that were committed: decoding them again proves no more
        is_same = _hash(files, path)[1] == item.sha256
        return "" if is_same else "holds other bytes than were committed (SHA-256 differs)"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"


def _column_fault(files: StoredFiles, path: str, item: LiveFile) -> str:
    """Read every column of a file of which no checksum was recorded."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        n_rows = 0
        with files.open(path) as stream:
            for batch in pq.ParquetFile(stream).iter_batches(1 << 16, use_threads=False):
                n_rows += batch.num_rows
    except (pa.ArrowException, ValueError) as error:
        return f"cannot be read ({(str(error).splitlines() or [type(error).__name__])[0][:160]})"
    return "" if item.n_rows in (-1, n_rows) else f"holds {n_rows:,} rows, the log says {item.n_rows:,}"


def footer_fault(files: StoredFiles, table: str, item: LiveFile) -> str:
    """What the first and last bytes of a data file say against it: zeroed, cut, another file's."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with files.open(f"{table}/{item.path}") as stream:
            if stream.read(4) != b"PAR1":
                return "is not a Parquet file"
            stream.seek(0)
            n_rows = pq.ParquetFile(stream).metadata.num_rows
    except (OSError, pa.ArrowException, ValueError) as error:
        return f"cannot be read ({(str(error).splitlines() or [type(error).__name__])[0][:160]})"
    return "" if item.n_rows in (-1, n_rows) else f"holds {n_rows:,} rows, the log says {item.n_rows:,}"


def _hash(files: StoredFiles, path: str) -> tuple[int, str]:
    digest, n_bytes = hashlib.sha256(), 0
    with files.open(path) as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            n_bytes += len(block)
    return n_bytes, digest.hexdigest()


def record_folder(table: str) -> str:
    """Where the records of a table stand, below the root."""
    return f"{FOLDER}/{table.replace('/', '.')}"


def _key(item: ToVerify) -> str:
    return f"{item.table}/{item.file.path} {item.sha256}"


def _sound_before(files: StoredFiles) -> set[str]:
    try:
        saved = json.loads(files.read(VERIFIED) or b"{}")
        return set(saved["sound"]) if time.time() - float(saved["at"]) < RESUME_SECONDS else set()
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
        return set()


def _save(files: StoredFiles, sound: set[str]) -> None:
    try:
        files.write(VERIFIED, json.dumps({"at": time.time(), "sound": sorted(sound)}).encode())
    except OSError:
        # a lake that may only be read can be checked, too; it is then not taken up again
        return


def _forget_progress(files: StoredFiles) -> None:
    if files.kind(VERIFIED) == "file":
        try:
            files.delete(VERIFIED)
        except OSError:
            return
