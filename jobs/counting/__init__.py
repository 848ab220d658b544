"""What ``count`` does beyond its own two tables: the indicators of exporters."""
