"""Looks at all files of a delivery, side by side, each once: what was learned is kept in a small file and used again.

The file lies in the user's cache folder and never in the raw folder. A look is used again when the file's path, size and
time of change are those it was taken at, and the layouts are the same; so ``sniff``, ``plan``, ``land`` and an
interrupted one of them read no file twice.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from conf.file_names import flow_in_name
from conf.layouts import Layout
from jobs.core.errors import InputRefusedError
from jobs.kernels.content import Content
from jobs.kernels.headings import NO_TABLE
from jobs.kernels.parts import parts_from_json, parts_to_json
from jobs.kernels.raw_folder import RawFolder
from jobs.kernels.reasons import NOT_NOW, not_now, reason_of
from jobs.kernels.side_by_side import FileLook, Run, in_groups, look_side_by_side
from jobs.kernels.sources import RawFile, look_at
from jobs.kernels.suitability import RECOGNISED, UnsuitableError
from jobs.readers.customs_files import Inspection, hash_file, inspection_of
from jobs.runtime.surroundings import cache_folder

#: Raise it when a look holds or means something else: old looks are then not used.
LOOK_REVISION = 5
#: A file up to this size is read into memory once, for its hash and its rows.
READ_WHOLE_BYTES = 256 << 20
N_WORKERS = max(2, min(8, os.cpu_count() or 2))
#: Executors are given so many bytes at a time; what they found is kept before the next.
SHARED_BYTES = 16 << 30
HOLDS_NOTHING = "of a kind that holds no records"
NO_PERMISSION = "no permission to read it. Give the user who runs this the right to."

Progress = Callable[[str, int, bool], None]


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that cannot be loaded.

    Attributes
    ----------
    source_file : str
    kind : str
        ``refused``, ``unsuitable`` (recognised, lacks what the study needs), ``empty`` or ``useless``.
    reason : str
        A sentence that does not start with the file's name.
    """

    source_file: str
    kind: Literal["refused", "unsuitable", "empty", "useless"]
    reason: str


class LookCache:
    """Looks taken before, by file; appended to as files finish.

    Parameters
    ----------
    path : Path or None
        JSON lines; None: nothing is kept beyond this process.
    version : str
        Hash of what a look depends on beside the file.
    """

    def __init__(self, path: Path | None, version: str) -> None:
        self._path, self._version = path, version
        self._lock = threading.Lock()
        self._known: dict[str, dict] = {}
        for entry in _entries(path):
            if entry.get("version") == version:
                self._known[entry["file"]] = entry

    @classmethod
    def of(cls, folder: RawFolder, layouts: Sequence[Layout], *, strict: bool) -> LookCache:
        """The cache of a raw folder, in the user's cache folder (``CUSTOMS_LAKE_CACHE``, ``XDG_CACHE_HOME``)."""
        name = hashlib.sha256(folder.address.encode()).hexdigest()[:16]
        version = hashlib.sha256(repr((LOOK_REVISION, strict, tuple(layouts))).encode()).hexdigest()[:16]
        path = cache_folder() / "looks" / f"{name}.jsonl"
        # one for the whole process: what was learned is not lost where the cache folder cannot be written
        if (path, version) not in _OPEN:
            _OPEN[path, version] = cls(path, version)
        return _OPEN[path, version]

    def get(self, source_file: str, stamp: tuple[int, int]) -> dict | None:
        """The look at a file of this size and time of change."""
        entry = self._known.get(source_file)
        return entry["look"] if entry and tuple(entry["stamp"]) == stamp else None

    def put(self, source_file: str, stamp: tuple[int, int], look: dict) -> None:
        """Keep a look; a cache that cannot be written is no reason to stop."""
        entry = {"version": self._version, "file": source_file, "stamp": stamp, "look": look}
        with self._lock:
            self._known[source_file] = entry
            if self._path is None:
                return
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with open(self._path, "a", encoding="utf-8") as stream:
                    stream.write(json.dumps(entry, ensure_ascii=False) + "\n")
            except OSError:
                self._path = None


_OPEN: dict[tuple[Path, str], LookCache] = {}


