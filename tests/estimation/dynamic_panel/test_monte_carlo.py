"""The Monte Carlo study: its panels are the model, its parts add up, and its defaults cover the truth.

The study of 2,000 replications behind docs/methodology/monte_carlo.md is not run here; 60 replications take seconds.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from estimation.__main__ import main
from estimation.dynamic_panel.classes import DEFAULT_COLLAPSE, DEFAULT_N_LAGS
from estimation.dynamic_panel.montecarlo import (
    CHOICES,
    CONTROLS,
    CORE,
    DEFAULT_CHOICE,
    OUTCOMES,
    PRODUCTS,
    EstimatorChoice,
    Replications,
    StudyDesign,
    draw_panel,
    run_replications,
    summarise_parameters,
    summarise_tests,
)
from estimation.dynamic_panel.study import compare_choices, lag_choices, run_study, to_markdown


@pytest.fixture(scope="module")
def rows():
    return run_replications(Replications(286, range(60), outcomes=("lnvalue", "lnnum")))


def test_default_choice_is_the_default_of_the_model():
    assert (DEFAULT_CHOICE.n_lags, DEFAULT_CHOICE.collapse) == (DEFAULT_N_LAGS, DEFAULT_COLLAPSE)
    assert DEFAULT_CHOICE.steps == 2 and DEFAULT_CHOICE.cov_type is None and DEFAULT_CHOICE in lag_choices()


def test_intervals_cover_the_truth(rows):
    """Over two outcomes and eleven parameters, 1,320 intervals that are not independent; the study has the exact share."""
    table = summarise_parameters(rows)
    assert len(table) == 22 and (table["n_replications"] == 60).all()
    assert 0.92 <= table["coverage"].mean() <= 0.98
    # binomial(60, .95) falls below 50 once in 2,500
    assert table["coverage"].min() >= 50 / 60
    assert 0.85 <= table["se_ratio"].mean() <= 1.15
    share = table["coverage"]
    assert table["coverage_error"].to_numpy() == pytest.approx(np.sqrt(share * (1 - share) / 60).to_numpy())


def test_tests_reject_true_nulls_rarely(rows):
    table = summarise_tests(rows)
    # binomial(60, .05) exceeds 10 once in 5,000
    assert (table[["ar2_size", "hansen_size", "level_size"]] <= 11 / 60).all(axis=None)
    assert (table["n_instruments"] == 32).all() and (table["n_refused"] == 0).all()


def test_estimates_come_near_the_truth(rows):
    table = summarise_parameters(rows)
    assert (table["bias"].abs() < 0.03).all()
    assert (table["rmse"] < 0.1).all()


def test_too_many_instruments_bias_and_blind_hansen():
    full = EstimatorChoice("full", collapse=False, n_lags=None)
    rows = run_replications(Replications(69, range(12), (DEFAULT_CHOICE, full), ("lnvalue",)))
    tests = summarise_tests(rows).set_index("choice")
    assert tests.loc["full", "hansen_mean_p"] > 0.99 > tests.loc[DEFAULT_CHOICE.name, "hansen_mean_p"]


def test_replications_are_the_same_in_any_parts():
    whole = run_replications(Replications(69, range(4), outcomes=("lnnum",)))
    parts = pd.concat(
        [run_replications(Replications(69, numbers, outcomes=("lnnum",))) for numbers in ([2, 3], [0], [1])]
    )
    keys = ["replication", "parameter"]
    pd.testing.assert_frame_equal(
        whole.sort_values(keys, ignore_index=True), parts.sort_values(keys, ignore_index=True)
    )
    other = run_replications(Replications(69, range(4), outcomes=("lnnum",), seed=1))
    assert (other["estimate"] != whole["estimate"]).all()


def test_panel_is_drawn_from_the_model():
    """Taking the truth away from y leaves effect, year and error: with complete rows, nothing that the regressors explain."""
    design = StudyDesign(gap_share=0.0, ragged_share=0.0, error_sd=1e-9, effect_sd=0.5)
    grid = draw_panel(design, 200, np.random.default_rng(0))
    for outcome in OUTCOMES:
        truth = design.truth(outcome)
        explained = truth[f"L.{outcome}"] * grid.series(f"L.{outcome}")
        for name in (*CORE, *PRODUCTS, *CONTROLS, "seadis"):
            explained = explained + truth[name] * grid.values[name]
        rest = (grid.values[outcome] - explained)[:, 1:]
        rest = rest - rest.mean(axis=0)
        np.testing.assert_allclose(rest, np.broadcast_to(rest[:, :1], rest.shape), atol=1e-7)
    spread = {name: float(np.nanstd(grid.values[name])) for name in (*CORE, *CONTROLS)}
    assert all(0.8 < sd < 1.2 for sd in spread.values())


def test_panel_is_ragged_with_gaps():
    grid = draw_panel(StudyDesign(), 500, np.random.default_rng(1))
    present = grid.stored.sum(axis=1)
    assert 0.5 < (present == 9).mean() < 0.8
    inner = [np.flatnonzero(row) for row in grid.stored]
    assert any(np.diff(at).max() > 1 for at in inner)


def test_refused_fits_are_counted_not_hidden():
    impossible = EstimatorChoice("no moments", n_lags=1)
    tiny = StudyDesign(n_years=2)
    rows = run_replications(Replications(30, range(2), (impossible,), ("lnvalue",), design=tiny))
    assert rows["estimate"].isna().all()
    assert summarise_tests(rows)["n_refused"].tolist() == [2]


def test_study_prints_one_line_per_choice(tmp_path, capsys):
    assert main(["study", "--sizes", "69", "--replications", "2", "--outcomes", "lnnum", "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 2 + len(CHOICES)
    assert len(pd.read_csv(tmp_path / "parameters.csv")) == 11 * len(CHOICES)
    assert to_markdown(pd.DataFrame({"a": [1.0, 0.5, 38.0], "b": ["x", "y", "z"]})).splitlines()[2:] == [
        "| 1.000 | x |",
        "| 0.500 | y |",
        "| 38 | z |",
    ]


def test_comparison_takes_the_worst_over_parameters():
    rows = run_study([69], 3, lags_only=True, outcomes=("lnnum",))
    table = compare_choices(rows).set_index("choice")
    parameters = summarise_parameters(rows)
    mine = parameters[parameters["choice"] == DEFAULT_CHOICE.name]
    assert table.loc[DEFAULT_CHOICE.name, "lowest coverage"] == mine["coverage"].min()
    assert len(table) == 3
