"""Indicators beside the counts they follow: processor seconds, wall and memory of both on the same lake.

    python tests/benchmarks/bench_indicators.py [--records 1000000]

Each step is a process of its own, as a user runs it. The ratio says what indicators add to `count`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_pipeline import measure

GOAL = 0.25


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    records = parser.parse_args().records
    customs_lake = [sys.executable, "-c", "from jobs.commands.main import main; main()"]
    with tempfile.TemporaryDirectory() as folder:
        raw, lake = Path(folder) / "world" / "raw", Path(folder) / "lake"
        measure([*customs_lake, "generate", "--out", str(raw.parent), "--records", str(records)])
        measure([*customs_lake, "run", "--raw", str(raw), "--lake", str(lake), "--through", "clean"])
        # nothing to do: the session alone, which every command pays
        idle = measure([*customs_lake, "clean", "--lake", str(lake)])
        steps = {
            name: measure([*customs_lake, name, "--lake", str(lake)]) for name in ("count", "indicators")
        }
    print(f"{records:,} records\n{'step':<12}{'cpu s':>8}{'wall s':>8}{'MB':>8}")
    for name, step in {"session": idle, **steps}.items():
        print(f"{name:<12}{step['cpu']:>8.1f}{step['wall']:>8.1f}{step['peak_mb']:>8.0f}")
    own = {name: step["cpu"] - idle["cpu"] for name, step in steps.items()}
    print(f"indicators / count: {steps['indicators']['cpu'] / steps['count']['cpu']:.2f}", end="")
    print(f", without the session {own['indicators'] / own['count']:.2f} (goal {GOAL})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
