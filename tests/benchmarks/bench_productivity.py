"""Benchmark: Levinsohn-Petrin for 30 industries on Spark with two cores; bound: a million firm-years in 60 seconds.

``python tests/benchmarks/bench_productivity.py [firm_years] [industries]``. Firm-years are made on the executors, cached
as Parquet first, so the time is reading, moving and estimating. Printed: seconds of the stage, the slowest industry, peak
memory of the largest Python worker, and the error of the coefficients (truth .6 and .3). The bound is for two free cores;
the load of the machine is printed beside it. Memory must follow one industry's share and not the whole: ten million
firm-years in 300 industries may not need more than a million in 30.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from conf.productivity import Productivity
from conf.settings import load_settings
from jobs.firm_technology import COEFFICIENTS, COLUMNS, estimate_industry
from jobs.session import build_session

FIRM_YEARS, INDUSTRIES, N_YEARS = 1_000_000, 30, 10
BOUND_SECONDS = 60.0
LABOUR, CAPITAL = 0.6, 0.3
SCHEMA = (
    "industry_code string, legal_person_code string, year int, ln_output double, ln_workers double, ln_capital double, "
    "ln_inputs double"
)


def simulate(batches: Iterator[pd.DataFrame], n_firms: int) -> Iterator[pd.DataFrame]:
    """Firm-years of one industry per input row."""
    for batch in batches:
        for number in batch["id"]:
            rng = np.random.default_rng(int(number))
            omega, wage = rng.normal(0, 0.4, n_firms), rng.normal(0, 0.4, n_firms)
            capital = rng.normal(3, 1, n_firms)
            for year in range(2000, 2000 + N_YEARS):
                if year > 2000:
                    capital = 0.9 * capital + 0.3 + 0.3 * omega + rng.normal(0, 0.2, n_firms)
                    omega = 0.7 * omega + rng.normal(0, 0.3, n_firms)
                    wage = 0.9 * wage + rng.normal(0, 0.17, n_firms)
                labour = 0.5 + 0.5 * capital + 0.8 * omega + wage
                yield pd.DataFrame(
                    {
                        "industry_code": f"{number:04d}",
                        "legal_person_code": [f"{number:04d}{firm:06d}" for firm in range(n_firms)],
                        "year": year,
                        "ln_output": LABOUR * labour + CAPITAL * capital + omega + rng.normal(0, 0.1, n_firms),
                        "ln_workers": labour, "ln_capital": capital, "ln_inputs": 0.7 * capital + 0.9 * omega,
                    }
                )


def main() -> int:
    """Run, print and return 0 when the bound holds."""
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else FIRM_YEARS
    n_industries = int(sys.argv[2]) if len(sys.argv) > 2 else INDUSTRIES
    n_firms = n_rows // n_industries // N_YEARS
    spark = build_session(load_settings(profile="test", environment={}), app="bench-productivity")
    choices = Productivity()

    def estimate(accounts: pd.DataFrame) -> pd.DataFrame:
        row = estimate_industry(accounts, choices=choices)
        return row.assign(peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

    def make(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        return simulate(batches, n_firms)

    with tempfile.TemporaryDirectory() as folder:
        source = spark.range(0, n_industries, numPartitions=n_industries)
        source.mapInPandas(make, SCHEMA).write.parquet(f"{folder}/firms")
        inputs = spark.read.parquet(f"{folder}/firms")
        start = time.perf_counter()
        narrow = inputs.withColumn("firm", F.xxhash64("legal_person_code")).select(*COLUMNS)
        groups = narrow.repartition(n_industries, "industry_code").groupBy("industry_code")
        found = groups.applyInPandas(estimate, f"{COEFFICIENTS}, peak_mb double").toPandas()
        seconds = time.perf_counter() - start
    spark.stop()
    errors = {"labour": (found["coef_labour"] - LABOUR).abs().max(), "capital": (found["coef_capital"] - CAPITAL).abs().max()}
    per_million = seconds / (n_rows / 1e6)
    print(f"{n_rows:,} firm-years, {n_industries} industries: {seconds:.1f} s ({per_million:.1f} s per million)")
    print(f"slowest industry {found['estimate_seconds'].max():.2f} s, all {found['estimate_seconds'].sum():.1f} s")
    print(f"largest worker {found['peak_mb'].max():.0f} MB for {n_rows // n_industries:,} firm-years at a time")
    print(f"largest error of a coefficient: labour {errors['labour']:.4f}, capital {errors['capital']:.4f}")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; bound {BOUND_SECONDS:.0f} s per million on free cores")
    estimated = (found["estimate_status"] == "estimated").all()
    # below a million the start of the workers is most of the time
    return 0 if estimated and seconds <= BOUND_SECONDS * max(1.0, n_rows / FIRM_YEARS) else 1


if __name__ == "__main__":
    sys.exit(main())
