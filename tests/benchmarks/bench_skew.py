"""How evenly the work is shared out when three cities have most of the records: seconds of every task, stage by stage.

    python tests/benchmarks/bench_skew.py [--records 1000000] [--skew 10] [--years 2004,2005]

A world with so many times the real odds of Shenzhen, Shanghai and Dongguan is loaded, cleaned and counted, its indicators are
computed; Spark's own event log says how long each task was at work. A straggler takes several times the median of its stage
and decides when the stage ends. The last column, the longest task over the mean, is what a stage loses on as many cores as it
has tasks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STEPS = ("ingest", "clean", "count", "indicators")
#: Stages of less work are of look-ups and sums.
LEAST_SECONDS = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--skew", type=float, default=10.0)
    parser.add_argument("--years", help="of the generated world; all nine if not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raw, lake = f"{folder}/world/raw", f"{folder}/lake"
        years = ["--years", options.years] if options.years else []
        size = ["--records", str(options.records), "--skew", str(options.skew)]
        run(["generate", "--out", f"{folder}/world", *size, *years])
        run(["land", "--raw", raw, "--lake", lake])
        run(["references", "--lake", lake])
        print("| step | stage | tasks | seconds of all | median | longest | longest over mean |")
        print("|---|---|---|---|---|---|---|")
        for step in STEPS:
            events = Path(folder, "events", step)
            events.mkdir(parents=True)
            config = Path(folder, f"{step}.toml")
            config.write_text(
                f'[spark.extra]\n"spark.eventLog.enabled" = "true"\n"spark.eventLog.dir" = "{events.as_uri()}"\n'
            )
            # a world with most of its records in three cities is off what rules expect of a sound delivery
            bounds = ["--set", "quality.max_share_reason=1.0", "--set", "quality.max_share_quarantined=1.0"]
            run([step, "--lake", lake, *(["--raw", raw] if step == "ingest" else []), "--config", str(config), *bounds])
            print_stages(step, events)
    return 0


def run(command: list[str]) -> None:
    """Run one command of the product."""
    customs_lake = [sys.executable, "-c", "from jobs.commands.main import main; import sys; sys.exit(main())"]
    done = subprocess.run([*customs_lake, *command], capture_output=True, text=True, cwd=ROOT)
    if done.returncode not in (0, 3):
        sys.exit(f"{command[0]} ended with {done.returncode}:\n{done.stderr[-3000:]}")


def print_stages(step: str, events: Path) -> None:
    """Print the stages of a step that are shared out, one a line."""
    for stage, seconds in sorted(task_seconds(events).items()):
        whole, longest = sum(seconds), max(seconds)
        if len(seconds) > 1 and whole >= LEAST_SECONDS:
            middle, over = statistics.median(seconds), longest * len(seconds) / whole
            times = f"{whole:.1f} | {middle:.2f} | {longest:.2f} | {over:.1f}"
            print(f"| {step} | {stage} | {len(seconds)} | {times} |", flush=True)


def task_seconds(events: Path) -> dict[int, list[float]]:
    """Stage to the seconds that each of its tasks was at work, from the event logs of a folder."""
    found: dict[int, list[float]] = defaultdict(list)
    for path in sorted(path for path in events.rglob("*") if path.is_file()):
        for line in path.open(encoding="utf-8", errors="replace"):
            if '"SparkListenerTaskEnd"' in line:
                event = json.loads(line)
                found[event["Stage ID"]].append(event["Task Metrics"]["Executor Run Time"] / 1000)
    return found


if __name__ == "__main__":
    sys.exit(main())
