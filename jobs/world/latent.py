"""The latent city panel: what is true before a single record or yearbook sheet is written.

Three outcomes follow the paper's dynamic equation (section on the model) city by city, with the coefficients of Table 1 or
of other columns of the paper; integer outcomes are
rounded at random INSIDE the recursion, so the rounding is part of the innovation and the truth of the counts is exact.
Published regressors are rounded as the yearbook prints them BEFORE they enter the equation, so a panel built from the
sheets holds the very numbers that made the outcomes.

Why system GMM is consistent here: agglomeration and productivity answer contemporaneous and lagged shocks (endogenous;
lags from two on are valid instruments); everything is mean-stationary after a burn-in; distance and land area are
independent of the city effect, the controls of all shocks (and of the city effect with ``control_effect`` 0).
Growth is strictly exogenous, and has to be: the index divides by the city's own
2008 growth, so that year's growth shock sits in the resilience of EVERY year, and any answer of growth to export shocks
would make all lags of resilience invalid. ``growth_feedback`` switches that failure on for study.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import numpy as np
import pandas as pd

from jobs.world.equation import (
    CENTRES,
    DESIGN,
    OUTCOMES,
    SPREADS,
    NaturalEquation,
    natural_equations,
)
from jobs.world.reference import ALL_YEARS, WorldReference
from jobs.world.streams import generator

#: Years simulated before 2002 and thrown away; with an AR root of 0.6 the start is forgotten to 1e-9.
BURN_IN = 40
#: Year whose growth is the base of the resilience index.
BASE_YEAR = 2008
#: First simulated year that is kept: the outcomes' lag of the first study year, latent only.
PRE_SAMPLE_YEAR = 2002
_PATH_YEARS = np.arange(PRE_SAMPLE_YEAR - BURN_IN, ALL_YEARS[-1] + 1)
_N_PATHS = 16
#: Years averaged in the third measure of resilience, this one and those before it.
AVERAGE_YEARS = 3
#: Spread of log unemployment beside what growth does to it.
UNEMPLOYMENT_NOISE = 0.15
#: Core regressors and shocks stay within this many standard deviations, so that counts stay below their caps.
LIMIT = 2.4
#: Most products and destinations a city-year can have: fewer than the codes and economies there are.
CAPS = {"lnvalue": np.inf, "lnnum": 4000.0, "lnnumcou": 200.0}


#: Controls whose city means may go with the outcomes' city effect.
RELATED_CONTROLS = frozenset({"lnphumc", "lnrd", "lnfdi", "lnroadper"})


@dataclass(frozen=True, slots=True)
class WorldModel:
    """What can be varied in the latent panel; the defaults keep system GMM consistent.

    Attributes
    ----------
    seed : int
        Root of every random stream.
    resilience, sample : str
        The paper's columns whose coefficients all cities obey: ``lnRes`` and ``full`` are Table 1; see
        :func:`jobs.world.equation.paper_coefficients`. The draws do not depend on the choice.
    mean_products, mean_destinations : float
        Geometric means of the two counts over city-years.
    mean_ln_value : float
        Mean of ln export value (US dollars).
    year_effect : float
        Standard deviation of the common year effects, in standard deviations of the outcome; 0 switches them off.
    control_effect : float
        Correlation of the controls' city means (students, science spending, foreign capital, roads) with the city effect
        of the outcomes, as in cities that are rich in everything; 0 makes them independent of it. Anything else breaks
        instruments that take the level of a control for independent of the city effect.
    shock_feedback : float
        Answer of agglomeration and productivity to the mean outcome shock of the year (half of it a year later), in
        within-city standard deviations.
    growth_feedback : float
        Answer of GDP growth to last year's shock; anything but 0 breaks the validity of lagged resilience.
    """

    seed: int = 7
    resilience: str = "lnRes"
    sample: str = "full"
    mean_products: float = 50.0
    mean_destinations: float = 33.0
    mean_ln_value: float = 18.0
    year_effect: float = 0.1
    control_effect: float = 0.3
    shock_feedback: float = 0.25
    growth_feedback: float = 0.0


@dataclass(frozen=True, slots=True)
class LatentPanel:
    """The truth, city by year.

    Attributes
    ----------
    model : WorldModel
        What it was drawn from.
    panel : DataFrame
        One row per (city_id, year), 2002-2011: the variables of the model, with all three measures of resilience,
        ``value_usd``, ``n_products``, ``n_destinations`` and every published indicator; regressors of 2002 are
        unpublished.
    equations : dict
        Outcome to its coefficients in natural units.
    """

    model: WorldModel
    panel: pd.DataFrame
    equations: dict[str, NaturalEquation]


def simulate(model: WorldModel, reference: WorldReference) -> LatentPanel:
    """Draw the latent panel of all cities; the same for every choice of years and cities written."""
    cities = reference.cities
    draws = _city_draws(model.seed, cities["city_id"])
    effects = np.clip(_correlated(draws.fixed[:, None, 9:12], DESIGN.effect_correlation)[:, 0], -LIMIT, LIMIT)
    published = _published_paths(model, draws, cities, reference, _mean_effect(effects))
    equations = natural_equations(model, reference.table("paper_tables"))
    outcomes, published = _run_recursion(model, draws, published, equations, effects)
    keep = _PATH_YEARS >= PRE_SAMPLE_YEAR
    columns = {name: path[:, keep].ravel() for name, path in {**published, **outcomes}.items()}
    n_years = int(keep.sum())
    panel = pd.DataFrame({
        "city_id": np.repeat(cities["city_id"].to_numpy(), n_years),
        "year": np.tile(_PATH_YEARS[keep], len(cities)),
        **columns,
    })
    panel["is_city"] = panel["year"] <= np.repeat(cities["last_year"].to_numpy(), n_years)
    return LatentPanel(model, panel, equations)


@dataclass(frozen=True, slots=True)
class _Draws:
    """Draws, each city's from a stream of its own.

    Standard normals ``fixed`` (n, 20) and ``paths`` (n, years, 16); uniforms ``rounding`` (n, years, 3) and ``etdz`` (n, 2).
    """

    fixed: np.ndarray
    paths: np.ndarray
    rounding: np.ndarray
    etdz: np.ndarray


def _city_draws(seed: int, city_ids: pd.Series) -> _Draws:
    fixed, paths, rounding, etdz = [], [], [], []
    for city_id in city_ids:
        rng = generator(seed, "latent", city_id)
        fixed.append(rng.standard_normal(20))
        paths.append(rng.standard_normal((len(_PATH_YEARS), _N_PATHS)))
        rounding.append(rng.random((len(_PATH_YEARS), len(OUTCOMES))))
        etdz.append(rng.random(2))
    return _Draws(np.array(fixed), np.array(paths), np.array(rounding), np.array(etdz))


def _city_size(draws: _Draws) -> np.ndarray:
    """Factor shared by agglomeration, land and the controls, independent of the city effects."""
    return draws.fixed[:, 0]


def _autoregression(shocks: np.ndarray, root: float) -> np.ndarray:
    """Run a unit-variance AR(1) along the second axis."""
    path = np.empty_like(shocks)
    path[:, 0] = shocks[:, 0]
    scale = np.sqrt(1 - root**2)
    for t in range(1, shocks.shape[1]):
        path[:, t] = root * path[:, t - 1] + scale * shocks[:, t]
    return path


def _published_paths(
    model: WorldModel, draws: _Draws, cities: pd.DataFrame, reference: WorldReference, effect: np.ndarray
) -> dict[str, np.ndarray]:
    """Draw everything that answers no shock; what the yearbook prints is rounded as it prints it."""
    size = _city_size(draws)
    paths: dict[str, np.ndarray] = {}
    exogenous: dict[str, np.ndarray] = {}
    for position, name in enumerate(("lnphumc", "lnrd", "lnfdi", "lnroadper", "population", "employed", "inflation")):
        spread = SPREADS[name]
        share = model.control_effect if name in RELATED_CONTROLS else 0.0
        own = 0.45 * size + share * effect + np.sqrt(1 - 0.45**2 - share**2) * draws.fixed[:, 1 + position]
        within = _autoregression(draws.paths[:, :, position], 0.5)
        deviation = np.clip((spread.between * own[:, None] + spread.within * within) / (spread.total or 1.0), -LIMIT, LIMIT)
        exogenous[name] = CENTRES[name] + spread.total * deviation
    population = np.round(np.exp(exogenous["population"]), 2)
    rate = _yuan_per_usd()
    students = np.round(population * np.expm1(exogenous["lnphumc"]))
    science = np.round(np.expm1(exogenous["lnrd"]))
    fdi = np.round(np.expm1(exogenous["lnfdi"]) / rate)
    road = np.round(np.expm1(exogenous["lnroadper"]) * population, 2)
    paths |= {
        "population": population, "students": students, "science": science, "fdi_usd": fdi, "road_area": road,
        "employed": np.round(1e4 * np.exp(exogenous["employed"])),
        "inflation": np.broadcast_to(0.03 + 0.01 * draws.paths[:, :, 6], population.shape),
    }
    paths["lnphumc"] = np.log1p(students / population)
    paths["lnrd"] = np.log1p(science)
    paths["lnfdi"] = np.log1p(fdi * rate)
    paths["lnroadper"] = np.log1p(road / population)
    kilometres = np.array([reference.kilometres_to_sea[city] for city in cities["city_id"]])
    paths["lnseadis"] = np.repeat(np.log1p(kilometres)[:, None], len(_PATH_YEARS), axis=1)
    # a zone is founded once and stays; founding years are spread over the sample and the decade before it
    founded = np.where(draws.etdz[:, 0] < DESIGN.etdz_share, 1984 + np.floor(28 * draws.etdz[:, 1]), 9999)
    paths["ETDZ"] = (_PATH_YEARS[None, :] >= founded[:, None]).astype(float)
    land = np.round(np.exp(7.3 + 0.8 * (0.6 * size + 0.8 * draws.fixed[:, 8])), 0)
    paths["land_area"] = np.repeat(land[:, None], len(_PATH_YEARS), axis=1)
    return paths


def _yuan_per_usd() -> np.ndarray:
    """Read the shipped yearly averages; years before their first take the first."""
    path = resources.files("conf") / "exchange_rates.csv"
    with path.open("r", encoding="utf-8") as stream:
        rates = pd.read_csv(stream).set_index("year")["cny_per_usd"]
    return rates[np.clip(_PATH_YEARS, rates.index.min(), None)].to_numpy()


def _run_recursion(
    model: WorldModel, draws: _Draws, published: dict[str, np.ndarray], equations: dict[str, NaturalEquation],
    effects: np.ndarray,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Run shocks, core regressors and outcomes forward together; returns (outcomes, published with the core)."""
    shocks = np.clip(_correlated(draws.paths[:, :, 7:10], DESIGN.shock_correlation), -LIMIT, LIMIT)
    core = _core_regressors(model, draws, effects, shocks, published["employed"])
    published = {**published, **core}
    year_effects = _year_effects(model)
    outcomes: dict[str, np.ndarray] = {}
    for k, outcome in enumerate(OUTCOMES):
        equation = equations[outcome]
        drift = equation.static_part(published) + equation.effect_sd * effects[:, k, None]
        drift = drift + equation.shock_sd * shocks[:, :, k] + equation.scale * year_effects[None, :]
        counts, logs = _integer_recursion(drift, draws.rounding[:, :, k], equation)
        outcomes[outcome] = logs
        outcomes[("value_usd", "n_products", "n_destinations")[k]] = counts
    return outcomes, published


