"""Bytes that are read are the bytes that were hashed: a file that changes between looking and loading is not loaded.

A stream that hashes what passes through it proves a file that is read from its first byte to its last. What is read by
pieces, or sought in, is hashed in a pass of its own; then the file's state (size and times of change) must be the same
before that pass, after it, and around every piece. The kernel of an operating system sets the time of the last change
itself, so that a file put back with its old date does not pass either.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from jobs.core.errors import InputRefusedError

_BLOCK = 1 << 20


class HashingReader(io.RawIOBase):
    """A stream that hashes what is read from it, as long as it is read in order from the first byte on."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self._n_hashed = 0
        self._at_end = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        block = self._stream.read(len(target))
        at = self._stream.tell() - len(block)
        if at <= self._n_hashed:
            # what was read before, to look at the first bytes, is hashed once
            self._digest.update(block[self._n_hashed - at :])
            self._n_hashed = max(self._n_hashed, at + len(block))
            self._at_end = self._at_end or not block
        target[: len(block)] = block
        return len(block)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def close(self) -> None:
        self._stream.close()
        super().close()

    def digest_of(self, n_bytes: int) -> str | None:
        """The hash, if all bytes of a file of this size and its end went through in order."""
        return self._digest.hexdigest() if self._n_hashed == n_bytes and self._at_end else None


class Overheard:
    """Opens a file again and again, and remembers what was heard of its bytes."""

    def __init__(self, open_file: Callable[[], BinaryIO]) -> None:
        self._open = open_file
        self._readers: list[HashingReader] = []

    def open(self) -> BinaryIO:
        """Open the file; in the place of ``RawFile.open``."""
        reader = HashingReader(self._open())
        self._readers.append(reader)
        return io.BufferedReader(reader, _BLOCK)

    def digest_of(self, n_bytes: int) -> str | None:
        """The hash of the whole file, if one of its streams was read from the first byte to the end."""
        found = {digest for reader in self._readers if (digest := reader.digest_of(n_bytes))}
        return found.pop() if len(found) == 1 else None


def hash_stream(open_file: Callable[[], BinaryIO]) -> str:
    """SHA-256 of all bytes of a file."""
    digest = hashlib.sha256()
    with open_file() as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def unchanged(state: Callable[[], str | None], where: str, expected: str | None = None) -> Iterator[None]:
    """Refuse a file whose state differs after reading from before, or from what is expected.

    Parameters
    ----------
    state : callable
        Size and times of change as a text; None when the file is gone.
    where : str
        The file, for the message.
    expected : str, optional
        State when the whole load began.

    Raises
    ------
    InputRefusedError
    """
    before = state()
    if expected is not None and before != expected:
        raise InputRefusedError(changed(where))
    yield
    if state() != before:
        raise InputRefusedError(changed(where))


def changed(where: str) -> str:
    """The sentence for a file that is not the one that was looked at."""
    return (
        f"{where}: it changed since it was looked at; nothing of this load was committed. Run again when it is complete: it is"
        " then looked at anew."
    )
