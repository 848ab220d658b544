"""The equation the generated world obeys, in natural and in standardised units.

The natural coefficients are the paper's standardised ones times fixed design spreads, so that the truth in standardised
units lies close to the paper while no coefficient depends on a draw. Which columns of the paper a world obeys is its
choice: one measure of resilience and one sample, three outcomes; by default those of Table 1. What the truth is in the
units of a given panel follows exactly from that panel's centring and scaling constants: ``standardised_truth``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from jobs.world.errors import WorldOptionError

if TYPE_CHECKING:
    from jobs.world.latent import WorldModel

OUTCOMES = ("lnvalue", "lnnum", "lnnumcou")
CONTROLS = ("lnphumc", "lnrd", "lnseadis", "lnfdi", "lnroadper", "ETDZ")
LAG = "L.y"
CONSTANT = "Constant"
#: Stands for the measure of resilience in the paper's printed tables.
PRINTED_RESILIENCE = "resilience"
ProductOrder = Literal["centre_then_scale", "scale_then_multiply"]

#: Means of the variables, in the unit before ln given in the paper's table of variables. Agglomeration: with its spread,
#: 43 per cent of city-years are below 200,000 persons and 26 per cent at or above 500,000, as the paper's size classes
#: have it (995, 723 and 619 of 2,337).
CENTRES = {
    "lnAgg": 3.2, "lnRes": float(np.log(100)), "lnRunepd": float(np.log(0.04)), "lnResc": float(np.log(100)),
    "lnPro": 3.0, "ln_growth": float(np.log(1.125)), "lnphumc": 5.4, "lnrd": 7.6, "lnseadis": 5.6, "lnfdi": 10.2,
    "lnroadper": 2.25, "population": 4.7, "employed": 3.2, "inflation": 0.0,
}


@dataclass(frozen=True, slots=True)
class Spread:
    """Standard deviations between cities and within them over time."""

    between: float
    within: float

    @property
    def total(self) -> float:
        """Standard deviation over city-years."""
        return float(np.hypot(self.between, self.within))


SPREADS = {
    "lnAgg": Spread(1.13, 0.42), "lnPro": Spread(0.22, 0.24), "ln_growth": Spread(0.0, 0.035),
    # the index is the difference of two growth rates, one of them of the base year
    "lnRes": Spread(0.029, 0.029), "lnResc": Spread(0.029, 0.022),
    "lnRunepd": Spread(0.0, 0.183),
    "lnphumc": Spread(0.75, 0.45), "lnrd": Spread(0.95, 0.70), "lnseadis": Spread(1.58, 0.0), "lnfdi": Spread(1.2, 0.8),
    "lnroadper": Spread(0.32, 0.26), "ETDZ": Spread(0.40, 0.10), "population": Spread(0.6, 0.02),
    "employed": Spread(0.6, 0.1), "inflation": Spread(0.0, 0.0),
}
#: Share of the spread of agglomeration and productivity that the limiter of extremes leaves.
KEPT_BY_LIMIT = 0.88


@dataclass(frozen=True, slots=True)
class Design:
    """Shares and roots of the latent world.

    Attributes
    ----------
    loadings : dict
        Shares of (city size, city effect) in the city levels of agglomeration and productivity.
    core_root, growth_root : float
        AR(1) roots; near one half, where lagged levels tell most about differences.
    outcome_sd : tuple
        Design standard deviations of the three outcomes.
    effect_share, shock_share : tuple
        Standard deviations of city effect and shock, in standard deviations of the outcome.
    etdz_share : float
        Share of cities that have, or will have, a national development zone.
    """

    loadings: Mapping[str, tuple[float, float]]
    core_root: float = 0.5
    growth_root: float = 0.45
    outcome_sd: tuple[float, float, float] = (1.35, 0.68, 0.37)
    effect_share: tuple[float, float, float] = (0.40, 0.25, 0.42)
    shock_share: tuple[float, float, float] = (0.50, 0.32, 0.50)
    effect_correlation: float = 0.5
    shock_correlation: float = 0.4
    etdz_share: float = 0.3


DESIGN = Design(loadings={"lnAgg": (0.35, 0.35), "lnPro": (0.0, 0.35)})


@dataclass(frozen=True, slots=True)
class NaturalEquation:
    """One outcome's equation in natural units.

    Attributes
    ----------
    outcome : str
        Dependent variable.
    constant, lag : float
        Intercept (mean of the city effects is zero) and coefficient of the lagged outcome.
    slopes : dict
        Coefficients of regressors, interactions of deviations from ``centres``, and controls.
    centres : dict
        Fixed constants the interactions are centred on in the world.
    effect_sd, shock_sd : float
        Standard deviations of city effect and innovation.
    mean, scale : float
        Design mean and standard deviation of the outcome.
    """

    outcome: str
    constant: float
    lag: float
    slopes: dict[str, float]
    centres: dict[str, float]
    effect_sd: float
    shock_sd: float
    mean: float
    scale: float

    @property
    def regressors(self) -> tuple[str, ...]:
        """Agglomeration, the measure of resilience, productivity."""
        return tuple(self.centres)

    @property
    def resilience(self) -> str:
        """Measure of resilience the outcome follows."""
        return self.regressors[1]

    @property
    def interactions(self) -> tuple[str, ...]:
        """Products of deviations, ``lnAgg*lnRes``."""
        return tuple(name for name in self.slopes if "*" in name)

    @property
    def variables(self) -> tuple[str, ...]:
        """Everything a panel's constants are needed for to state the truth in its units."""
        return (self.outcome, *self.regressors, *CONTROLS, *self.interactions)

    def static_part(self, variables: Mapping[str, np.ndarray]) -> np.ndarray:
        """Sum of everything but the lag, the effects and the innovation; same shape as the variables."""
        deviation = {name: variables[name] - centre for name, centre in self.centres.items()}
        total: Any = self.constant + sum(self.slopes[name] * variables[name] for name in (*self.regressors, *CONTROLS))
        for name in self.interactions:
            first, second = name.split("*")
            total = total + self.slopes[name] * deviation[first] * deviation[second]
        return total


