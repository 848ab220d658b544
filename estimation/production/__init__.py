"""Firm productivity from production functions: numpy, scipy and pandas only.

Seven methods behind one class: ordinary least squares, fixed effects, Olley-Pakes, Levinsohn-Petrin,
Ackerberg-Caves-Frazer, Wooldridge's one equation and the index number. Method and choices: docs/methodology.
"""

from estimation.production.capital import firm_stock, real_capital
from estimation.production.errors import (
    FirmDataError,
    OptionError,
    ProductionError,
    SeriesError,
    SingularError,
    TooSmallError,
)
from estimation.production.firm_panel import FirmPanel, calendar_lag, read_firm_panel
from estimation.production.function import ProductionFunction, estimate_panel
from estimation.production.options import METHODS, ProductionOptions
from estimation.production.results import Estimate, ProductionResults, Root

__all__ = [
    "METHODS",
    "Estimate",
    "FirmDataError",
    "FirmPanel",
    "OptionError",
    "ProductionError",
    "ProductionFunction",
    "ProductionOptions",
    "ProductionResults",
    "Root",
    "SeriesError",
    "SingularError",
    "TooSmallError",
    "calendar_lag",
    "estimate_panel",
    "firm_stock",
    "read_firm_panel",
    "real_capital",
]
