"""Fetch hadoop-aws with its SDK (660 MB) through Spark's resolver into a folder, for the object-store test.

    python tests/cluster/fetch_s3_jars.py .cache/s3
"""

import sys
from pathlib import Path

from pyspark.sql import SparkSession

COORDINATES = "org.apache.hadoop:hadoop-aws:3.5.0"

if __name__ == "__main__":
    folder = Path(sys.argv[1]).resolve()
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    builder.config("spark.jars.ivy", str(folder)).config("spark.jars.packages", COORDINATES).getOrCreate().stop()
    sys.stdout.write("\n".join(str(path) for path in sorted((folder / "jars").glob("*.jar"))) + "\n")
