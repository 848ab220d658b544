"""Run the example's DAG where Airflow is installed, once for each list of exit codes; print how tasks ended, as JSON.

Arguments: the file from which the stand-in for `customs-lake` takes its exit codes, then one list of codes a run, such as
``75,0,0``. The DAG lies in the folder of DAGs of ``AIRFLOW_HOME``. Tries follow each other at once; everything else is as in
the file.
"""

import datetime as dt
import importlib.util
import json
import os
import pathlib
import sys

codes, *runs = sys.argv[1:]
path = pathlib.Path(os.environ["AIRFLOW_HOME"], "dags", "airflow_dag.py")
specification = importlib.util.spec_from_file_location("airflow_dag", path)
module = importlib.util.module_from_spec(specification)
specification.loader.exec_module(module)
dag = module.customs_panel()
for task in dag.tasks:
    task.retry_delay = dt.timedelta(seconds=0)
for given in runs:
    pathlib.Path(codes).write_text(given.replace(",", "\n") + "\n")
    run = dag.test()
    tasks = {item.task_id: [str(item.state), item.try_number] for item in run.get_task_instances()}
    sys.stdout.write("ENDED " + json.dumps({"run": str(run.state), "tasks": tasks}) + "\n")
