"""The console script ``customs-lake``: every job as a subcommand, and what people need around them.

A subcommand takes exactly the arguments of its job under spark-submit: the job's own parser reads them, so there is one
place where an argument is defined. This file holds the list of commands and the few that are not jobs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table as RichTable

from conf.settings import Places, load_settings
from conf.tables import STUDY_PROFILES
from jobs.core.errors import EXIT_DONE, EXIT_REFUSED, InputRefusedError
from jobs.core.printing import cell, printable
from jobs.runtime.context import (
    JobContext,
    add_arguments,
    add_settings_arguments,
    configure_logging,
    explained,
    job_main,
    look_into,
    open_context,
    program,
)

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

COMMANDS: dict[str, dict[str, str]] = {
    "From raw files to tables": {
        "run": "all steps in order on a folder of your own (--through STEP)",
        "sniff": "what a folder of customs files holds and what landing it would do; no Spark",
        "land": "give every delivered file a receipt: hash, strict decoding, layout",
        "ingest": "append delivered lines to bronze, as they are",
        "references": "write the look-up tables to the lake",
        "clean": "parse, repair, place and judge: silver and quarantine",
        "count": "value, products and destinations of every city-year",
        "yearbook": "read the sheets of the city yearbook",
        "productivity": "firm productivity and its city means",
        "panel": "join exports, yearbook and productivity to the city panel",
        "estimate": "estimate the result tables on the panel",
        "report": "the study as one HTML file",
    },
    "Looking at it": {
        "reconcile": "recount every file: lines and dollars in = kept + quarantined",
        "verify": "hold a generated world's lake against its truth",
        "explain": "walk a number back: explain table1.col1.lnAgg",
        "resolve": "how production sites resolve to prefectures under the present settings",
        "places": "explain POSTCODE YEAR | coverage | conflicts | ambiguity | sensitivity",
        "describe": "summary statistics, correlations and coverage of the panel",
        "plausible": "hold the lake against published totals, its world's, or your own",
        "compare": "hold the newest year against the years before",
        "query": "SQL over the lake's tables in DuckDB; no Spark",
        "shell": "the same, query by query",
        "export": "hand a table out as .csv, .parquet, .xlsx or .dta",
        "handoff": "a study as a replication package: data, tables.do, tables.R, README",
        "config": "show: every setting and where its value comes from",
    },
    "Keeping the lake": {
        "plan": "what a run would load, rebuild and skip, and why; writes nothing",
        "withdraw": "take a delivered file out of force, or back in",
        "erase": "take firms or files out of the lake and its history for good",
        "maintain": "health, compact, checkpoint, vacuum, pin, release",
        "fsck": "check files, constraints, keys and balance of every table (--deep: every byte)",
        "repair": "mend what fsck names: build the damaged part again from what is whole",
        "restore": "a table or the whole lake at an earlier moment",
        "migrate": "bring an older lake to this product's format",
    },
    "Trying it": {
        "demo": "a generated world from raw files to Table 1, checked against its truth",
        "generate": "write a generated world: raw files and the truth beside them",
        "montecarlo": "the estimator on data drawn from the model",
        "doctor": "what is missing on this machine",
    },
}
LIMIT_ROWS = 40
# data is printed as it is, never as markup of the terminal library
console = Console(markup=False, emoji=False, highlight=False)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the console script."""
    sys.exit(run_command(list(sys.argv[1:] if argv is None else argv)))


def run_command(argv: list[str]) -> int:
    """Run one subcommand and return its exit code."""
    configure_logging()
    if not argv or argv[0] in ("-h", "--help"):
        print_commands()
        return EXIT_DONE
    name, rest = argv[0], argv[1:]
    if name in OWN:
        return explained(lambda: OWN[name](rest))
    if not any(name in group for group in COMMANDS.values()):
        known = ", ".join(command for group in COMMANDS.values() for command in group)
        return explained(lambda: _refuse(f"customs-lake {name}: no such command. There are: {known}."))
    module = importlib.import_module(f"jobs.{'pipeline' if name == 'run' else name}")
    if hasattr(module, "main"):
        return module.main(rest)
    return job_main(name, module.run, module.__doc__, rest)


def print_commands() -> None:
    """Print the commands in groups."""
    console.print("customs-lake COMMAND [options]; --help after a command tells its options\n")
    for title, commands in COMMANDS.items():
        table = RichTable(box=None, show_header=False, pad_edge=False, title=title, title_justify="left")
        table.add_column(width=14, style="bold")
        table.add_column()
        for name, text in commands.items():
            table.add_row(name, text)
        console.print(table)
        console.print()


