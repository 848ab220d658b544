"""The city panel: the model's variables by city and year, the constants that scaled them, and what is missing and why."""

from __future__ import annotations

from dataclasses import dataclass

import schemas.firms  # noqa: F401  (defines share_imputed)
from schemas.fields import define, fields
from schemas.table import Table


@dataclass(frozen=True, slots=True)
class Outcome:
    """A dependent variable: the log of one column of ``gold.city_exports``.

    Attributes
    ----------
    name : str
        Variable of the panel, such as ``lnvalue``.
    source : str
        Column of ``gold.city_exports``.
    meaning, unit : str
        For the data dictionary.
    is_baseline : bool
        A city-year without it is not complete: true of the paper's three outcomes, false of further ones.
    """

    name: str
    source: str
    meaning: str
    unit: str
    is_baseline: bool = False


# One line here is all that a further outcome needs: the panel, its tables and the dictionary follow, and a result table
# may name it as its dependent.
OUTCOMES = (
    Outcome("lnvalue", "value_usd", "Log export value of the municipal districts", "log US dollars", is_baseline=True),
    Outcome("lnnum", "n_products", "Log number of HS six-digit products exported", "log products", is_baseline=True),
    Outcome("lnnumcou", "n_destinations", "Log number of destinations", "log economies", is_baseline=True),
)
MODEL_VARIABLES = {outcome.name: (outcome.meaning, outcome.unit) for outcome in OUTCOMES} | {
    "lnAgg": ("Log non-agricultural population", "log 10,000 persons"),
    "lnRes": ("Resilience: log index of real growth over the growth of the base year", "log index"),
    "lnRunepd": ("Log registered unemployment rate: high is weak", "log share"),
    "lnRunepd_flipped": ("Minus lnRunepd: high is strong, as in lnRes", "log share"),
    "lnResc": ("Resilience as a three-year moving average", "log index"),
    "lnGrowth": ("Log growth factor of real output, no base year: what lnRes is without the city constant", "log index"),
    "lnPro": ("City mean of firms' log productivity", "log"),
    "lnphumc": ("Log of 1 + students in higher education per 10,000 persons", "log persons"),
    "lnrd": ("Log of 1 + science spending", "log 10,000 yuan"),
    "lnseadis": ("Log of 1 + distance to the nearest port", "log km"),
    "lnfdi": ("Log of 1 + foreign capital actually used, at the year's exchange rate", "log 10,000 yuan"),
    "lnroadper": ("Log of 1 + paved road area per head", "log square metres"),
    "ETDZ": ("1 when the city has a national economic and technological development zone", "0/1"),
    "land_area": ("Land area, the external instrument", "square kilometres"),
}
EPISODE_VARIABLES = {
    "res_sensitivity": ("Relative change of the city over that of the nation in the shock (Martin 2012)", "ratio"),
    "res_relative": ("City growth less national growth over its absolute value in the shock (Lagravinese 2015)", "ratio"),
    "res_resistance": ("Change beyond the expected one in the shock (Martin and Gardiner 2019)", "ratio"),
    "res_recovery": ("Change beyond the expected one in the recovery (Martin and Gardiner 2019)", "ratio"),
}
RESILIENCE_MEASURES = ("lnRes", "lnRunepd", "lnRunepd_flipped", "lnResc", "lnGrowth")
# what a city-year must have to be complete: the paper's outcomes and regressors under the first measure of resilience
BASELINE = tuple(
    name for name in MODEL_VARIABLES
    if (name == "lnRes" or name not in RESILIENCE_MEASURES)
    and name not in {outcome.name for outcome in OUTCOMES if not outcome.is_baseline}
)
PRODUCTS = tuple(("lnAgg", name) for name in (*RESILIENCE_MEASURES, "lnPro"))


def product_name(first: str, second: str) -> str:
    """Column of an interaction: ``lnAgg_x_lnPro``."""
    return f"{first}_x_{second}"


