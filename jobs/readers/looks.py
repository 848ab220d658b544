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

from conf.file_names import period_of
from conf.layouts import Layout
from jobs.core.errors import InputRefusedError
from jobs.kernels.content import Content
from jobs.kernels.parts import parts_from_json, parts_to_json
from jobs.kernels.raw_folder import RawFolder
from jobs.kernels.reasons import reason_of
from jobs.kernels.sources import RawFile, UnsuitableError, look_at
from jobs.readers.customs_files import Inspection, hash_file, inspection_of

#: Raise it when a look holds or means something else: old looks are then not used.
LOOK_REVISION = 2
#: A file up to this size is read into memory once, for its hash and its rows.
READ_WHOLE_BYTES = 256 << 20
N_WORKERS = max(2, min(8, os.cpu_count() or 2))


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
        given = os.environ.get("CUSTOMS_LAKE_CACHE")
        root = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "customs-lake"
        name = hashlib.sha256(folder.address.encode()).hexdigest()[:16]
        version = hashlib.sha256(repr((LOOK_REVISION, strict, tuple(layouts))).encode()).hexdigest()[:16]
        path = root / "looks" / f"{name}.jsonl"
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
    progress: Callable[[str, int, bool], None] = lambda name, n_bytes, is_known: None,
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
    """

    def look(given: tuple[str, int]) -> Inspection | Problem | str:
        name, n_bytes = given
        stamp = _stamp(folder, name, n_bytes)
        stored = cache.get(name, stamp)
        if stored is not None:
            progress(name, n_bytes, True)
            return _from_json(name, stored, layouts)
        if known and name in known and known[name][0] == n_bytes and _hash(folder, name, n_bytes) == known[name][1]:
            progress(name, n_bytes, True)
            return name
        found = _look(folder, name, n_bytes, layouts, strict)
        if not (isinstance(found, Problem) and "permission" in found.reason):
            cache.put(name, stamp, _to_json(found))
        progress(name, n_bytes, False)
        return found

    with ThreadPoolExecutor(max_workers=N_WORKERS) as pool:
        yield from pool.map(look, files)


def _look(folder: RawFolder, name: str, n_bytes: int, layouts: Sequence[Layout], strict: bool) -> Inspection | Problem:
    try:
        raw = folder.file(name, n_bytes)
        if folder.is_local and not (folder.path / name).stat().st_mode & 0o444:
            # root could read it; that nobody may is what its owner said
            raise PermissionError
        if n_bytes <= READ_WHOLE_BYTES:
            raw = _in_memory(raw)
        look = look_at(raw, layouts, strict=strict, flow_in_name=lambda path: period_of(path).flow)
        sha256, n_hashed = hash_file(raw)
        if n_hashed != n_bytes or folder.size_of(name) != n_bytes:
            raise InputRefusedError(
                f"{name}: it changed while it was read: it is still being written. Run again when it is complete."
            )
        return inspection_of(raw, look, layouts, sha256)
    except InputRefusedError as error:
        kind = kind_of(error)
        sentence = "of a kind that holds no records" if kind == "useless" else without_name(str(error), name)
        return Problem(name, kind, sentence)
    except PermissionError:
        return Problem(name, "refused", "no permission to read it. Give the user who runs this the right to.")
    except OSError as error:
        return Problem(name, "refused", f"cannot be read ({reason_of(error)}). Is the file complete and readable?")


def _hash(folder: RawFolder, name: str, n_bytes: int) -> str:
    try:
        return hash_file(folder.file(name, n_bytes))[0]
    except OSError:
        return ""


def kind_of(error: InputRefusedError) -> Literal["refused", "unsuitable", "empty", "useless"]:
    """What kind of problem a refusal is."""
    if isinstance(error, UnsuitableError):
        return "unsuitable"
    text = str(error)
    if text.endswith("of a kind that holds no records; left out."):
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
        "content": found.content.to_json(), "left_out": [list(item) for item in found.left_out],
        "layout": found.layout.name, "encoding": found.encoding, "delimiter": found.delimiter,
        "headings": list(found.headings), "year": found.year, "month": found.month, "n_lines": found.n_lines,
    }


def _from_json(name: str, stored: dict, layouts: Sequence[Layout]) -> Inspection | Problem:
    if "reason" in stored:
        return Problem(name, stored["kind"], stored["reason"])
    layout = next(layout for layout in layouts if layout.name == stored["layout"])
    return Inspection(
        name, stored["sha256"], stored["bytes"], stored["n_lines"], stored["encoding"], stored["delimiter"],
        tuple(stored["headings"]), layout, stored["year"], stored["month"], parts_from_json(stored["parts"]),
        Content.from_json(stored["content"]), tuple((member, reason) for member, reason in stored["left_out"]),
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
