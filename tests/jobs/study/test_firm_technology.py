"""One industry on an executor: every method and measure of the settings ends in the row the lake expects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conf.productivity import Productivity
from estimation.production import ProductionFunction, ProductionOptions
from jobs.study.firm_technology import COEFFICIENTS, estimate_industry

NAMES = [part.split()[0] for part in COEFFICIENTS.split(", ")]
LOGS = {"y": "ln_output", "l": "ln_workers", "k": "ln_capital", "m": "ln_inputs", "i": "ln_investment"}


@pytest.fixture(scope="module")
def accounts(firms) -> pd.DataFrame:
    return firms.drop(columns="omega").rename(columns=LOGS).assign(industry_code="13")


@pytest.mark.parametrize("measure", ["value_added", "gross_output"])
@pytest.mark.parametrize("method", ["ols", "fe", "op", "lp", "acf", "wooldridge"])
def test_row_holds_what_the_estimator_found(accounts, method, measure):
    choices = Productivity(method=method, measure=measure, n_starts=4)
    # the simulated inputs and investment know the same two things: apart they must differ
    noise = np.random.default_rng(1).normal(0, 0.1, len(accounts))
    accounts = accounts.assign(ln_inputs=accounts["ln_inputs"] + noise) if method == "op" else accounts
    row = estimate_industry(accounts, choices=choices)
    assert list(row.columns) == NAMES
    row = row.iloc[0]
    # investment is not an input: with gross output Olley-Pakes takes intermediate inputs as one more free input
    is_op_gross = (method, measure) == ("op", "gross_output")
    alone = ProductionFunction(
        accounts, output="ln_output", free=["ln_workers", "ln_inputs"] if is_op_gross else "ln_workers", state="ln_capital",
        proxy="ln_investment" if method == "op" else "ln_inputs", entity="firm", time="year",
        options=ProductionOptions(measure=measure, n_starts=4, seed=choices.seed),
    ).fit(method)
    assert row["is_converged"] == alone.converged
    assert (row["estimate_status"] == "estimated") == alone.converged
    if alone.converged:
        assert (row["coef_labour"], row["coef_capital"]) == (alone.params["ln_workers"], alone.params["ln_capital"])
        assert (row["coef_inputs"] is not None) == (measure == "gross_output")
    else:
        assert row["coef_labour"] is None and row["estimate_reason"]
    assert row["std_error_kind"] == alone.std_error_kind
    assert (row["n_firm_years"], row["n_industry_firms"]) == (alone.n_obs, alone.n_entities)


def test_bootstrap_of_the_settings_draws_whole_firms(accounts):
    choices = Productivity(method="ols", bootstrap=100)
    # every firm-year copied to another year: the same information in twice the rows
    copied = pd.concat([accounts, accounts.assign(year=accounts["year"] + 100)])
    rows = [estimate_industry(frame, choices=choices).iloc[0] for frame in (accounts, copied)]
    assert [row["std_error_kind"] for row in rows] == ["bootstrap"] * 2
    # the same draws of firms, so the same estimates; drawing firm-years would give errors smaller by the root of two
    assert rows[1]["se_labour"] == pytest.approx(rows[0]["se_labour"], rel=1e-6)
    clustered = estimate_industry(accounts, choices=Productivity(method="ols")).iloc[0]
    # 100 draws know a standard deviation to 7 per cent
    assert rows[0]["se_labour"] == pytest.approx(clustered["se_labour"], rel=0.25)


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        (lambda frame: frame.head(40), "too_small", "consecutive firm-years"),
        (lambda frame: frame.assign(ln_workers=2.0), "singular", "ln_workers is determined"),
        (lambda frame: frame.assign(ln_inputs=np.nan), "too_small", "found 0"),
        (lambda frame: pd.concat([frame, frame.head(1)]), "refused", "one row per firm and year"),
    ],
)
def test_industry_that_cannot_be_estimated_is_a_row_with_its_reason(accounts, change, status, reason):
    row = estimate_industry(change(accounts), choices=Productivity()).iloc[0]
    assert row["estimate_status"] == status
    assert reason in row["estimate_reason"]
    assert row["coef_labour"] is None
