"""Files below a lake's root without a JVM: names, sizes, bytes. A damaged lake must be looked at before Java reads it.

Local folders through the operating system, which also tells of dangling links and missing rights; any other address
through :mod:`jobs.core.file_systems`, whose keys come from the environment.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from jobs.core.errors import LakeError, NoDirectAccessError
from jobs.core.file_systems import NotOpenedError, is_remote, opened

# Hadoop's checksum files: a magic, bytes per checksum (big-endian), then a CRC-32 for each so many bytes
_CRC_MAGIC = b"crc\0"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file below the root.

    Attributes
    ----------
    path : str
        Relative to the folder that was listed.
    n_bytes : int
    modified_ms : int
        Milliseconds since 1970, UTC.
    """

    path: str
    n_bytes: int
    modified_ms: int


@dataclass(frozen=True)
class StoredFiles:
    """Files below one root.

    Attributes
    ----------
    root : str
        Local path, ``file:`` address, or an address that pyarrow knows.
    """

    root: str

    @property
    def is_local(self) -> bool:
        """Tell whether the root is a folder of this machine (or mounted as one)."""
        return not is_remote(self.root)

    def path(self, relative: str = "") -> Path:
        """A file of a local root."""
        # as Hadoop does, a file: address is unquoted, a plain path is not
        folder = unquote(urlsplit(self.root).path) if self.root.startswith("file:") else self.root
        return Path(folder).expanduser() / relative

    def kind(self, relative: str) -> str:
        """What stands there: folder, file, link (to a folder), dangling (a link to nowhere), other, or nothing.

        A link to a folder is not one: rights, erasure and checks of a lake end at its own folders. The root may be one.

        Raises
        ------
        PermissionError
            When a folder above may not be entered.
        """
        if self.is_local:
            path = self.path(relative)
            try:
                mode = os.stat(path).st_mode
            except (FileNotFoundError, NotADirectoryError):
                return "dangling" if path.is_symlink() else "nothing"
            except OSError as error:
                # a link that leads back to itself
                if error.errno != errno.ELOOP:
                    raise
                return "dangling"
            if relative and stat.S_ISDIR(mode) and path.is_symlink():
                return "link"
            return {0o040000: "folder", 0o100000: "file"}.get(mode & 0o170000, "other")
        from pyarrow import fs

        system, root = self._opened
        found = system.get_file_info(f"{root}/{relative}".rstrip("/")).type
        return {fs.FileType.Directory: "folder", fs.FileType.File: "file"}.get(found, "nothing")

    def names(self, relative: str) -> list[str]:
        """Names in a folder, sorted; empty when there is none."""
        if self.is_local:
            try:
                return sorted(os.listdir(self.path(relative)))
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(self._remote_sizes(relative, is_deep=False))

    def sizes(self, relative: str) -> dict[str, int]:
        """Size of every file below a folder, by its path there; a link to nowhere is not among them.

        Raises
        ------
        OSError
            When a folder may not be read: its files are not known then.
        """
        return dict(self._walk(self.path(relative), "")) if self.is_local else self._remote_sizes(relative, is_deep=True)

    def walk(self, relative: str) -> list[StoredFile]:
        """All files below a folder, with the time of their last change; a link to nowhere is not among them."""
        if self.is_local:
            folder = self.path(relative)
            times = ((name, size, (folder / name).stat().st_mtime_ns) for name, size in self._walk(folder, ""))
            return sorted((StoredFile(name, size, ns // 1_000_000) for name, size, ns in times), key=lambda item: item.path)
        found = [(path, info) for path, info in self._listed(relative, is_deep=True) if info.is_file]
        return sorted(
            (StoredFile(path, int(info.size or 0), int(info.mtime_ns or 0) // 1_000_000) for path, info in found),
            key=lambda item: item.path,
        )

    def read(self, relative: str) -> bytes | None:
        """Content of a file, None when it is not there."""
        try:
            with self.open(relative) as stream:
                return stream.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def exists(self, relative: str) -> bool:
        """Tell whether a file or folder is there."""
        return self.kind(relative) in ("file", "folder", "link")

    def read_text(self, relative: str) -> str | None:
        """Content of a small UTF-8 file, None when it is not there."""
        content = self.read(relative)
        folder, slash, name = relative.rpartition("/")
        if content is not None and self.is_local and hadoop_checksum_fails(content, self.read(f"{folder}{slash}.{name}.crc")):
            raise LakeError(changed_text(f"{self.root}/{relative}"))
        return None if content is None else content.decode("utf-8")

    def open(self, relative: str) -> BinaryIO:
        """Open a file for reading.

        Raises
        ------
        OSError
            Also for what is no file: a pipe would be waited for without end.
        """
        if self.is_local:
            descriptor = os.open(self.path(relative), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise OSError(errno.EINVAL, "is no file", str(self.path(relative)))
            return os.fdopen(descriptor, "rb")
        system, root = self._opened
        return system.open_input_file(f"{root}/{relative}")

    def write_text(self, relative: str, text: str) -> None:
        """Write a small file whole or not at all."""
        self.write(relative, text.encode("utf-8"))

    def create_text(self, relative: str, text: str) -> None:
        """Write a small file whole or not at all, and only if it is not there.

        Raises
        ------
        LakeError
            If somebody else has written it.
        """
        try:
            self.write(relative, text.encode("utf-8"), is_new=True)
        except FileExistsError as error:
            raise LakeError(f"{self.root}/{relative}: another program has made this table just now. Run again.") from error

    def checkpoint(self, table: str) -> None:
        """Write a checkpoint of a Delta table's log, by the Delta protocol's own Python library."""
        from deltalake import DeltaTable

        DeltaTable(f"{self.root}/{table}").create_checkpoint()

    def write(self, relative: str, content: bytes, *, is_new: bool = False) -> None:
        """Write a small file whole or not at all.

        Raises
        ------
        FileExistsError
            With ``is_new``, when it is there already.
        """
        if not self.is_local:
            system, root = self._opened
            if is_new and self.kind(relative) != "nothing":
                raise FileExistsError(relative)
            if self.root.startswith("hdfs:"):
                # folders that come about by themselves have the rights of those above, not what the settings leave
                system.create_dir(f"{root}/{relative}".rpartition("/")[0])
            with system.open_output_stream(f"{root}/{relative}") as stream:
                stream.write(content)
            return
        path = self.path(relative)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        # what Hadoop wrote beside a former content would speak against the new one
        path.with_name(f".{path.name}.crc").unlink(missing_ok=True)
        try:
            partial.write_bytes(content)
            if is_new:
                os.link(partial, path)
            else:
                os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    def move(self, relative: str, target: str) -> None:
        """Move a file or a folder to another place below the root."""
        if self.is_local:
            to = self.path(target)
            to.parent.mkdir(parents=True, exist_ok=True)
            os.rename(self.path(relative), to)
            return
        system, root = self._opened
        system.move(f"{root}/{relative}", f"{root}/{target}")

    def delete(self, relative: str) -> None:
        """Remove a file or a folder with all that is in it; nothing there is fine."""
        if not self.is_local:
            system, root = self._opened
            (system.delete_dir if self.kind(relative) == "folder" else system.delete_file)(f"{root}/{relative}")
            return
        path = self.path(relative)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _walk(self, folder: Path, prefix: str) -> Iterator[tuple[str, int]]:
        try:
            entries = os.scandir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return
        with entries:
            for entry in entries:
                name = f"{prefix}{entry.name}"
                # a link may lead back up, or out of the lake
                if entry.is_dir(follow_symlinks=False):
                    yield from self._walk(folder / entry.name, f"{name}/")
                    continue
                try:
                    found = entry.stat()
                except OSError as error:
                    if error.errno in (errno.ENOENT, errno.ELOOP):
                        continue
                    raise
                if stat.S_ISREG(found.st_mode):
                    yield name, found.st_size

    def _remote_sizes(self, relative: str, *, is_deep: bool) -> dict[str, int]:
        found = self._listed(relative, is_deep=is_deep)
        return {path: int(info.size or 0) for path, info in found if info.is_file or not is_deep}

    def _listed(self, relative: str, *, is_deep: bool) -> list[tuple[str, Any]]:
        from pyarrow import fs

        system, root = self._opened
        folder = f"{root}/{relative}".rstrip("/")
        found = system.get_file_info(fs.FileSelector(folder, recursive=is_deep, allow_not_found=True))
        return [(info.path.rstrip("/").split(f"{folder}/", 1)[-1], info) for info in found]

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        try:
            system, root = opened(self.root)
            # a store that does not answer must not look like a lake whose files cannot be read
            system.get_file_info(root)
        except NotOpenedError as error:
            raise NoDirectAccessError(f"{self.root}: this file system cannot be opened without Java ({error}).") from error
        except OSError as error:
            raise NoDirectAccessError(f"{self.root}: this store does not answer ({error}).") from error
        except ValueError as error:
            raise LakeError(f"{self.root}: not an address, expected one such as s3a://BUCKET/FOLDER ({error}).") from error
        return system, root


def files_beside(address: str | os.PathLike[str], name: str) -> StoredFiles | None:
    """Files of a folder that lies beside another one; None where there is none, or its place cannot be looked at."""
    text = os.fspath(address)
    if not is_remote(text):
        text = str(StoredFiles(text).path().resolve())
    above = text.rstrip("/").rpartition("/")[0]
    if above.endswith(":/"):
        # the root of a bucket or a name node: nothing is beside it
        return None
    try:
        return StoredFiles(f"{above}/{name}") if StoredFiles(above).kind(name) == "folder" else None
    except (NoDirectAccessError, OSError):
        return None


def changed_text(path: str) -> str:
    """What is said of a file that is not the one its checksum was made of."""
    return (
        f"{path} is not what was written: its checksum (.crc beside it) is another's. It was"
        " changed from outside or the disk is failing. Restore both files from a copy."
    )


def hadoop_checksum_fails(content: bytes, checksums: bytes | None) -> bool:
    """Tell whether bytes differ from the checksums that Hadoop left beside them; without or with odd ones: no.

    Notes
    -----
    Format of ``.NAME.crc``: Hadoop's ``ChecksumFileSystem``, CRC-32 by 512 bytes unless its header says otherwise.
    """
    if not checksums or not checksums.startswith(_CRC_MAGIC) or len(checksums) < 8:
        return False
    step = int.from_bytes(checksums[4:8], "big")
    if step <= 0:
        return False
    sums = [zlib.crc32(content[at : at + step]) for at in range(0, len(content), step)]
    return b"".join(value.to_bytes(4, "big") for value in sums) != checksums[8:]
