"""Jobs: how each table of the lake is made. One file is one spark-submit, read in the order the data flows."""

from __future__ import annotations

import os

# before NumPy is loaded: on matrices of 40 x 40 BLAS threads only wait for each other (27 columns: 0.9 s of CPU with one
# thread, 4.1 s with two), and Spark's workers share the same cores. A user's own setting stays.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
