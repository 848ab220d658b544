"""Processes and threads: results do not depend on their number, and joint draws match units by their labels."""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info

from estimation import EstimationWarning, GMMStyle, IVStyle, SystemGMM
from estimation.dynamic_panel import computing
from estimation.dynamic_panel.bootstrap import bootstrap
from estimation.dynamic_panel.montecarlo import Replications, run_replications
from estimation.dynamic_panel.robustness import sensitivity_grid
from estimation.errors import SpecificationError


def _fit(data, dependent="y", **changes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EstimationWarning)
        return SystemGMM(data, entity="city", time="year", dependent=dependent, regressors=["x", "w"],
                         instruments=[GMMStyle([dependent, "x"], (2, 3), True), IVStyle("w")], **changes).fit(steps=1)


def test_bootstrap_monte_carlo_and_grid_are_the_same_in_any_number_of_processes(city_panel):
    fit = _fit(city_panel)
    one, two = (bootstrap(fit, n_replications=9, seed=3, n_jobs=n).draws for n in (1, 2))
    pd.testing.assert_frame_equal(one, two)
    plan = Replications(60, range(3), outcomes=("lnvalue",))
    pd.testing.assert_frame_equal(run_replications(plan), run_replications(plan, n_jobs=2))
    grids = [sensitivity_grid(fit, n_lags=(1, 2), collapse=(True,), n_jobs=n) for n in (1, 2)]
    pd.testing.assert_frame_equal(*grids)


@pytest.mark.parametrize("n_jobs", [0, -2, 1.5, True])
def test_an_impossible_number_of_processes_is_refused(n_jobs):
    with pytest.raises(SpecificationError, match="n_jobs: expected a whole number"):
        computing.spread(pow, 2, [1, 2], n_jobs=n_jobs)


def test_small_algebra_uses_one_thread_and_gives_the_others_back():
    before = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    with computing.one_thread(1e6):
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
    assert [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"] == before
    with computing.one_thread(1e12):
        assert [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"] == before


def test_progress_is_told_to_a_terminal_after_two_seconds(monkeypatch, capsys):
    clock = iter(np.arange(0.0, 100.0, 1.6))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert computing.spread(pow, 2, [1, 2, 3, 4], what="powers") == [2, 4, 8, 16]
    printed = capsys.readouterr().err
    assert "powers: 2 of 4, about" in printed and "powers: 1 of 4" not in printed and "powers: 4 in" in printed


@pytest.mark.parametrize("missing", [0, 3, 7])
def test_clusters_of_several_fits_are_matched_by_their_labels(city_panel, missing):
    """The second fit lacks a province: its draws are those of its own provinces in the first one's draw."""
    data = city_panel.assign(prov="P" + city_panel["prov"].astype(str), y2=city_panel["y"])
    part = data[data["prov"] != f"P{missing}"]
    first, second = _fit(data, cluster="prov"), _fit(part, "y2", cluster="prov")
    joint = bootstrap([first, second], n_replications=2, seed=1).draws
    counts = np.random.default_rng(1)
    for row in range(2):
        copies = dict(zip([f"P{n}" for n in range(8)], counts.multinomial(8, np.full(8, 1 / 8)), strict=True))
        pieces = [part[part["prov"] == name].assign(copy=n) for name, c in copies.items() for n in range(c)]
        again = pd.concat(pieces)
        again = again.assign(city=again["city"].astype(str) + "/" + again["copy"].astype(str),
                             prov=again["prov"] + "/" + again["copy"].astype(str))
        assert joint["1:L.y2"][row] == pytest.approx(_fit(again, "y2", cluster="prov").params["L.y2"], rel=1e-8)


def test_fits_that_draw_different_units_are_not_mixed(city_panel):
    with pytest.raises(SpecificationError, match="found city and prov"):
        bootstrap([_fit(city_panel), _fit(city_panel, cluster="prov")], n_replications=2)