def paper_coefficients(printed: pd.DataFrame, *, resilience: str, sample: str) -> dict[str, tuple[float, ...]]:
    """Return the paper's coefficients per standard deviation, term to the three outcomes.

    Parameters
    ----------
    printed : DataFrame
        The shipped table ``paper_tables``, all columns as text.
    resilience, sample : str
        Which of the paper's columns: ``lnRes`` and ``full`` are Table 1, ``lnRunepd`` Table 2, ``lnResc`` Table 3; with
        ``lnRes`` the samples large, medium, small, east, central, west and trimmed are Tables 4 to 8.

    Raises
    ------
    WorldOptionError
        If the paper has no such columns.
    """
    rows = printed[(printed["resilience"] == resilience) & (printed["sample"] == sample)]
    if rows.empty:
        known = printed[["resilience", "sample"]].drop_duplicates().itertuples(index=False)
        raise WorldOptionError(
            f"resilience {resilience!r} with sample {sample!r}: the paper has no such columns, it has "
            f"{', '.join(' with '.join(pair) for pair in known)}."
        )
    terms = [name for name in dict.fromkeys(rows["variable"]) if name != CONSTANT]
    values = rows.set_index(["variable", "dependent"])["coefficient"].astype(float)
    return {
        name.replace(PRINTED_RESILIENCE, resilience): tuple(float(values[name, outcome]) for outcome in OUTCOMES)
        for name in terms
    }


