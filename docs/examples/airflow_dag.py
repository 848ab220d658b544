"""The lake every night as a DAG of Airflow 3; put it into the folder of DAGs and set the three variables below.

What `customs-lake` ends with becomes a state: 3 (nothing new) skips the task and what follows, 6 (a quality metric beyond
its bounds; everything is written) goes on and rings the alarm, 75 (locked by another run) is tried again, and all else
fails for good, since the same delivery is refused the same way a minute later.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import subprocess

from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.sdk import dag, task

RAW = os.environ.get("CUSTOMS_RAW", "/mnt/raw")
LAKE = os.environ.get("CUSTOMS_LAKE", "/mnt/lake")
TABLES = os.environ.get("CUSTOMS_TABLES", "/mnt/tables")
DONE, NOTHING_NEW, BEYOND_BOUNDS, LOCKED = 0, 3, 6, 75


def customs_lake(*arguments: str) -> bool:
    """Run a command; return whether its quality metrics lie within their bounds."""
    code = subprocess.run(["customs-lake", *arguments], check=False).returncode
    if code == NOTHING_NEW:
        raise AirflowSkipException("nothing new was delivered")
    if code == LOCKED:
        raise AirflowException("another run holds the lake: tried again")
    if code not in (DONE, BEYOND_BOUNDS):
        raise AirflowFailException(f"customs-lake {arguments[0]} ended with {code}; its log says what to do")
    return code == DONE


@dag(
    schedule="30 2 * * *",
    start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    catchup=False,
    # one driver at a time
    max_active_runs=1,
    default_args={"retries": 5, "retry_delay": dt.timedelta(minutes=10)},
)
def customs_panel():
    """Files to tables, tables to estimates."""

    @task
    def run() -> bool:
        return customs_lake("run", "--raw", RAW, "--lake", LAKE, "--exit-code")

    @task
    def report(within_bounds: bool) -> bool:
        return customs_lake("report", "--lake", LAKE, "--out", TABLES)

    @task(retries=0)
    def alarm(within_bounds: bool) -> None:
        if within_bounds:
            raise AirflowSkipException("all metrics lie within their bounds")
        # send it where your team looks; the metrics are in ops.quality
        logging.getLogger("airflow.task").warning("a quality metric of %s lies beyond its bounds", LAKE)

    within_bounds = run()
    report(within_bounds)
    alarm(within_bounds)


customs_panel()
