"""How close the lake must come to published totals, and which totals of one's own lie beside them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from conf.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Plausible:
    """Section ``plausible``.

    Attributes
    ----------
    tolerance_total : float
        Share by which the value of a year may differ from the published total.
    tolerance_part : float
        The same for parts of a year (partners, regimes, products, firms) and for descriptive statistics.
    near_zero : float
        A part at or below this share of what is published counts as lost.
    extract_below : float
        A lake below this share of the published total in every year is an extract, which national totals cannot judge.
    totals : str
        File of your own totals (CSV as documented, BACI or Comtrade as they come); empty: none.
    """

    tolerance_total: float = 0.001
    tolerance_part: float = 0.02
    near_zero: float = 0.05
    extract_below: float = 0.2
    totals: str = ""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name != "totals" and not 0 <= value <= 1:
                raise SettingsError(f"plausible.{item.name}: expected a share between 0 and 1; found {value}.")
