"""The commands that look after a lake: plan, compare, withdraw, fsck, maintain, restore, migrate, package."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Annotated

import typer

from jobs.context import open_context, run_job
from jobs.errors import EXIT_DONE

Lake = Annotated[str, typer.Option("--lake", help="Root of the lake: a folder or any URI Hadoop knows.")]
Raw = Annotated[Path | None, typer.Option("--raw", help="Folder with the delivered files.")]
Years = Annotated[str | None, typer.Option("--years", help="Years to work on, such as 2003-2011.")]
Profile = Annotated[str | None, typer.Option("--profile", help="A profile of conf/profiles.")]
Config = Annotated[Path | None, typer.Option("--config", help="A TOML file of your own.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Override one value: section.key=value.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, change nothing.")]


def add_operations(app: typer.Typer) -> None:
    """Register the commands with the console script."""
    for command in (plan, compare, withdraw, fsck, maintain, restore, migrate, package):
        app.command()(command)


def plan(
    lake: Lake, raw: Raw = None, years: Years = None, profile: Profile = None, config: Config = None, set: Set = None
) -> int:
    """Show what the next run would load, rebuild and skip, and why; writes nothing."""
    from jobs.plan import run_command

    return run_command(_arguments(lake, raw=raw, years=years, profile=profile, config=config, set=set))


def compare(lake: Lake, profile: Profile = None, config: Config = None, set: Set = None) -> int:
    """Put each year beside the year before and mark what moved too much."""
    from jobs.compare import run_command

    return run_command(_arguments(lake, profile=profile, config=config, set=set))


def withdraw(
    lake: Lake,
    file: Annotated[list[str], typer.Option("--file", help="Name or pattern below the raw folder; repeat for more.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in one sentence; kept with the receipt.")],
    undo: Annotated[bool, typer.Option("--undo", help="Put withdrawn files in force again.")] = False,
    profile: Profile = None, config: Config = None, set: Set = None,
) -> int:
    """Take delivered files back; the next run rebuilds their years."""
    from jobs.withdraw import reinstate
    from jobs.withdraw import withdraw as take_back

    change = reinstate if undo else take_back
    with open_context(_arguments(lake, profile=profile, config=config, set=set), create=False) as context:
        run_job("withdraw", lambda given: change(given, file, reason), context)
    return EXIT_DONE


def fsck(lake: Lake, profile: Profile = None, config: Config = None, set: Set = None) -> int:
    """Check constraints, keys, files, manifest and balance of every table; changes nothing."""
    from jobs.fsck import run_command

    return run_command(_arguments(lake, profile=profile, config=config, set=set))


def maintain(
    lake: Lake,
    action: Annotated[list[str], typer.Argument(help="health, compact, vacuum, checkpoint, pin, release")],
    table: Annotated[list[str] | None, typer.Option("--table", help="Only this table; repeat for more.")] = None,
    name: Annotated[str, typer.Option("--name", help="Name of the study, for pin and release.")] = "",
    dry_run: DryRun = False, profile: Profile = None, config: Config = None, set: Set = None,
) -> int:
    """Compact, vacuum and look at the health of tables; pin versions that a study needs."""
    from jobs.maintain import run_command

    arguments = _arguments(lake, profile=profile, config=config, set=set)
    return run_command(Namespace(**vars(arguments), action=action, table=table or [], name=name, dry_run=dry_run))


def restore(
    lake: Lake,
    run: Annotated[str | None, typer.Option("--run", help="Back to the state after this run.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="Back to this moment, UTC: 2024-05-01T12:00:00.")] = None,
    table: Annotated[str | None, typer.Option("--table", help="One table only, with --version.")] = None,
    version: Annotated[int | None, typer.Option("--version", help="Version of that table.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Finish an interrupted restore.")] = False,
    dry_run: DryRun = False, profile: Profile = None, config: Config = None, set: Set = None,
) -> int:
    """Take the whole lake back to a run or a moment, or one table to a version."""
    from jobs.restore import run_command

    arguments = _arguments(lake, profile=profile, config=config, set=set)
    return run_command(
        Namespace(**vars(arguments), run=run, at=at, table=table, version=version, resume=resume, dry_run=dry_run)
    )


def migrate(lake: Lake, dry_run: DryRun = False, profile: Profile = None, config: Config = None, set: Set = None) -> int:
    """Bring a lake of an older format to the present one."""
    from jobs.migrate import run_command

    return run_command(Namespace(**vars(_arguments(lake, profile=profile, config=config, set=set)), dry_run=dry_run))


def package(
    out: Annotated[Path, typer.Option("--out", help="The zip to write.")] = Path("build/customs-lake.zip"),
) -> int:
    """Write the zip that spark-submit needs (--py-files)."""
    from jobs.package import build_zip

    built = build_zip(out)
    typer.echo(f"{built} ({built.stat().st_size / 1e6:.1f} MB)")
    return EXIT_DONE


def _arguments(lake: str, **given) -> Namespace:
    defaults = {"raw": None, "years": None, "profile": None, "config": None, "out": None}
    return Namespace(lake=lake, **(defaults | given | {"set": given.get("set") or []}))
