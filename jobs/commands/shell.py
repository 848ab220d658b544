"""Shell: SQL over the lake's tables, query by query, in DuckDB (jobs/commands/query.py)."""

from __future__ import annotations

import argparse

from jobs.commands import query
from jobs.core.errors import EXIT_DONE
from jobs.core.reading import LakeReader


def run_command(arguments: argparse.Namespace) -> int:
    """Answer SQL queries until the input ends."""
    query.shell(LakeReader.look(arguments.lake), smallest=query.smallest_cell(arguments))
    return EXIT_DONE
