"""Bad data and contradictory specifications: each its own error, with the names and counts in the message."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from estimation import DifferenceGMM, EstimationError, GMMStyle, IVStyle, SystemGMM
from estimation.errors import (
    CollinearityError,
    DroppedRegressorWarning,
    DuplicateRowsError,
    EmptySampleError,
    IdentificationError,
    InfiniteValueError,
    MissingVariableError,
    NonNumericError,
    SpecificationError,
    TimeColumnError,
    UnknownColumnError,
)


def fit(data, *, kind=SystemGMM, **changes):
    given = {
        "entity": "id",
        "time": "year",
        "dependent": "y",
        "regressors": ["x", "w"],
        "instruments": [GMMStyle(["y", "x"], (2, 3), True), IVStyle(["w", "z"])],
    } | changes
    return kind(data, **given).fit()


def test_repeated_entity_and_time(panel):
    with pytest.raises(DuplicateRowsError, match=r"2 keys repeat of \(id, year\), 4 rows"):
        fit(pd.concat([panel, panel.head(2)]))


@pytest.mark.parametrize(
    "years",
    [
        lambda y: y + 0.5,
        lambda y: pd.to_datetime(y, format="%Y"),
        lambda y: "year " + y.astype(str),
        lambda y: y > 2003,
    ],
    ids=["half", "date", "text", "bool"],
)
def test_time_that_is_no_integer(panel, years):
    with pytest.raises(TimeColumnError, match="expected integers such as years"):
        fit(panel.assign(year=years(panel["year"])))


def test_time_off_the_stated_step(panel):
    with pytest.raises(TimeColumnError, match="off the steps of 2"):
        fit(panel, time_step=2)


def test_missing_keys(panel):
    with pytest.raises(MissingVariableError, match="'year': 1 of 420"):
        fit(panel.assign(year=panel["year"].where(panel.index != 0)))
    with pytest.raises(MissingVariableError, match="'id': 1 of 420"):
        fit(panel.assign(id=panel["id"].where(panel.index != 0)))


def test_variable_without_any_value(panel):
    with pytest.raises(MissingVariableError, match="'x': all 420 values are missing"):
        fit(panel.assign(x=np.nan))


def test_infinite_values(panel):
    with pytest.raises(InfiniteValueError, match="'w': 2 infinite values, at "):
        fit(panel.assign(w=panel["w"].where(panel.index > 1, -np.inf)))


def test_text_where_numbers_are_expected(panel):
    with pytest.raises(NonNumericError, match="'w'"):
        fit(panel.assign(w="many"))


@pytest.mark.parametrize(
    "changes",
    [
        {"regressors": ["x", "wages"]},
        {"instruments": [GMMStyle("yy")]},
        {"instruments": [IVStyle("zz")]},
        {"dependent": "yyy"},
        {"cluster": "region"},
        {"weights": "pw"},
        {"entity": "city"},
        {"time": "month"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_unknown_column_is_named(panel, changes):
    with pytest.raises(UnknownColumnError, match=r"is not a column of the data \(8 columns: id, year, y"):
        fit(panel, **changes)


def test_perfect_collinearity_names_the_regressors(panel):
    doubled = panel.assign(w2=2 * panel["w"] - panel["x"])
    with pytest.raises(CollinearityError, match="1 of 5 regressors are not identified: w2 is collinear"):
        fit(doubled, regressors=["x", "w", "w2"])
    with pytest.warns(DroppedRegressorWarning, match="w2"):
        results = fit(doubled, regressors=["x", "w", "w2"], collinear="drop")
    assert "w2" not in results.params.index


def test_time_invariant_regressor_in_difference_gmm(panel):
    with pytest.raises(CollinearityError, match="d is zero in every row"):
        fit(panel, kind=DifferenceGMM, regressors=["x", "d"])


def test_redundant_dummy_is_dropped_with_a_note(panel):
    dummies = {f"d{year}": (panel["year"] == year).astype(int) for year in range(2000, 2007)}
    with pytest.warns(DroppedRegressorWarning, match="d2000.*d2006"):
        results = fit(
            panel.assign(**dummies),
            regressors=["x", *dummies],
            instruments=[GMMStyle(["y", "x"], (2, 3), True), IVStyle(list(dummies), equation="level")],
        )
    assert {"d2001", "d2005", "_cons"} <= set(results.names) and not {"d2000", "d2006"} & set(results.names)


def test_fewer_moments_than_parameters(panel):
    with pytest.raises(IdentificationError, match=r"found 2 moments for 4 parameters \(L.y, x, w, _cons\)"):
        fit(panel, instruments=[IVStyle("w")])


def test_moments_that_do_not_move_a_regressor(panel):
    """As many moments as parameters, but two of them are the same up to rows outside the sample."""
    odd = panel.assign(z=panel["z"] * 0 + 1.0, z2=panel["d"])
    with pytest.raises(IdentificationError):
        fit(odd, kind=DifferenceGMM, instruments=[IVStyle(["z", "z2", "w"])])


def test_empty_sample_after_lags(panel):
    with pytest.raises(EmptySampleError, match=r"No row is left of 420 \(60 entities, periods 2000 to 2006\)"):
        fit(panel, lags=8)
    with pytest.raises(EmptySampleError):
        fit(panel[panel["year"] % 2 == 0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: GMMStyle("y", (3, 2)),
        lambda: GMMStyle("y", (-1, 2)),
        lambda: GMMStyle("y", (2.5, 3)),
        lambda: GMMStyle("y", equation="levels"),
        lambda: IVStyle(["w", "w"]),
        lambda: IVStyle([""]),
        lambda: IVStyle("w", missing="ignore"),
        lambda: IVStyle("w", passthrough=True),
    ],
)
def test_impossible_instrument_group(make):
    with pytest.raises(SpecificationError):
        make()


@pytest.mark.parametrize(
    "changes",
    [
        {"transform": "within"},
        {"h": 4},
        {"lags": -1},
        {"lags": True},
        {"time_effects": "levels"},
        {"n_lags": 0},
        {"weight_kind": "analytic"},
        {"instruments": ["y"]},
        {"regressors": ["x", "y"]},
        {"regressors": ["x", "x"]},
        {"collinear": "ignore"},
        {"entity": None},
    ],
    ids=str,
)
def test_impossible_specification(panel, changes):
    with pytest.raises(SpecificationError):
        fit(panel, endogenous=["w"] if "n_lags" in changes else [], **changes)


@pytest.mark.parametrize(
    "options",
    [{"steps": 3}, {"cov_type": "hac"}, {"steps": 1, "cov_type": "windmeijer"}, {"inverse": "ridge"}],
    ids=str,
)
def test_impossible_fit_options(panel, options):
    model = SystemGMM(panel, entity="id", time="year", dependent="y", exogenous=["w"])
    with pytest.raises(SpecificationError):
        model.fit(**options)


def test_weights_that_are_none(panel):
    with pytest.raises(SpecificationError, match="negative"):
        fit(panel.assign(p=-1.0), weights="p")
    with pytest.raises(SpecificationError, match="60 of 60 entities vary"):
        fit(panel.assign(f=panel["year"]), weights="f", weight_kind="frequency")


def test_cluster_that_cuts_through_entities(panel):
    with pytest.raises(SpecificationError, match="varies within 60 of 60"):
        fit(panel, cluster="year")


def test_empty_table(panel):
    with pytest.raises(EstimationError):
        fit(panel.head(0))


def test_more_parameters_than_clusters_stops_two_steps_only(panel):
    few = panel.assign(region=panel["id"] % 3)
    with pytest.raises(IdentificationError, match="3 clusters"):
        fit(few, cluster="region")


def test_every_error_is_an_estimation_error():
    from estimation import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    own = [kind for kind in kinds if not issubclass(kind, Warning)]
    assert len(own) == 12 and all(issubclass(kind, EstimationError) for kind in own)
    assert all(kind.__doc__ for kind in kinds)
