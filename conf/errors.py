"""The one error of configuration, and the check that most settings need."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class SettingsError(ValueError):
    """Raised at start when configuration is unknown, mistyped or impossible; the message lists what is allowed."""


def require_one_of(section: str, name: str, value: Any, allowed: Iterable[str]) -> None:
    """Refuse a value that is not among the allowed ones.

    Raises
    ------
    SettingsError
        With the setting, the allowed values and the one found.
    """
    allowed = tuple(allowed)
    if value not in allowed:
        raise SettingsError(f"{section}.{name}: expected one of {', '.join(allowed)}; found {value!r}.")
