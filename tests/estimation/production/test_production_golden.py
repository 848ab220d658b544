"""Other programs' results: R prodest, R estprod and StatsPAI on three simulated designs and on public data.

The simulated designs and all printed numbers are in ``tests/golden/production_function``. The Chilean plants and the
data of estprod are GPL and stay outside the repository: those tests run when a folder of golden files is present
(``CUSTOMS_LAKE_GOLDEN`` or ``../shared/golden`` beside the repository) and say why when they do not.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from estimation.production import ProductionFunction, ProductionOptions, firm_stock

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = ROOT / "tests" / "golden" / "production_function"
OUTSIDE = Path(os.environ.get("CUSTOMS_LAKE_GOLDEN", ROOT.parent / "shared" / "golden")) / "production_function"

# closed-form least squares: what is left is the order of additions
LINEAR = 1e-9
# R's BFGS stops this far from the bottom of a one-dimensional valley
VALLEY = 5e-6
# the same, where the valley is flatter (exit probability in the process)
FLAT_VALLEY = 1e-4
# R stops at a criterion of 4e-13, this search at 1e-30
ROOT_DISTANCE = 5e-5
# 2SLS, printed to eleven digits
TWO_STAGE = 1e-8


@pytest.fixture(scope="module")
def printed() -> dict:
    return json.loads((REFERENCE / "golden_tfp.json").read_text(encoding="utf-8"))


def read_outside(name: str) -> pd.DataFrame:
    if not (OUTSIDE / name).is_file():
        pytest.skip(f"{name} is GPL-3 and not in the repository; not found in {OUTSIDE} either")
    return pd.read_csv(OUTSIDE / name)


@pytest.fixture(scope="module")
def chilean() -> pd.DataFrame:
    return read_outside("chilean.csv")


def chilean_function(frame: pd.DataFrame, *, proxy: str = "pX", **options) -> ProductionFunction:
    return ProductionFunction(
        frame, output="Y", free=["fX1", "fX2"], state="sX", proxy=proxy, entity="idvar", time="timevar",
        options=ProductionOptions(**options),
    )


def test_panel_has_the_published_rows_and_never_bridges_a_gap(chilean, printed):
    fit = chilean_function(chilean).fit("lp")
    assert fit.n_obs == printed["data"]["chilean.csv"]["rows"]
    assert fit.n_entities == printed["data"]["chilean.csv"]["firms"]
    assert fit.n_pairs == printed["data"]["chilean.csv"]["calendar_lag_rows"]


@pytest.mark.parametrize(
    ("method", "proxy", "key", "state_tolerance"),
    [("ols", "pX", "OLS_with_const", LINEAR), ("fe", "pX", "FE_within", LINEAR), ("op", "inv", "OP", VALLEY),
     ("lp", "pX", "LP", VALLEY), ("wooldridge", "pX", "ROB", TWO_STAGE)],
)
def test_method_equals_r_prodest(chilean, printed, method, proxy, key, state_tolerance):
    expected = printed["run_here_prodest_1.0.1_R4.2.2"][key]
    expected = np.array(expected["pars"] if isinstance(expected, dict) else expected)[-3:]
    params = chilean_function(chilean, proxy=proxy).fit(method).params.to_numpy()
    assert np.abs(params[:2] - expected[:2]).max() < max(LINEAR, TWO_STAGE * (method == "wooldridge"))
    assert abs(params[2] - expected[2]) < state_tolerance


@pytest.mark.parametrize(("method", "proxy", "key"), [("lp", "pX", "LP"), ("op", "inv", "OP")])
def test_two_step_criterion_is_not_above_the_r_value(chilean, printed, method, proxy, key):
    expected = printed["run_here_prodest_1.0.1_R4.2.2"][f"{key}_SSR"]
    # both R and this search stop within 1e-6 of the minimum
    assert chilean_function(chilean, proxy=proxy).fit(method).criterion <= expected + 1e-6


@pytest.mark.parametrize(("method", "proxy", "key"), [("lp", "pX", "LP_exit"), ("op", "inv", "OP_exit")])
def test_exit_correction_in_the_dating_of_r_prodest(chilean, printed, method, proxy, key):
    expected = np.array(printed["run_here_prodest_1.0.1_R4.2.2"][key])
    params = chilean_function(chilean, proxy=proxy, exit="last_year").fit(method).params.to_numpy()
    assert np.abs(params - expected).max() < FLAT_VALLEY


@pytest.mark.parametrize(("key", "method", "degree"), [("LP_deg2_3", "lp", 2), ("LP_deg3_3", "lp", 3),
                                                       ("ACF_deg2_3", "acf", 2), ("ACF_deg3_3", "acf", 3)])
def test_polynomial_degree_equals_statspai(chilean, printed, key, method, degree):
    expected = printed["run_here_statspai_1.40.2"][key]
    params = chilean_function(chilean, degree=degree).fit(method).params.to_numpy()
    assert np.abs(params - expected).max() < 1e-5  # its simplex search stops at about 1e-6


def test_acf_finds_the_root_and_proves_it(chilean, printed):
    fit = chilean_function(chilean).fit("acf")
    assert fit.converged
    assert fit.criterion < 1e-10
    expected = printed["run_here_prodest_1.0.1_R4.2.2"]["ACF_root"]
    assert np.abs(fit.params.to_numpy() - expected).max() < ROOT_DISTANCE


def test_wooldridge_homoskedastic_errors_equal_r(chilean, printed):
    fit = chilean_function(chilean, cov_type="homoskedastic").fit("wooldridge")
    expected = printed["independent_numpy_here"]["ROB_se_homoskedastic"]
    assert np.abs(fit.std_errors.to_numpy() - expected).max() < LINEAR
    # R prints 2e-6 away: it divides by another degree of freedom
    assert np.abs(fit.std_errors.to_numpy() - printed["run_here_prodest_1.0.1_R4.2.2"]["ROB"]["se"]).max() < 5e-6


def test_only_the_lag_tells_the_row_lag_of_estprod_from_the_calendar(chilean, printed):
    """estprod takes the previous row for last year; with rows renumbered so that no year is missing we do the same."""
    rows = chilean.sort_values(["idvar", "timevar"])
    bridged = rows.assign(timevar=rows.groupby("idvar").cumcount())
    fit = chilean_function(bridged).fit("lp")
    estprod = printed["run_here_estprod_1.2"]
    assert fit.n_pairs == printed["data"]["chilean.csv"]["row_lag_rows"]
    expected = estprod["results"]["chilean_LP_23"]
    assert np.abs(fit.params[["fX1", "fX2"]].to_numpy() - [expected["fX1"], expected["fX2"]]).max() < LINEAR
    assert abs(fit.params["sX"] - expected["sX"]) < VALLEY
    # an independent search over the same lag; the valley is flat to this many digits
    assert abs(fit.params["sX"] - estprod["numpy_with_row_lag"]["LP_23_k"]) < 1e-6


def test_panel_without_gaps_equals_estprod(printed):
    frame = read_outside("estprod_data.csv.gz")
    fit = ProductionFunction(
        frame, output="var1", free="var2", state="var3", proxy="var4", entity="id", time="year",
        options=ProductionOptions(degree=3),
    ).fit("lp")
    expected = printed["run_here_estprod_1.2"]["results"]["estprod_data_LP_33"]
    assert abs(fit.params["var2"] - expected["var2"]) < LINEAR
    assert abs(fit.params["var3"] - expected["var3"]) < VALLEY


@pytest.mark.parametrize("design", ["dgp1", "dgp2", "dgp3"])
def test_simulated_designs_equal_r(printed, design):
    frame = pd.read_csv(REFERENCE / f"acfsim_{design}.csv.gz")
    function = ProductionFunction(
        frame, output="Y", free="fX", state="sX", proxy="pX1", entity="idvar", time="timevar"
    )
    expected = printed["simulated_ACF_DGPs"][design]
    assert np.abs(function.fit("ols").params.to_numpy() - expected["OLS"]).max() < LINEAR
    assert np.abs(function.fit("lp").params.to_numpy() - expected["LP"]).max() < VALLEY
    assert np.abs(function.fit("wooldridge").params.to_numpy() - expected["ROB"]).max() < TWO_STAGE
    acf = function.fit("acf")
    assert acf.criterion < 1e-10
    assert np.abs(acf.params.to_numpy() - expected["ACF"]).max() < ROOT_DISTANCE
    # one sample of 300 firms: what the method can do on this design, R included
    assert np.abs(acf.params.to_numpy() - expected["truth"]).max() < 0.05


def test_capital_equals_the_worked_example():
    golden = json.loads((REFERENCE / "bvz_capital.json").read_text(encoding="utf-8"))
    prices = {int(year): price for year, price in golden["investment_deflator_1998_100"].items()}
    example = golden["worked_example"]
    years = np.array([int(year) for year in example["original_value"]])
    stocks = firm_stock(
        years, np.array(list(example["original_value"].values()), dtype=float),
        birth_year=example["birth"], growth=example["g"], prices=prices,
    )
    expected = [example["real_capital"][str(year)] for year in years]
    assert np.abs(stocks - expected).max() < 1e-9 * max(expected)