def look_at_files(
    folder: RawFolder, files: Sequence[tuple[str, int]], layouts: Sequence[Layout], cache: LookCache, *,
    known: Mapping[str, tuple[int, str]] | None = None, strict: bool = False,
    progress: Progress = lambda name, n_bytes, is_known: None, run: Run | None = None,
) -> Iterator[Inspection | Problem | str]:
    """Look at files side by side; yields in the order given, for a known file its name.

    Parameters
    ----------
    folder : RawFolder
    files : sequence of (str, int)
        Path below the folder and size in bytes.
    layouts : sequence of Layout
    cache : LookCache
    known : mapping, optional
        Name to size and SHA-256 of files that need no look if they are still the same.
    strict : bool
        Refuse files with a damaged byte.
    progress : callable
        Called as each file is done, with its name, its size, and whether it was known.
    run : callable, optional
        Who looks (see :func:`jobs.kernels.side_by_side.look_side_by_side`); threads of this process when not given.
    """
    desk = _Desk(folder, layouts, cache, known or {}, strict, progress)
    if run is not None:
        yield from _look_elsewhere(desk, files, run)
        return
    with ThreadPoolExecutor(max_workers=N_WORKERS) as pool:
        yield from pool.map(lambda given: desk.known_of(*given) or desk.looked_at(*given), files)


@dataclass(frozen=True, slots=True)
class _Desk:
    """What looking at any file needs, and what is done before and after a look."""

    folder: RawFolder
    layouts: Sequence[Layout]
    cache: LookCache
    hashes: Mapping[str, tuple[int, str]]
    strict: bool
    progress: Progress

    def known_of(self, name: str, n_bytes: int) -> Inspection | Problem | str | None:
        """A look taken before, or the name of a file that is what its receipt says; None when a look is needed."""
        stored = self.cache.get(name, _stamp(self.folder, name, n_bytes))
        is_known = stored is None and self.hashes.get(name) == (n_bytes, _hash(self.folder, name, n_bytes, self.hashes))
        if stored is None and not is_known:
            return None
        self.progress(name, n_bytes, True)
        return name if stored is None else _from_json(name, stored, self.layouts)

    def looked_at(self, name: str, n_bytes: int) -> Inspection | Problem:
        """Look here and now."""
        # the stamp of before: a file that changes meanwhile is looked at again
        stamp = _stamp(self.folder, name, n_bytes)
        found = _look(self.folder, name, n_bytes, self.layouts, self.strict)
        self.keep(name, n_bytes, stamp, found)
        return found

    def keep(self, name: str, n_bytes: int, stamp: tuple[int, int], found: Inspection | Problem) -> None:
        """Keep what was found, unless another user or a later run may read more."""
        if not (isinstance(found, Problem) and (found.reason == NO_PERMISSION or NOT_NOW in found.reason)):
            self.cache.put(name, stamp, _to_json(found))
        self.progress(name, n_bytes, False)


def _look_elsewhere(
    desk: _Desk, files: Sequence[tuple[str, int]], run: Run
) -> Iterator[Inspection | Problem | str]:
    """Have files looked at by others, so many bytes at a time that what is learned is kept as it comes."""
    folder = desk.folder
    with ThreadPoolExecutor(max_workers=N_WORKERS) as pool:
        known = list(pool.map(lambda given: desk.known_of(*given), files))
    found = {name: look for (name, _), look in zip(files, known, strict=True) if look is not None}
    waiting = [(name, n_bytes) for name, n_bytes in files if name not in found]
    for group in in_groups(waiting, SHARED_BYTES):
        stamps = {name: _stamp(folder, name, n_bytes) for name, n_bytes in group}
        open_to_us = [(name, n_bytes) for name, n_bytes in group if not _is_locked(folder, name)]
        looks = look_side_by_side(
            folder, open_to_us, desk.layouts, run, strict=desk.strict, flow_in_name=flow_in_name
        )
        by_name = {look.source_file: look for look in looks}
        for name, n_bytes in group:
            judged = _judged(folder, name, n_bytes, by_name.get(name), desk.layouts)
            desk.keep(name, n_bytes, stamps[name], judged)
            found[name] = judged
    yield from (found[name] for name, _ in files)


def _judged(
    folder: RawFolder, name: str, n_bytes: int, look: FileLook | None, layouts: Sequence[Layout]
) -> Inspection | Problem:
    """What others found, as looking here would have given it."""
    if look is None:
        return Problem(name, "refused", NO_PERMISSION)
    try:
        if look.refused is not None or look.look is None:
            raise look.refused or InputRefusedError(f"{name}: was not looked at. Run again.")
        return inspection_of(folder.file(name, n_bytes), look.look, layouts, look.sha256)
    except InputRefusedError as error:
        return _problem(name, error)


