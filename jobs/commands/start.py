"""Where the command `customs-lake` begins: the shell's completion, and what to install where Spark is left out."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys

_OF_SPARK = frozenset({"pyspark", "delta", "py4j"})
NEEDS_SPARK = 3


def main() -> int:
    """Run the command line of the lake, which ends the program with its own exit code."""
    if "_ARGCOMPLETE" in os.environ:
        _complete()
    ending: list[int] = []
    # registered before all others, so it is called after them
    atexit.register(_leave, ending)
    try:
        from jobs.commands.main import main as run

        run()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OF_SPARK:
            raise
        print(
            "customs-lake: the lake needs Spark and Delta, which this installation leaves out: "
            "pip install 'customs-lake[spark]'. The estimator runs without: python -m estimation --help.",
            file=sys.stderr,
        )
        return NEEDS_SPARK
    except SystemExit as end:
        ending.append(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise
    except KeyboardInterrupt:
        # before there was anything to end
        return 130
    return 0


def _leave(ending: list[int]) -> None:
    """End the process with its exit code, before libraries take their threads down.

    One of them aborts now and then while it does ("terminate called without an active exception", once in 26 calls of
    `fsck` on a busy machine), and a command that did its work then looks like one that crashed.
    """
    if ending:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(ending[0])


def _complete() -> None:
    """Answer the shell, which asks with the line typed so far, and end."""
    import argcomplete

    from jobs.runtime.command_line.catalogue import whole_parser

    argcomplete.autocomplete(whole_parser(), always_complete_options="long")
