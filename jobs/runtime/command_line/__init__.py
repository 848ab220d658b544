"""The command line: every command with its options and examples, readable without Spark, pandas or a session."""
