"""The lake every night as assets of Dagster; load it with `dagster dev -f dagster_jobs.py` and set the three variables below.

What `customs-lake` ends with becomes an event: 3 (nothing new) leaves the asset and what follows as they are, 6 (a
quality metric beyond its bounds; everything is written) is a warning of the asset's check, 75 (locked by another run) is
tried again, and all else fails for good, since the same delivery is refused the same way a minute later.
"""

import os
import subprocess

import dagster as dg

RAW = os.environ.get("CUSTOMS_RAW", "/mnt/raw")
LAKE = os.environ.get("CUSTOMS_LAKE", "/mnt/lake")
TABLES = os.environ.get("CUSTOMS_TABLES", "/mnt/tables")
DONE, NOTHING_NEW, BEYOND_BOUNDS, LOCKED = 0, 3, 6, 75
RETRIES, WAIT_SECONDS = 5, float(os.environ.get("CUSTOMS_WAIT_SECONDS", "600"))


def customs_lake(*arguments: str) -> int:
    """Run a command; return DONE, NOTHING_NEW or BEYOND_BOUNDS."""
    code = subprocess.run(["customs-lake", *arguments], check=False).returncode
    if code == LOCKED:
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=WAIT_SECONDS)
    if code not in (DONE, NOTHING_NEW, BEYOND_BOUNDS):
        raise dg.Failure(f"customs-lake {arguments[0]} ended with {code}; its log says what to do", allow_retries=False)
    return code


@dg.asset(
    output_required=False,
    check_specs=[dg.AssetCheckSpec("within_bounds", asset="lake", description="metrics in ops.quality")],
)
def lake(context: dg.AssetExecutionContext):
    """Bronze to gold of all files delivered so far."""
    code = customs_lake("run", "--raw", RAW, "--lake", LAKE, "--exit-code")
    is_within = code != BEYOND_BOUNDS
    if not is_within:
        context.log.warning("a quality metric lies beyond its bounds; ops.quality has it")
    yield dg.AssetCheckResult(passed=is_within, severity=dg.AssetCheckSeverity.WARN, check_name="within_bounds")
    if code != NOTHING_NEW:
        yield dg.Output(None)


@dg.asset(deps=[lake], output_required=False)
def tables():
    """Result tables and report of the panel."""
    if customs_lake("report", "--lake", LAKE, "--out", TABLES) != NOTHING_NEW:
        yield dg.Output(None)


nightly = dg.define_asset_job("nightly", selection=[lake, tables])
defs = dg.Definitions(
    assets=[lake, tables],
    jobs=[nightly],
    schedules=[dg.ScheduleDefinition(job=nightly, cron_schedule="30 2 * * *", execution_timezone="UTC")],
)