def _look(folder: RawFolder, name: str, n_bytes: int, layouts: Sequence[Layout], strict: bool) -> Inspection | Problem:
    try:
        raw = folder.file(name, n_bytes)
        if _is_locked(folder, name):
            raise PermissionError
        if n_bytes <= READ_WHOLE_BYTES:
            raw = _in_memory(raw)
        look = look_at(raw, layouts, strict=strict, flow_in_name=flow_in_name)
        sha256, n_hashed = hash_file(raw)
        if n_hashed != n_bytes or folder.size_of(name) != n_bytes:
            raise InputRefusedError(
                f"{name}: it changed while it was read: it is still being written. Run again when it is complete."
            )
        return inspection_of(raw, look, layouts, sha256)
    except InputRefusedError as error:
        return _problem(name, error)
    except PermissionError:
        return Problem(name, "refused", NO_PERMISSION)
    except OSError as error:
        ailing = not_now(error)
        return Problem(name, "refused", ailing or f"cannot be read ({reason_of(error)}). Is the file complete and readable?")


def _problem(name: str, error: InputRefusedError) -> Problem:
    kind = kind_of(error)
    sentence = HOLDS_NOTHING if kind == "useless" else without_name(str(error), name)
    return Problem(name, kind, sentence)


def _is_locked(folder: RawFolder, name: str) -> bool:
    """Nobody may read it: root could, but that is what its owner said."""
    try:
        return folder.is_local and not (folder.path / name).stat().st_mode & 0o444
    except OSError:
        return False


def _hash(folder: RawFolder, name: str, n_bytes: int, hashes: Mapping[str, tuple[int, str]]) -> str:
    """Hash of a file whose receipt has its size; empty for any other, which is not read."""
    if name not in hashes or hashes[name][0] != n_bytes:
        return ""
    try:
        return hash_file(folder.file(name, n_bytes))[0]
    except OSError:
        return ""


def kind_of(error: InputRefusedError | str) -> Literal["refused", "unsuitable", "empty", "useless"]:
    """What kind of problem a refusal is, or the sentence of one."""
    text = str(error)
    if isinstance(error, UnsuitableError) or RECOGNISED in text:
        return "unsuitable"
    if text.endswith("of a kind that holds no records; left out.") or NO_TABLE in text:
        return "useless"
    return "empty" if "the file is empty (0 bytes)" in text or "headings but no data lines" in text else "refused"


def without_name(sentence: str, name: str) -> str:
    """A sentence without the file's name before it, so that equal ones can be put together."""
    return sentence.removeprefix(name).removeprefix(":").strip()


def _in_memory(raw: RawFile) -> RawFile:
    data: list[bytes] = []

    def opened() -> io.BytesIO:
        if not data:
            with raw.open() as stream:
                data.append(stream.read())
        return io.BytesIO(data[0])

    return RawFile(raw.source_file, raw.n_bytes, opened)


def _stamp(folder: RawFolder, name: str, n_bytes: int) -> tuple[int, int]:
    try:
        return n_bytes, folder.changed_at(name)
    except OSError:
        return n_bytes, 0


def _to_json(found: Inspection | Problem) -> dict:
    if isinstance(found, Problem):
        return {"kind": found.kind, "reason": found.reason}
    return {
        "sha256": found.sha256, "bytes": found.n_bytes, "parts": parts_to_json(found.parts),
        "contents": [content.to_json() for content in found.contents], "left_out": [list(item) for item in found.left_out],
        "layout": found.layout.name, "encoding": found.encoding, "delimiter": found.delimiter,
        "headings": list(found.headings), "year": found.year, "month": found.month, "n_lines": found.n_lines,
    }


def _from_json(name: str, stored: dict, layouts: Sequence[Layout]) -> Inspection | Problem:
    if "reason" in stored:
        return Problem(name, stored["kind"], stored["reason"])
    layout = next(layout for layout in layouts if layout.name == stored["layout"])
    contents = tuple(Content.from_json(content) for content in stored["contents"])
    return Inspection(
        name, stored["sha256"], stored["bytes"], stored["n_lines"], stored["encoding"], stored["delimiter"],
        tuple(stored["headings"]), layout, stored["year"], stored["month"], parts_from_json(stored["parts"]),
        sum(contents, Content()), tuple((member, reason) for member, reason in stored["left_out"]), contents,
    )


def _entries(path: Path | None) -> Iterable[dict]:
    try:
        text = path.read_text("utf-8") if path is not None else ""
    except OSError:
        return
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            # the last line of an interrupted run may be cut
            continue
