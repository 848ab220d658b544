"""The raw folder through one file-system interface: a local folder, or any place pyarrow knows (hdfs, s3a, gs, abfs).

Only its address travels to executors; each opens the file system for itself. Keys of an object store come from the
environment, never from here: ``AWS_ACCESS_KEY_ID`` and its like, ``AWS_ENDPOINT_URL`` for a store that is not Amazon's.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import urlsplit

from pyarrow import fs

from jobs.core.errors import InputRefusedError
from jobs.kernels.reasons import reason_of
from jobs.kernels.sources import RawFile

_SAME_AS_S3 = ("s3a://", "s3n://")


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
        return "://" not in self.address or self.address.startswith("file:")

    @property
    def path(self) -> Path:
        """The folder as a path, if it is local."""
        return Path("/" + urlsplit(self.address).path.lstrip("/")) if "://" in self.address else Path(self.address)

    def file(self, source_file: str, n_bytes: int | None = None) -> RawFile:
        """A file by its path below the folder."""
        if self.is_local:
            path = self.path / source_file
            return RawFile(source_file, path.stat().st_size if n_bytes is None else n_bytes, lambda: open(path, "rb"))
        system, root = _opened(self.address)
        full = f"{root}/{source_file}"
        size = system.get_file_info(full).size if n_bytes is None else n_bytes
        return RawFile(source_file, size or 0, lambda: _stream(system, full))

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

    def copy_below(self, folder: str, target: Path) -> int:
        """Copy the files of one folder of a remote raw folder below a local one; returns how many, 0 when it is not there."""
        system, root = _opened(self.address)
        if system.get_file_info(f"{root}/{folder}").type != fs.FileType.Directory:
            return 0
        names = [name for name, _ in self.list_remote() if name.startswith(f"{folder}/")]
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
    if text.startswith(("s3://", *_SAME_AS_S3)) and ":" in urlsplit(text).netloc.rpartition("@")[0]:
        raise InputRefusedError(
            "the address of the raw folder holds a key. Give keys as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and the"
            " address without: s3a://BUCKET/FOLDER."
        )
    return RawFolder(text if "://" in text else str(Path(text).expanduser().resolve()))


@cache
def _opened(address: str) -> tuple[fs.FileSystem, str]:
    try:
        if address.startswith(("s3://", *_SAME_AS_S3)):
            parts = urlsplit(address)
            endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
            return fs.S3FileSystem(**_endpoint(endpoint)), f"{parts.netloc}{parts.path}".rstrip("/")
        system, root = fs.FileSystem.from_uri(address)
        return system, root.rstrip("/")
    except (OSError, ValueError, ImportError) as error:
        raise InputRefusedError(
            f"{address}: this file system cannot be opened ({reason_of(error)}). Expected a local folder, hdfs://, s3a://,"
            " gs:// or abfs://; hdfs needs HADOOP_HOME and its native library."
        ) from error


def _endpoint(address: str | None) -> dict[str, str]:
    if not address:
        return {}
    parts = urlsplit(address)
    return {"endpoint_override": parts.netloc, "scheme": parts.scheme or "https"}


def _stream(system: fs.FileSystem, path: str) -> BinaryIO:
    return system.open_input_file(path)
