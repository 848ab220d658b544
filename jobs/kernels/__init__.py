"""Work on batches of records: Arrow or Polars frames in and out, never pyspark."""