def export(argv: Sequence[str]) -> int:
    """Hand a table out."""
    from jobs.commands.export import export_table

    parser = _parser("export", "Hand a table out as CSV, Parquet, Excel or Stata file.")
    parser.add_argument("table", help="layer.table, such as gold.city_exports")
    parser.add_argument("--lake", required=True, help="root of the lake")
    parser.add_argument("--out", type=Path, required=True, help="a file ending in .csv, .parquet, .xlsx or .dta")
    parser.add_argument("--version", type=int, help="version of the table; default: the latest")
    parser.add_argument(
        "--raw-text", action="store_true",
        help="leave texts of a .csv as they are; else those that a spreadsheet takes for formulas begin with an apostrophe",
    )
    add_settings_arguments(parser)
    arguments = parser.parse_args(argv)
    with look_into(arguments) as context:
        rows, changed = export_table(
            context.lake, arguments.table, arguments.out, version=arguments.version, raw_text=arguments.raw_text
        )
    console.print(printable(f"{rows:,} rows of {arguments.table} written to {arguments.out}"))
    if changed.text():
        console.print(changed.text())
    return EXIT_DONE


def handoff(argv: Sequence[str]) -> int:
    """Write a study's replication package."""
    from jobs.commands.handoff import main as hand_off

    return hand_off(argv)


def query(argv: Sequence[str]) -> int:
    """Answer one SQL query over the lake's tables."""
    from jobs.commands import query as queries
    from jobs.core.reading import LakeReader

    parser = _parser("query", "SQL over the lake's tables by name, in DuckDB: \"SELECT * FROM gold.city_exports LIMIT 5\".")
    parser.add_argument("sql", help="one query; the tables are those that `customs-lake shell` lists")
    parser.add_argument("--lake", required=True, help="root of the lake")
    parser.add_argument("--out", type=Path, help="a .csv, .parquet or .xlsx file for all rows; else the first are printed")
    parser.add_argument("--json", action="store_true", help="print all rows as JSON, one object a line")
    arguments = parser.parse_args(argv)
    rows = queries.ask(queries.connect(LakeReader.look(arguments.lake)), arguments.sql)
    if arguments.out is not None:
        queries.write(rows, arguments.out)
        console.print(printable(f"{len(rows):,} rows written to {arguments.out}"))
    elif arguments.json:
        for row in rows.to_pylist(maps_as_pydicts="strict"):
            print(json.dumps(row, ensure_ascii=False, default=str))
    else:
        print(queries.render(rows))
    return EXIT_DONE


def shell(argv: Sequence[str]) -> int:
    """Answer SQL queries over the lake's tables until the input ends."""
    from jobs.commands import query as queries
    from jobs.core.reading import LakeReader

    parser = _parser("shell", "SQL over the lake's tables, query by query, in DuckDB.")
    parser.add_argument("--lake", required=True, help="root of the lake")
    queries.shell(LakeReader.look(parser.parse_args(argv).lake))
    return EXIT_DONE


def doctor(argv: Sequence[str]) -> int:
    """Say what is missing on this machine."""
    from jobs.commands.doctor import examine

    _parser("doctor", "What is missing on this machine.").parse_args(argv)
    findings = examine()
    table = RichTable("check", "", "found", "what to do", box=None, pad_edge=False)
    for finding in findings:
        verdict = cell("ok") if finding.is_fine else cell("missing", "bold red")
        table.add_row(cell(finding.name), verdict, cell(finding.found), cell("" if finding.is_fine else finding.remedy))
    console.print(table)
    return EXIT_DONE if all(finding.is_fine for finding in findings) else EXIT_REFUSED


def config(argv: Sequence[str]) -> int:
    """Print every setting with its origin."""
    parser = _parser("config", "Every setting and where its value comes from.")
    parser.add_argument("action", choices=["show"])
    add_settings_arguments(parser)
    arguments = parser.parse_args(argv)
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    table = RichTable("setting", "value", "from", box=None, pad_edge=False)
    for section, values in settings.shown().items():
        for key, value in values.items():
            shown = ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
            origin = settings.origins.get(f"{section}.{key}", "default")
            table.add_row(*map(cell, (f"{section}.{key}", shown, origin)))
    console.print(table)
    return EXIT_DONE


def places(argv: Sequence[str]) -> int:
    """Explain a postcode, or show how the records of a lake were placed."""
    parser = _parser("places", "What a postcode is in a year, and how the records of a lake were placed.")
    actions = parser.add_subparsers(dest="action", required=True)
    explain = actions.add_parser("explain", help="what a postcode is in a year, or what is decided for a whole record")
    explain.add_argument("postcode", nargs="?", help="six digits, or - for none")
    explain.add_argument("year", nargs="?")
    explain.add_argument("--text", default="", help="production place as delivered: what is decided for such a record")
    explain.add_argument("--code", default="", help="customs' district code, five digits")
    explain.add_argument("--file", type=Path, help="many at once: CSV with postcode, year and, if you like, text, code, month")
    explain.add_argument("--json", action="store_true", help="decisions as JSON, one object a line for a file")
    add_settings_arguments(explain)
    explain.set_defaults(act=_explain_postcode)
    for name, text in {
        "coverage": "share of records and value by match method, per city and year",
        "conflicts": "records and value per year and kind of disagreement",
        "ambiguity": "cities, records and value with the ambiguous cities in, out and whole",
    }.items():
        sub = actions.add_parser(name, help=text)
        add_arguments(sub)
        sub.add_argument("--city", help="only this city_id")
        sub.set_defaults(act=_show_places)
    compared = actions.add_parser("sensitivity", help="counts and Table 1 with the ambiguous cities in, out and whole")
    add_arguments(compared)
    compared.add_argument("--tables", default="1", help="result tables: 1 or 1,4")
    compared.add_argument("--study-profile", default="defensible", choices=STUDY_PROFILES, help="options to estimate under")
    compared.set_defaults(act=_place_sensitivity)
    arguments = parser.parse_args(argv)
    return arguments.act(arguments)


