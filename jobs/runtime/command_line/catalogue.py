"""The list of commands. A command is a function under :func:`command` that adds its options; its docstring is the help.

    @command("compare", LOOKING, "hold the newest year against the years before", examples=[("--lake LAKE", "...")])
    def _compare(parser):
        \"\"\"Compare: each year of the lake beside the year before.\"\"\"
        options.lake(parser)
        options.settings(parser)

Its work is ``run_command(arguments) -> int`` of ``jobs/compare.py``, or of the module named; a job without one has
``run(context) -> Outcome``. The list, ``--help``, the completion and the reference page follow. Nothing here may import
Spark, pandas or what imports them: help is there at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from inspect import cleandoc
from types import ModuleType
from typing import Any, Literal

from jobs.runtime.command_line import options
from jobs.runtime.command_line.parser import Example, Parser, program

MAKING = "From raw files to tables"
LOOKING = "Looking at it"
KEEPING = "Keeping the lake"
TRYING = "Trying it"
GROUPS = (MAKING, LOOKING, KEEPING, TRYING)
#: Modules of this room that hold commands, in the order of the list.
_HOLDERS = ("making", "looking", "keeping", "trying")

LakeState = Literal["there", "new", "any"]
_found: dict[str, Command] = {}


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes
    ----------
    name : str
        What is typed after ``customs-lake``.
    group : str
        Heading it stands under in the list.
    summary : str
        Its line in the list.
    add : callable
        Adds its options to a parser.
    examples : tuple of (str, str)
        Arguments after the name, and what they do.
    module : str
        Where its work is.
    is_long : bool
        Takes more than a second or two: its first line comes before its modules are loaded.
    lake : {'there', 'new', 'any'}
        It works on a lake that is there, may make a new one, or opens one that no other command would.
    needs_raw, reads_layouts, writes_folder : bool
        It cannot do without --raw; reads layouts; its --out is a folder. What is wrong with them is found before it starts.
    """

    name: str
    group: str
    summary: str
    add: Callable[[Parser], None]
    examples: tuple[Example, ...]
    module: str
    is_long: bool = False
    lake: LakeState = "there"
    needs_raw: bool = False
    reads_layouts: bool = False
    writes_folder: bool = False

    @property
    def description(self) -> str:
        """First paragraphs of its help."""
        return cleandoc(self.add.__doc__ or "")


def command(
    name: str, group: str, summary: str, *, examples: Iterable[Example], module: str = "", took_all: bool = False,
    **more: Any,
) -> Callable[[Callable[[Parser], None]], Callable[[Parser], None]]:
    """Put a command on the list; the function decorated adds its options.

    Parameters
    ----------
    name, group, summary, examples, **more
        See :class:`Command`.
    module : str
        ``jobs.NAME`` when not given.
    took_all : bool
        It once took --raw, --years, --out and --exit-code, used or not, and still does so.
    """

    def register(add: Callable[[Parser], None]) -> Callable[[Parser], None]:
        def add_all(parser: Parser) -> None:
            add(parser)
            if took_all:
                options.accept_former(parser)

        add_all.__doc__ = add.__doc__
        _found[name] = Command(name, group, summary, add_all, tuple(examples), module or f"jobs.{name}", **more)
        return add

    return register


def commands() -> dict[str, Command]:
    """All commands by name, in the order of the list."""
    for holder in _HOLDERS:
        import_module(f"jobs.runtime.command_line.{holder}")
    return dict(sorted(_found.items(), key=lambda item: GROUPS.index(item[1].group)))


def work_of(name: str) -> ModuleType:
    """The module in which the work of a command is, loaded."""
    return import_module(commands()[name].module)


def parser_of(name: str) -> Parser:
    """The parser of one command."""
    chosen = commands()[name]
    parser = Parser(prog=program(name, chosen.module), description=chosen.description, examples=chosen.examples)
    chosen.add(parser)
    return parser


def parse(name: str, argv: Sequence[str] | None = None) -> Any:
    """Arguments of one command; ends the program for ``--help`` and for arguments that are wrong."""
    return parser_of(name).parse_args(argv)


def whole_parser() -> Parser:
    """All commands as one parser, for the completion of the shell."""
    parser = Parser(prog="customs-lake")
    parser.add_argument("--version", action="store_true", help="version of the product")
    kinds = parser.add_subparsers(parser_class=Parser, metavar="COMMAND")
    for chosen in commands().values():
        chosen.add(kinds.add_parser(chosen.name, help=chosen.summary))
    return parser