def natural_equations(model: WorldModel, printed: pd.DataFrame) -> dict[str, NaturalEquation]:
    """Turn the paper's columns that the world obeys into natural units with the design spreads."""
    coefficients = paper_coefficients(printed, resilience=model.resilience, sample=model.sample)
    spread = {name: value.total for name, value in SPREADS.items()}
    spread |= {name: KEPT_BY_LIMIT * spread[name] for name in ("lnAgg", "lnPro")}
    products = [name for name in coefficients if "*" in name]
    spread |= {name: spread[name.split("*")[0]] * spread[name.split("*")[1]] for name in products}
    regressors = ("lnAgg", model.resilience, "lnPro")
    centres = {name: CENTRES[name] for name in regressors}
    means = {**CENTRES, "ETDZ": DESIGN.etdz_share * 0.85}
    outcome_means = (model.mean_ln_value, float(np.log(model.mean_products)), float(np.log(model.mean_destinations)))
    equations = {}
    for k, outcome in enumerate(OUTCOMES):
        scale = DESIGN.outcome_sd[k]
        slopes = {name: values[k] * scale / spread[name] for name, values in coefficients.items() if name != LAG}
        lag = coefficients[LAG][k]
        constant = (1 - lag) * outcome_means[k] - sum(slopes[name] * means[name] for name in (*regressors, *CONTROLS))
        equations[outcome] = NaturalEquation(
            outcome, constant, lag, slopes, centres, DESIGN.effect_share[k] * scale, DESIGN.shock_share[k] * scale,
            outcome_means[k], scale,
        )
    return equations


@dataclass(frozen=True, slots=True)
class PanelConstant:
    """Constants one variable was centred and scaled with: ``(x - mean) / sd``."""

    mean: float
    sd: float


def standardised_truth(
    equation: NaturalEquation,
    constants: Mapping[str, PanelConstant],
    *,
    product_order: ProductOrder = "centre_then_scale",
) -> dict[str, float]:
    """State the true coefficients in the units of a standardised panel, exactly.

    Parameters
    ----------
    equation : NaturalEquation
        The world's equation of one outcome.
    constants : mapping
        Mean and standard deviation of the outcome (under its name; its lag is scaled with the same), of every regressor
        and control, and with ``centre_then_scale`` of the products of deviations from the panel's means
        (``equation.variables`` names them all).
    product_order : {'centre_then_scale', 'scale_then_multiply'}
        Whether the products of centred variables were scaled themselves (the paper) or are products of z-scores.

    Returns
    -------
    dict
        ``L.y``, regressors, interactions, controls and ``Constant``, per standard deviation.

    Notes
    -----
    With world centres k and panel means m, (A - k_A)(R - k_R) = A'R' + (m_R - k_R) A' + (m_A - k_A) R' + const for
    A' = A - m_A: changing the centring moves the main effects by a_5 (m - k) and leaves the interactions alone.
    """
    outcome = constants[equation.outcome]
    shift = {name: constants[name].mean - equation.centres[name] for name in equation.regressors}
    slopes = dict(equation.slopes)
    moved = dict(slopes)
    constant = equation.constant + sum(slopes[name] * constants[name].mean for name in (*equation.regressors, *CONTROLS))
    for name in equation.interactions:
        first, second = name.split("*")
        moved[first] += slopes[name] * shift[second]
        moved[second] += slopes[name] * shift[first]
        constant += slopes[name] * shift[first] * shift[second]
    truth = {LAG: equation.lag}
    for name in (*equation.regressors, *CONTROLS):
        truth[name] = moved[name] * constants[name].sd / outcome.sd
    for name in equation.interactions:
        if product_order == "centre_then_scale":
            truth[name] = slopes[name] * constants[name].sd / outcome.sd
            constant += slopes[name] * constants[name].mean
        else:
            first, second = name.split("*")
            truth[name] = slopes[name] * constants[first].sd * constants[second].sd / outcome.sd
    truth[CONSTANT] = (constant - (1 - equation.lag) * outcome.mean) / outcome.sd
    return truth


def write_model(path: Path, model: WorldModel, equations: Mapping[str, NaturalEquation]) -> None:
    """Write settings, coefficients and constants as JSON that ``read_model`` turns back into equations."""
    content = {
        "source": "the paper's coefficients times the design spreads",
        "model": asdict(model),
        "equations": {name: asdict(equation) for name, equation in equations.items()},
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_model(path: Path) -> dict[str, NaturalEquation]:
    """Read the equations back from ``model.json``."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return {name: NaturalEquation(**equation) for name, equation in content["equations"].items()}
