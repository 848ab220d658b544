"""Short import path of :mod:`estimation.dynamic_panel.bootstrap`."""

from __future__ import annotations

import sys

from estimation.dynamic_panel import bootstrap

sys.modules[__name__] = bootstrap
