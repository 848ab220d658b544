"""What `python -m estimation` does: estimate the columns of a file on the data of another and write the table.

    python -m estimation fit --spec model.toml --data panel.dta --out table.tex
    python -m estimation fit --formula "n ~ L.n + w | gmm(n, 2:4, collapse) + iv(w)" --data abdata.csv --entity id --time year
    python -m estimation fit --stata "xtabond2 n L.n w, gmm(L.n) iv(w) robust" --data abdata.dta --entity id --time year
"""

from __future__ import annotations

import argparse
import html
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from estimation.column_file import Column, column_of, read_columns
from estimation.data_files import read_table
from estimation.dynamic_panel.results import GMMResults
from estimation.dynamic_panel.side_by_side import compare
from estimation.errors import EstimationError, EstimationWarning, SpecificationError

FORMATS = ("text", "markdown", "latex", "html", "json", "excel")
_OF_SUFFIX = {
    ".txt": "text", ".md": "markdown", ".tex": "latex", ".html": "html", ".htm": "html", ".json": "json", ".xlsx": "excel",
}  # fmt: skip


def add_model_arguments(command: argparse.ArgumentParser) -> None:
    """Add what says which model on which data."""
    model = command.add_mutually_exclusive_group(required=True)
    model.add_argument("--spec", type=Path, help=".toml, one specification or tables [[column]]; .json with machine_spec")
    model.add_argument("--formula", help="such as 'y ~ L.y + x | gmm(y x, 2:4, collapse) + iv(z)'")
    model.add_argument("--stata", help="a command line of xtabond2 or xtdpdgmm")
    kinds = ".csv in any encoding (also .gz), .dta, .parquet or .xlsx, one row per entity and time"
    command.add_argument("--data", required=True, type=Path, help=kinds)
    command.add_argument("--encoding", help="of the data, where it is not recognised")
    command.add_argument("--entity", help="entity column, if the specification names none")
    command.add_argument("--time", help="time column, if the specification names none")
    command.add_argument("--time-step", type=int, help="length of a period in units of the time column")
    command.add_argument("--sample", help="rows the estimation is about, such as 'year >= 2005'")
    command.add_argument("--difference", action="store_true", help="with --formula: difference GMM, no level equation")


def add_output_arguments(command: argparse.ArgumentParser) -> None:
    """Add what says how to write the table."""
    command.add_argument("--format", choices=FORMATS, help="by default from the suffix of --out, or text")
    command.add_argument("--out", type=Path, help="file to write; the table is printed where it is not given")
    command.add_argument("--json", action="store_true", help="same as --format json")


def columns_of(options: argparse.Namespace) -> tuple[Column, ...]:
    """Return the specifications of a command line.

    Raises
    ------
    SpecificationError
    """
    keys = {"entity": options.entity, "time": options.time, "time_step": options.time_step, "sample": options.sample}
    given = {key: value for key, value in keys.items() if value is not None}
    if options.spec is not None:
        return tuple(_overridden(column, given) for column in read_columns(options.spec))
    if options.stata is not None:
        return (column_of({"stata": options.stata, **given}, "(1)", "--stata"),)
    system = {"system": False} if options.difference else {}
    return (column_of({"formula": options.formula, **system, **given}, "(1)", "--formula"),)


def _overridden(column: Column, given: Mapping[str, Any]) -> Column:
    """Return a column with the keys of the command line in place of its own."""
    if column.command is not None and "sample" in given:
        raise SpecificationError(f"{column.name}: a command of Stata restricts with its own if; leave --sample out.")
    return replace(column, case=replace(column.case, **given))


def fit_all(options: argparse.Namespace) -> dict[str, GMMResults]:
    """Estimate every column; the name of one that fails is in its error.

    Raises
    ------
    EstimationError
    """
    columns = columns_of(options)
    data = read_table(options.data, encoding=options.encoding)
    fits: dict[str, GMMResults] = {}
    for column in columns:
        if column.name in fits:
            raise SpecificationError(f"two columns are called {column.name!r}; give each its own name.")
        with warnings.catch_warnings():
            # the same sentences are printed as notes of the results
            warnings.simplefilter("ignore", EstimationWarning)
            try:
                fits[column.name] = column.fit(data)
            except EstimationError as error:
                if len(columns) == 1:
                    raise
                raise type(error)(f"column {column.name!r}: {error}") from error
    return fits


def output_format(options: argparse.Namespace) -> str:
    """Return the format asked for.

    Raises
    ------
    SpecificationError
    """
    if options.json:
        return "json"
    if options.format is not None:
        return str(options.format)
    if options.out is None:
        return "text"
    found = _OF_SUFFIX.get(options.out.suffix.lower())
    if found is None:
        raise SpecificationError(f"{options.out}: expected a suffix of {', '.join(_OF_SUFFIX)}, or --format.")
    return found


def written(fits: Mapping[str, GMMResults], kind: str) -> str:
    """Return one fit as its summary, several side by side."""
    if kind == "json":
        contents = {name: fit.to_dict() for name, fit in fits.items()}
        content = next(iter(contents.values())) if len(contents) == 1 else contents
        return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
    if len(fits) == 1 and kind != "markdown":
        summary = next(iter(fits.values())).summary
        return {"text": summary.as_text, "latex": summary.as_latex, "html": summary.as_html}[kind]()
    table = compare(dict(fits))
    body = {"text": table.to_text, "markdown": table.to_markdown, "latex": table.to_latex, "html": table.to_html}[kind]()
    return "\n".join([body, *_notes(fits, kind)])


def _notes(fits: Mapping[str, GMMResults], kind: str) -> list[str]:
    """Return what to know before believing the numbers, by column."""
    notes = [f"{name}: {note}" for name, fit in fits.items() for note in fit.notes]
    if kind == "html":
        return [f"<p>{html.escape(note)}</p>" for note in notes]
    return [f"% {note}" if kind == "latex" else f"- {note}" for note in notes]


def write_out(fits: Mapping[str, GMMResults], options: argparse.Namespace) -> str:
    """Write the table to its file, or return it where there is none to write to.

    Raises
    ------
    SpecificationError
    """
    kind, path = output_format(options), options.out
    if kind == "excel" and path is None:
        raise SpecificationError("--format excel: name the workbook, --out table.xlsx.")
    if path is None:
        return written(fits, kind)
    # a table that is cut short by a full disk must not stand in the place of an earlier one
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if kind == "excel":
            compare(dict(fits)).to_excel(partial)
        else:
            partial.write_text(written(fits, kind) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise SpecificationError(f"{path}: the table cannot be written ({error.strerror}).") from error
    finally:
        partial.unlink(missing_ok=True)
    return ""

