"""References: the packaged look-up tables written to the lake, and handed to the jobs as frames.

In: ``schemas/reference/*.csv`` and a user's own files named in the settings. Out: the ``ref`` tables. They are written
when their content changed and read by everything else, so that a study can name the version it used.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
