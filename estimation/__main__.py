"""Command line: estimate a specification from a file and print the summary, JSON or the moment table.

    python -m estimation fit --spec CASE.json --data DATA.csv --json
    python -m estimation fit --spec model.toml --data panel.parquet
    python -m estimation moments --spec model.toml --data panel.csv
    python -m estimation study --sizes 286 --replications 2000 --lags-only --out study/

Exit codes: 0 done, 2 wrong command line, 4 input or specification refused.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

import pandas as pd

from estimation.dynamic_panel.model import PanelGMM
from estimation.dynamic_panel.montecarlo import OUTCOMES, summarise_parameters, summarise_tests
from estimation.dynamic_panel.results import GMMResults
from estimation.dynamic_panel.spec import Case
from estimation.dynamic_panel.specfile import read_case
from estimation.dynamic_panel.study import compare_choices, run_study, to_markdown
from estimation.errors import EstimationError, EstimationWarning, SpecificationError

REFUSED = 4


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    if options.command == "study":
        return _study(options)
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
    study = commands.add_parser("study", help="run the Monte Carlo study and print its summary as Markdown")
    study.add_argument("--sizes", type=int, nargs="+", default=[286, 109, 69], help="numbers of cities")
    study.add_argument("--replications", type=int, default=200)
    study.add_argument("--first", type=int, default=0, help="number of the first replication")
    study.add_argument("--lags-only", action="store_true", help="only collapsed two-step with 1, 2 and 3 lags")
    study.add_argument("--outcomes", nargs="+", default=list(OUTCOMES), choices=OUTCOMES)
    study.add_argument("--seed", type=int, default=2003)
    study.add_argument("--jobs", type=int, default=1, help="number of processes, -1 for one per core")
    study.add_argument("--out", type=Path, help="folder for parameters.csv, tests.csv and choices.csv")
    return parser


def _study(options: argparse.Namespace) -> int:
    rows = run_study(
        options.sizes,
        options.replications,
        lags_only=options.lags_only,
        outcomes=options.outcomes,
        seed=options.seed,
        first=options.first,
        n_jobs=options.jobs,
    )
    choices = compare_choices(rows)
    print(to_markdown(choices))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        choices.to_csv(options.out / "choices.csv", index=False)
        summarise_parameters(rows).to_csv(options.out / "parameters.csv", index=False)
        summarise_tests(rows).to_csv(options.out / "tests.csv", index=False)
    return 0


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
