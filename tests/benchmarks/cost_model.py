"""What a lake of any size costs, from the history of bench_pipeline: fixed and per record, predicted for other machines.

    python tests/benchmarks/cost_model.py [--records 150000000 1000000000] [--cores 1 8 64] [--commit 1a2b3c4]

Processor seconds of a step are ``fixed + rate * records``, fitted to all runs of the history, or to those of one commit,
with relative errors, neither below zero. Wall seconds are ``fixed / min(cores, 2) + rate * records / (cores * use)``: what a
step does before and after its records (JVM, commits, ledger) keeps two cores busy at most; the records are shared out in
tasks of some hundred thousand, and all cores are busy to the share ``use`` that two were. Not in the model: disks or a
network slower than the tasks, and a driver's work for more than some ten thousand files.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from bench_pipeline import HISTORY, STEPS
from scipy.optimize import nnls


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--history", type=Path, default=HISTORY)
    parser.add_argument("--records", type=int, nargs="+", default=[150_000_000, 1_000_000_000])
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--commit", help="only runs of this commit: one of another would be of another cost")
    options = parser.parse_args()
    runs = [json.loads(line) for line in options.history.read_text("utf-8").splitlines()]
    runs = [run for run in runs if options.commit is None or run.get("commit") == options.commit]
    if not runs:
        sys.exit(f"{options.history}: no run of {options.commit or 'any commit'}")
    steps = {step: fit([run["records"] for run in runs], [run["ours"][step]["cpu"] for run in runs]) for step in STEPS}
    print("| step | processor seconds at the start | microseconds a record |\n|---|---|---|")
    for step, (fixed, rate) in steps.items():
        print(f"| {step} | {fixed:.0f} | {1e6 * rate:.1f} |")
    fixed, rate = (sum(part) for part in zip(*steps.values(), strict=True))
    print(f"| all five | {fixed:.0f} | {1e6 * rate:.1f} |\n")
    if len({run["records"] for run in runs}) < 2:
        print("runs of one size only: the start lies inside the rate\n")
    for run in runs:
        print(f"{run['records']:,} records: {run['cpu']:.0f} s measured, {fixed + rate * run['records']:.0f} by the model")
    largest = max(runs, key=lambda run: run["records"])
    use = largest["cpu"] / largest["wall"] / largest["machine"]["cores"]
    print(f"\ntwo cores were busy to {use:.0%} with {largest['records']:,} records\n")
    names = [f"{cores} core{'s' * (cores > 1)}" for cores in options.cores]
    print(f"| records | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for records in options.records:
        walls = [fixed / min(cores, 2) + rate * records / (cores * use) for cores in options.cores]
        print(f"| {records:,} | {' | '.join(shown(wall) for wall in walls)} |")
    return 0


def fit(records: list[int], seconds: list[float]) -> tuple[float, float]:
    """Fixed seconds and seconds a record, both at least zero, that come nearest to all runs in relative terms.

    Of runs of one size nobody can tell the start from the rate: all is taken for rate, which is then an upper bound.
    """
    if len(set(records)) == 1:
        return 0.0, float(np.mean(seconds)) / records[0]
    design = np.column_stack([np.ones(len(records)), records]) / np.array(seconds)[:, None]
    scale = np.array([1.0, 1e-6])
    found, _ = nnls(design * scale, np.ones(len(records)))
    return tuple(found * scale)


def shown(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


if __name__ == "__main__":
    sys.exit(main())
