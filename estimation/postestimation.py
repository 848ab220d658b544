"""Short import path of :mod:`estimation.dynamic_panel.postestimation`."""

from __future__ import annotations

import sys

from estimation.dynamic_panel import postestimation

sys.modules[__name__] = postestimation
