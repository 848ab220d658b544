"""Fetch the JARs that tests on demand need through Spark's resolver; what is there already is not fetched again.

    python tests/cluster/fetch_jars.py s3 .cache/s3           hadoop-aws with its SDK, 660 MB
    python tests/cluster/fetch_jars.py hadoop .cache/hadoop   the daemons of HDFS and YARN, 66 MB
"""

import sys
from pathlib import Path

from pyspark.sql import SparkSession

# of Spark's own Hadoop: what else it needs stands among Spark's JARs
COORDINATES = {
    "s3": "org.apache.hadoop:hadoop-aws:3.5.0",
    # the resource manager makes certificates for its proxy, with a library that the artifact does not carry
    "hadoop": "org.apache.hadoop:hadoop-client-minicluster:3.5.0,org.bouncycastle:bcpkix-jdk18on:1.82",
}
EXCLUDED = {"s3": "", "hadoop": "org.apache.hadoop:hadoop-client-api,org.apache.hadoop:hadoop-client-runtime,junit:junit"}

if __name__ == "__main__":
    name, folder = sys.argv[1], Path(sys.argv[2]).resolve()
    wanted = [coordinate.split(":")[1] for coordinate in COORDINATES[name].split(",")]
    if not all(list((folder / "jars").glob(f"*{artifact}*.jar")) for artifact in wanted):
        builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
        builder.config("spark.jars.excludes", EXCLUDED[name]).config("spark.jars.ivy", str(folder))
        builder.config("spark.jars.packages", COORDINATES[name]).getOrCreate().stop()
    sys.stdout.write("\n".join(str(path) for path in sorted((folder / "jars").glob("*.jar"))) + "\n")