def scaled_name(variable: str) -> str:
    """Column of a standardised variable: ``z_lnAgg``."""
    return f"z_{variable}"


for _name, (_meaning, _unit) in (MODEL_VARIABLES | EPISODE_VARIABLES).items():
    define(_name, "double", _meaning, unit=_unit)
    if _name in MODEL_VARIABLES:
        define(scaled_name(_name), "double", f"{_name} less its mean over its standard deviation", unit="SD")
for _first, _second in PRODUCTS:
    _name = product_name(_first, _second)
    define(_name, "double", f"Product of centred {_first} and centred {_second}")
    define(scaled_name(_name), "double", f"{_name} as the panel settings scale it", unit="SD")
define("growth_share", "double", "Real growth of output over the year before", unit="share")
define("is_complete", "boolean", "All variables of the baseline model are there that any city-year has")
define("missing_variables", "array<string>", "Baseline variables that are missing, in the model's order")
define("variable", "string", "Variable of the model")
define("statistic", "string", "Statistic", allowed=("mean", "sd", "n"))
define("constant_value", "double", "Value of the statistic")
define("constant_sample", "string", "Rows it is taken over")
define("missing_reason", "string", "Why the variable is missing", allowed=(
    "no_exports", "city_not_in_yearbook", "not_printed", "refused", "not_positive", "no_base_year", "no_moving_average",
    "no_growth_base", "no_firms", "no_exchange_rate", "no_list", "no_coordinates",
))  # fmt: skip
define("missing_detail", "string", "Indicator, cell or rule behind it")

_BASE = tuple(MODEL_VARIABLES)
CITY_PANEL = Table(
    name="gold.city_panel",
    made_by=("panel",),
    made_from=(
        "gold.city_exports", "silver.yearbook", "silver.yearbook_quarantine", "silver.yearly_series",
        "silver.development_zone", "gold.city_productivity",
    ),
    fields=fields(
        "city_id!", "year!", "city_name", "province_code!", "is_complete!", "missing_variables!",
        *dict.fromkeys(outcome.source for outcome in OUTCOMES), "growth_share", *_BASE, *EPISODE_VARIABLES, "share_imputed",
        *(product_name(*pair) for pair in PRODUCTS), *(scaled_name(name) for name in _BASE),
        *(scaled_name(product_name(*pair)) for pair in PRODUCTS),
    ),
    key=("city_id", "year"),
    description="One row per city and year of the study: the model's variables, natural and standardised.",
    caveats=(
        "Every city-year of the city list is here; a variable that is missing is null and named in missing_variables.",
        "lnRes less a city constant is growth: in first differences the two cannot be told apart.",
        "z_ columns use the constants of gold.panel_constants; a subsample scaled on its own needs its own.",
        "share_imputed is the share of firm-years with imputed value added behind lnPro.",
    ),
    checks={"nothing_missing_is_complete": "cardinality(missing_variables) > 0 OR is_complete"},
    properties={"delta.logRetentionDuration": "interval 3650 days", "delta.deletedFileRetentionDuration": "interval 365 days"},
)
PANEL_CONSTANTS = Table(
    name="gold.panel_constants",
    made_by=("panel",),
    made_from=("gold.city_panel",),
    fields=fields("variable!", "statistic!", "constant_value!", "constant_sample!"),
    key=("variable", "statistic", "constant_sample"),
    description="Means, standard deviations and counts that centred and scaled the panel's variables.",
    caveats=("A coefficient per SD times sd(y) / sd(x) is the coefficient in natural units.",),
)
PANEL_MISSING = Table(
    name="gold.panel_missing",
    made_by=("panel",),
    made_from=("gold.city_panel", "silver.yearbook_quarantine"),
    fields=fields("city_id!", "year!", "city_name", "variable!", "missing_reason!", "missing_detail"),
    key=("city_id", "year", "variable"),
    description="One row per city, year and baseline variable that is missing, with the reason.",
)
TABLES = (CITY_PANEL, PANEL_CONSTANTS, PANEL_MISSING)
