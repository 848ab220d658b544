"""Where the command `customs-lake` begins: the shell's completion, and what to install where Spark is left out."""

from __future__ import annotations

import os
import sys

_OF_SPARK = frozenset({"pyspark", "delta", "py4j"})
NEEDS_SPARK = 3


def main() -> int:
    """Run the command line of the lake, which ends the program with its own exit code."""
    if "_ARGCOMPLETE" in os.environ:
        _complete()
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
    except KeyboardInterrupt:
        # before there was anything to end
        return 130
    return 0


def _complete() -> None:
    """Answer the shell, which asks with the line typed so far, and end."""
    import argcomplete

    from jobs.runtime.command_line.catalogue import whole_parser

    argcomplete.autocomplete(whole_parser(), always_complete_options="long")
