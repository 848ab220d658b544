"""Register: enter the lake's tables, with comments and keys, into a Hive metastore or Unity Catalog.

In: a lake and a catalog that the session has. Out: one entry per table, ``SCHEMA.gold__city_exports``; nothing in the lake.
Run it again after a new kind of table was built for the first time; entries that are there stay as they are.
"""

from __future__ import annotations

import argparse
import collections
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from jobs.core.errors import EXIT_DONE, EXIT_NOTHING_TO_DO
from jobs.core.printing import printable
from jobs.core.registering import register_tables
from jobs.runtime.context import command_main, open_context


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return command_main("register", run_command, argv)


def run_command(arguments: argparse.Namespace) -> int:
    """Register all tables, print what was done, and return the exit code; 3 when every entry was there."""
    with open_context(arguments, create=False) as context:
        done = register_tables(context.lake, arguments.catalog, arguments.schema, replace=arguments.replace)
    counts = collections.Counter(item.what for item in done)
    print(printable("\n".join(f"  {item.name:<60}{item.what}" for item in done)))
    print(", ".join(f"{n} {what}" for what, n in counts.items()) or "the lake has no tables yet")
    return EXIT_NOTHING_TO_DO if set(counts) <= {"as it was"} else EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
