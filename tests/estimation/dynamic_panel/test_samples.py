"""A restriction of the sample is on the row itself: by brute force, in both equations, on published numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from estimation import DifferenceGMM, GMMStyle, IVStyle, SystemGMM
from estimation.dynamic_panel.robustness import sensitivity_grid
from estimation.errors import EmptySampleError, EstimationError, SpecificationError

DEMOCRACY = Path(__file__).resolve().parents[4] / "shared" / "cases" / "gmm" / "data" / "democracy_income.csv"
TOLERANCE = 1e-8


def _model(data, sample, *, cls=SystemGMM, **options):
    return cls(data, entity="city", time="year", dependent="y", regressors=["x", "w"], sample=sample,
               instruments=[GMMStyle(["y", "x"], (2, 3), True), IVStyle("w")], **options)


@pytest.fixture(scope="module")
def marked(city_panel):
    """A panel with gaps and a random mark."""
    rng = np.random.default_rng(4)
    data = city_panel[rng.random(len(city_panel)) > 0.04].reset_index(drop=True)
    return data.assign(inside=(rng.random(len(data)) < 0.7).astype(int))


def _by_hand(data, *, system):
    """Two-step GMM by loops over rows; a differenced row needs itself inside, its two periods complete."""
    value = {(r.city, r.year): r for r in data.itertuples()}

    def at(city, year, name):
        row = value.get((city, year))
        return None if row is None else getattr(row, name)

    def level(city, year):
        parts = [at(city, year, "y"), at(city, year - 1, "y"), at(city, year, "x"), at(city, year, "w")]
        return None if any(part is None for part in parts) or at(city, year - 1, "y") is None else np.array(parts)

    blocks = []
    for city in sorted(data["city"].unique()):
        y, X, Z, errors = [], [], [], []
        for year in range(2005, 2014):
            now, before = level(city, year), level(city, year - 1)
            if now is None or before is None or not at(city, year, "inside"):
                continue
            lags = [at(city, year - lag, name) or 0.0 for name in ("y", "x") for lag in (2, 3)]
            y.append((now - before)[0])
            X.append([*(now - before)[1:], *([0.0] if system else [])])
            Z.append([*lags, 0.0, 0.0, (now - before)[3], 0.0][: 8 if system else 7])
            errors.append({year: 1.0, year - 1: -1.0})
        for year in range(2005, 2014) if system else ():
            now = level(city, year)
            if now is None or not at(city, year, "inside"):
                continue
            changes = []
            for name in ("y", "x"):
                new, old = at(city, year - 1, name), at(city, year - 2, name)
                changes.append(0.0 if new is None or old is None else new - old)
            y.append(now[0])
            X.append([*now[1:], 1.0])
            Z.append([0.0] * 4 + changes + [now[3], 1.0])
            errors.append({year: 1.0})
        if y:
            M = np.array([[e.get(year, 0.0) for year in range(2004, 2014)] for e in errors])
            blocks.append((np.array(y), np.array(X), np.array(Z), M))
    S1 = sum(z.T @ m @ m.T @ z for _, _, z, m in blocks)
    ZX, Zy = sum(z.T @ x for _, x, z, _ in blocks), sum(z.T @ y for y, _, z, _ in blocks)
    used = np.diagonal(S1) > 0
    W = np.linalg.inv(S1[np.ix_(used, used)])
    b1 = np.linalg.solve(ZX[used].T @ W @ ZX[used], ZX[used].T @ W @ Zy[used])
    S2 = sum(np.outer(z.T @ (y - x @ b1), z.T @ (y - x @ b1)) for y, x, z, _ in blocks)[np.ix_(used, used)]
    W2 = np.linalg.inv(S2)
    b2 = np.linalg.solve(ZX[used].T @ W2 @ ZX[used], ZX[used].T @ W2 @ Zy[used])
    return b1, b2, sum(len(y) for y, *_ in blocks)


@pytest.mark.parametrize("system", [True, False], ids=["system", "difference"])
def test_a_row_needs_itself_inside_and_its_lags_anywhere(marked, system):
    one, two, n_rows = _by_hand(marked, system=system)
    model = _model(marked, "inside", cls=SystemGMM if system else DifferenceGMM)
    fits = model.fit(steps=1), model.fit()
    np.testing.assert_allclose(fits[0].params, one, rtol=TOLERANCE)
    np.testing.assert_allclose(fits[1].params, two, rtol=TOLERANCE)
    assert len(fits[1].resids) == n_rows


def test_the_printed_numbers_of_acemoglu_and_others_come_out():
    """Acemoglu, Johnson, Robinson and Yared (2008), table 2, column 4: .489 (.085), -.129 (.076), 838 rows, 127 countries."""
    if not DEMOCRACY.exists():
        pytest.skip("the data of R package pder are not distributed with this repository")
    data = pd.read_csv(DEMOCRACY)
    data["t"] = data["year"].str[:4].astype(int)
    model = DifferenceGMM(
        data, entity="country", time="t", time_step=5, dependent="democracy", regressors=["L.income"],
        instruments=[GMMStyle("L.democracy", (1, None)), IVStyle("L2.income", equation="difference", passthrough=True)],
        time_effects="level", sample="sample == 1",
    )
    fit = model.fit(steps=1)
    assert fit.params[["L.democracy", "L.income"]].round(3).tolist() == [0.489, -0.129]
    assert fit.std_errors[["L.democracy", "L.income"]].round(3).tolist() == [0.085, 0.076]
    assert (fit.nobs, fit.n_groups, fit.n_instruments) == (838, 127, 55)


@pytest.mark.parametrize("transform", ["fd", "fod"])
def test_all_ways_to_say_a_sample_are_one(marked, transform):
    expected = _model(marked, "inside", transform=transform).fit()
    shuffled = marked["inside"].astype(bool).sample(frac=1, random_state=1)
    indexed = marked.set_index(["city", "year"])
    fits = [
        _model(marked, "inside == 1", transform=transform),
        _model(marked, marked["inside"].astype(bool), transform=transform),
        _model(marked, shuffled, transform=transform),
        _model(marked, marked["inside"].tolist(), transform=transform),
        _model(marked, (marked["inside"] == 1).to_numpy(), transform=transform),
        SystemGMM(indexed, dependent="y", regressors=["x", "w"], sample=indexed["inside"] == 1, transform=transform,
                  instruments=[GMMStyle(["y", "x"], (2, 3), True), IVStyle("w")]),
    ]
    for model in fits:
        np.testing.assert_allclose(model.fit().params, expected.params, rtol=TOLERANCE)


def test_a_sample_of_all_rows_changes_nothing(marked):
    for transform in ("fd", "fod"):
        plain = _model(marked, None, transform=transform, time_effects="level").fit()
        whole = _model(marked, "year > 0", transform=transform, time_effects="level").fit()
        np.testing.assert_allclose(whole.params, plain.params, rtol=TOLERANCE)
        assert whole.names == plain.names and whole.ar_test(2).stat == pytest.approx(plain.ar_test(2).stat, rel=TOLERANCE)


def test_a_sample_of_whole_cities_is_a_smaller_panel(marked):
    """Nothing can come from outside when whole entities are left out."""
    some = _model(marked, "city % 3 > 0", time_effects="level").fit()
    cut = _model(marked[marked["city"] % 3 > 0], None, time_effects="level").fit()
    np.testing.assert_allclose(some.params, cut.params, rtol=TOLERANCE)
    assert (some.nobs, some.n_groups, some.n_instruments) == (cut.nobs, cut.n_groups, cut.n_instruments)
    assert some.ar_test(2).stat == pytest.approx(cut.ar_test(2).stat, rel=TOLERANCE)


def test_forward_deviations_of_rows_inside_average_over_the_whole_panel(marked):
    fit = _model(marked, "inside", transform="fod").fit()
    rows = fit.resids.query("equation == 'transformed'")
    inside = set(map(tuple, marked.loc[marked["inside"] == 1, ["city", "year"]].to_numpy()))
    assert {(c, t) for c, t in zip(rows["city"], rows["year"], strict=True)} <= inside
    first = rows.iloc[0]
    y = marked.set_index(["city", "year"])["y"][first["city"]]
    complete = [t for t in y.index if t - 1 in y.index]
    later = [y[t] for t in complete if t > first["year"]]
    expected = np.sqrt(len(later) / (len(later) + 1)) * (y[first["year"]] - np.mean(later))
    assert first["dependent"] == pytest.approx(expected, rel=TOLERANCE)


def test_both_periods_loses_the_rows_whose_base_is_outside(marked):
    rows = _model(marked, "inside").fit()
    both = _model(marked, "inside", sample_rule="both_periods").fit()
    assert both.nobs == rows.nobs and both.n_transformed < rows.n_transformed
    keys = set(map(tuple, marked.loc[marked["inside"] == 1, ["city", "year"]].to_numpy()))
    transformed = both.resids.query("equation == 'transformed'")
    assert all({(c, t), (c, t - 1)} <= keys for c, t in zip(transformed["city"], transformed["year"], strict=True))


def test_late_years_alone_keep_the_effect_they_are_differenced_against(city_panel):
    """The effect of 2008 is in the difference of 2009: whatever its size, its dummy takes it out of the slopes."""
    fits = []
    for shock in (0.0, 50.0):
        data = city_panel.assign(y=city_panel["y"] + shock * (city_panel["year"] == 2008))
        fits.append(SystemGMM(data, entity="city", time="year", dependent="y", lags=0, regressors=["x", "w"],
                              instruments=[GMMStyle("x", (2, 3), True), IVStyle("w")], time_effects="level",
                              sample="year >= 2009").fit())
    assert "year=2008" in fits[0].names and "year=2009" not in fits[0].names
    moment = fits[0].moments.query("variable == 'year=2008'").iloc[0]
    assert moment["equation"] == "difference" and moment["kept"]
    np.testing.assert_allclose(fits[1].params[["x", "w"]], fits[0].params[["x", "w"]], rtol=1e-7)


def test_a_masked_fit_can_be_varied_and_is_not_changed_from_outside(marked):
    mask = marked["inside"].to_numpy().astype(bool).copy()
    data = marked.copy()
    model = _model(data, mask)
    expected = _model(marked, "inside").fit().params
    mask[:] = True
    data["y"] = 0.0
    np.testing.assert_allclose(model.fit().params, expected, rtol=TOLERANCE)
    model.data["x"] = 0.0
    np.testing.assert_allclose(model.with_spec(h=2).fit().params, _model(marked, "inside", h=2).fit().params, rtol=TOLERANCE)
    grid = sensitivity_grid(model.fit(), n_lags=(2,), collapse=(True,))
    assert grid["L.y"][0] == pytest.approx(expected["L.y"], rel=TOLERANCE)


@pytest.mark.parametrize(
    ("sample", "error", "message"),
    [
        ("nothing here", SpecificationError, "cannot be evaluated"),
        ("year > 3000", EmptySampleError, "none of the"),
        ([True, False], SpecificationError, "one truth value for each of the"),
        ("year", SpecificationError, "expected truth values"),
        (pd.Series([True] * 3, index=[7, 8, 9]), SpecificationError, "index of the data"),
        (object(), EstimationError, "sample"),
        ("city == 1 and year == 2005", EmptySampleError, "The sample holds 1 rows"),
    ],
)
def test_a_sample_that_cannot_be_is_refused_with_the_reason(city_panel, sample, error, message):
    with pytest.raises(error, match=message):
        _model(city_panel, sample).fit()


def test_missing_marks_are_outside(marked):
    holes = marked.assign(mark=marked["inside"].where(marked["inside"] == 1))
    np.testing.assert_allclose(_model(holes, "mark").fit().params, _model(marked, "inside").fit().params, rtol=TOLERANCE)
