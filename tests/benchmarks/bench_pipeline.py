"""The pipeline from raw text to gold.city_exports beside a DuckDB script on the same folder: processor seconds, wall, memory.

    python tests/benchmarks/bench_pipeline.py [--records 1000000 5000000] [--runs 1] [--history FILE] [--plot FILE]

Each step is a process of its own, as a user runs it; its processor seconds are those of all its processes, its memory the
largest sum of theirs. The two take turns. Both must read the same rows; the script, which repairs less and knows four digits
of a postcode, must keep within 5 % of the pipeline's records and dollars, else it did other work and the ratio says nothing.
Every run is appended to a history in JSON lines, from which the plot is drawn.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from jobs.core.reading import open_lake

HERE = Path(__file__).resolve().parent
STEPS = ("land", "ingest", "references", "clean", "count")
NEED_RAW = ("land", "ingest")
#: The script repairs no names and places by four digits; more than this apart it is another computation.
MAX_DIFFERENCE = 0.05
GOAL = 2.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--runs", type=int, default=1, help="runs of each, taking turns; the least of each step counts")
    parser.add_argument("--history", type=Path, default=Path("build/bench_pipeline.jsonl"))
    parser.add_argument("--plot", type=Path, help="draw ratio against records from the history")
    arguments = parser.parse_args()
    for records in arguments.records:
        with tempfile.TemporaryDirectory() as folder:
            found = bench(Path(folder), records, arguments.runs)
        print_table(found)
        arguments.history.parent.mkdir(parents=True, exist_ok=True)
        with arguments.history.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(found) + "\n")
    if arguments.plot is not None:
        plot(arguments.history, arguments.plot)
    return 0


def bench(folder: Path, records: int, runs: int) -> dict:
    """Generate one world and let both work on it."""
    customs_lake = [sys.executable, "-c", "from jobs.commands.main import main; main()"]
    made = measure([*customs_lake, "generate", "--out", str(folder / "world"), "--records", str(records)])
    raw = folder / "world" / "raw"
    ours: dict[str, dict] = {}
    peer: dict[str, dict] = {}
    for run in range(runs):
        lake = folder / f"lake{run}"
        for step in STEPS:
            command = [*customs_lake, step, "--lake", str(lake), *(["--raw", str(raw)] if step in NEED_RAW else [])]
            ours[step] = least(ours.get(step), measure(command))
        script = measure([sys.executable, str(HERE / "peer_duckdb.py"), str(raw), str(folder / f"peer{run}")])
        peer["script"] = least(peer.get("script"), script)
    theirs = json.loads(peer["script"].pop("output").splitlines()[-1])
    for step in ours.values():
        step.pop("output")
    mine = results(folder / "lake0")
    compare(mine, theirs)
    cpu, wall = (sum(step[name] for step in ours.values()) for name in ("cpu", "wall"))
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%S"), "records": mine["rows"], "machine": machine(), "generate": made["cpu"],
        "ours": ours, "peer": peer["script"] | {"steps": theirs["seconds"]}, "cpu_ratio": cpu / peer["script"]["cpu"],
        "wall_ratio": wall / peer["script"]["wall"], "peak_mb": max(step["peak_mb"] for step in ours.values()),
        "kept": mine, "kept_by_peer": theirs,
    }


def measure(command: list[str]) -> dict:
    """Run one command; processor and wall seconds of it and its children, and their largest memory together."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE.parents[1])
    peak: list[int] = [0]
    ticks: dict[int, int] = {}
    watcher = threading.Thread(target=watch, args=(process, peak, ticks), daemon=True)
    watcher.start()
    output, errors = process.communicate()
    if process.returncode not in (0, 3):
        sys.exit(f"{' '.join(command[-6:])} ended with {process.returncode}:\n{errors[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    waited = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # a JVM that outlives its parent is waited for by nobody: what was last seen of every process counts
    seen = sum(ticks.values()) / os.sysconf("SC_CLK_TCK")
    return {"cpu": max(waited, seen), "wall": time.monotonic() - start, "peak_mb": peak[0] / 2**20, "output": output}


def watch(process: subprocess.Popen, peak: list[int], ticks: dict[int, int]) -> None:
    """Note, four times a second, the memory of a process and all it started together, and the processor time of each."""
    while process.poll() is None:
        members = family(process.pid)
        peak[0] = max(peak[0], sum(resident(pid) for pid in members))
        for pid in members:
            ticks[pid] = max(ticks.get(pid, 0), processor_ticks(pid))
        time.sleep(0.25)


def processor_ticks(pid: int) -> int:
    """Processor time of a process, in the kernel's ticks."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def family(root: int) -> list[int]:
    """A process and its descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
    found, size = {root}, 0
    while len(found) > size:
        size = len(found)
        found |= {pid for pid, parent in parents.items() if parent in found}
    return sorted(found)


def resident(pid: int) -> int:
    """Bytes of a process in memory, what it shares with others counted once among them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def least(former: dict | None, found: dict) -> dict:
    """The run with fewer processor seconds."""
    return found if former is None or found["cpu"] < former["cpu"] else former


def results(lake: Path) -> dict:
    """Rows of bronze, and what gold.city_exports holds."""
    opened = open_lake(str(lake))
    exports = opened["gold.city_exports"].to_pandas()
    rows = opened["bronze.declaration"].scan().select("source_year").collect().height
    return {
        "rows": rows, "city_years": len(exports), "records": int(exports["n_records"].sum()),
        "dollars": float(exports["value_usd"].sum()), "products": int(exports["n_products"].sum()),
        "destinations": int(exports["n_destinations"].sum()),
    }


def compare(mine: dict, theirs: dict) -> None:
    """Refuse a comparison of unlike work."""
    if mine["rows"] != theirs["rows"]:
        sys.exit(f"rows read: {mine['rows']:,} here, {theirs['rows']:,} by the script")
    for name in ("records", "dollars"):
        if abs(theirs[name] / mine[name] - 1) > MAX_DIFFERENCE:
            sys.exit(f"{name} kept: {mine[name]:,.0f} here, {theirs[name]:,.0f} by the script")


def machine() -> dict:
    """What the figures depend on."""
    packages = {name: version(name) for name in ("pyspark", "delta-spark", "duckdb", "polars", "pyarrow")}
    return {"cores": os.cpu_count(), "python": platform.python_version(), "load": round(os.getloadavg()[0], 1)} | packages


def print_table(found: dict) -> None:
    """Print steps, totals and ratios."""
    print(f"\n{found['records']:,} records; {found['machine']}")
    print(f"{'':<14}{'cpu s':>10}{'wall s':>10}{'peak MB':>10}")
    for name, step in [*found["ours"].items(), ("DuckDB script", found["peer"])]:
        print(f"{name:<14}{step['cpu']:>10.1f}{step['wall']:>10.1f}{step['peak_mb']:>10,.0f}")
    print(f"ratio of processor seconds {found['cpu_ratio']:.1f}, of wall {found['wall_ratio']:.1f} (goal {GOAL})", flush=True)


def plot(history: Path, target: Path) -> None:
    """Draw the ratios of all runs against their records."""
    from matplotlib.figure import Figure

    runs = sorted((json.loads(line) for line in history.read_text("utf-8").splitlines()), key=lambda run: run["records"])
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot(xlabel="records", ylabel="times the DuckDB script", xscale="log")
    for name, label in (("cpu_ratio", "processor seconds"), ("wall_ratio", "wall seconds")):
        axes.plot([run["records"] for run in runs], [run[name] for run in runs], "o-", label=label)
    axes.axhline(GOAL, color="0.6", linestyle=":", label="goal")
    axes.legend(frameon=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target)


if __name__ == "__main__":
    sys.exit(main())
