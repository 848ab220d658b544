"""Short import path of :mod:`estimation.dynamic_panel.montecarlo`."""

from __future__ import annotations

import sys

from estimation.dynamic_panel import montecarlo

sys.modules[__name__] = montecarlo
