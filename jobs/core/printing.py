"""What goes to the terminal: secrets hidden, and data printed as data, whatever characters a delivered text holds.

A text from a delivered file may hold an escape sequence that clears the screen, rewrites the line above or turns the
direction of reading. :class:`GuardedStream` stands between ``print`` and the terminal and writes such characters out.
"""

from __future__ import annotations

import re
import sys
import traceback
from types import TracebackType
from typing import Any, TextIO

from rich.text import Text

from conf.secrets import redact

# control characters but tab and newline, and the marks that turn the direction of writing
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def printable(text: object) -> str:
    """Return a text with its secrets hidden and its control characters written out (``\\x1b``).

    What JSON leaves as it is, from U+007F on, is written as JSON writes it: what is printed for a program stays JSON.
    """
    return _CONTROL.sub(_written_out, redact(str(text)))


def cell(value: object, style: str = "") -> Text:
    """Data for a table of the terminal library: no markup, no control characters."""
    return Text(printable(value), style=style)


def _written_out(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x7F else f"\\u{code:04x}"


class GuardedStream:
    """A text stream whose every text goes through :func:`printable`.

    The terminal library writes to the stream below, for its colours are control characters; what it prints of data goes
    through :func:`cell`.
    """

    def __init__(self, below: TextIO) -> None:
        self.rich_proxied_file = below

    def write(self, text: str) -> int:
        """Write a text; a Windows line end is one."""
        self.rich_proxied_file.write(printable(text.replace("\r\n", "\n")))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


def guarded(stream: TextIO) -> Any:
    """The stream guarded, once."""
    return stream if isinstance(stream, GuardedStream) else GuardedStream(stream)


def print_defect(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the stack trace of a defect as the interpreter does, but guarded."""
    sys.stderr.write(printable("".join(traceback.format_exception(kind, error, trace))))
