"""What a delivered file contains: itself, or the members of an archive, streamed and never written outside a folder of ours.

Kinds are told by their first bytes, the ending of the name only where these say nothing. Names of members that are no
Unicode are read as GB 18030, which is what Chinese systems write. A member is read from the archive's stream; only what
must be sought in (Stata, workbooks, databases) is unpacked to a temporary folder first, within limits.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, cast

import pyarrow as pa

from jobs.core.errors import InputRefusedError
from jobs.kernels import limits
from jobs.kernels.kinds import PACKED, SUFFIXES, UNREAD, kind_of
from jobs.kernels.reasons import not_now, one_line, reason_of

_VOLUME = re.compile(r"\.(?:7z|zip|rar)\.\d{2,3}$|\.z\d{2}$|\.part\d+\.rar$|\.r\d{2}$", re.IGNORECASE)
_ARCHIVES = ("zip", "7z", "rar", "tar", *PACKED)
_SOUGHT = ("stata", "parquet", "arrow", "sas", "spss", "excel", "access")
#: What systems and programs leave beside data.
CLUTTER = ("__macosx", ".ds_store", "thumbs.db", "desktop.ini")
_UNREADABLE = (
    OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, pa.ArrowException, RuntimeError,
    NotImplementedError,
)


@dataclass(frozen=True, slots=True)
class Member:
    """One thing inside a delivered file.

    Attributes
    ----------
    name : str
        Path inside the file; empty for the file itself.
    kind : str
        text, stata, parquet, arrow, sas, spss, excel, access; empty when it is nothing that holds records.
    n_bytes : int
        Size unpacked, -1 when not known.
    open : callable
        Opens a stream; can be sought where the kind needs it.
    is_packed : bool
        It comes out of an archive or a compressed file.
    """

    name: str
    kind: str
    n_bytes: int
    open: Callable[[], contextlib.AbstractContextManager[BinaryIO]]
    is_packed: bool = False


@contextlib.contextmanager
def members_of(open_file: Callable[[], BinaryIO], name: str, n_bytes: int) -> Iterator[list[Member]]:
    """Look into a delivered file.

    Parameters
    ----------
    open_file : callable
        Opens the file's bytes; the stream can be sought.
    name : str
        How to call it in messages.
    n_bytes : int
        Its size.

    Yields
    ------
    list of Member
        In the order of their names, valid inside the ``with``.

    Raises
    ------
    InputRefusedError
        Broken, encrypted, too deep, too many members, a member outside the folder, or one that unpacks to more than its
        size can explain.
    """
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(open_file())
        folder = _Folder(stack)
        found = sorted(
            _look_inside(_Opened(name, "", stream, n_bytes, open_file), folder, 0), key=lambda member: member.name
        )
        stream.seek(0)
        if len(found) == 1 and _is_packed(stream.read(6)) and "/" not in found[0].name:
            # a compressed file is the file itself: its name says all
            found = [replace(found[0], name="")]
        yield found


def _is_packed(start: bytes) -> bool:
    return kind_of("", start) in PACKED


class _Folder:
    """A temporary folder that is made when it is needed and goes with the reading."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._path: Path | None = None
        self._n = 0

    def new_path(self, suffix: str) -> Path:
        if self._path is None:
            self._path = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="customs-lake-")))
        self._n += 1
        # never a name out of an archive: nothing can be written elsewhere
        return self._path / f"{self._n}{suffix}"

    def keep_open(self, path: Path) -> BinaryIO:
        """Open a file for as long as the delivered one is open: members of an archive are read later."""
        return self._stack.enter_context(open(path, "rb"))


@dataclass(frozen=True, slots=True)
class _Opened:
    file: str
    member: str
    stream: BinaryIO
    n_bytes: int
    reopen: Callable[[], BinaryIO]
    is_packed: bool = False

    @property
    def where(self) -> str:
        return f"{self.file}/{self.member}" if self.member else self.file


