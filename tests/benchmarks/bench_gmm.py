"""System GMM, two-step, Windmeijer, with difference-in-Hansen: seconds of this package against peers in the same run.

    python tests/benchmarks/bench_gmm.py [--peer-python PYTHON_WITH_PYDYNPD] [--sizes 280 2000] [--repeats 3]

The same panel (14 regressors, T = 9, seeded) is estimated by every program found: pydynpd (it needs numpy < 2.4, so give
the interpreter of an environment of its own), gretl's `dpanel` and R's plm::pgmm, each timing its own estimation call on
one BLAS thread, best of `repeats`. pydynpd and gretl must give the same coefficient and standard error, or the comparison
is refused; plm enters standard instruments separately by equation and has no constant, so its numbers differ by design.
Before that, of this package alone: 15 fits in a process that allows a BLAS thread per core, beside one that allows one; a
grid of 60
specifications; and 100,000 entities with collapsed instruments, by blocks of entities and with the whole Z, each in a process
of its own: seconds, and memory beyond the data.

Exit code 1 when the threads cost more than half, when the blocks need more memory than LARGE_GIGABYTES, or when a required
ratio is missed with lags 2-4 in full (183 instruments): 4 x pydynpd, 1 x gretl. Collapsed, both need hundredths of a second
and the lines are for information.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

# before NumPy loads its BLAS
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from estimation import EstimationWarning, GMMStyle, IVStyle, SystemGMM
from estimation.dynamic_panel import instruments
from estimation.dynamic_panel.robustness import sensitivity_grid

N_ENDOGENOUS, N_EXOGENOUS, N_PERIODS, BURN_IN = 6, 7, 9, 15
X = [f"x{n}" for n in range(1, N_ENDOGENOUS + 1)]
W = [f"w{n}" for n in range(1, N_EXOGENOUS + 1)]
REQUIRED = {"pydynpd": 4.0, "gretl": 1.0}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
LARGE_GIGABYTES = 1.5
# programs that solve the identical problem agree far better; a different model differs in the first digits
AGREE = 1e-6


def draw(n: int, seed: int = 20260101) -> pd.DataFrame:
    """Draw a dynamic panel with endogenous x and exogenous w."""
    rng = np.random.default_rng(seed + n)
    a = rng.normal(size=n)
    y, x = 2 * a, np.repeat(a[:, None], N_ENDOGENOUS, axis=1)
    rows = []
    for t in range(N_PERIODS + BURN_IN):
        e = rng.normal(size=n)
        w = rng.normal(size=(n, N_EXOGENOUS))
        x = 0.6 * x + 0.2 * a[:, None] + 0.2 * e[:, None] + rng.normal(size=x.shape)
        y = 0.5 * y + x @ np.linspace(0.3, 0.05, N_ENDOGENOUS) + 0.1 * w.sum(axis=1) + a + e
        if t >= BURN_IN:
            block = pd.DataFrame(np.column_stack([y, x, w]), columns=["y", *X, *W])
            rows.append(block.assign(id=np.arange(1, n + 1), year=2000 + t - BURN_IN))
    frame = pd.concat(rows).sort_values(["id", "year"])
    return frame[["id", "year", "y", *X, *W]].round(10)


def run_own(data: pd.DataFrame, collapse: bool, repeats: int) -> dict:
    """Time model building and fit, difference-in-Hansen and AR tests included."""
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EstimationWarning)
            results = SystemGMM(
                data,
                entity="id",
                time="year",
                dependent="y",
                regressors=[*X, *W],
                instruments=[GMMStyle("y", (2, 4), collapse), *(GMMStyle(x, (2, 4), collapse) for x in X), IVStyle(W)],
            ).fit()
        results.ar_test(1), results.ar_test(2)
        best = min(best, time.perf_counter() - start)
    return {
        "seconds": best,
        "beta": results.params["L.y"],
        "se": results.std_errors["L.y"],
        "instruments": results.n_instruments,
        "groups_tested": len(results.diff_in_hansen),
    }


PYDYNPD = """
import contextlib, io, json, sys, time
import numpy, pandas
from pydynpd import regression
command, path, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3])
data = pandas.read_csv(path)
best = float("inf")
for _ in range(repeats):
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        fit = regression.abond(command, data, ["id", "year"])
    best = min(best, time.perf_counter() - start)
table = fit.models[0].regression_table
print(json.dumps({"seconds": best, "beta": float(table["coefficient"].iloc[0]), "se": float(table["std_err"].iloc[0]),
                  "instruments": int(fit.models[0].z_information.num_instr), "numpy": numpy.__version__}))
