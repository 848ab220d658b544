"""Command line: estimate a specification from a file and print the summary, JSON or the moment table.

    python -m estimation fit --spec CASE.json --data DATA.csv --json
    python -m estimation fit --spec model.toml --data panel.parquet
    python -m estimation moments --spec model.toml --data panel.csv

Exit codes: 0 done, 2 wrong command line, 4 input or specification refused.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

import pandas as pd

from estimation.errors import EstimationError, EstimationWarning, SpecificationError
from estimation.model import PanelGMM
from estimation.results import GMMResults
from estimation.spec import Case
from estimation.specfile import read_case

REFUSED = 4


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        results = _fit(options)
    except EstimationError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return REFUSED
    if options.command == "moments":
        print(results.moments.to_csv(index=False), end="")
    elif options.json:
        print(json.dumps(results.to_dict(), indent=1, allow_nan=False))
    else:
        print(results)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m estimation", description="Dynamic panel GMM from a specification file."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("fit", "estimate and print the summary"), ("moments", "print one row per instrument as CSV")):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--spec", required=True, type=Path, help="case file: .json with machine_spec, or .toml")
        command.add_argument(
            "--data", required=True, type=Path, help=".csv (or .csv.gz) or .parquet, one row per (entity, time)"
        )
        command.add_argument("--entity", help="entity column, if the case file names none")
        command.add_argument("--time", help="time column, if the case file names none")
        if name == "fit":
            command.add_argument("--json", action="store_true", help="print JSON instead of the summary")
    return parser


def _fit(options: argparse.Namespace) -> GMMResults:
    case = read_case(options.spec)
    entity, time = options.entity or case.entity, options.time or case.time
    if entity is None or time is None:
        raise SpecificationError(
            f"{options.spec}: it names no entity and time column; add them or give --entity and --time."
        )
    data = _read_data(options.data)
    with warnings.catch_warnings():
        # the same sentences are printed as notes of the results
        warnings.simplefilter("ignore", EstimationWarning)
        return PanelGMM.from_case(data, Case(case.spec, case.options, entity, time)).fit_options(case.options)


def _read_data(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise SpecificationError(f"{path}: the data cannot be read ({error}).") from error


if __name__ == "__main__":
    sys.exit(main())
