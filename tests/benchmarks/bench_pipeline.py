"""The pipeline from raw text to gold.city_exports beside a DuckDB and a Polars script on the same folder.

    python tests/benchmarks/bench_pipeline.py [--records 1000000 5000000] [--runs 1] [--years 2003-2004] [--plot FILE]

Each step is a process of its own, as a user runs it; its processor seconds are those of all its processes, its memory the
largest sum of theirs. The three take turns. All must read the same rows, and the two scripts come to the same city-years; as
they repair less and know four digits of a postcode, they must keep within 5 % of the pipeline's records and dollars, else they
did other work and the ratio says nothing. Every run is appended to a history in JSON lines, tests/benchmarks/history, with the
commit it is of; `--plot` draws it, alone when `--records` is given no number. After the runs the cost model (cost_model.py) is
fitted to those of the same commit: all that docs/speed.md has is printed by one command,

    python tests/benchmarks/bench_pipeline.py --records 1000000 5000000 --plot docs/pictures/speed.svg
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
PEERS = {"duckdb": "DuckDB script", "polars": "Polars script"}
HISTORY = HERE / "history" / "bench_pipeline.jsonl"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, nargs="*", default=[1_000_000, 5_000_000])
    parser.add_argument("--years", help="of the generated world, for example 2003-2004; all nine if not given")
    parser.add_argument("--runs", type=int, default=1, help="runs of each, taking turns; the least of each step counts")
    parser.add_argument("--history", type=Path, default=HISTORY)
    parser.add_argument("--plot", type=Path, help="draw seconds against records from the history")
    arguments = parser.parse_args()
    for records in arguments.records:
        with tempfile.TemporaryDirectory() as folder:
            found = bench(Path(folder), records, arguments.runs, ["--years", arguments.years] if arguments.years else [])
        print_table(found)
        arguments.history.parent.mkdir(parents=True, exist_ok=True)
        with arguments.history.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(found) + "\n")
    if arguments.records:
        model = [sys.executable, str(HERE / "cost_model.py"), "--history", str(arguments.history)]
        subprocess.run([*model, "--commit", commit()], check=True)
    if arguments.plot is not None:
        plot(arguments.history, arguments.plot)
    return 0


def commit() -> str:
    """The commit that is measured; empty where it is not known."""
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE)
    return found.stdout.strip()


def bench(folder: Path, records: int, runs: int, options: list[str]) -> dict:
    """Generate one world and let both work on it."""
    customs_lake = [sys.executable, "-c", "from jobs.commands.main import main; main()"]
    made = measure([*customs_lake, "generate", "--out", str(folder / "world"), "--records", str(records), *options])
    raw = folder / "world" / "raw"
    ours: dict[str, dict] = {}
    peers: dict[str, dict] = {}
    for run in range(runs):
        lake = folder / f"lake{run}"
        for step in STEPS:
            command = [*customs_lake, step, "--lake", str(lake), *(["--raw", str(raw)] if step in NEED_RAW else [])]
            ours[step] = least(ours.get(step), measure(command))
        for name in PEERS:
            script = measure([sys.executable, str(HERE / f"peer_{name}.py"), str(raw), str(folder / f"{name}{run}")])
            peers[name] = least(peers.get(name), script)
    for step in ours.values():
        step.pop("output")
    mine = results(folder / "lake0")
    theirs = {name: json.loads(peer.pop("output").splitlines()[-1]) for name, peer in peers.items()}
    compare(mine, theirs)
    cpu, wall = (sum(step[name] for step in ours.values()) for name in ("cpu", "wall"))
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%S"), "commit": commit(), "records": mine["rows"], "machine": machine(),
        "generate": made["cpu"],
        "ours": ours, "cpu": cpu, "wall": wall, "peak_mb": max(step["peak_mb"] for step in ours.values()), "kept": mine,
        "peers": {
            name: peer | {"cpu_ratio": cpu / peer["cpu"], "wall_ratio": wall / peer["wall"]} | theirs[name]
            for name, peer in peers.items()
        },
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


def compare(mine: dict, theirs: dict[str, dict]) -> None:
    """Refuse a comparison of unlike work."""
    for peer, its in theirs.items():
        if mine["rows"] != its["rows"]:
            sys.exit(f"rows read: {mine['rows']:,} here, {its['rows']:,} by the {PEERS[peer]}")
        for name in ("records", "dollars"):
            if abs(its[name] / mine[name] - 1) > MAX_DIFFERENCE:
                sys.exit(f"{name} kept: {mine[name]:,.0f} here, {its[name]:,.0f} by the {PEERS[peer]}")
    both = [{name: value for name, value in its.items() if name != "seconds"} for its in theirs.values()]
    if any(its != both[0] for its in both):
        sys.exit(f"the scripts differ: {theirs}")


def machine() -> dict:
    """What the figures depend on."""
    packages = {name: version(name) for name in ("pyspark", "delta-spark", "duckdb", "polars", "pyarrow")}
    return {"cores": os.cpu_count(), "python": platform.python_version(), "load": round(os.getloadavg()[0], 1)} | packages


def print_table(found: dict) -> None:
    """Print steps, totals and ratios as docs/speed.md has them."""
    records = found["records"]
    print(f"\n{records:,} generated records, {found['at'][:10]}; {described(found['machine'])}\n")
    print("| | processor seconds | wall seconds | peak MB | microseconds a record |\n|---|---|---|---|---|")
    whole = {name: found[name] for name in ("cpu", "wall", "peak_mb")}
    rows = [*found["ours"].items(), ("all five", whole), *((PEERS[name], peer) for name, peer in found["peers"].items())]
    for name, step in rows:
        each = 1e6 * step["cpu"] / records
        print(f"| {name} | {step['cpu']:.1f} | {step['wall']:.1f} | {step['peak_mb']:,.0f} | {each:.1f} |")
    print()
    for name, peer in found["peers"].items():
        times = f"{peer['cpu_ratio']:.1f} times the processor seconds of the {PEERS[name]}"
        print(f"{times}, {peer['wall_ratio']:.1f} times its wall seconds (goal {GOAL:g})", flush=True)


def described(machine: dict) -> str:
    """The machine and the versions in one line."""
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", "pyspark", "delta-spark", "duckdb", "polars"))
    return f"{machine['cores']} cores, load {machine['load']} at the end; {versions}"


def plot(history: Path, target: Path) -> None:
    """Draw the processor seconds of every step and of the scripts against the records: the last run of each size."""
    from matplotlib.figure import Figure

    last = {run["records"]: run for run in map(json.loads, history.read_text("utf-8").splitlines())}
    runs = [last[records] for records in sorted(last)]
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.add_subplot(xlabel="records", ylabel="processor seconds", xscale="log", yscale="log")
    records = [run["records"] for run in runs]
    for step in STEPS:
        axes.plot(records, [run["ours"][step]["cpu"] for run in runs], ".-", label=step, linewidth=0.8)
    axes.plot(records, [run["cpu"] for run in runs], "o-k", label="all five")
    for name, label in PEERS.items():
        known = [run for run in runs if name in run["peers"]]
        axes.plot([run["records"] for run in known], [run["peers"][name]["cpu"] for run in known], "s--", label=label)
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main())
