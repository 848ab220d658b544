"""What every job shares: its arguments, settings, session, lake and the way it ends.

A job module has ``run(context) -> Outcome``; :func:`job_main` makes the same thing of it under ``spark-submit``, and the
console script calls it too. Jobs need the standard library and Spark only, so that a cluster needs no further wheels.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from pyspark.sql import SparkSession

from conf.settings import Settings, load_settings
from jobs.core.checksums import record_missing
from jobs.core.damage import refuse_damage
from jobs.core.direct import reaches
from jobs.core.errors import (
    EXIT_DONE,
    EXIT_NOTHING_TO_DO,
    EXIT_QUALITY,
    EXIT_REFUSED,
    InputRefusedError,
)
from jobs.core.lake import Lake
from jobs.core.ledger import new_run_id
from jobs.core.progress import moving
from jobs.core.reading import LakeReader, NoSession, can_look
from jobs.core.stored_files import StoredFiles, files_beside
from jobs.core.upkeep import add_declared_columns
from jobs.core.waiting import WaitingSession
from jobs.core.years import parse_years
from jobs.runtime.command_line.catalogue import commands, parse
from jobs.runtime.ending import conclude
from jobs.runtime.events import observe
from jobs.runtime.preflight import Check, refuse_faults
from jobs.runtime.session import build_session, is_local, n_cores
from jobs.runtime.surroundings import apply_rights, shut_folder
from schemas.catalog import TABLES

#: Steps that need no session where executors write a lake's files themselves, in the order of a run.
WITHOUT_SESSION = ("land", "references", "ingest", "clean", "count", "indicators", "plausible", "reconcile")

log = logging.getLogger("customs_lake")


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
    alarm : str
        Figures outside their bounds although everything is written; it ends the command with exit code 6.
    """

    message: str
    changed: bool = True
    detail: str = ""
    n_rows: int | None = None
    load_id: str = ""
    unfinished: str = ""
    alarm: str = ""


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


def is_generated_folder(raw: str | Path) -> bool:
    """Whether a folder of raw files is a generated world's: its truth lies beside it."""
    return files_beside(raw, "truth") is not None


def open_context(
    arguments: argparse.Namespace, *, create: bool = True, is_checked: bool = False, may_wait: bool = False
) -> JobContext:
    """Load settings, refuse a damaged lake (unless it was looked at already), start the session and open the lake.

    With ``may_wait`` a session of this machine is started by the first step that needs one.
    """
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    apply_rights(settings.privacy)
    raw, years = getattr(arguments, "raw", None), parse_years(getattr(arguments, "years", None))
    # files that are cut or gone are told by name before Java stumbles over them
    if not (is_checked or getattr(arguments, "is_checked", False)):
        refuse_damage(arguments.lake, raw=raw)
    shut_lake(arguments.lake, settings)
    spark = session_for(settings, arguments.lake, may_wait=may_wait)
    lake = Lake.open(spark, arguments.lake, create=create)
    record_missing(StoredFiles(lake.root), (table.relative_path for table in TABLES.values()))
    if added := add_declared_columns(lake):
        log.info("columns that are new in this product were added: %s", ", ".join(added))
    # work locks cover the years asked for, so that runs on different years go on side by side
    lake.scope = years
    return JobContext(
        spark, lake, settings, new_run_id(), raw, years, getattr(arguments, "out", None),
        accepted=tuple(getattr(arguments, "accept", ())), all_or_nothing=getattr(arguments, "all_or_nothing", False),
    )


def session_for(settings: Settings, root: str, *, may_wait: bool) -> SparkSession:
    """A session; one that waits until it is needed where that is allowed and the lake is a folder of this machine."""

    def start() -> SparkSession:
        with moving("spark", note="starts"):
            return build_session(settings)

    folder = root if "://" in root else str(Path(root).expanduser().resolve())
    if may_wait and is_local(settings) and reaches(folder) and SparkSession.getActiveSession() is None:
        return cast(SparkSession, WaitingSession(start, n_cores(settings)))
    return start()


def shut_lake(root: str, settings: Settings) -> int:
    """Take from a lake's files the rights of others; say so and return how many had them."""
    n_shut = shut_folder(root, settings.privacy)
    if n_shut:
        whom = "its owner and the owner's group" if settings.privacy.group_access else "its owner"
        log.info("%s could be read by others: %d files and folders are %s's only now", root, n_shut, whom)
    return n_shut


def look_into(arguments: argparse.Namespace, *, may_be_new: bool = False) -> JobContext:
    """Load settings and open the lake for looking: without a session wherever the lake's store can be read so."""
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    apply_rights(settings.privacy)
    if not getattr(arguments, "is_checked", False):
        refuse_damage(arguments.lake, raw=getattr(arguments, "raw", None))
    # a delivery that a cluster's executors see is looked at by them
    if can_look(arguments.lake) and (getattr(arguments, "raw", None) is None or is_local(settings)):
        lake: Lake = LakeReader.look(arguments.lake, may_be_new=may_be_new)
        spark = lake.spark
    else:
        with moving("spark", note="starts"):
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
    """Say what could not be done and what is out of bounds, and return the exit code of jobs that ended."""
    unfinished = list(dict.fromkeys(outcome.unfinished for outcome in outcomes if outcome.unfinished))
    alarms = list(dict.fromkeys(outcome.alarm for outcome in outcomes if outcome.alarm))
    if unfinished or alarms:
        print("\n" + "\n".join([*unfinished, *alarms]), file=sys.stderr)
        return EXIT_REFUSED if unfinished else EXIT_QUALITY
    return EXIT_DONE if any(outcome.changed for outcome in outcomes) else EXIT_NOTHING_TO_DO


def command_main(
    name: str, act: Callable[[argparse.Namespace], int], argv: Sequence[str] | None = None, *, checks: Sequence[Check] = (),
) -> int:
    """Entry point of one command: read its arguments (jobs/runtime/command_line), act, return the exit code.

    Parameters
    ----------
    checks : sequence of Check
        What else can be wrong before it begins (jobs/runtime/preflight).
    """
    return conclude(act, parse(name, argv), partial(refuse_faults, commands()[name], checks))


def job_main(
    name: str, run: Callable[[JobContext], Outcome], argv: Sequence[str] | None = None, *, checks: Sequence[Check] = (),
) -> int:
    """Entry point of one job module: read arguments, run, print, return the exit code."""
    return command_main(name, act_of_job(name, run), argv, checks=checks)


def act_of_job(name: str, run: Callable[[JobContext], Outcome]) -> Callable[[argparse.Namespace], int]:
    """What a job does as a command: open the lake, run, print."""

    def act(arguments: argparse.Namespace) -> int:
        with open_context(arguments, create=commands()[name].lake == "new", may_wait=name in WITHOUT_SESSION) as context:
            outcome = run_job(name, run, context)
        if outcome.detail:
            print(outcome.detail)
        return exit_code([outcome])

    return act