"""


def run_pydynpd(interpreter: str, path: Path, collapse: bool, repeats: int) -> dict | None:
    """Time pydynpd in its own interpreter."""
    gmm = " ".join(f"gmm({name}, 2:4)" for name in ["y", *X])
    command = f"y L1.y {' '.join(X + W)} | {gmm} iv({' '.join(W)})" + (" | collapse" if collapse else "")
    done = subprocess.run(
        [interpreter, "-c", PYDYNPD, command, str(path), str(repeats)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(f"  pydynpd failed: {done.stderr.strip().splitlines()[-1]}")
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def run_gretl(path: Path, collapse: bool, repeats: int) -> dict | None:
    """Time gretl's dpanel by its own stopwatch."""
    terms = " ; ".join(["y " + " ".join(X + W) + " const"])
    gmm = " ".join(["GMM(y,2,4)", *(f"GMM({x},2,4) GMMlevel({x},1,1)" for x in X)])
    options = "--two-step --system" + (" --collapse" if collapse else "") + " --quiet"
    script = f"""set verbose off
open "{path}" --quiet
setobs id year --panel-vars
scalar best = 1e9
loop {repeats} --quiet
  set stopwatch
  dpanel 1 ; {terms} ; {gmm} {" ".join(W)} const {options}
  scalar took = $stopwatch
  best = took < best ? took : best
endloop
matrix b = $coeff
matrix errors = $stderr
bundle sys = $sysinfo
bundle model = $model
scalar n_moments = model.ninst
string blas = sys.blas
printf "JSON %.12g %.12g %.12g %d %s\\n", best, b[1], errors[1], n_moments, blas
"""
    commands = path.with_suffix(".inp")
    commands.write_text(script, encoding="utf-8")
    done = subprocess.run(["gretlcli", "-b", str(commands)], capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("JSON ")), None)
    if line is None:
        print(f"  gretl failed: {done.stdout.strip().splitlines()[-3:]}")
        return None
    _, seconds, beta, se, instruments, blas = line.split()[:6]
    return {
        "seconds": float(seconds),
        "beta": float(beta),
        "se": float(se),
        "instruments": int(instruments),
        "blas": blas,
    }


def run_plm(path: Path, collapse: bool, repeats: int) -> dict | None:
    """Time plm::pgmm with robust summary."""
    right = " + ".join(["lag(y, 1)", *X, *W])
    gmm = " + ".join(f"lag({name}, 2:4)" for name in ["y", *X])
    script = f"""suppressMessages(library(plm)); d <- pdata.frame(read.csv("{path}"), index = c("id", "year"))
best <- Inf
for (r in 1:{repeats}) {{
  t <- system.time({{ m <- pgmm(y ~ {right} | {gmm} | {" + ".join(W)}, data = d, effect = "individual",
    model = "twosteps", transformation = "ld", collapse = {str(collapse).upper()}); s <- summary(m, robust = TRUE) }})
  best <- min(best, t[["elapsed"]]) }}
blas <- basename(dirname(normalizePath(sessionInfo()$BLAS)))
cat("JSON", best, s$coefficients[1, 1], s$coefficients[1, 2], ncol(m$W[[1]]), blas, "\\n")
"""
    done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("JSON ")), None)
    if line is None:
        print(f"  plm failed: {done.stderr.strip().splitlines()[-2:]}")
        return None
    _, seconds, beta, se, instruments, blas = line.split()[:6]
    return {
        "seconds": float(seconds),
        "beta": float(beta),
        "se": float(se),
        "instruments": int(instruments),
        "blas": blas,
    }


