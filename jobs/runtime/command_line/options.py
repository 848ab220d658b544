"""Options that several commands have, each defined once; a command takes those that it uses."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from jobs.runtime.command_line.parser import Parser

#: What every job took before it took only what it uses: such a command line still works.
FORMER = {"--raw": "raw", "--years": "years", "--out": "out"}

# of the estimator, which is not loaded for a help text; a test compares them
LANGUAGES = ("en", "zh")


def lake(parser: Parser) -> None:
    """``--lake``, required."""
    parser.add_argument("--lake", required=True, help="root of the lake: a folder or any URI Hadoop knows")


def raw(parser: Parser, meaning: str = "folder with the delivered files, or an address such as hdfs:// or s3a://") -> None:
    """``--raw``."""
    parser.add_argument("--raw", type=raw_place, help=meaning)


def raw_place(text: str) -> Path | str:
    """A folder of this machine as a path, any other as its address."""
    if text.startswith("file:"):
        return Path(unquote(urlsplit(text).path))
    return text if "://" in text else Path(text)


def years(parser: Parser, meaning: str = "years such as 2003-2011 or 2003,2005 (default: all of the study)") -> None:
    """``--years``; the text is read when the command begins."""
    parser.add_argument("--years", help=meaning)


def out(parser: Parser, meaning: str, *, required: bool = False) -> None:
    """``--out``, a folder."""
    parser.add_argument("--out", type=Path, help=meaning, required=required)


def nothing_new(parser: Parser) -> None:
    """``--exit-code``."""
    parser.add_argument("--exit-code", action="store_true", help="end with 3 instead of 0 when there was nothing to do")


def wait_for_cluster(parser: Parser, flag: str) -> None:
    """``--wait``: how long a cluster is given to take the application, and again to give it an executor."""
    parser.add_argument(
        "--wait", type=float, default=120.0, metavar="SECONDS", help=f"with {flag}: for a session, and for the first executor"
    )


def as_json(parser: Parser, meaning: str = "print it as JSON, for a program") -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help=meaning)


def delivery(parser: Parser) -> None:
    """``--accept`` and ``--all-or-nothing``, of commands that look at a delivery."""
    parser.add_argument(
        "--accept", action="append", default=[], metavar="NAME",
        help="take this file although it lost records or overlaps with others, or build its year without it if it is refused",
    )
    parser.add_argument(
        "--all-or-nothing", action="store_true", help="load nothing when a single file of the delivery cannot be taken"
    )


def settings(parser: Parser, *, config: bool = True) -> None:
    """``--profile``, ``--config`` and ``--set``."""
    group = parser.add_argument_group("settings", "`customs-lake config show` prints every setting with its value and origin")
    profile = group.add_argument("--profile", help="a profile of conf/profiles: paper, cluster or test")
    profile.completer = _profiles  # type: ignore[attr-defined]  # where the completion looks for it
    if config:
        group.add_argument("--config", type=Path, metavar="FILE", help="a TOML file of your own")
    one = group.add_argument(
        "--set", action="append", default=[], metavar="section.key=value", help="override one value (repeat for more)"
    )
    one.completer = _setting_names  # type: ignore[attr-defined]  # as above


def table_name(parser: Parser) -> None:
    """The name of a table of the lake."""
    table = parser.add_argument("table", help="layer.table, such as gold.city_exports")
    table.completer = _table_names  # type: ignore[attr-defined]  # as above


def accept_former(parser: Parser) -> None:
    """Take options that the command has no use for, as it did once, and say that they do nothing."""
    for option, name in FORMER.items():
        if option not in parser._option_string_actions:
            parser.add_argument(option, dest=name, action=_WithoutUse, help=argparse.SUPPRESS)
    if "--exit-code" not in parser._option_string_actions:
        parser.add_argument("--exit-code", action="store_true", help=argparse.SUPPRESS)


class _WithoutUse(argparse.Action):
    """An option that is taken and has no effect here."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        print(f"{parser.prog}: {option_string} has no effect on this command", file=sys.stderr)


def _profiles(**_: object) -> tuple[str, ...]:
    from conf.settings import PROFILES

    return PROFILES


def _setting_names(**_: object) -> list[str]:
    from conf.settings import load_settings

    shown = load_settings(environment={}).shown()
    return [f"{section}.{key}=" for section, values in shown.items() for key in values]


def _table_names(**_: object) -> list[str]:
    from schemas.catalog import TABLES

    return sorted(TABLES)
