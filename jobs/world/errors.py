"""What can stop the generator."""

from __future__ import annotations

from jobs.core.errors import CustomsLakeError


class WorldError(CustomsLakeError):
    """Base of the generator's errors."""


class WorldReferenceError(WorldError):
    """Raised when a reference table is missing or cannot carry the world; usually the tables were not built."""


class WorldOptionError(WorldError):
    """Raised for years, sizes or folders the generator cannot take; the message says what it takes."""
