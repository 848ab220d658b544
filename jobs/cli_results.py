"""The commands about results: estimate, report, explain."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Annotated

import typer

from jobs.context import open_context, run_job
from jobs.errors import EXIT_DONE, EXIT_NOTHING_TO_DO

Lake = Annotated[str, typer.Option("--lake", help="Root of the lake: a folder or any URI Hadoop knows.")]
Raw = Annotated[Path | None, typer.Option("--raw", help="Folder with the delivered files; the truth is looked for beside it.")]
Profile = Annotated[str | None, typer.Option("--profile", help="A profile of conf/profiles.")]
Config = Annotated[Path | None, typer.Option("--config", help="A TOML file of your own.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Override one value: section.key=value.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for tables and reports.")]
Tables = Annotated[str, typer.Option("--tables", help="all, or some: 1,4.")]
StudyProfile = Annotated[str, typer.Option("--study-profile", help="defensible, paper or both with a comma.")]
At = Annotated[int | None, typer.Option("--at", help="Version of gold.city_panel to estimate on.")]
TableFiles = Annotated[Path | None, typer.Option("--table-files", help="Folder with result tables of your own.")]


def add_results(app: typer.Typer) -> None:
    """Register the commands with the console script."""
    for command in (estimate, report, explain):
        app.command()(command)


def estimate(
    lake: Lake, tables: Tables = "all", study_profile: StudyProfile = "defensible,paper", at: At = None,
    table_files: TableFiles = None, raw: Raw = None, profile: Profile = None, config: Config = None, set: Set = None,
    out: Out = None,
) -> int:
    """Estimate the result tables on the panel, beside the paper and the truth."""
    from jobs import estimate as job

    with open_context(_arguments(lake, raw, profile, config, set, out), create=False) as context:
        options = {"tables": tables, "profiles": _listed(study_profile), "at": at, "table_files": table_files}
        outcome = run_job("estimate", lambda given: job.run(given, **options), context)
    typer.echo(outcome.detail)
    return EXIT_DONE if outcome.changed else EXIT_NOTHING_TO_DO


def report(
    lake: Lake, tables: Tables = "all", study_profile: StudyProfile = "defensible,paper", at: At = None,
    table_files: TableFiles = None,
    geojson: Annotated[Path | None, typer.Option("--geojson", help="Boundaries of your own for the maps.")] = None,
    raw: Raw = None, profile: Profile = None, config: Config = None, set: Set = None, out: Out = None,
) -> int:
    """Write the study as one HTML file and say which of the paper's claims survive."""
    from jobs import report as job

    with open_context(_arguments(lake, raw, profile, config, set, out), create=False) as context:
        options = {
            "tables": tables, "profiles": _listed(study_profile), "at": at, "table_files": table_files,
            "geojson": geojson,
        }
        outcome = run_job("report", lambda given: job.run(given, **options), context)
    typer.echo(outcome.detail)
    return EXIT_DONE


def explain(
    name: Annotated[str, typer.Argument(help="table.column.term, such as table1.col1.lnAgg")],
    lake: Lake,
    study_profile: Annotated[str, typer.Option("--study-profile", help="defensible or paper.")] = "defensible",
    table_files: TableFiles = None, profile: Profile = None, config: Config = None, set: Set = None,
) -> int:
    """Walk a number back to its panel, its tables and the delivered files."""
    from jobs import explain as job

    with open_context(_arguments(lake, None, profile, config, set, None), create=False) as context:
        outcome = job.run(context, name, profile=study_profile, table_files=table_files)
    typer.echo(outcome.detail)
    return EXIT_DONE


def _arguments(
    lake: str, raw: Path | None, profile: str | None, config: Path | None, overrides: list[str] | None, out: Path | None
) -> Namespace:
    return Namespace(lake=lake, raw=raw, years=None, profile=profile, config=config, set=overrides or [], out=out)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
