"""The console script ``customs-lake``: the list of commands, and the way from a command line to its work.

What a command is called, takes and is explained with stands in jobs/runtime/command_line, where spark-submit reads it, too;
a module is loaded when its command is carried out, so that help and completion are there at once.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType

from rich.console import Console
from rich.table import Table as RichTable

from jobs.core.errors import EXIT_DONE, EXIT_REFUSED
from jobs.core.printing import cell, printable
from jobs.runtime.command_line.catalogue import GROUPS, Command, commands, parse, work_of
from jobs.runtime.command_line.parser import nearest
from jobs.runtime.ending import conclude
from jobs.runtime.preflight import refuse_faults

HELP = ("-h", "--help", "help")
FIRST_LINES = """\
customs-lake COMMAND [options]

  customs-lake COMMAND --help      a command's options, with examples
  customs-lake completion SHELL    completion for bash, zsh or fish
  customs-lake --version
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the console script."""
    sys.exit(run_command(list(sys.argv[1:] if argv is None else argv)))


def run_command(argv: list[str]) -> int:
    """Run one command and return its exit code."""
    if argv[:1] == ["help"] and len(argv) > 1:
        argv = [*argv[1:], "--help"]
    if not argv or argv[0] in HELP:
        print_commands()
        return EXIT_DONE
    if argv[0] in ("-V", "--version"):
        return _print_version()
    chosen = commands().get(argv[0])
    if chosen is None:
        return _refuse_unknown(argv[0])
    arguments = parse(chosen.name, argv[1:])
    if chosen.is_long:
        _say_at_once(chosen.name, getattr(arguments, "lake", None))
    try:
        module = work_of(chosen.name)
    except KeyboardInterrupt:
        return conclude(_interrupted, arguments)
    return conclude(_work_of(chosen, module), arguments, partial(refuse_faults, chosen, getattr(module, "PREFLIGHT", ())))


def _work_of(chosen: Command, module: ModuleType) -> Callable[[argparse.Namespace], int]:
    if hasattr(module, "run_command"):
        return module.run_command
    from jobs.runtime.context import act_of_job

    return act_of_job(chosen.name, module.run)


def _say_at_once(name: str, lake: str | None) -> None:
    where = f" on {lake}" if lake else ""
    print(printable(f"{time.strftime('%H:%M:%S')} {name:<9} begins{where}"), file=sys.stderr, flush=True)


def _interrupted(_: argparse.Namespace) -> int:
    raise KeyboardInterrupt


def _refuse_unknown(name: str) -> int:
    meant = nearest(name, commands())
    hint = f" Did you mean {meant}?" if meant else ""
    print(
        printable(f"customs-lake {name}: no such command.{hint} There are: {', '.join(commands())}."), file=sys.stderr
    )
    return EXIT_REFUSED


def _print_version() -> int:
    from jobs.core.version import code_version

    print(f"customs-lake {code_version()}")
    return EXIT_DONE


def print_commands() -> None:
    """Print the commands in groups."""
    # data is printed as it is, never as markup of the terminal library
    console = Console(markup=False, emoji=False, highlight=False)
    console.print(FIRST_LINES)
    for group in GROUPS:
        table = RichTable(box=None, show_header=False, pad_edge=False, title=group, title_justify="left")
        table.add_column(width=14, style="bold")
        table.add_column()
        for chosen in commands().values():
            if chosen.group == group:
                table.add_row(cell(chosen.name, "bold"), cell(chosen.summary))
        console.print(table)
        console.print()
