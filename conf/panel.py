"""How the city panel is made: the section ``[panel]`` of the settings (docs/methodology/variables.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from conf.errors import SettingsError, require_one_of

RESILIENCES = ("growth_factor_index", "exp_diff", "shift", "minmax", "raw", "growth")


@dataclass(frozen=True, slots=True)
class Panel:
    """Choices between the yearbook and the model's variables.

    Attributes
    ----------
    cities : str
        ``first_year``: prefecture-level cities of the first study year (the paper's 286), as long as they exist;
        ``year``: those of each year; ``balanced``: those that exist in every study year.
    area : str
        Yearbook columns: ``districts`` (the paper) or ``whole_city``; indicators printed for one area only use that.
    agglomeration : str
        People behind lnAgg: ``nonagri_population`` (the paper) or ``population``.
    heads : str
        People that students and roads are divided by: ``population`` or ``nonagri_population``.
    growth : str
        Real growth: ``published_rate``, published ``index``, or nominal output ``deflated`` (needs ``deflators``).
    deflators : str
        CSV with province_code, year, gdp_deflator; empty: raw/yearbook/deflators.csv when it is there.
    resilience : str
        lnRes: ``growth_factor_index`` ln(100(1+g)/(1+g_base)); ``exp_diff`` g - g_base; ``shift`` ln(shift + 100(g -
        g_base)); ``minmax`` ln of the min-max scaled difference + epsilon (warned against); ``raw`` the difference in
        per cent, no log; ``growth`` ln(100(1+g)), no base year.
    base_year : int
        Year of the shock.
    shift : float
        Per cent points added by ``shift``.
    minmax_epsilon : float
        Added by ``minmax`` before the log.
    moving_average : str
        Three years of lnResc: ``trailing`` (t-2, t-1, t; the first two years are lost) or ``centred`` (t-1, t, t+1).
    labour_force : str
        Denominator of the unemployment rate besides the unemployed: ``employees`` of urban units, or
        ``employees_and_self_employed``.
    human_capital, roads : str
        ``computed`` from students (road area) and people, or the ratio ``published`` in the yearbook.
    port : str
        Distance to the nearest port: ``any`` or ``major``.
    zones : str
        ETDZ: ``year`` (1 from the year of approval on) or ``ever`` (1 in all years of a city that has one).
    episode_quantity : str
        Quantity of the episode measures: ``employees`` or ``gdp`` (nominal).
    shock_start, shock_end, recovery_end : int
        Years of the resistance and recovery episodes.
    exchange_rates : str
        CSV with year, cny_per_usd; empty: raw/yearbook/exchange_rates.csv when it is there, else the shipped series.
    products : str
        Interactions: ``centred`` (product of centred variables, then standardised; the paper) or ``standardised``
        (product of standardised variables, as it is).
    constants_from : str
        Rows that means and standard deviations are taken over: ``complete`` (all baseline variables present) or
        ``available`` (each variable's own rows).
    """

    cities: str = "first_year"
    area: str = "districts"
    agglomeration: str = "nonagri_population"
    heads: str = "population"
    growth: str = "published_rate"
    deflators: str = ""
    resilience: str = "growth_factor_index"
    base_year: int = 2008
    shift: float = 100.0
    minmax_epsilon: float = 0.01
    moving_average: str = "trailing"
    labour_force: str = "employees"
    human_capital: str = "computed"
    roads: str = "computed"
    port: str = "any"
    zones: Literal["year", "ever"] = "year"
    episode_quantity: str = "employees"
    shock_start: int = 2008
    shock_end: int = 2009
    recovery_end: int = 2011
    exchange_rates: str = ""
    products: Literal["centred", "standardised"] = "centred"
    constants_from: str = "complete"

    def __post_init__(self) -> None:
        require_one_of("panel", "cities", self.cities, ("first_year", "year", "balanced"))
        require_one_of("panel", "area", self.area, ("districts", "whole_city"))
        require_one_of("panel", "agglomeration", self.agglomeration, ("nonagri_population", "population"))
        require_one_of("panel", "heads", self.heads, ("population", "nonagri_population"))
        require_one_of("panel", "growth", self.growth, ("published_rate", "index", "deflated"))
        require_one_of("panel", "resilience", self.resilience, RESILIENCES)
        require_one_of("panel", "moving_average", self.moving_average, ("trailing", "centred"))
        require_one_of("panel", "labour_force", self.labour_force, ("employees", "employees_and_self_employed"))
        require_one_of("panel", "human_capital", self.human_capital, ("computed", "published"))
        require_one_of("panel", "roads", self.roads, ("computed", "published"))
        require_one_of("panel", "port", self.port, ("any", "major"))
        require_one_of("panel", "zones", self.zones, ("year", "ever"))
        require_one_of("panel", "episode_quantity", self.episode_quantity, ("employees", "gdp"))
        require_one_of("panel", "products", self.products, ("centred", "standardised"))
        require_one_of("panel", "constants_from", self.constants_from, ("complete", "available"))
        if not self.shock_start < self.shock_end < self.recovery_end:
            _refuse(
                "shock_start, shock_end, recovery_end: expected growing years;"
                f" found {self.shock_start}, {self.shock_end}, {self.recovery_end}."
            )
        if self.minmax_epsilon <= 0:
            _refuse(f"minmax_epsilon: expected a number above 0; found {self.minmax_epsilon!r}.")


def _refuse(message: str) -> None:
    raise SettingsError(f"panel.{message}")
