"""Errors of the production-function estimators: what was expected, found, where, and what to do."""

from __future__ import annotations


class ProductionError(Exception):
    """Base of all errors raised by ``estimation.production``."""


class FirmDataError(ProductionError, ValueError):
    """Raised when the frame cannot be read as a firm panel: a missing column, text, a repeated firm-year."""


class TooSmallError(ProductionError, ValueError):
    """Raised when an industry has too few firm-years (or too few consecutive ones) for its parameters."""


class SingularError(ProductionError, ValueError):
    """Raised when a coefficient is not identified because its input does not vary on its own."""


class OptionError(ProductionError, ValueError):
    """Raised when an option is unknown or two options clash; the message lists what is allowed."""


class SeriesError(ProductionError, ValueError):
    """Raised when a price series lacks a year that is needed or holds a value that is not a price."""
