"""The raw folder through one file-system interface: a local folder, or any place :mod:`jobs.core.file_systems` opens.

Only its address travels to executors; each opens the file system for itself. Keys of an object store come from the
environment, never from here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import urlsplit

from pyarrow import fs

from jobs.core.errors import InputRefusedError
from jobs.core.file_systems import S3_SCHEMES, NotOpenedError, as_hadoop_names_it, is_remote, opened
from jobs.kernels.reasons import reason_of
from jobs.kernels.sources import RawFile


@dataclass(frozen=True, slots=True)
class RawFolder:
    """Where deliveries lie.

    Attributes
    ----------
    address : str
        Path of a local folder, or a URI.
    """

    address: str

    @property
    def is_local(self) -> bool:
        """Tell whether it is a folder of this machine (or mounted as one)."""
        return not is_remote(self.address)

    @property
    def path(self) -> Path:
        """The folder as a path, if it is local."""
        return Path("/" + urlsplit(self.address).path.lstrip("/")) if "://" in self.address else Path(self.address)

    def spark_path(self, source_file: str) -> str:
        """What Spark opens a file by."""
        if self.is_local:
            return str((self.path / source_file).resolve())
        return f"{as_hadoop_names_it(self.address).rstrip('/')}/{source_file}"

    def file(self, source_file: str, n_bytes: int | None = None) -> RawFile:
        """A file by its path below the folder."""
        if self.is_local:
            path = self.path / source_file
            return RawFile(source_file, path.stat().st_size if n_bytes is None else n_bytes, lambda: open(path, "rb"))
        system, root = _opened(self.address)
        full = f"{root}/{source_file}"
        size = system.get_file_info(full).size if n_bytes is None else n_bytes
        return RawFile(source_file, size or 0, lambda: _stream(system, full))

    def names_in(self, folder: str) -> list[str]:
        """Names of the files that lie in one folder itself, sorted; empty when there is none."""
        if self.is_local:
            place = self.path / folder
            return sorted(path.name for path in place.iterdir() if path.is_file()) if place.is_dir() else []
        system, root = _opened(self.address)
        found = system.get_file_info(fs.FileSelector(f"{root}/{folder}", allow_not_found=True))
        return sorted(info.base_name for info in found if info.is_file)

    def size_of(self, source_file: str) -> int | None:
        """Size of a file in bytes; None when it is not there."""
        if self.is_local:
            path = self.path / source_file
            return path.stat().st_size if path.is_file() else None
        system, root = _opened(self.address)
        info = system.get_file_info(f"{root}/{source_file}")
        return info.size if info.type == fs.FileType.File else None

    def changed_at(self, source_file: str) -> int:
        """When a file was last changed, in nanoseconds; 0 when nobody knows."""
        if self.is_local:
            path = self.path / source_file
            return path.stat().st_mtime_ns if path.is_file() else 0
        system, root = _opened(self.address)
        return system.get_file_info(f"{root}/{source_file}").mtime_ns or 0

    def copy_below(self, folder: str, target: Path, only: Collection[str] | None = None) -> int:
        """Copy the files of one folder of a remote raw folder below a local one, or only those of some names.

        Returns how many; 0 when the folder is not there.
        """
        system, root = _opened(self.address)
        if system.get_file_info(f"{root}/{folder}").type != fs.FileType.Directory:
            return 0
        names = [name for name, _ in self.list_remote() if name.startswith(f"{folder}/")]
        names = [name for name in names if only is None or name.removeprefix(f"{folder}/") in only]
        for name in names:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            with _stream(system, f"{root}/{name}") as stream, open(target / name, "wb") as copy:
                shutil.copyfileobj(stream, copy, 1 << 20)
        return len(names)

    def state_of(self, source_file: str) -> str | None:
        """Size and times of the last change of a file; None when it is not there."""
        if self.is_local:
            try:
                found = (self.path / source_file).stat()
            except OSError:
                return None
            return f"{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"
        system, root = _opened(self.address)
        info = system.get_file_info(f"{root}/{source_file}")
        return f"{info.size}:{info.mtime_ns}" if info.type == fs.FileType.File else None

    def list_remote(self) -> list[tuple[str, int]]:
        """Files below a folder that is not local: path and size, sorted.

        Raises
        ------
        InputRefusedError
            When there is no such folder, or the store does not answer.
        """
        system, root = _opened(self.address)
        try:
            found = system.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=False))
        except (OSError, ValueError) as error:
            reason = reason_of(error)
            raise InputRefusedError(f"{self.address}: cannot be listed ({reason}). Check the address and the keys.") from error
        files = [(PurePosixPath(info.path).relative_to(root).as_posix(), info.size) for info in found if info.is_file]
        return sorted(files)


def raw_folder(address: str | os.PathLike[str]) -> RawFolder:
    """The raw folder at an address; a local one as an absolute path."""
    text = os.fspath(address)
    if urlsplit(text).scheme in S3_SCHEMES and ":" in urlsplit(text).netloc.rpartition("@")[0]:
        raise InputRefusedError(
            "the address of the raw folder holds a key. Give keys as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and the"
            " address without: s3a://BUCKET/FOLDER."
        )
    return RawFolder(text if "://" in text else str(Path(text).expanduser().resolve()))


def _opened(address: str) -> tuple[fs.FileSystem, str]:
    try:
        return opened(address)
    except NotOpenedError as error:
        raise InputRefusedError(
            f"{address}: this file system cannot be opened ({error}). Expected a local folder, hdfs://, s3a://, gs:// or"
            " abfs://."
        ) from error


def _stream(system: fs.FileSystem, path: str) -> BinaryIO:
    return system.open_input_file(path)
