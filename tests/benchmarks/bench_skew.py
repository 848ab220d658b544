"""How evenly the work is shared out when three cities have most of the records: seconds of every task, step by step.

    python tests/benchmarks/bench_skew.py [--records 1000000] [--skew 10] [--years 2004,2005]

A world with so many times the real odds of Shenzhen, Shanghai and Dongguan is loaded, cleaned and counted, its indicators
are computed; the tasks are those that executors are given, done here one after the other. A straggler takes several times the
median of its step and decides when the step ends. The last column, the longest task over the mean, is what a step loses on as
many cores as it has tasks.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from jobs.commands.main import main as customs_lake
from jobs.runtime import executors, side_processes

ROOT = Path(__file__).resolve().parents[2]
STEPS = ("ingest", "clean", "count", "indicators")
#: A world with most of its records in three cities is off what rules expect of a sound delivery.
BOUNDS = ["--set", "quality.max_share_reason=1.0", "--set", "quality.max_share_quarantined=1.0"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--skew", type=float, default=10.0)
    parser.add_argument("--years", help="of the generated world; all nine if not given")
    options = parser.parse_args()
    seconds: dict[str, list[float]] = defaultdict(list)
    executors.run_in_processes = lambda *given, **named: one_by_one(seconds, *given, **named)
    with tempfile.TemporaryDirectory() as folder:
        raw, lake = f"{folder}/world/raw", f"{folder}/lake"
        years = ["--years", options.years] if options.years else []
        size = ["--records", str(options.records), "--skew", str(options.skew)]
        generate = [sys.executable, "-c", "from jobs.commands.main import main; main()", "generate"]
        subprocess.run([*generate, "--out", f"{folder}/world", *size, *years], check=True, cwd=ROOT)
        for step in ("land", "references", *STEPS):
            run([step, "--lake", lake, *(["--raw", raw] if step in ("land", "ingest") else []), *BOUNDS])
    print("| work | tasks | seconds of all | median | longest | longest over mean |\n|---|---|---|---|---|---|")
    for name, found in seconds.items():
        whole, longest = sum(found), max(found)
        times = f"{whole:.1f} | {statistics.median(found):.2f} | {longest:.2f} | {longest * len(found) / whole:.1f}"
        print(f"| {name.removeprefix('jobs.kernels.')} | {len(found)} | {times} |")
    return 0


def run(command: list[str]) -> None:
    """Run one command of the product in this process."""
    sys.argv = ["customs-lake", *command]
    try:
        code = customs_lake()
    except SystemExit as ended:
        code = ended.code
    if code not in (0, 3, None):
        sys.exit(f"{command[0]} ended with {code}")


def one_by_one(
    seconds: dict[str, list[float]], tasks: Sequence[str], function: str, arguments: tuple, **_: object
) -> list[dict[str, Any]]:
    """Do tasks one after the other and note how long each took."""
    rows = []
    for task in tasks:
        start = time.process_time()
        rows += side_processes.run_in_processes([task], function, arguments, n_processes=1)
        seconds[function].append(time.process_time() - start)
    return rows


if __name__ == "__main__":
    sys.exit(main())
