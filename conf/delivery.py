"""When a delivered file is set aside or refused although it can be read: bounds on dates, overlaps and corrections."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from conf.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Delivery:
    """Section ``delivery``.

    Attributes
    ----------
    strict : bool
        Refuse a file with a damaged byte; otherwise its records load and the damage is marked.
    max_share_dates : float
        Share of a file's dated records that may speak of another year or month than the file's name.
    max_share_overlap : float
        Share of a file's records that another file of the same months may hold too.
    max_share_lost : float
        Share of its lines or of its dollars that a file may lose when it is corrected; losing a month is beyond any bound.
    """

    strict: bool = False
    max_share_dates: float = 0.1
    max_share_overlap: float = 0.5
    max_share_lost: float = 0.25

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name.startswith("max_share") and not 0 <= value <= 1:
                raise SettingsError(f"delivery.{item.name}: expected a share between 0 and 1; found {value}.")
