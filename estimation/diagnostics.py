"""Short import path of :mod:`estimation.dynamic_panel.diagnostics`."""

from __future__ import annotations

import sys

from estimation.dynamic_panel import diagnostics

sys.modules[__name__] = diagnostics
