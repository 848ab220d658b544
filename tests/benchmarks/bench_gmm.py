"""System GMM, two-step, Windmeijer, with difference-in-Hansen: seconds of this package against peers in the same run.

    python tests/benchmarks/bench_gmm.py [--peer-python PYTHON_WITH_PYDYNPD] [--sizes 280 2000] [--repeats 3]

The same panel (14 regressors, T = 9, seeded) is estimated by every program found: pydynpd (it needs numpy < 2.4, so give
the interpreter of an environment of its own), gretl's `dpanel` and R's plm::pgmm, each timing its own estimation call on
one BLAS thread, best of `repeats`. pydynpd and gretl must give the same coefficient and standard error, or the comparison
is refused; plm enters standard instruments separately by equation and has no constant, so its numbers differ by design.
Exit code 1 when a required ratio is missed with lags 2-4 in full (183 instruments): 4 x pydynpd, 1 x gretl. Collapsed, both
need hundredths of a second and the lines are for information.
"""

from __future__ import annotations

import argparse
import json
import os
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

N_ENDOGENOUS, N_EXOGENOUS, N_PERIODS, BURN_IN = 6, 7, 9, 15
X = [f"x{n}" for n in range(1, N_ENDOGENOUS + 1)]
W = [f"w{n}" for n in range(1, N_EXOGENOUS + 1)]
REQUIRED = {"pydynpd": 4.0, "gretl": 1.0}
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


def main() -> int:
    """Run all sizes and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", default=os.environ.get("PEER_PYTHON"), help="interpreter that has pydynpd")
    parser.add_argument("--sizes", type=int, nargs="+", default=[280, 2000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-plm", action="store_true", help="plm takes minutes at N = 2000")
    parser.add_argument("--skip-gretl", action="store_true")
    arguments = parser.parse_args()
    print(f"NumPy {np.__version__}, BLAS {own_blas()}, one thread")
    missed = []
    for n in arguments.sizes:
        for collapse in (True, False):
            missed += compare(n, collapse, arguments)
    for line in missed:
        print(f"MISSED: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