def _explain_postcode(arguments: argparse.Namespace) -> int:
    """A postcode by its candidates; a record, or a file of them, by what is decided."""
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    if arguments.file is None and (arguments.postcode is None or arguments.year is None):
        return _refuse("places explain: expected POSTCODE YEAR, or --file CSV.")
    is_record = arguments.text or arguments.code or arguments.json or arguments.file or arguments.postcode == "-"
    print(_decide(arguments, settings.places) if is_record else _candidates(arguments, settings.places))
    return EXIT_DONE


def _candidates(arguments: argparse.Namespace, places: Places) -> str:
    from jobs.commands.explain_places import ask
    from jobs.commands.places import explain_postcode
    from jobs.reference.place_book import configured_place_book

    year = ask(arguments.postcode, arguments.year).year
    return str(explain_postcode(arguments.postcode, year, book=configured_place_book(places), convention=places.convention))


def _decide(arguments: argparse.Namespace, places: Places) -> str:
    from jobs.commands import explain_places

    if arguments.file is not None:
        questions = explain_places.read_questions(arguments.file)
    else:
        questions = [explain_places.ask(arguments.postcode, arguments.year, arguments.text, arguments.code)]
    answers = explain_places.decide_places(questions, places)
    if arguments.json:
        return explain_places.render_json(answers)
    if arguments.file is not None:
        return explain_places.render_csv(questions, answers)
    return explain_places.render_decision(questions[0], answers[0])


def _show_places(arguments: argparse.Namespace) -> int:
    """Coverage, conflicts or ambiguity of the records of a lake, printed or written."""
    with look_into(arguments) as context:
        frame = _place_frame(context, arguments.action, arguments.city).collect().to_pandas()
    if arguments.out:
        written = _write_csv(frame, arguments.out, f"places_{arguments.action}.csv")
        console.print(printable(f"{len(frame):,} rows written to {written}"))
        return EXIT_DONE
    print(frame.head(LIMIT_ROWS).to_string(index=False))
    if len(frame) > LIMIT_ROWS:
        print(f"... {len(frame) - LIMIT_ROWS:,} more rows; --out FOLDER writes all, --city and --years choose")
    return EXIT_DONE


def _place_frame(context: JobContext, action: str, city: str | None) -> pl.LazyFrame:
    import polars as pl

    from jobs.kernels.place_tables import ambiguity_table, count_conflicts, place_coverage
    from schemas import silver
    from schemas.places import AMBIGUOUS_CITIES

    frames = [context.lake.scan(table) for table in (silver.DECLARATION, silver.QUARANTINE)]
    if context.years is not None:
        frames = [frame.filter(pl.col("year").is_in(sorted(context.years))) for frame in frames]
    if city:
        frames = [frame.filter(pl.col("city_id") == city) for frame in frames]
    if action == "coverage":
        return place_coverage(frames[0])
    if action == "conflicts":
        return count_conflicts(frames[0])
    return ambiguity_table(frames[0], frames[1], context.lake.scan(AMBIGUOUS_CITIES))


def _place_sensitivity(arguments: argparse.Namespace) -> int:
    from jobs.study.sensitivity import compare_treatments

    with open_context(arguments, create=False) as context:
        found = compare_treatments(context, tables=arguments.tables, profile=arguments.study_profile)
    print(found)
    if arguments.out:
        written = _write_csv(found.to_frame(), arguments.out, "places_sensitivity.csv")
        console.print(printable(f"All numbers: {written}"))
    return EXIT_DONE


def _write_csv(frame: pd.DataFrame, folder: Path, name: str) -> Path:
    from jobs.commands.exported_files import write_file

    write_file(frame, folder / name)
    return folder / name


def demo(argv: Sequence[str]) -> int:
    """Run the demo."""
    from jobs.commands.demo import run_demo

    parser = _parser("demo", "A generated world from raw files to Table 1, checked against its truth.")
    parser.add_argument("--out", type=Path, default=Path("build/demo"), help="folder for raw files, lake and tables")
    parser.add_argument("--records", type=int, default=600_000, help="customs records, about; at least 279,000")
    parser.add_argument("--seed", type=int, default=20031, help="root of all random numbers")
    arguments = parser.parse_args(argv)
    return run_demo(arguments.out, records=arguments.records, seed=arguments.seed, console=console)


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=program(name), description=description)


def _refuse(message: str) -> int:
    raise InputRefusedError(message)


OWN: dict[str, Callable[[Sequence[str]], int]] = {
    "export": export, "handoff": handoff, "query": query, "shell": shell, "doctor": doctor, "config": config,
    "places": places, "demo": demo,
}
