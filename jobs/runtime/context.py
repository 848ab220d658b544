"""What every job shares: its arguments, settings, session, lake and the way it ends.

A job module has ``run(context) -> Outcome``; :func:`job_main` makes the same thing of it under ``spark-submit``, and the
console script calls it too. Jobs need the standard library and Spark only, so that a cluster needs no further wheels.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from conf.settings import Settings, SettingsError, load_settings
from jobs.core.damage import refuse_damage
from jobs.core.errors import (
    EXIT_DONE,
    EXIT_NOTHING_TO_DO,
    EXIT_REFUSED,
    EXIT_UNBALANCED,
    CustomsLakeError,
    InputRefusedError,
)
from jobs.core.lake import Lake
from jobs.core.ledger import new_run_id
from jobs.core.printing import printable
from jobs.core.reading import LakeReader, NoSession, can_look
from jobs.core.upkeep import add_declared_columns
from jobs.core.years import parse_years
from jobs.runtime.events import observe
from jobs.runtime.jars import JarsNotFoundError
from jobs.runtime.java import JavaNotUsableError
from jobs.runtime.machine import explained_os_error, print_anything
from jobs.runtime.session import build_session, is_local
from jobs.runtime.surroundings import apply_rights, guarded_command

log = logging.getLogger("customs_lake")

# how Spark says that a data file is not what its footer promises
_UNREAD_FILE = re.compile(r"\[(?:FAILED_READ_FILE|CANNOT_READ_FILE)[^\]]*\][^\n]*?(?:file:)?(/\S+?\.parquet)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended.

    Attributes
    ----------
    message : str
        One sentence with counts.
    changed : bool
        False when there was nothing to do.
    detail : str
        Text for the terminal, such as a table.
    n_rows : int or None
        Records that went through the job: lines looked at, loaded, judged, counted. None for a job that does not work
        record by record; its seconds say nothing per row.
    load_id : str
        Identifier of the rows the job appended to bronze.
    unfinished : str
        What could not be done although the job went on, and what to do; it ends the command with exit code 4.
    """

    message: str
    changed: bool = True
    detail: str = ""
    n_rows: int | None = None
    load_id: str = ""
    unfinished: str = ""


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a job works with.

    Attributes
    ----------
    spark : SparkSession
        Absent when the lake was opened for looking (:func:`look_into`).
    lake : Lake
    settings : Settings
    run_id : str
    raw : Path, str or None
        Folder of delivered files; the address of one that is not of this machine is a text.
    years : frozenset of int or None
        Years asked for; None means all of the study.
    out : Path or None
        Folder for files made for people.
    rebuild : bool
        Build the chosen years again, whatever is recorded.
    accepted : tuple of str
        Names or patterns of delivered files to take, or to go without, although landing advises against it.
    all_or_nothing : bool
        Refuse a delivery if any file of it cannot be taken.
    repairs : bool
        What is built was there before: bronze may be loaded again, and quality is on record already.
    """

    spark: SparkSession
    lake: Lake
    settings: Settings
    run_id: str
    raw: Path | str | None = None
    years: frozenset[int] | None = None
    out: Path | None = None
    rebuild: bool = False
    accepted: tuple[str, ...] = ()
    all_or_nothing: bool = False
    repairs: bool = False

    def __enter__(self) -> JobContext:
        return self

    def __exit__(self, *exc: object) -> None:
        if not isinstance(self.spark, NoSession):
            self.spark.stop()

    def require_raw(self) -> Path | str:
        """Return the raw folder, or refuse to go on without one."""
        if self.raw is None:
            raise InputRefusedError("--raw is missing: the folder with the delivered files.")
        return self.raw

    def selects(self, year: int) -> bool:
        """Tell whether a year is asked for."""
        return year in (self.years if self.years is not None else self.settings.study.years)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments every job takes."""
    parser.add_argument("--lake", required=True, help="root of the lake: a folder or any URI Hadoop knows")
    parser.add_argument(
        "--raw", type=raw_place, help="folder with the delivered files, or an address such as hdfs:// or s3a://"
    )
    parser.add_argument("--years", help="years to work on, such as 2003-2011 (default: all of the study)")
    parser.add_argument("--out", type=Path, help="folder for tables and reports")
    parser.add_argument("--exit-code", action="store_true", help="end with 3 instead of 0 when there was nothing to do")
    add_settings_arguments(parser)


def raw_place(text: str) -> Path | str:
    """A folder of this machine as a path, any other as its address."""
    if text.startswith("file:"):
        return Path(unquote(urlsplit(text).path))
    return text if "://" in text else Path(text)


def add_settings_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose settings."""
    parser.add_argument("--profile", help="a profile of conf/profiles")
    parser.add_argument("--config", type=Path, help="a TOML file of your own")
    parser.add_argument("--set", action="append", default=[], metavar="section.key=value", help="override one value")


def add_delivery_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of commands that look at a delivery."""
    parser.add_argument(
        "--accept", action="append", default=[], metavar="NAME",
        help="take this file although it lost records or overlaps with others, or build its year without it if it is refused",
    )
    parser.add_argument(
        "--all-or-nothing", action="store_true", help="load nothing when a single file of the delivery cannot be taken"
    )


def is_generated_folder(raw: str | Path) -> bool:
    """Whether a folder of raw files is a generated world's: its truth lies beside it."""
    return (Path(raw).resolve().parent / "truth").is_dir()