def own_blas() -> str:
    """Name the BLAS NumPy was built with."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{blas['name']} {blas['version']}"


def compare(n: int, collapse: bool, arguments: argparse.Namespace) -> list[str]:
    """Run every program on one panel, print the lines, and return what fell short."""
    data = draw(n)
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "panel.csv"
        data.to_csv(path, index=False)
        own = run_own(data, collapse, arguments.repeats)
        print(
            f"N = {n}, {'collapsed' if collapse else 'lags 2-4'}, {own['instruments']} instruments, "
            f"{own['groups_tested']} difference-in-Hansen tests"
        )
        print(f"  {'this package':<14}{own['seconds']:>9.3f} s  {'':>8}  L.y {own['beta']:.8f} ({own['se']:.8f})")
        peers = {}
        if arguments.peer_python:
            peers["pydynpd"] = run_pydynpd(arguments.peer_python, path, collapse, arguments.repeats)
        if shutil.which("gretlcli") and not arguments.skip_gretl:
            peers["gretl"] = run_gretl(path, collapse, arguments.repeats)
        if shutil.which("Rscript") and not arguments.skip_plm:
            peers["plm"] = run_plm(path, collapse, 1)
        for name, peer in peers.items():
            if peer is None:
                missed.append(f"{name} did not run at N = {n}")
                continue
            ratio = peer["seconds"] / own["seconds"]
            print(
                f"  {name:<14}{peer['seconds']:>9.3f} s  {ratio:>7.1f}x  L.y {peer['beta']:.8f} ({peer['se']:.8f})"
                f"  {peer['instruments']} instruments {peer.get('blas', peer.get('numpy', ''))}"
            )
            if name in REQUIRED:
                same = max(abs(peer["beta"] / own["beta"] - 1), abs(peer["se"] / own["se"] - 1)) < AGREE
                if not same:
                    missed.append(f"{name} gives other numbers at N = {n}")
                if not collapse and ratio < REQUIRED[name]:
                    missed.append(f"{ratio:.1f}x of {name} at N = {n}, required {REQUIRED[name]:g}x")
    return missed


def small_fits() -> float:
    """Seconds of 15 fits of 280 x 9, in this process as it is."""
    data = draw(280)
    run_own(data, True, 1)
    return 15 * run_own(data, True, 15)["seconds"]


def grid_of_sixty() -> float:
    """Seconds of 60 specifications: both transforms, three ways to estimate, collapsed and full, one to five lags."""
    model = SystemGMM(draw(280), entity="id", time="year", dependent="y", regressors=X + W, time_effects="level",
                      instruments=[GMMStyle(["y", *X], (2, 4), True), IVStyle(W)])
    start = time.perf_counter()
    grid = sensitivity_grid(model.fit(), n_lags=(1, 2, 3, 4, 5), transforms=("fd", "fod"), steps=(1, 2, "iterated"))
    assert len(grid) == 60
    return time.perf_counter() - start


def large(n: int, whole: bool) -> tuple[float, float]:
    """Seconds of a fit of n entities, and gigabytes beyond what the data took."""
    if whole:
        instruments.IN_MEMORY = float("inf")
    data = draw(n)
    model = SystemGMM(data, entity="id", time="year", dependent="y", regressors=X + W,
                      instruments=[GMMStyle(["y", *X], (2, 4), True), IVStyle(W)])
    held = _gigabytes_now()
    start = time.perf_counter()
    model.fit()
    return time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6 - held


def _gigabytes_now() -> float:
    """Memory in use, as far as the high-water mark is not above it already."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e9


def in_a_process(call: str, threads: int) -> list[float]:
    """Return the numbers a call of this file gives in a process of its own, with so many BLAS threads."""
    code = f"import bench_gmm as b; print(*(lambda r: r if isinstance(r, tuple) else (r,))(b.{call}))"
    environment = os.environ | dict.fromkeys(THREADS, str(threads))
    command = [sys.executable, "-c", code]
    folder = Path(__file__).resolve().parent
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=folder)
    return [float(word) for word in out.stdout.split()]


def own_figures(n_large: int) -> list[str]:
    """Print what concerns this package alone, and return what fell short."""
    missed = []
    cores = os.cpu_count() or 1
    (free,), (one,) = in_a_process("small_fits()", cores), in_a_process("small_fits()", 1)
    print(f"15 fits of 280 x 9: {free:.2f} s with {cores} BLAS threads allowed, {one:.2f} s with one")
    if free > 1.5 * one:
        missed.append(f"threads as they are cost {free / one:.1f} times one thread")
    print(f"60 specifications: {in_a_process('grid_of_sixty()', '1')[0]:.2f} s")
    for whole in (False, True):
        seconds, gigabytes = in_a_process(f"large({n_large}, {whole})", 1)
        how = "the whole Z" if whole else "blocks of entities"
        print(f"N = {n_large:,}, 36 instruments, {how}: {seconds:.1f} s, {gigabytes:.2f} GB beyond the data")
        if not whole and gigabytes > LARGE_GIGABYTES:
            missed.append(f"{gigabytes:.2f} GB by blocks, limit {LARGE_GIGABYTES}")
    return missed


def main() -> int:
    """Run all sizes and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", default=os.environ.get("PEER_PYTHON"), help="interpreter that has pydynpd")
    parser.add_argument("--sizes", type=int, nargs="+", default=[280, 2000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-plm", action="store_true", help="plm takes minutes at N = 2000")
    parser.add_argument("--skip-gretl", action="store_true")
    parser.add_argument("--large", type=int, default=100_000, help="entities of the large panel")
    arguments = parser.parse_args()
    print(f"NumPy {np.__version__}, BLAS {own_blas()}, one thread")
    missed = own_figures(arguments.large)
    for n in arguments.sizes:
        for collapse in (True, False):
            missed += compare(n, collapse, arguments)
    for line in missed:
        print(f"MISSED: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
