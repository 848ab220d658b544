"""How firm productivity is made: the section ``[productivity]`` of the settings (docs/methodology/productivity.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from conf.errors import SettingsError, require_one_of

METHODS = ("ols", "fe", "op", "lp", "acf", "wooldridge", "index", "known")
IMPUTATIONS = ("stop_2007", "va_ratio", "income_approach", "cost_accounts", "freeze_2007")
CAPITALS = ("perpetual_inventory", "fixed_assets_net", "fixed_assets_original")


@dataclass(frozen=True, slots=True)
class Productivity:
    """Choices between firm accounts and the model's lnPro.

    Attributes
    ----------
    source : str
        ``survey`` (accounts in raw/firms), ``given`` (raw/firms/firm_tfp.csv, estimated elsewhere), or ``auto``: given
        when that file is there, else survey.
    method : str
        Estimator, or ``known`` with the elasticities in ``technology``.
    measure : str
        What is explained: ``value_added`` or ``gross_output``.
    degree, markov_degree, n_starts, min_pairs, bootstrap, seed : int
        Options of the estimators; ``bootstrap`` is the number of draws, 0 for none.
    time_effects, exit : str
        Options of the estimators.
    technology : str
        CSV with industry_code, coef_labour, coef_capital (and coef_inputs); only for ``known``.
    imputation : str
        Firm-years without value added (after 2007).
    years_left_out : tuple of int
        Survey years not used at all; 2010 is doubted in public.
    capital : str
        Capital stock: perpetual inventory, or a book value deflated.
    depreciation : float
        Yearly share, for the perpetual inventory.
    deflators, capital_growth : str
        CSV files of the user; empty: raw/firms/deflators.csv and raw/firms/capital_growth.csv when they are there.
    filters_off : tuple of str
        Rules of conf/rules/firm_account.toml that are not applied.
    trim_share : float
        Firm-years below this and above one minus this quantile of output, inputs and capital per worker in their
        industry and year are left out; 0 for none.
    relative : str
        ``industry``: productivity less the pooled mean of the industry; ``none``: as estimated; ``auto``: industry for
        the survey, none for given productivity, whose reference was chosen where it was estimated.
    weights : str
        Weights of the city mean: ``simple``, ``output`` or ``employment``.
    area : str
        Firms that count for a city: ``whole_city`` or ``districts``.
    """

    source: str = "auto"
    method: str = "lp"
    measure: Literal["value_added", "gross_output"] = "value_added"
    degree: int = 2
    markov_degree: int = 3
    time_effects: Literal["none", "dummies"] = "none"
    exit: Literal["none", "survival", "last_year"] = "none"
    n_starts: int = 30
    min_pairs: int = 50
    bootstrap: int = 0
    seed: int = 20030101
    technology: str = ""
    imputation: str = "va_ratio"
    years_left_out: tuple[int, ...] = ()
    capital: str = "perpetual_inventory"
    depreciation: float = 0.09
    deflators: str = ""
    capital_growth: str = ""
    filters_off: tuple[str, ...] = ("workers_below_10", "workers_below_30", "founded_before_1949")
    trim_share: float = 0.0
    relative: str = "auto"
    weights: str = "simple"
    area: str = "whole_city"

    def __post_init__(self) -> None:
        require_one_of("productivity", "source", self.source, ("auto", "survey", "given"))
        require_one_of("productivity", "method", self.method, METHODS)
        require_one_of("productivity", "measure", self.measure, ("value_added", "gross_output"))
        require_one_of("productivity", "time_effects", self.time_effects, ("none", "dummies"))
        require_one_of("productivity", "exit", self.exit, ("none", "survival", "last_year"))
        require_one_of("productivity", "imputation", self.imputation, IMPUTATIONS)
        require_one_of("productivity", "capital", self.capital, CAPITALS)
        require_one_of("productivity", "relative", self.relative, ("auto", "industry", "none"))
        require_one_of("productivity", "weights", self.weights, ("simple", "output", "employment"))
        require_one_of("productivity", "area", self.area, ("whole_city", "districts"))
        _between("degree", self.degree, 1, 5)
        _between("markov_degree", self.markov_degree, 1, 5)
        _between("min_pairs", self.min_pairs, 1, 10**9)
        _between("n_starts", self.n_starts, 0, 10_000)
        _between("bootstrap", self.bootstrap, 0, 10_000)
        _between("depreciation", self.depreciation, 0.0, 1.0)
        _between("trim_share", self.trim_share, 0.0, 0.25)
        if self.method == "known" and not self.technology:
            _refuse("method = 'known' needs technology: a CSV with industry_code, coef_labour, coef_capital.")
        if self.method == "index" and self.measure == "gross_output":
            _refuse("method = 'index' works on value added (labour share = wages and welfare over value added).")
        unknown = sorted(set(self.filters_off) - _filter_names())
        if unknown:
            _refuse(f"filters_off: expected names of {', '.join(sorted(_filter_names()))}; found {', '.join(unknown)}.")


def _filter_names() -> set[str]:
    from conf.rules import load_rules

    return {rule.name for rule in load_rules("firm_account")}


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        _refuse(f"{name}: expected {low:g} to {high:g}; found {value!r}.")


def _refuse(message: str) -> None:
    raise SettingsError(f"productivity.{message}")
