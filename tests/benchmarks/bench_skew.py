"""Ten times the real weight of Shenzhen, Shanghai and Dongguan: how evenly the tasks of `count` share the records.

    python tests/benchmarks/bench_skew.py [--records 2000000] [--factor 10]

Records are drawn with the generated world's city-years, products and destinations as weights, once as they are and once with
the three cities' multiplied. Printed for both: the records of each task behind the shuffle of the cube, the partial sums of
each task behind the shuffle of the city-years, and the seconds both take. Landing, ingest and clean share out bytes of files,
whatever city they are of, and need no such measurement.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import polars as pl
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.settings import load_settings
from jobs.runtime.session import build_session
from jobs.transforms.counts import CUBE_KEY, build_cube
from jobs.world.latent import WorldModel, simulate
from jobs.world.reference import WorldReference

HEAVY = ("440300", "310000", "441900")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--factor", type=float, default=10)
    parser.add_argument("--tasks", type=int, default=8)
    options = parser.parse_args()
    session = build_session(load_settings())
    session.conf.set("spark.sql.adaptive.enabled", "false")  # which would join small partitions
    session.conf.set("spark.sql.shuffle.partitions", str(options.tasks))
    build_cube(drawn(session, 10_000, 1)).count()  # compilation
    for factor in (1, options.factor):
        frame = drawn(session, options.records, factor).cache()
        total = frame.count()
        heavy = frame.where(F.col("city_id").isin(*HEAVY)).count()
        print(f"\n{total:,} records, three cities times {factor:g}: {heavy / total:.0%} are theirs")
        show("cube, records a task", sizes(frame, CUBE_KEY, options.tasks))
        firms = frame.groupBy("year", "city_id", "firm_id").count()
        show("city-years, firms a task", sizes(firms, ("year", "city_id"), options.tasks))
        start = time.monotonic()
        build_cube(frame).write.format("noop").mode("overwrite").save()
        print(f"{'cube':<28}{time.monotonic() - start:>8.1f} s")
        start = time.monotonic()
        frame.groupBy("year", "city_id").agg(F.count_distinct("firm_id"), F.sum("value_usd")).write.format("noop").mode(
            "overwrite"
        ).save()
        print(f"{'city-years':<28}{time.monotonic() - start:>8.1f} s", flush=True)
        frame.unpersist()
    session.stop()
    return 0


def drawn(session: SparkSession, n: int, factor: float) -> DataFrame:
    """Records with the columns that the cube takes."""
    panel = simulate(WorldModel(), WorldReference()).panel
    panel = panel[(panel["year"] > 2002) & panel["is_city"]].reset_index(drop=True)
    weights = np.maximum(panel["n_products"], panel["n_destinations"]) * np.where(panel["city_id"].isin(HEAVY), factor, 1)
    rng = np.random.default_rng(7)
    row = rng.choice(len(panel), size=n, p=weights / weights.sum())
    scale = np.where(panel["city_id"].isin(HEAVY), factor, 1)[row]
    product = (panel["n_products"].to_numpy()[row] * rng.random(n) ** 2.5).astype(int)
    partner = (panel["n_destinations"].to_numpy()[row] * rng.random(n) ** 2.5).astype(int)
    firm = (20 * scale * rng.random(n) ** 2.5).astype(int)
    frame = pl.DataFrame({
        "year": panel["year"].to_numpy()[row].astype(np.int32), "city_id": panel["city_id"].to_numpy()[row],
        "product": product, "partner": partner, "firm": firm, "value": rng.integers(1, 10**6, n),
    }).with_columns(
        (pl.col("product") + 100_000).cast(pl.String).alias("hs6_code"),
        (pl.col("partner") + 100).cast(pl.String).alias("partner_code"),
        (pl.col("city_id") + pl.col("firm").cast(pl.String)).alias("firm_id"),
    )
    code = F.col("hs6_code")
    return session.createDataFrame(frame.to_arrow(compat_level=pl.CompatLevel.oldest())).select(
        "year", "city_id", "hs6_code", "partner_code", "firm_id", F.lit("2007").alias("hs_revision"),
        code.alias("hs6_converted"), code.alias("hs6_family"), F.col("partner_code").alias("country_iso3"),
        F.lit(True).alias("is_destination"), F.col("value").cast("decimal(20,2)").alias("value_usd"),
    )


def sizes(frame: DataFrame, keys: tuple[str, ...], n: int) -> list[int]:
    """Rows of each task behind a shuffle by the keys."""
    shuffled = frame.repartition(n, *keys).groupBy(F.spark_partition_id().alias("task")).count().collect()
    return sorted((row["count"] for row in shuffled), reverse=True)


def show(name: str, rows: list[int]) -> None:
    mean = sum(rows) / len(rows)
    print(f"{name:<28}{rows[0] / mean:>8.2f} times the mean at most; {', '.join(f'{one:,}' for one in rows)}")


if __name__ == "__main__":
    sys.exit(main())