def open_context(arguments: argparse.Namespace, *, create: bool = True, is_checked: bool = False) -> JobContext:
    """Load settings, refuse a damaged lake (unless it was looked at already), start the session and open the lake."""
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    apply_rights(settings.privacy)
    years = parse_years(arguments.years)
    # files that are cut or gone are told by name before Java stumbles over them
    if not is_checked:
        refuse_damage(arguments.lake, raw=arguments.raw)
    spark = build_session(settings)
    lake = Lake.open(spark, arguments.lake, create=create)
    if added := add_declared_columns(lake):
        log.info("columns that are new in this product were added: %s", ", ".join(added))
    # work locks cover the years asked for, so that runs on different years go on side by side
    lake.scope = years
    return JobContext(
        spark, lake, settings, new_run_id(), arguments.raw, years, arguments.out,
        accepted=tuple(getattr(arguments, "accept", ())), all_or_nothing=getattr(arguments, "all_or_nothing", False),
    )


def look_into(arguments: argparse.Namespace, *, may_be_new: bool = False) -> JobContext:
    """Load settings and open the lake for looking: without a session wherever the lake's store can be read so."""
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    apply_rights(settings.privacy)
    refuse_damage(arguments.lake, raw=getattr(arguments, "raw", None))
    # a delivery that a cluster's executors see is looked at by them
    if can_look(arguments.lake) and (getattr(arguments, "raw", None) is None or is_local(settings)):
        lake: Lake = LakeReader.look(arguments.lake, may_be_new=may_be_new)
        spark = lake.spark
    else:
        spark = build_session(settings)
        lake = Lake.peek(spark, arguments.lake) if may_be_new else Lake.open(spark, arguments.lake)
    return JobContext(
        spark, lake, settings, new_run_id(), getattr(arguments, "raw", None),
        parse_years(getattr(arguments, "years", None)), getattr(arguments, "out", None),
        accepted=tuple(getattr(arguments, "accept", ())), all_or_nothing=getattr(arguments, "all_or_nothing", False),
    )


def run_job(name: str, run: Callable[[JobContext], Outcome], context: JobContext) -> Outcome:
    """Run one job, time it, log one sentence and record it in ops.run."""
    return observe(name, run, context)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Say what could not be done and return the exit code of jobs that ended."""
    unfinished = list(dict.fromkeys(outcome.unfinished for outcome in outcomes if outcome.unfinished))
    if unfinished:
        print("\n" + "\n".join(unfinished), file=sys.stderr)
        return EXIT_REFUSED
    return EXIT_DONE if any(outcome.changed for outcome in outcomes) else EXIT_NOTHING_TO_DO


def configure_logging() -> None:
    """Log the product's own sentences to standard error, with the time."""
    print_anything()
    if not logging.getLogger("customs_lake").handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(PrintableFormatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False


class PrintableFormatter(logging.Formatter):
    """Log lines without secrets and control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, or several of a stack trace."""
        return printable(super().format(record))


def explained(call: Callable[[], int]) -> int:
    """Run a command; an explained error becomes its message and exit code, a defect keeps its stack trace."""
    with guarded_command():
        try:
            return call()
        except CustomsLakeError as error:
            print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
            return error.exit_code
        except (SettingsError, JavaNotUsableError, JarsNotFoundError) as error:
            print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
            return EXIT_REFUSED
        except (PySparkException, Py4JJavaError) as error:
            unread = _UNREAD_FILE.search(str(error))
            if unread is None:
                raise
            print(
                f"\nDamagedLakeError: {unread[1]} cannot be read: the disk or someone changed it. `customs-lake fsck --deep`"
                " says what else is damaged, `customs-lake repair` mends it.", file=sys.stderr,
            )
            return EXIT_UNBALANCED
        except OSError as error:
            sentence = explained_os_error(error)
            if sentence is None:
                raise
            print(f"\n{type(error).__name__}: {sentence}", file=sys.stderr)
            return EXIT_REFUSED


def program(name: str) -> str:
    """How this command was called, for its usage line: ``customs-lake clean`` or ``clean.py``."""
    called = Path(sys.argv[0]).name
    return f"{called} {name}" if called == "customs-lake" else f"{name}.py"


def command_main(
    name: str, description: str | None, act: Callable[[argparse.Namespace], int], argv: Sequence[str] | None = None,
    *, add: Callable[[argparse.ArgumentParser], None] | None = None,
) -> int:
    """Entry point of one command: parse the arguments of all jobs and those it adds, act, return the exit code."""
    configure_logging()
    parser = argparse.ArgumentParser(prog=program(name), description=(description or "").split("\n\n")[0])
    add_arguments(parser)
    if add is not None:
        add(parser)
    arguments = parser.parse_args(argv)
    code = explained(lambda: act(arguments))
    # nothing new is no failure; a scheduler that wants to know asks for it
    return EXIT_DONE if code == EXIT_NOTHING_TO_DO and not arguments.exit_code else code


def job_main(
    name: str, run: Callable[[JobContext], Outcome], description: str | None, argv: Sequence[str] | None = None,
    *, add: Callable[[argparse.ArgumentParser], None] | None = None,
) -> int:
    """Entry point of one job module: parse arguments, run, print, return the exit code."""

    def act(arguments: argparse.Namespace) -> int:
        with open_context(arguments) as context:
            outcome = run_job(name, run, context)
        if outcome.detail:
            print(outcome.detail)
        return exit_code([outcome])

    return command_main(name, description, act, argv, add=add)
