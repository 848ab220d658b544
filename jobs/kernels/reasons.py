"""What a reader of other people raised, as a few words for a message: no cell, no path of a temporary file, no address."""

from __future__ import annotations

import errno
import re

MAX_LETTERS = 160
#: What the sentence for a file says that this machine cannot read at the moment: nothing is wrong with the file.
NOT_NOW = "this machine could not read it now"
_PASSING = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE, errno.ETIMEDOUT)
)
#: What libraries put behind their sentence, objects written with their address, and numbers that are addresses.
_INTERNALS = re.compile(
    r"\s*\((?:errno|retcode|archive_p|entry_p)=[^)]*\)|<[^<>]*\bat 0x[0-9a-fA-F]+[^<>]*>|\b0x[0-9a-fA-F]{6,}\b"
)
_PATH = re.compile(r"(?:[A-Za-z]:)?(?:[\\/][\w.~+@-]+){2,}")
#: A text in quotation marks, or in another language than the libraries', may be what stood in a cell.
_QUOTED = re.compile(r"b?'[^']*'|b?\"[^\"]*\"|[^\x00-\x7f]+")

# control characters and line ends, and what stands for bytes that are no UTF-8
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def not_now(error: BaseException) -> str:
    """What ails the machine and what to do, when it is the machine; empty when it is the file."""
    if not (isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _PASSING)):
        return ""
    return (
        f"{NOT_NOW} ({reason_of(error)}). Free memory, or space in the folder for temporary files (TMPDIR chooses another),"
        " and run again."
    )


def reason_of(error: BaseException) -> str:
    """First line of an error without anything that belongs to the machine or to a record; its kind when nothing is left."""
    strerror = getattr(error, "strerror", None)
    text = strerror if isinstance(strerror, str) and strerror else str(error)
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = _QUOTED.sub("...", _PATH.sub("a file", _INTERNALS.sub("", line))).strip(" .:,")
    if not re.search(r"\w{3}", line):
        return type(error).__name__
    return line if len(line) <= MAX_LETTERS else line[:MAX_LETTERS].rsplit(" ", 1)[0] + " ..."


def one_line(name: str) -> str:
    """A name of a file with characters that are none of a text written out: ``data\\xca.csv``, ``a\\nb.csv``.

    A line break would let a name pass for a line of a message, and bytes that are no UTF-8 fit into no ledger.
    """
    return _UNFIT.sub(_written_out, name)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found.group())
    # how the interpreter keeps a byte that is no UTF-8
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else found.group().encode("unicode_escape").decode()
