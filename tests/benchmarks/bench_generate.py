"""The generator alone: records a second and core, wall seconds and memory against records and processes.

    python tests/benchmarks/bench_generate.py [--records 600000 5000000] [--processes 1 2]

The goal is 150,000 records a second and core at 5 million records. 100 million are 18 GB of text; give them a folder with
--folder and some minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_pipeline import measure

GOAL = 150_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, nargs="+", default=[600_000, 5_000_000])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--folder", type=Path, help="on whose disk the worlds are written, and removed")
    options = parser.parse_args()
    print(f"{'records':>12}{'processes':>11}{'cpu s':>9}{'wall s':>9}{'peak MB':>9}{'a second and core':>19}")
    for records in options.records:
        for processes in options.processes:
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                command = ["generate", "--out", folder, "--records", str(records), "--processes", str(processes)]
                run = measure([sys.executable, "-c", "from jobs.commands.main import main; main()", *command])
                written = json.loads((Path(folder) / "truth/world.json").read_text())["written"]["n_rows"]
            print(
                f"{written:>12,}{processes:>11}{run['cpu']:>9.1f}{run['wall']:>9.1f}{run['peak_mb']:>9,.0f}"
                f"{written / run['cpu']:>19,.0f}", flush=True,
            )
    print(f"goal: {GOAL:,} records a second and core at 5 million records")
    return 0


if __name__ == "__main__":
    sys.exit(main())