def _correlated(normals: np.ndarray, correlation: float) -> np.ndarray:
    """Give the last axis a common correlation, unit variances kept."""
    matrix = np.full((normals.shape[-1],) * 2, correlation)
    np.fill_diagonal(matrix, 1.0)
    return normals @ np.linalg.cholesky(matrix).T


def _mean_effect(effects: np.ndarray) -> np.ndarray:
    """Mean of a city's three effects, at unit variance."""
    return effects.mean(axis=1) / np.sqrt((1 + 2 * DESIGN.effect_correlation) / 3)


def _year_effects(model: WorldModel) -> np.ndarray:
    """Draw common year effects, in standard deviations of the outcome; zero during the burn-in."""
    effects = model.year_effect * generator(model.seed, "year effects").standard_normal(len(_PATH_YEARS))
    return np.where(_PATH_YEARS >= PRE_SAMPLE_YEAR, effects, 0.0)


def _core_regressors(
    model: WorldModel, draws: _Draws, effects: np.ndarray, shocks: np.ndarray, employed: np.ndarray
) -> dict[str, np.ndarray]:
    """Agglomeration, productivity and the three measures of resilience, with growth and unemployment behind them."""
    shock = shocks.mean(axis=2) / shocks.mean(axis=2).std()
    lagged = np.concatenate([np.zeros((len(shock), 1)), shock[:, :-1]], axis=1)
    answer = model.shock_feedback * (shock + 0.5 * lagged)
    effect = _mean_effect(effects)
    own = {}
    for position, name in enumerate(("lnAgg", "lnPro")):
        size_share, effect_share = DESIGN.loadings[name]
        rest = np.sqrt(1 - size_share**2 - effect_share**2)
        level = size_share * _city_size(draws) + effect_share * effect + rest * draws.fixed[:, 12 + position]
        innovation = (draws.paths[:, :, 10 + position] + answer) / np.sqrt(1 + 1.25 * model.shock_feedback**2)
        within = _autoregression(innovation, DESIGN.core_root)
        spread = SPREADS[name]
        deviation = (spread.between * level[:, None] + spread.within * within) / spread.total
        own[name] = CENTRES[name] + spread.total * LIMIT * np.tanh(deviation / LIMIT)
    population = np.round(np.exp(own["lnAgg"]), 2)
    growth_innovation = draws.paths[:, :, 12] + model.growth_feedback * lagged
    growth_path = np.clip(_autoregression(growth_innovation, DESIGN.growth_root), -LIMIT, LIMIT)
    ln_growth = CENTRES["ln_growth"] + SPREADS["ln_growth"].within * growth_path
    growth = np.round(100 * np.expm1(ln_growth), 2)
    base = growth[:, _PATH_YEARS == BASE_YEAR]
    index = 100 * (1 + growth / 100) / (1 + base / 100)
    noise = UNEMPLOYMENT_NOISE * _autoregression(draws.paths[:, :, 13], DESIGN.growth_root)
    share = np.exp(CENTRES["lnRunepd"] - 3.0 * (ln_growth - CENTRES["ln_growth"]) + noise)
    unemployed = np.round(employed * share / (1 - share))
    unemployment = unemployed / (unemployed + employed)
    return {
        "lnAgg": np.log(population), "lnRes": np.log(index), "lnPro": own["lnPro"], "lnRunepd": np.log(unemployment),
        "lnResc": np.log(_trailing_mean(index, AVERAGE_YEARS)), "population_nonagricultural": population, "growth": growth,
        "unemployed": unemployed,
    }


