"""Jobs: how each table of the lake is made. One file is one spark-submit, read in the order the data flows."""
