"""Where the command `customs-lake` begins: without Spark it says what to install instead of failing on an import."""

from __future__ import annotations

import sys

_OF_SPARK = frozenset({"pyspark", "delta", "py4j"})
NEEDS_SPARK = 3


def main() -> int:
    """Run the command line of the lake, which ends the program with its own exit code."""
    try:
        from jobs.commands.main import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OF_SPARK:
            raise
        print(
            "customs-lake: the lake needs Spark and Delta, which this installation leaves out: "
            "pip install 'customs-lake[spark]'. The estimator runs without: python -m estimation --help.",
            file=sys.stderr,
        )
        return NEEDS_SPARK
    run()
    return 0
