"""How a job starts and ends: Java, JARs, session, arguments, outcome, record of the run, and the zip for executors."""
