"""What a table is: every column once with type, meaning and unit; every table with its key, partition and constraints."""