def _look_inside(opened: _Opened, folder: _Folder, depth: int) -> Iterator[Member]:
    start = opened.stream.read(64)
    opened.stream.seek(0)
    kind = _kind_within(opened.member or opened.file, start, opened)
    if kind not in _ARCHIVES:
        yield Member(opened.member, kind, opened.n_bytes, _opener(opened.reopen), opened.is_packed)
        return
    if depth >= limits.MAX_DEPTH:
        raise InputRefusedError(
            f"{opened.where}: archives inside archives, {depth} deep; at most {limits.MAX_DEPTH} are opened. Unpack it."
        )
    entries = {"zip": _zip_entries, "7z": _seven_entries, "rar": _rar_entries, "tar": _tar_entries}.get(kind, _packed_entries)
    try:
        for entry in entries(opened, folder):
            yield from _of_entry(entry, opened, folder, depth)
    except InputRefusedError:
        raise
    except _UNREADABLE as error:
        raise refusal(opened.where, kind, error) from error


def _kind_within(name: str, start: bytes, opened: _Opened) -> str:
    """The kind of a file that can be sought in; what no reader knows although it is data is refused."""
    if _VOLUME.search(name):
        raise InputRefusedError(
            f"{opened.where}: one volume of an archive in several. Unpack them together"
            " (`7z x` on the first) and deliver what is in them."
        )
    kind = kind_of(name, start)
    if kind == "zip" and _is_workbook(opened.stream):
        return "excel"
    suffix = PurePosixPath(name.lower()).suffix
    if not kind and suffix in UNREAD:
        raise InputRefusedError(
            f"{opened.where}: data of a kind that is not read here ({suffix}). {UNREAD[suffix]} and deliver that."
        )
    return kind


def _is_workbook(stream: BinaryIO) -> bool:
    """Tell whether a zip archive is a workbook under another name."""
    try:
        with zipfile.ZipFile(stream) as archive:
            names = set(archive.namelist())
    except zipfile.BadZipFile:
        names = set()
    stream.seek(0)
    return {"mimetype", "content.xml"} <= names or not names.isdisjoint(("xl/workbook.xml", "xl/workbook.bin"))


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    n_bytes: int
    open: Callable[[], BinaryIO]


def _of_entry(entry: _Entry, archive: _Opened, folder: _Folder, depth: int) -> Iterator[Member]:
    """Members of one entry: itself, or what an archive inside the archive holds."""
    where = f"{archive.file}/{entry.name}"
    with entry.open() as stream:
        start = stream.read(64)
    kind = kind_of(entry.name, start)
    if kind in _SOUGHT or (kind in _ARCHIVES and kind not in PACKED):
        path = folder.new_path(PurePosixPath(entry.name).suffix.lower())
        with entry.open() as stream, open(path, "wb") as target:
            shutil.copyfileobj(stream, target, 1 << 20)

        def reopen() -> BinaryIO:
            return open(path, "rb")

        inner = _Opened(archive.file, entry.name, folder.keep_open(path), path.stat().st_size, reopen, True)
        yield from _look_inside(inner, folder, depth + 1)
    elif kind in PACKED:
        unpacked = _Entry(
            unpacked_name(entry.name), -1, lambda: _guarded(_unpacking(kind, entry.open()), where, entry.n_bytes)
        )
        yield from _of_entry(unpacked, archive, folder, depth + 1)
    else:
        yield Member(entry.name, kind, entry.n_bytes, _opener(entry.open), True)


def _opener(open_stream: Callable[[], BinaryIO]) -> Callable[[], contextlib.AbstractContextManager[BinaryIO]]:
    return lambda: contextlib.closing(open_stream())


def unpacked_name(name: str) -> str:
    """Name of what is in a compressed file: ``a.csv`` for ``a.csv.gz``, ``a.tar`` for ``a.tgz``."""
    stem, point, ending = name.rpartition(".")
    if ending.lower() in ("tgz", "tbz", "tbz2", "txz"):
        return f"{stem}.tar"
    return stem if point and SUFFIXES.get(f".{ending.lower()}") in PACKED else name


def _unpacking(kind: str, stream: BinaryIO) -> BinaryIO:
    if kind == "zstd":
        return pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd")
    if kind == "gzip":
        return gzip.GzipFile(fileobj=stream)  # type: ignore[return-value]  # reads bytes, which is all that is asked
    return bz2.BZ2File(stream) if kind == "bzip2" else lzma.LZMAFile(stream)  # type: ignore[return-value]  # reads bytes, which is all that is asked


