"""What a cluster is given: the pipeline, with the packages from the zip and from nowhere else.

A test puts it in the place of ``jobs/pipeline.py``, which the documented line names; ``STEPS`` holds arguments more.
"""

import os
import sys

import jobs
from jobs.pipeline import main

if __name__ == "__main__":
    if ".zip" not in jobs.__file__:
        sys.exit(f"expected the packages from the zip; found {jobs.__file__}")
    sys.exit(main([*sys.argv[1:], *os.environ.get("STEPS", "").split()]))
