"""Short import path of :mod:`estimation.dynamic_panel.robustness`."""

from __future__ import annotations

import sys

from estimation.dynamic_panel import robustness

sys.modules[__name__] = robustness
