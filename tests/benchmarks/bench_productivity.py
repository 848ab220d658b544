"""Benchmark: Levinsohn-Petrin by industry on Spark with two cores; bound: a million firm-years in 60 seconds.

``python tests/benchmarks/bench_productivity.py [firm_years] [industries] [JVM heap]``. Firm-years are written as Parquet
first, without Spark, so the time is reading, moving and estimating, the start of the Python workers included. Printed:
seconds of the stage, the slowest industry, the peak memory of the largest Python worker and of the JVM, and the error of
the coefficients (truth .6 and .3). The bound is for two free cores; the load of the machine is printed beside it.

Memory must follow one industry's share and not the whole: ten million firm-years in 300 industries may not need more than
a million in 30. The JVM holds a heap it is given; what does not fit is on disk, so its bound is the heap.
"""

from __future__ import annotations

import os
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from conf.productivity import Productivity
from conf.settings import load_settings
from jobs.runtime.session import build_session
from jobs.study.firm_technology import COEFFICIENTS, estimate_industry, industry_groups

FIRM_YEARS, INDUSTRIES, N_YEARS, HEAP = 1_000_000, 30, 10, "2g"
BOUND_SECONDS = 60.0
LABOUR, CAPITAL = 0.6, 0.3


def write_industry(folder: Path, number: int, n_firms: int) -> None:
    """Firm-years of one industry as one file."""
    rng = np.random.default_rng(number)
    omega, wage = rng.normal(0, 0.4, n_firms), rng.normal(0, 0.4, n_firms)
    capital = rng.normal(3, 1, n_firms)
    firms = pa.array([f"{number:04d}{firm:06d}" for firm in range(n_firms)])
    years = []
    for year in range(2000, 2000 + N_YEARS):
        if year > 2000:
            capital = 0.9 * capital + 0.3 + 0.3 * omega + rng.normal(0, 0.2, n_firms)
            omega = 0.7 * omega + rng.normal(0, 0.3, n_firms)
            wage = 0.9 * wage + rng.normal(0, 0.17, n_firms)
        labour = 0.5 + 0.5 * capital + 0.8 * omega + wage
        columns = {
            "industry_code": pa.repeat(f"{number:04d}", n_firms), "legal_person_code": firms,
            "year": pa.array(np.full(n_firms, year, dtype=np.int32)),
            "ln_output": LABOUR * labour + CAPITAL * capital + omega + rng.normal(0, 0.1, n_firms),
            "ln_workers": labour, "ln_capital": capital, "ln_inputs": 0.7 * capital + 0.9 * omega,
        }  # fmt: skip
        years.append(pa.table(columns))
    pq.write_table(pa.concat_tables(years), folder / f"{number:04d}.parquet")


def peak_of_jvm(spark: SparkSession) -> float:
    """Largest resident memory of the JVM so far, MB."""
    process = spark._jvm.java.lang.ProcessHandle.current().pid()
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024


def main() -> int:
    """Run, print and return 0 when the bound holds."""
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else FIRM_YEARS
    n_industries = int(sys.argv[2]) if len(sys.argv) > 2 else INDUSTRIES
    heap = sys.argv[3] if len(sys.argv) > 3 else HEAP
    n_firms = n_rows // n_industries // N_YEARS
    choices = Productivity()

    def estimate(accounts: pd.DataFrame) -> pd.DataFrame:
        row = estimate_industry(accounts, choices=choices)
        return row.assign(peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

    with tempfile.TemporaryDirectory() as folder:
        for number in range(n_industries):
            write_industry(Path(folder), number, n_firms)
        overrides = ("spark.master=local[2]", f"spark.driver_memory={heap}", f"spark.local_dir={folder}/spark")
        spark = build_session(load_settings(overrides=overrides, environment={}), app="bench-productivity")
        inputs = spark.read.parquet(f"{folder}/*.parquet")
        start = time.perf_counter()
        groups = industry_groups(inputs, choices, n_industries=n_industries)
        found = groups.applyInPandas(estimate, f"{COEFFICIENTS}, peak_mb double").toPandas()
        seconds = time.perf_counter() - start
        jvm = peak_of_jvm(spark)
        spark.stop()
    errors = {"labour": (found["coef_labour"] - LABOUR).abs().max(), "capital": (found["coef_capital"] - CAPITAL).abs().max()}
    per_million = seconds / (n_rows / 1e6)
    print(f"{n_rows:,} firm-years, {n_industries} industries: {seconds:.1f} s ({per_million:.1f} s per million)")
    print(f"slowest industry {found['estimate_seconds'].max():.2f} s, all {found['estimate_seconds'].sum():.1f} s")
    print(f"largest Python worker {found['peak_mb'].max():.0f} MB for {n_rows // n_industries:,} firm-years at a time")
    print(f"JVM {jvm:.0f} MB with a heap of {heap}")
    print(f"largest error of a coefficient: labour {errors['labour']:.4f}, capital {errors['capital']:.4f}")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; bound {BOUND_SECONDS:.0f} s per million on free cores")
    estimated = len(found) == n_industries and (found["estimate_status"] == "estimated").all()
    # below a million the start of the workers is most of the time
    return 0 if estimated and seconds <= BOUND_SECONDS * max(1.0, n_rows / FIRM_YEARS) else 1


if __name__ == "__main__":
    sys.exit(main())