def _packed_entries(opened: _Opened, folder: _Folder) -> Iterator[_Entry]:
    opened.stream.seek(0)
    kind = kind_of(opened.member or opened.file, opened.stream.read(64))
    inner = PurePosixPath(unpacked_name(opened.member or opened.file)).name
    yield _Entry(inner, -1, lambda: _guarded(_unpacking(kind, opened.reopen()), opened.where, opened.n_bytes))


def _tar_entries(opened: _Opened, folder: _Folder) -> Iterator[_Entry]:
    archive = tarfile.open(fileobj=opened.stream, mode="r:")
    infos = []
    for number, info in enumerate(archive, start=1):
        _check_number(opened, number)
        _check_inside(opened, info.name)
        # links and devices hold nothing
        if info.isfile() and not is_clutter(info.name):
            infos.append(info)
    opened.stream.seek(archive.offset)
    if opened.stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise refusal(opened.where, "tar", EOFError("its end mark is missing"))
    for info in infos:
        # of a file, which is what the entries are, there is always a stream
        unpack = cast(Callable[[], BinaryIO], partial(archive.extractfile, info))
        yield _Entry(_joined(opened.member, info.name), info.size, unpack)


def _zip_entries(opened: _Opened, folder: _Folder) -> Iterator[_Entry]:
    archive = zipfile.ZipFile(opened.stream)
    infos = [info for info in archive.infolist() if not info.is_dir()]
    _check_number(opened, len(infos))
    if limits.overlap((info.header_offset, info.compress_size) for info in infos):
        raise refusal(opened.where, "zip", ValueError("its members share their bytes, as in one made to harm"))
    for info in infos:
        name = _member_name(info)
        if is_clutter(name):
            continue
        _check_inside(opened, name)
        if info.flag_bits & 1:
            raise InputRefusedError(_locked(opened.where, f"7z x -pPASSWORD {PurePosixPath(opened.file).name}"))
        _check_ratio(f"{opened.where}/{name}", info.file_size, max(info.compress_size, 1))
        unpack = partial(_of_zip, archive, info, f"{opened.where}/{name}")
        yield _Entry(_joined(opened.member, name), info.file_size, unpack)


def _of_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> BinaryIO:
    return _guarded(archive.open(info), where, max(info.compress_size, 1))


def _seven_entries(opened: _Opened, folder: _Folder) -> Iterator[_Entry]:
    import py7zr

    try:
        archive = py7zr.SevenZipFile(opened.stream)
    except (py7zr.exceptions.ArchiveError, OSError, ValueError) as error:
        raise refusal(opened.where, "7z", error) from error
    with archive:
        if archive.needs_password():
            raise InputRefusedError(_locked(opened.where, f"7z x -pPASSWORD {PurePosixPath(opened.file).name}"))
        infos = [info for info in archive.list() if not info.is_directory]
        _check_number(opened, len(infos))
        for info in infos:
            _check_inside(opened, info.filename)
        _check_ratio(opened.where, sum(info.uncompressed for info in infos), max(opened.n_bytes, 1))
        target = folder.new_path("")
        try:
            archive.extractall(target)
        except (py7zr.exceptions.ArchiveError, OSError, ValueError, zlib.error, EOFError) as error:
            raise refusal(opened.where, "7z", error) from error
    for info in infos:
        path = target / info.filename
        if not is_clutter(info.filename) and path.is_file() and not path.is_symlink():
            unpack = cast(Callable[[], BinaryIO], partial(path.open, "rb"))
            yield _Entry(_joined(opened.member, info.filename), info.uncompressed, unpack)


def _rar_entries(opened: _Opened, folder: _Folder) -> Iterator[_Entry]:
    try:
        import libarchive
    except (ImportError, OSError, TypeError, AttributeError) as error:
        raise InputRefusedError(
            f"{opened.where}: a RAR archive, and the library that reads it (libarchive) is not on this machine. Install it"
            f" (package libarchive13), or unpack the file: `unrar x {PurePosixPath(opened.file).name}`."
        ) from error
    unpacked: list[tuple[str, Path]] = []
    source = folder.new_path(".rar")
    with opened.reopen() as stream, open(source, "wb") as target:
        shutil.copyfileobj(stream, target, 1 << 20)
    try:
        with libarchive.file_reader(str(source)) as archive:
            for number, entry in enumerate(archive, start=1):
                _check_number(opened, number)
                name = _unicode_name(entry.pathname)
                _check_inside(opened, name)
                if not entry.isfile or is_clutter(name):
                    continue
                path = folder.new_path(PurePosixPath(name).suffix)
                total = 0
                with open(path, "wb") as target:
                    for block in entry.get_blocks():
                        total += len(block)
                        _check_ratio(f"{opened.where}/{name}", total, max(opened.n_bytes, 1))
                        target.write(block)
                unpacked.append((name, path))
    except libarchive.ArchiveError as error:
        if "encrypt" in str(error).lower() or "passphrase" in str(error).lower():
            raise InputRefusedError(_locked(opened.where, f"unrar x -pPASSWORD {opened.file}")) from error
        raise refusal(opened.where, "rar", error) from error
    if not unpacked:
        raise refusal(opened.where, "rar", ValueError("no member in it"))
    for name, path in unpacked:
        yield _Entry(_joined(opened.member, name), path.stat().st_size, cast(Callable[[], BinaryIO], partial(path.open, "rb")))


