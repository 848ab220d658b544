"""Run the example's job where Dagster is installed, once for each list of exit codes; print what was made, as JSON.

Arguments: the file from which the stand-in for `customs-lake` takes its exit codes, the file of definitions, then one list of
codes a run, such as ``75,0,0``.
"""

import importlib.util
import json
import pathlib
import sys

import dagster as dg

codes, path, *runs = sys.argv[1:]
specification = importlib.util.spec_from_file_location("dagster_jobs", path)
module = importlib.util.module_from_spec(specification)
specification.loader.exec_module(module)
job = module.defs.resolve_job_def("nightly")
assert [item.cron_schedule for item in module.defs.schedules] == ["30 2 * * *"]
for given in runs:
    pathlib.Path(codes).write_text(given.replace(",", "\n") + "\n")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        made = [event.asset_key.to_user_string() for event in result.get_asset_materialization_events()]
        checks = [[check.passed, check.severity.value] for check in result.get_asset_check_evaluations()]
        restarts = sum(event.event_type_value == "STEP_RESTARTED" for event in result.all_events)
    ended = {"success": result.success, "made": made, "checks": checks, "restarts": restarts}
    sys.stdout.write("ENDED " + json.dumps(ended) + "\n")
