"""The console script ``customs-lake``: the jobs as subcommands, for people.

The jobs themselves run without typer and rich; this file only parses, calls them and prints.
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as RichTable

from conf.settings import load_settings
from jobs.context import configure_logging, explained, open_context, run_job
from jobs.errors import EXIT_DONE, EXIT_NOTHING_TO_DO, EXIT_REFUSED, InputRefusedError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__.split("\n")[0])
config_app = typer.Typer(no_args_is_help=True, help="Settings and where each value comes from.")
app.add_typer(config_app, name="config")
console = Console()

Lake = Annotated[str, typer.Option("--lake", help="Root of the lake: a folder or any URI Hadoop knows.")]
Raw = Annotated[Path | None, typer.Option("--raw", help="Folder with the delivered files.")]
Years = Annotated[str | None, typer.Option("--years", help="Years to work on, such as 2003-2011.")]
Profile = Annotated[str | None, typer.Option("--profile", help="A profile of conf/profiles.")]
Config = Annotated[Path | None, typer.Option("--config", help="A TOML file of your own.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Override one value: section.key=value.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for tables and reports.")]


def main() -> None:
    """Entry point of the console script."""
    configure_logging()
    sys.exit(explained(lambda: app(standalone_mode=False) or EXIT_DONE))


def _arguments(lake, raw, years, profile, config, overrides, out) -> Namespace:
    return Namespace(
        lake=lake, raw=raw, years=years, profile=profile, config=config, set=overrides or [], out=out
    )


def _job(name: str) -> None:
    """Register one job module as a subcommand."""
    import importlib

    def command(
        lake: Lake, raw: Raw = None, years: Years = None, profile: Profile = None, config: Config = None,
        set: Set = None, out: Out = None,
    ) -> int:
        module = importlib.import_module(f"jobs.{name}")
        with open_context(_arguments(lake, raw, years, profile, config, set, out)) as context:
            outcome = run_job(name, module.run, context)
        if outcome.detail:
            console.print(outcome.detail, highlight=False, soft_wrap=True)
        return EXIT_DONE if outcome.changed else EXIT_NOTHING_TO_DO

    summary = {
        "land": "Give every delivered file a receipt: hash, strict decoding, layout.",
        "ingest": "Append delivered lines to bronze, as they are.",
        "references": "Write the packaged look-up tables to the lake.",
        "clean": "Parse, repair, place and judge: silver and quarantine.",
        "count": "Count value, products and destinations of every city-year.",
        "yearbook": "Read the city yearbook's sheets.",
        "productivity": "Firm productivity and its city means.",
        "panel": "Join exports, yearbook and productivity to the city panel.",
        "estimate": "Estimate the result tables on the panel.",
        "reconcile": "Recount every file: lines and dollars in = kept + quarantined.",
    }[name]
    app.command(name, help=summary)(command)


for _name in (
    "land", "ingest", "references", "clean", "count", "yearbook", "productivity", "panel", "estimate", "reconcile",
):
    _job(_name)


@app.command()
def run(
    raw: Annotated[Path, typer.Option("--raw", help="Folder with the delivered files.")],
    lake: Lake,
    through: Annotated[str, typer.Option("--through", help="Last step to run.")] = "estimate",
    years: Years = None, profile: Profile = None, config: Config = None, set: Set = None, out: Out = None,
) -> int:
    """Run all steps in order on a folder of your own."""
    from jobs.pipeline import STEPS, run_through

    if through not in STEPS:
        raise InputRefusedError(f"--through: expected one of {', '.join(STEPS)}; found {through!r}.")
    start = time.monotonic()
    with open_context(_arguments(lake, raw, years, profile, config, set, out)) as context:
        outcomes = run_through(context, through)
    if outcomes[-1].detail:
        console.print(outcomes[-1].detail, highlight=False, soft_wrap=True)
    changed = any(outcome.changed for outcome in outcomes)
    console.print(f"{'Done' if changed else 'Nothing new'} in {time.monotonic() - start:.0f} s. Lake: {lake}")
    return EXIT_DONE if changed else EXIT_NOTHING_TO_DO


@app.command()
def generate(
    out: Annotated[Path, typer.Option("--out", help="Folder to write raw/ and truth/ into.")],
    seed: Annotated[int, typer.Option(help="Root of all random numbers.")] = 20031,
    records: Annotated[int, typer.Option(help="Customs records, about.")] = 600_000,
) -> int:
    """Write a generated world: raw customs files, yearbook sheets, firms, and the truth beside them."""
    from jobs.generate import generate as write_world

    write_world(out, seed=seed, records=records)
    return EXIT_DONE


@app.command()
def export(
    table: Annotated[str, typer.Argument(help="layer.table, such as gold.city_exports")],
    lake: Lake,
    out: Annotated[Path, typer.Option("--out", help="A file ending in .csv, .parquet or .xlsx.")],
    version: Annotated[int | None, typer.Option(help="Version of the table; default: the latest.")] = None,
) -> int:
    """Hand a table out as CSV, Parquet or Excel."""
    from jobs.export import export_table

    with open_context(_arguments(lake, None, None, None, None, None, None), create=False) as context:
        rows = export_table(context.lake, table, out, version=version)
    console.print(f"{rows:,} rows of {table} written to {out}")
    return EXIT_DONE


@app.command()
def doctor() -> int:
    """Say what is missing on this machine."""
    from jobs.doctor import examine

    findings = examine()
    table = RichTable("check", "", "found", "what to do", box=None, pad_edge=False)
    for finding in findings:
        table.add_row(
            finding.name, "ok" if finding.is_fine else "[bold red]missing[/]", finding.found,
            "" if finding.is_fine else finding.remedy,
        )
    console.print(table)
    return EXIT_DONE if all(finding.is_fine for finding in findings) else EXIT_REFUSED


@config_app.command("show")
def config_show(profile: Profile = None, config: Config = None, set: Set = None) -> int:
    """Print every setting with its origin."""
    settings = load_settings(profile=profile, config_file=config, overrides=set or [])
    table = RichTable("setting", "value", "from", box=None, pad_edge=False)
    for section, values in settings.as_dict().items():
        for key, value in values.items():
            shown = ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
            table.add_row(f"{section}.{key}", shown, settings.origins.get(f"{section}.{key}", "default"))
    console.print(table)
    return EXIT_DONE


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for raw files, lake and tables.")] = Path("build/demo"),
    records: Annotated[int, typer.Option(help="Customs records, about.")] = 600_000,
    seed: Annotated[int, typer.Option(help="Root of all random numbers.")] = 20031,
) -> int:
    """Generate a world, build the lake from it, print Table 1 beside the paper and the truth, and reconcile."""
    from jobs.demo import run_demo

    return run_demo(out, records=records, seed=seed, console=console)