def is_clutter(name: str) -> bool:
    """Tell whether a member is what systems leave beside data."""
    parts = [part.lower() for part in PurePosixPath(name).parts]
    return any(part in CLUTTER or part.startswith(("._", "~$", ".~")) for part in parts)


def _member_name(info: zipfile.ZipInfo) -> str:
    # without the Unicode flag zipfile read the bytes as code page 437, which loses none
    if info.flag_bits & 0x800:
        return info.filename
    return _unicode_name(info.filename, "cp437")


def _unicode_name(name: str, read_as: str = "utf-8") -> str:
    if name.isascii():
        return name
    stored = name.encode(read_as, "surrogateescape")
    for encoding in ("utf-8", "gb18030"):
        with contextlib.suppress(UnicodeDecodeError):
            return stored.decode(encoding)
    return name


def _joined(outer: str, inner: str) -> str:
    return f"{outer}/{one_line(inner)}" if outer else one_line(inner)


def _check_inside(opened: _Opened, name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (len(name) > 1 and name[1] == ":"):
        raise InputRefusedError(
            f"{opened.where}: the member {name!r} would be unpacked outside its folder. Such archives are made to harm; ask"
            " for a clean copy, or unpack it yourself and deliver the files."
        )


def _check_number(opened: _Opened, number: int) -> None:
    if number > limits.MAX_MEMBERS:
        many = f"{opened.where}: more than {limits.MAX_MEMBERS:,} members."
        raise InputRefusedError(f"{many} Unpack it and deliver the files that hold records.")


def _check_ratio(where: str, unpacked: int, packed: int) -> None:
    if unpacked > limits.PACKING_FREE_BYTES and unpacked > limits.MAX_PACKING_RATIO * packed:
        raise InputRefusedError(
            f"{where}: unpacks to more than {limits.MAX_PACKING_RATIO} times its size ({packed:,} bytes to {unpacked:,} or"
            " more). Records pack ten to twenty times; this is not a delivery of records. Unpack it yourself if it is one."
        )


class _Guarded(io.RawIOBase):
    """A stream that stops when more comes out of it than its packed size explains."""

    def __init__(self, stream: IO[bytes], where: str, packed: int) -> None:
        self._stream, self._where, self._packed, self._n = stream, where, packed, 0

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        try:
            block = self._stream.read(len(target))
        except _UNREADABLE as error:
            raise refusal(self._where, "", error) from error
        self._n += len(block)
        _check_ratio(self._where, self._n, self._packed)
        target[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _guarded(stream: IO[bytes], where: str, packed: int) -> BinaryIO:
    return io.BufferedReader(_Guarded(stream, where, max(packed, 1)), 1 << 20)


def _locked(where: str, command: str) -> str:
    return f"{where}: locked with a password. Unpack it (`{command}`) and deliver what is in it."


def refusal(where: str, kind: str, error: Exception) -> InputRefusedError:
    """What to raise for an archive that cannot be read."""
    return InputRefusedError(f"{where}: {ailing}" if (ailing := not_now(error)) else broken(where, kind, error))


def broken(where: str, kind: str, error: Exception) -> str:
    """The sentence for an archive that cannot be read."""
    what = f"a {kind.upper().replace('7Z', '7z')} archive that" if kind in ("zip", "7z", "rar", "tar") else "packed, and"
    return f"{where}: {what} cannot be read ({reason_of(error)}). It was cut or damaged on the way: deliver it again whole."
