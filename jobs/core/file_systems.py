"""Places away from this machine, opened without Java: what reads raw folders and looks at lakes does it through here.

``hdfs://`` through hdfs-native, which speaks the name node's own protocol and reads ``HADOOP_CONF_DIR`` (name services,
Kerberos, tokens of a YARN container); where that package is not installed, through pyarrow and ``libhdfs``.
``s3a://`` through pyarrow, its keys and address from the environment (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``); any
other address as pyarrow takes it.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pyarrow import fs

S3_SCHEMES = ("s3", "s3a", "s3n")
HDFS_REMEDY = "hdfs:// needs the package hdfs-native on driver and executors (pip install -c constraints.txt hdfs-native)"


class NotOpenedError(OSError):
    """Raised when there is no way to open a kind of address on this machine; the text holds what is missing."""


def is_remote(address: str) -> bool:
    """Tell whether an address is not a folder of this machine (or mounted as one)."""
    return "://" in address and not address.startswith("file:")


def as_hadoop_names_it(address: str) -> str:
    """An address as Hadoop's file systems know it: S3 is ``s3a://`` there."""
    scheme, found, rest = address.partition("://")
    return f"s3a://{rest}" if found and scheme in S3_SCHEMES else address


@cache
def opened(address: str) -> tuple[fs.FileSystem, str]:
    """Open the file system of an address.

    Parameters
    ----------
    address : str
        A URI. Only addresses travel to executors; each process opens for itself.

    Returns
    -------
    (FileSystem, str)
        And the path of the address in it, without a slash at its end.

    Raises
    ------
    NotOpenedError
        When it cannot be opened from here, with the reason and what to do.
    """
    from pyarrow import fs

    parts = urlsplit(address)
    try:
        if parts.scheme in S3_SCHEMES:
            system: Any = fs.S3FileSystem(**_endpoint())
            return system, f"{parts.netloc}{parts.path}".rstrip("/")
        if parts.scheme == "hdfs":
            return _hdfs(address), parts.path.rstrip("/")
        system, root = fs.FileSystem.from_uri(address)
        return system, root.rstrip("/")
    except NotOpenedError:
        raise
    # hdfs-native raises errors of its own and of the interpreter alike
    except Exception as error:
        raise NotOpenedError(str(error) or type(error).__name__) from error


def _endpoint() -> dict[str, str]:
    """Where S3 answers, if it is not Amazon; pyarrow itself looks at neither name."""
    address = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not address:
        return {}
    parts = urlsplit(address)
    return {"endpoint_override": parts.netloc, "scheme": parts.scheme or "https"}


def _hdfs(address: str) -> fs.FileSystem:
    from pyarrow import fs

    if find_spec("hdfs_native") is not None:
        _be_the_submitting_user()
        parts = urlsplit(address)
        # a port names one name node: there is no other to fail over to, and its silence is told in seconds, not minutes
        patience = {"dfs.client.failover.max.attempts": "2"} if parts.port else {}
        return fs.PyFileSystem(fs.FSSpecHandler(_native()(parts.hostname, parts.port, **patience)))
    try:
        return fs.FileSystem.from_uri(address)[0]
    except (OSError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise NotOpenedError(f"{HDFS_REMEDY}; without it, HADOOP_HOME with libhdfs was tried: {reason}") from error


def _be_the_submitting_user() -> None:
    """In a container of YARN without Kerberos the process belongs to YARN's own user; Spark says for whom it works."""
    user = os.environ.get("SPARK_USER")
    if user and "HADOOP_USER_NAME" not in os.environ:
        os.environ["HADOOP_USER_NAME"] = user


@cache
def _native() -> type:
    """hdfs-native's file system with what pyarrow and this product expect of one.

    The time of a file's last change is there under the name that pyarrow reads. HDFS leaves the umask to its clients; this
    one's takes no notice of the process's, which holds the rights that the settings take.
    """
    from hdfs_native import WriteOptions
    from hdfs_native.fsspec import HdfsFileSystem

    class GuardedHdfs(HdfsFileSystem):
        def info(self, path: str, **options: Any) -> dict:
            return _timed(super().info(path, **options))

        def ls(self, path: str, detail: bool = True, **options: Any) -> list:
            found = super().ls(path, detail, **options)
            return [_timed(item) for item in found if isinstance(item, dict)] if detail else found

        def mkdir(self, path: str, create_parents: bool = True, **options: Any) -> None:
            super().mkdir(path, create_parents, **({"permission": 0o777 & ~process_umask()} | options))

        def _open(
            self, path: str, mode: str = "rb", overwrite: bool = True, replication: int | None = None,
            block_size: int | None = None, **options: Any,
        ) -> Any:
            if mode != "wb":
                return super()._open(path, mode, overwrite, replication, block_size, **options)
            rights = WriteOptions(block_size, replication, 0o666 & ~process_umask(), overwrite)
            return self.client.create(self._strip_protocol(path), write_options=rights)

    return GuardedHdfs


def process_umask() -> int:
    """Rights that this process takes from what it makes."""
    # it can only be read by setting it: for that moment to the strictest, whatever other threads make
    taken = os.umask(0o077)
    os.umask(taken)
    return taken


def _timed(info: dict) -> dict:
    return {**info, "mtime": info["modification_time"] / 1000}
