"""Command line: estimate specifications and print or write the table, or print the moments as CSV.

    python -m estimation fit --spec model.toml --data panel.dta
    python -m estimation fit --spec columns.toml --data panel.csv --out table.tex
    python -m estimation fit --stata "xtabond2 n L.n w k, gmm(L.n) iv(w k) robust" --data abdata.dta --entity id --time year
    python -m estimation moments --spec model.toml --data panel.csv
    python -m estimation study --sizes 286 --replications 2000 --lags-only --out study/

Exit codes: 0 done, 2 wrong command line, 4 input or specification refused.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from estimation.commands import add_model_arguments, add_output_arguments, fit_all, write_out
from estimation.dynamic_panel.study import add_study_arguments, run_study, write_summary
from estimation.errors import EstimationError, SpecificationError

REFUSED = 4


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    if options.command == "study":
        return _study(options)
    try:
        return _moments(options) if options.command == "moments" else _fit(options)
    except EstimationError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m estimation", description="Dynamic panel GMM from a specification, a formula or a command of Stata."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("fit", "estimate and print or write the table"),
        ("moments", "print one row per instrument as CSV"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        add_model_arguments(command)
        if name == "fit":
            add_output_arguments(command)
    study = commands.add_parser("study", help="run the Monte Carlo study and print its summary as Markdown")
    add_study_arguments(study, replications=200)
    study.add_argument("--jobs", type=int, default=1, help="number of processes, -1 for one per core")
    study.add_argument("--out", type=Path, help="folder for parameters.csv, tests.csv and choices.csv")
    return parser


def _fit(options: argparse.Namespace) -> int:
    text = write_out(fit_all(options), options)
    print(text if options.out is None else f"written: {options.out}")
    return 0


def _moments(options: argparse.Namespace) -> int:
    fits = fit_all(options)
    if len(fits) > 1:
        raise SpecificationError(f"moments: expected one specification, found {len(fits)} columns.")
    print(next(iter(fits.values())).moments.to_csv(index=False), end="")
    return 0


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
    print(write_summary(rows, options.out))
    return 0


if __name__ == "__main__":
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader of the pipe, such as head, has seen enough; nothing is written at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
