"""Some steps of the pipeline in a process of its own: ``run_steps.py land,ingest --lake LAKE --raw RAW``."""

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from jobs.runtime.context import Outcome, act_of_job, command_main, run_job

if __name__ == "__main__":
    STEPS = sys.argv[1].split(",")

    def run(context):
        """Run the steps named on the command line."""
        outcomes = [run_job(name, importlib.import_module(f"jobs.{name}").run, context) for name in STEPS]
        return Outcome(sys.argv[1], any(outcome.changed for outcome in outcomes))

    sys.exit(command_main("run", act_of_job("run", run), sys.argv[2:]))
