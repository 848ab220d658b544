"""Pipeline: all jobs in order, from delivered files to Table 1, with progress, counts and seconds."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conf.settings import load_settings
from jobs.core.damage import refuse_damage
from jobs.core.errors import InputRefusedError, LakeError
from jobs.core.reading import LakeReader, SessionNeededError, can_look
from jobs.readers.receiving import look_first
from jobs.reference.frames import check_user_files
from jobs.runtime.command_line.making import STEPS
from jobs.runtime.context import (
    JobContext,
    Outcome,
    command_main,
    exit_code,
    look_into,
    open_context,
    parse_years,
    run_job,
)
from jobs.runtime.session import is_local
from schemas import bronze, gold
from schemas.panel import CITY_PANEL

# these read delivered files; without --raw the lake goes on from what it holds
NEED_RAW = ("land", "ingest", "yearbook", "productivity")


def check_source(arguments: argparse.Namespace, _: object) -> None:
    """Refuse to begin where there is nothing to begin from: no delivered files, and no records in the lake.

    Raises
    ------
    InputRefusedError
    """
    if arguments.raw is not None or not can_look(arguments.lake):
        return
    try:
        lake = LakeReader.look(arguments.lake, may_be_new=True)
    except LakeError:
        # said by the look at the lake itself
        return
    if not any(lake.exists(table) for table in (bronze.DECLARATION, gold.CITY_EXPORTS, CITY_PANEL)):
        raise InputRefusedError(
            f"--raw is missing: {arguments.lake} holds no records yet, and a run begins with the folder of delivered files."
        )


CHECKS = (check_source, check_user_files)


def run_through(context: JobContext, last: str, announce: Callable[[str], None] = lambda name: None) -> list[Outcome]:
    """Run the steps up to and including ``last``."""
    outcomes = []
    for name in steps_of(context, last):
        announce(name)
        outcomes.append(run_job(name, importlib.import_module(f"jobs.{name}").run, context))
    return outcomes


def look_through(arguments: argparse.Namespace) -> list[Outcome] | None:
    """Outcomes of a run that has nothing to do, found out without a session; None as soon as there is something.

    The steps themselves decide: each looks at what is recorded before it reads or writes a table.
    """
    if not can_look(arguments.lake):
        return None
    outcomes = []
    try:
        with look_into(arguments) as context:
            if not isinstance(context.lake, LakeReader):
                return None
            for name in steps_of(context, arguments.through):
                outcomes.append(importlib.import_module(f"jobs.{name}").run(context))
    except (SessionNeededError, LakeError):
        # what is wrong with a lake is for the run itself to say
        return None
    return None if any(outcome.changed for outcome in outcomes) else outcomes


def steps_of(context: JobContext, last: str) -> list[str]:
    """Steps up to and including ``last`` that can be run: without --raw those that read delivered files cannot."""
    return [name for name in STEPS[: STEPS.index(last) + 1] if context.raw is not None or name not in NEED_RAW]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: ``pipeline.py`` under spark-submit, ``customs-lake run`` for people."""
    return command_main("run", run_command, argv, checks=CHECKS)



def run_command(arguments: argparse.Namespace) -> int:
    """Run the steps, print the result and return the exit code."""
    start = time.monotonic()
    refuse_damage(arguments.lake, raw=arguments.raw)
    if arguments.raw is not None:
        settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
        # on a cluster its executors look, once there is a session
        if is_local(settings):
            look_first(
                arguments.raw, settings, years=parse_years(arguments.years), accepted=arguments.accept,
                all_or_nothing=arguments.all_or_nothing,
            )
    outcomes = None if arguments.rebuild else look_through(arguments)
    if outcomes is None:
        with open_context(arguments) as context:
            outcomes = run_through(replace(context, rebuild=arguments.rebuild), arguments.through)
    if outcomes and outcomes[-1].detail:
        print(outcomes[-1].detail)
    changed = any(outcome.changed for outcome in outcomes)
    print(f"{'Done' if changed else 'Nothing new'} in {time.monotonic() - start:.0f} s. Lake: {arguments.lake}")
    return exit_code(outcomes)


if __name__ == "__main__":
    sys.exit(main())
