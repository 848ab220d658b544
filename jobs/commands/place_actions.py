"""Places, the command: a postcode explained, or how the records of a lake were placed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from conf.settings import Places, load_settings
from jobs.core.errors import EXIT_DONE, InputRefusedError
from jobs.core.printing import printable

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from jobs.runtime.context import JobContext

LIMIT_ROWS = 40


def run_command(arguments: argparse.Namespace) -> int:
    """Carry out one action and return the exit code."""
    if arguments.action == "explain":
        return _explain_postcode(arguments)
    return _place_sensitivity(arguments) if arguments.action == "sensitivity" else _show_places(arguments)


def _explain_postcode(arguments: argparse.Namespace) -> int:
    """A postcode by its candidates; a record, or a file of them, by what is decided."""
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    if arguments.file is None and (arguments.postcode is None or arguments.year is None):
        raise InputRefusedError("places explain: expected POSTCODE YEAR, or --file CSV.")
    is_record = arguments.text or arguments.code or arguments.json or arguments.file or arguments.postcode == "-"
    print(_decide(arguments, settings.places) if is_record else _candidates(arguments, settings.places))
    return EXIT_DONE


def _candidates(arguments: argparse.Namespace, places: Places) -> str:
    from jobs.commands.explain_places import ask
    from jobs.commands.narrow_book import narrow_book
    from jobs.commands.places import explain_postcode

    year = ask(arguments.postcode, arguments.year).year
    book = narrow_book(places, postcodes=[arguments.postcode])
    return str(explain_postcode(arguments.postcode, year, book=book, convention=places.convention))


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
    from jobs.runtime.context import look_into

    with look_into(arguments) as context:
        frame = _place_frame(context, arguments.action, arguments.city).collect().to_pandas()
    if arguments.out:
        written = _write_csv(frame, arguments.out, f"places_{arguments.action}.csv")
        print(printable(f"{len(frame):,} rows written to {written}"))
    elif arguments.json:
        for row in json.loads(frame.to_json(orient="records", force_ascii=False)):
            print(json.dumps(row, ensure_ascii=False))
    else:
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
    from jobs.runtime.context import open_context
    from jobs.study.sensitivity import compare_treatments

    with open_context(arguments, create=False) as context:
        found = compare_treatments(context, tables=arguments.tables, profile=arguments.study_profile)
    print(found)
    if arguments.out:
        written = _write_csv(found.to_frame(), arguments.out, "places_sensitivity.csv")
        print(printable(f"All numbers: {written}"))
    return EXIT_DONE


def _write_csv(frame: pd.DataFrame, folder: Path, name: str) -> Path:
    from jobs.commands.exported_files import write_file

    write_file(frame, folder / name)
    return folder / name
