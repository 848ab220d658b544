"""What a cluster is given: the pipeline through the counts, with the packages from the zip and from nowhere else."""

import sys

import jobs
from jobs.context import Outcome, job_main
from jobs.pipeline import run_through

LAST = "count"


def run(context):
    """Run the steps up to the counts."""
    outcomes = run_through(context, LAST)
    return Outcome("through " + LAST, any(outcome.changed for outcome in outcomes))


if __name__ == "__main__":
    if ".zip" not in jobs.__file__:
        sys.exit(f"expected the packages from the zip; found {jobs.__file__}")
    sys.exit(job_main("pipeline", run, __doc__))