def _trailing_mean(path: np.ndarray, n_years: int) -> np.ndarray:
    """Mean of a year and those before it along the second axis; the first years, of the burn-in, keep their own value."""
    mean = path.copy()
    mean[:, n_years - 1 :] = sum(path[:, k : path.shape[1] - n_years + 1 + k] for k in range(n_years)) / n_years
    return mean


def _integer_recursion(
    drift: np.ndarray, uniforms: np.ndarray, equation: NaturalEquation
) -> tuple[np.ndarray, np.ndarray]:
    """Run ``y_t = lag * y_{t-1} + drift_t`` with ``exp(y)`` rounded to an integer so that ``E[ln n | v] = v``.

    With floor ``m`` and ceiling ``m + 1``, P(ceiling) = (v - ln m) / (ln(m + 1) - ln m); below one the count is one,
    and it never passes the cap (the design keeps both away: see the tests).
    """
    counts, logs = np.empty_like(drift), np.empty_like(drift)
    previous = np.full(len(drift), equation.mean)
    for t in range(drift.shape[1]):
        target = np.maximum(equation.lag * previous + drift[:, t], 0.0)
        floor = np.maximum(np.floor(np.exp(target)), 1.0)
        share = (target - np.log(floor)) / (np.log(floor + 1) - np.log(floor))
        counts[:, t] = np.minimum(floor + (uniforms[:, t] < share), CAPS[equation.outcome])
        previous = logs[:, t] = np.log(counts[:, t])
    return counts, logs
