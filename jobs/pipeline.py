"""Pipeline: all jobs in order, from delivered files to Table 1, with progress, counts and seconds."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conf.settings import Settings, load_settings
from jobs.cluster.probe import examine_cluster
from jobs.core.damage import refuse_damage
from jobs.core.errors import EXIT_REFUSED, InputRefusedError, LakeError
from jobs.core.progress import moving
from jobs.core.reading import LakeReader, SessionNeededError, can_look
from jobs.readers.receiving import look_first
from jobs.reference.frames import check_user_files
from jobs.runtime.command_line.catalogue import work_of
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
from jobs.runtime.metrics import record_metrics
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


PREFLIGHT = (check_source, check_user_files)


def run_through(context: JobContext, last: str) -> list[Outcome]:
    """Run the steps up to and including ``last``."""
    outcomes = []
    names = steps_of(context, last)
    for number, name in enumerate(names, start=1):
        with moving(name, place=f"{number} of {len(names)}"):
            outcomes.append(run_job(name, work_of(name).run, context))
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
                outcomes.append(work_of(name).run(context))
    except (SessionNeededError, LakeError):
        # what is wrong with a lake is for the run itself to say
        return None
    return None if any(outcome.changed for outcome in outcomes) else outcomes


def steps_of(context: JobContext, last: str) -> list[str]:
    """Steps up to and including ``last`` that can be run: without --raw those that read delivered files cannot."""
    return [name for name in STEPS[: STEPS.index(last) + 1] if context.raw is not None or name not in NEED_RAW]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: ``pipeline.py`` under spark-submit, ``customs-lake run`` for people."""
    return command_main("run", run_command, argv, checks=PREFLIGHT)


def run_command(arguments: argparse.Namespace) -> int:
    """Run the steps, or only ask the cluster that is to run them; print the result and return the exit code."""
    if arguments.check_cluster:
        return examine_cluster(arguments)
    start = time.monotonic()
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    try:
        outcomes = _run(arguments, settings)
    except BaseException:
        record_metrics(settings, arguments.lake, "run", is_done=False, seconds=time.monotonic() - start)
        raise
    seconds, changed = time.monotonic() - start, any(outcome.changed for outcome in outcomes)
    record_metrics(settings, arguments.lake, "run", is_done=True, seconds=seconds, changed=changed)
    if outcomes and outcomes[-1].detail:
        print(outcomes[-1].detail)
    print(f"{'Done' if changed else 'Nothing new'} in {seconds:.0f} s. Lake: {arguments.lake}")
    code = exit_code(outcomes)
    if code != EXIT_REFUSED:
        print(next_step(arguments))
    return code


def _run(arguments: argparse.Namespace, settings: Settings) -> list[Outcome]:
    """Look first, without a session; then run the steps if there is anything to do."""
    if not getattr(arguments, "is_checked", False):
        refuse_damage(arguments.lake, raw=arguments.raw)
    # on a cluster its executors look, once there is a session
    if arguments.raw is not None and is_local(settings):
        with moving("look", note="which files there are"):
            look_first(
                arguments.raw, settings, years=parse_years(arguments.years), accepted=arguments.accept,
                all_or_nothing=arguments.all_or_nothing,
            )
    with moving("look", note="what is there already"):
        outcomes = None if arguments.rebuild else look_through(arguments)
    if outcomes is None:
        # the first step that needs a session starts it
        with open_context(arguments, may_wait=True) as context:
            outcomes = run_through(replace(context, rebuild=arguments.rebuild), arguments.through)
    return outcomes


def next_step(arguments: argparse.Namespace) -> str:
    """What to do after a run that ended well."""
    lake = shlex.quote(str(arguments.lake))
    if arguments.through == STEPS[-1]:
        return (
            f"Next: `customs-lake report --lake {lake}` writes the study as one page,"
            f" `customs-lake compare --lake {lake}` says what moved."
        )
    if STEPS.index(arguments.through) >= STEPS.index("count"):
        return (
            f"Next: `customs-lake export gold.city_exports --lake {lake} --out exports.csv` hands the counts out; the same run"
            " without --through goes on to the estimates."
        )
    return "Next: the same run without --through goes on to the estimates."


if __name__ == "__main__":
    sys.exit(main())
