"""Monte Carlo behind docs/methodology/estimators: estimators and tests where their assumptions hold and where they do not.

    python tests/benchmarks/study_estimators.py --replications 300 [--part estimators] [--part tests] ...

Every replication draws its panel from its own seed. Prints Markdown tables; about 12 minutes on one core with 300.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from estimation import (
    BiasCorrectedMM,
    DifferenceGMM,
    EstimationError,
    EstimationWarning,
    GMMStyle,
    HalfPanelJackknife,
    IVStyle,
    NonlinearGMM,
    NonlinearMoments,
    SystemGMM,
    cue_underidentification_test,
    entity_effects,
    hausman_test,
    idiosyncratic_errors,
    jochmans_test,
    sanderson_windmeijer,
    selection_table,
    two_stage,
    two_way_clustered,
    yamagata_test,
)

KEYS = {"entity": "city", "time": "year"}
N_CITIES, N_YEARS = 286, 9


def draw(
    seed: int,
    *,
    n: int = N_CITIES,
    rho: float = 0.5,
    start: str = "stationary",
    errors: str = "iid",
    feedback: float = 0.0,
    effect: float = 1.0,
    invariant: float = 0.0,
) -> pd.DataFrame:
    """Draw y = rho L.y + .5 x + effect a + invariant z + e over nine years.

    `start` "zero" puts everybody off the stationary path; `errors` "hetero" triples their standard deviation over the
    years, "ar" correlates them (.3); `feedback` lets x answer to last year's error.
    """
    rng = np.random.default_rng(seed)
    a, z = rng.normal(size=n), rng.normal(size=n)
    burn = 60 if start == "stationary" else 0
    x, e, y = 0.5 * a + rng.normal(size=n), rng.normal(size=n), np.zeros(n)
    if start == "stationary":
        y = (effect * a + invariant * z + 0.5 * 0.6 * a) / (1 - rho) + rng.normal(size=n) / np.sqrt(1 - rho**2)
    path = []
    for t in range(N_YEARS + 1 + burn):
        x = 0.5 * x + 0.3 * a + feedback * e + rng.normal(size=n)
        shock = rng.normal(size=n)
        scale = 1.0 + (2.0 * max(t - burn, 0) / N_YEARS if errors == "hetero" else 0.0)
        e = 0.3 * e + shock if errors == "ar" else scale * shock
        y = rho * y + 0.5 * x + effect * a + invariant * z + e
        if t > burn:
            path.append(pd.DataFrame({"city": np.arange(n), "year": 2002 + t - burn, "y": y, "x": x, "z": z, "a": a, "e": e}))
    return pd.concat(path, ignore_index=True)


def instruments(x_lags: tuple[int, int], *, differenced: bool = False) -> list[GMMStyle]:
    """Collapsed difference moments of y and x."""
    names = ("D.y", "D.x") if differenced else ("y", "x")
    return [
        GMMStyle(names[0], (2, 3), collapse=True, equation="difference"),
        GMMStyle(names[1], x_lags, collapse=True, equation="difference"),
    ]


def level() -> list[IVStyle]:
    """Level moments of y and x."""
    return [IVStyle("L.D.y", "level"), IVStyle("D.x", "level")]


def estimators(x_lags: tuple[int, int]) -> dict[str, Callable[[pd.DataFrame], object]]:
    """Return the estimators compared, by name."""
    own = {"dependent": "y", "regressors": ["x"], **KEYS}
    return {
        "difference": lambda d: DifferenceGMM(d, instruments=instruments(x_lags), **own).fit(),
        "system": lambda d: SystemGMM(d, instruments=[*instruments(x_lags), *level()], **own).fit(),
        "noserial": lambda d: NonlinearGMM(d, nonlinear="noserial", instruments=instruments(x_lags), **own).fit(),
        "noserial, one per period": lambda d: NonlinearGMM(
            d, nonlinear=NonlinearMoments("noserial", collapse=False), instruments=instruments(x_lags), **own
        ).fit(),
        "iid": lambda d: NonlinearGMM(d, nonlinear="iid", instruments=instruments(x_lags), **own).fit(),
        "predetermined": lambda d: NonlinearGMM(
            d, nonlinear="predetermined", instruments=instruments(x_lags, differenced=True), **own
        ).fit(),
        "bias-corrected": lambda d: BiasCorrectedMM(d, **own).fit(),
        "half-panel jackknife": lambda d: HalfPanelJackknife(d, **own).fit(),
    }


DESIGNS = {
    "rho .5": {},
    "rho .8": {"rho": 0.8},
    "rho .95": {"rho": 0.95, "effect": 0.3},
    "rho .95, off the stationary path": {"rho": 0.95, "start": "zero"},
    "rho .5, variance rising": {"errors": "hetero"},
    "rho .5, x answers to the last error": {"feedback": 0.3},
    "rho .5, errors correlated .3": {"errors": "ar"},
}


def study_estimators(n: int) -> pd.DataFrame:
    """Return bias, RMSE, SE/SD and coverage of the lag and of x by design and estimator."""
    rows = []
    for design, options in DESIGNS.items():
        truth = {"L.y": options.get("rho", 0.5), "x": 0.5}
        for name, fit in estimators((1, 2)).items():
            found = [value for value in (_try(fit, draw(seed, **options)) for seed in range(n)) if value is not None]
            for term, true in truth.items():
                b = np.array([one.params[term] for one in found])
                s = np.array([one.std_errors[term] for one in found])
                rows.append({
                    "design": design, "estimator": name, "term": term, "bias": b.mean() - true,
                    "RMSE": np.sqrt(np.mean((b - true) ** 2)), "SE/SD": s.mean() / b.std(),
                    "coverage": np.mean(np.abs(b - true) < 1.96 * s), "fits": len(found),
                })  # fmt: skip
    return pd.DataFrame(rows)


def study_tests(n: int) -> pd.DataFrame:
    """Return rejection shares at 5 % of the tests, by design."""
    fits = estimators((1, 2))
    tests = {
        "Hausman, system against difference": lambda d: hausman_test(fits["difference"](d), fits["system"](d)),
        "difference-in-Hansen, noserial": lambda d: fits["noserial"](d).diff_in_hansen[0].difference,
        "difference-in-Hansen, iid": lambda d: fits["iid"](d).diff_in_hansen[0].difference,
        "difference-in-Hansen, predetermined": lambda d: fits["predetermined"](d).diff_in_hansen[0].difference,
        "Hausman, bias-corrected against difference": lambda d: hausman_test(
            fits["bias-corrected"](d), fits["difference"](d)
        ),
        "Jochmans": lambda d: jochmans_test(fits["difference"](d)),
        "Jochmans, collapsed": lambda d: jochmans_test(fits["difference"](d), collapse=True),
        "Yamagata": lambda d: yamagata_test(fits["difference"](d)),
        "AR(2)": lambda d: fits["difference"](d).ar_test(2),
    }
    rows = []
    for design in (name for name in DESIGNS if name not in ("rho .8", "rho .95")):
        for name, test in tests.items():
            rows.append({"test": name, "design": design, "share": _rejections(test, n, **DESIGNS[design])})
    return pd.DataFrame(rows).pivot(index="test", columns="design", values="share").loc[list(tests)].reset_index()


def study_selection(n: int) -> pd.DataFrame:
    """Return how often each criterion chooses the system, and rejections of the underidentification tests."""
    rows = []
    fits = estimators((1, 2))
    for design, options in (("level moments hold", {}), ("level moments fail", {"start": "zero"})):
        for n_cities in (100, N_CITIES, 1_000):
            chosen = [
                selection_table({name: fits[name](draw(seed, n=n_cities, **options)) for name in ("difference", "system")})
                for seed in range(n)
            ]
            row = {"design": design, "cities": n_cities}
            for criterion in ("BIC", "HQIC", "AIC"):
                row[f"{criterion} takes the system"] = np.mean([criterion in t.loc["system", "chosen"] for t in chosen])
            rows.append(row)
    return pd.DataFrame(rows)


def study_identification(n: int) -> pd.DataFrame:
    """Return how often underidentification is rejected, strong and weak lag."""
    rows = []
    fits = estimators((1, 2))
    designs = {"rho .5": {}, "rho .95": {"rho": 0.95}, "x a random walk": {"walk": True}}
    for design, options in designs.items():
        kept = {key: value for key, value in options.items() if key != "walk"}
        tables, joint = [], []
        for seed in range(n):
            data = draw(seed, **kept)
            if "walk" in options:
                # its changes are noise to its past: nothing identifies it in differences
                steps = np.random.default_rng(10_000 + seed).normal(size=(N_YEARS, N_CITIES))
                data["x"] = steps.cumsum(axis=0).ravel()
            fit = fits["difference"](data)
            tables.append(sanderson_windmeijer(fit))
            joint.append(cue_underidentification_test(fit).pvalue < 0.05)
        rows.append({
            "design": design, "CUE rejects": np.mean(joint),
            "J of L.y rejects": np.mean([t.loc["L.y", "j_pvalue"] < 0.05 for t in tables]),
            "J of x rejects": np.mean([t.loc["x", "j_pvalue"] < 0.05 for t in tables]),
            "median F of L.y": np.median([t.loc["L.y", "F"] for t in tables]),
            "median F of x": np.median([t.loc["x", "F"] for t in tables]),
        })  # fmt: skip
    return pd.DataFrame(rows)


def study_stages(n: int) -> pd.DataFrame:
    """Return coverage of the second stage with and without the correction, and of predicted effects and errors."""
    rows = []
    for rho in (0.5, 0.8):
        inside, plain, found, effects, errors = [], [], [], [], []
        for seed in range(n):
            data = draw(seed, rho=rho, invariant=0.8)
            first = estimators((1, 2))["difference"](data)
            fit = two_stage(first, data, "z")
            gap = abs(fit.params["z"] - 0.8)
            found.append(fit.params["z"])
            inside.append(gap < 1.96 * fit.std_errors["z"])
            plain.append(gap < 1.96 * fit.details["uncorrected_std_errors"]["z"])
            system = estimators((1, 2))["system"](draw(seed, rho=rho))
            truth = draw(seed, rho=rho)
            predicted = entity_effects(system)
            true_effect = truth.drop_duplicates("city").set_index("city")["a"]
            gap = abs(predicted["effect"] + system.params["_cons"] - true_effect)
            effects.append((gap < 1.96 * predicted["std_error"]).mean())
            e = idiosyncratic_errors(system)
            true_error = truth.set_index(["city", "year"])["e"].loc[e.index]
            errors.append((abs(e["error"] - true_error) < 1.96 * e["std_error"]).mean())
        rows.append({
            "rho": rho, "bias of z": np.mean(found) - 0.8, "coverage, corrected": np.mean(inside),
            "coverage, uncorrected": np.mean(plain), "coverage of effects": np.mean(effects),
            "coverage of errors": np.mean(errors),
        })  # fmt: skip
    return pd.DataFrame(rows)


def study_clusters(n: int) -> pd.DataFrame:
    """Return coverage of one-way and two-way errors with shocks common to all cities of a year, by number of years."""
    rows = []
    for n_years in (9, 30, 60):
        inside = {"one way": [], "two ways": []}
        for seed in range(n):
            rng = np.random.default_rng(seed)
            cities, years = np.repeat(np.arange(100), n_years), np.tile(np.arange(n_years), 100)
            w = rng.normal(size=n_years)[years] + rng.normal(size=len(years))
            y = 0.5 * w + rng.normal(size=100)[cities] + rng.normal(size=n_years)[years] + rng.normal(size=len(years))
            data = pd.DataFrame({"city": cities, "year": years, "y": y, "w": w})
            one = SystemGMM(data, dependent="y", lags=0, regressors=["w"], instruments=[IVStyle("w")], **KEYS).fit(steps=1)
            for name, fit in (("one way", one), ("two ways", two_way_clustered(one))):
                bounds = fit.conf_int()
                inside[name].append(bounds["lower"]["w"] < 0.5 < bounds["upper"]["w"])
        rows.append({"years": n_years, **{f"coverage, {name}": np.mean(values) for name, values in inside.items()}})
    return pd.DataFrame(rows)


def _try(fit: Callable[[pd.DataFrame], object], data: pd.DataFrame) -> object | None:
    try:
        return fit(data)
    except EstimationError:
        return None


def _rejections(test: Callable[[pd.DataFrame], object], n: int, **options: object) -> float:
    found = [_try(test, draw(seed, **options)) for seed in range(n)]
    return float(np.mean([one.pvalue < 0.05 for one in found if one is not None and one.applies]))


def to_markdown(table: pd.DataFrame) -> str:
    """Return a table as Markdown, three decimals."""
    shown = table.map(lambda value: f"{value:.3f}" if isinstance(value, float) else str(value))
    lines = ["| " + " | ".join(map(str, shown.columns)) + " |", "|" + "---|" * len(shown.columns)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in shown.to_numpy())])


PARTS = {
    "estimators": study_estimators, "tests": study_tests, "selection": study_selection,
    "identification": study_identification, "stages": study_stages, "clusters": study_clusters,
}  # fmt: skip


def main(arguments: Iterable[str] | None = None) -> None:
    """Run the study and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replications", type=int, default=300)
    parser.add_argument("--part", choices=PARTS, action="append")
    asked = parser.parse_args(arguments)
    warnings.simplefilter("ignore", EstimationWarning)
    for name in asked.part or PARTS:
        print(f"\n## {name}, {asked.replications} replications\n")
        print(to_markdown(PARTS[name](asked.replications)))


if __name__ == "__main__":
    main()
