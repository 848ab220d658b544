"""The description of a panel against counts and moments taken by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conf.panel import Panel
from jobs.describe import count_observations, describe_panel, render, summarise_variable, write_description
from jobs.study.coverage_map import STATES, coverage_states, draw_coverage
from jobs.study.missing import BASELINE, explain_missing, variable_inputs
from schemas.panel import MODEL_VARIABLES

YEARS = range(2003, 2008)


@pytest.fixture
def panel():
    rng = np.random.default_rng(2)
    index = pd.MultiIndex.from_product([["110000", "130100", "130200", "320500"], YEARS], names=["city_id", "year"])
    frame = pd.DataFrame({name: rng.normal(3, 1, len(index)) for name in MODEL_VARIABLES}, index=index).reset_index()
    frame["lnseadis"] = frame["city_id"].map({"110000": 5.0, "130100": 5.5, "130200": 3.0, "320500": 4.0})
    frame["lnGrowth"] = frame["lnRes"] + frame["lnseadis"]  # a city constant apart
    frame = frame[~((frame["city_id"] == "320500") & (frame["year"] > 2006))].reset_index(drop=True)
    frame.loc[(frame["city_id"] == "130100") & (frame["year"] == 2005), "lnrd"] = np.nan
    frame.loc[(frame["city_id"] == "130200") & (frame["year"] == 2003), ["lnvalue", "lnnum", "lnnumcou"]] = np.nan
    frame.loc[(frame["city_id"] == "130200") & (frame["year"] == 2004), ["lnfdi", "lnrd"]] = np.nan
    gone = frame[list(BASELINE)].isna()
    frame["missing_variables"] = [[n for n, x in zip(BASELINE, row, strict=True) if x] for row in gone.to_numpy()]
    frame["is_complete"] = ~gone.any(axis=1)
    return frame


def test_observations_lost_to_lags_stop_at_gaps(panel):
    # 110000: 5 years; 130100: 2003-04, 2006-07; 130200: 2005-07; 320500: 2003-06
    assert count_observations(panel) == {
        "n_rows": 19, "n_complete": 16, "n_cities": 4, "n_level": 4 + 2 + 2 + 3, "n_difference": 3 + 0 + 1 + 2
    }  # fmt: skip


def test_between_and_within_add_up_to_the_whole(panel):
    row = summarise_variable(panel, "lnAgg")
    means = panel.groupby("city_id")["lnAgg"].transform("mean")
    within = ((panel["lnAgg"] - means) ** 2).sum()
    between = ((means - panel["lnAgg"].mean()) ** 2).sum()
    assert row["share_within"] == pytest.approx(within / (within + between))
    assert row["sd_within"] == pytest.approx((panel["lnAgg"] - means + panel["lnAgg"].mean()).std(ddof=1))
    assert row["sd_between"] == pytest.approx(panel.groupby("city_id")["lnAgg"].mean().std(ddof=1))


def test_variable_that_never_changes_has_no_variance_within(panel):
    assert summarise_variable(panel, "lnseadis")["share_within"] == pytest.approx(0, abs=1e-12)


def test_resilience_that_is_growth_is_said_to_be(panel):
    description = describe_panel(panel)
    assert description.res_is_growth == pytest.approx(1)
    assert "resilience IS growth" in render(description)
    rng = np.random.default_rng(0)
    other = describe_panel(panel.assign(lnGrowth=rng.normal(size=len(panel))))
    assert "not only growth" in render(other)


def test_text_fits_a_terminal_and_numbers_its_correlations(panel):
    description = describe_panel(panel)
    text = render(description).splitlines()
    # of 100 columns; the sentence at the end wraps by itself
    assert max(map(len, text[:-1])) <= 100
    rows = {line[5:14].strip(): line[14:].split() for line in text if line.startswith(" (")}
    assert rows["lnvalue"] == [] and len(rows["lnnumcou"]) == 2
    assert rows["lnnumcou"][1] == f"{description.correlations.loc['lnnumcou', 'lnnum']:.2f}"


def test_coverage_names_the_state_of_every_city_year(panel):
    states = coverage_states(panel)
    names = states.map(lambda index: STATES[index][0])
    assert names.loc["110000"].eq("complete").all()
    assert names.loc["130100", 2005] == "one variable missing"
    assert names.loc["130200", 2003] == "no exports"
    assert names.loc["130200", 2004] == "several missing"
    assert names.loc["320500", 2007] == "no city yet, or no longer"


def test_files_are_written_and_the_map_is_a_picture(panel, tmp_path):
    files = write_description(describe_panel(panel), panel, tmp_path)
    sheets = {f"panel_{name}.{ending}" for name in ("summary", "correlations") for ending in ("txt", "md", "tex", "html")}
    assert {file.name for file in files} == sheets | {
        "panel.docx", "panel.xlsx", "panel_correlations.csv", "panel_coverage.csv", "panel_coverage.png", "panel_summary.csv",
        "panel_years.csv",
    }
    assert all(file.stat().st_size for file in files)
    assert "Human capital" in (tmp_path / "panel_summary.md").read_text("utf-8")
    coverage = pd.read_csv(tmp_path / "panel_coverage.csv", index_col="city_id")
    assert coverage.to_numpy().size == 20 and np.isnan(coverage.loc[320500, "2007"])
    years = pd.read_csv(tmp_path / "panel_years.csv", index_col="year")
    assert years.loc[2004].to_dict()["no_lnfdi"] == 1 and years["complete"].sum() == 16


def test_map_draws_complete_cells_in_their_colour(panel, tmp_path):
    from matplotlib.image import imread

    pixels = imread(draw_coverage(panel, tmp_path / "map.png"))[:, :, :3]
    dark = np.all(np.abs(pixels - np.array([0x0B, 0x3C, 0x5D]) / 255) < 0.02, axis=2).mean()
    assert dark > 0.2  # most of the map is complete


def assembled(**changes):
    """One city-year with every number the variables are made from."""
    numbers = {
        "nonagri_population": 50.0, "population": 80.0, "gdp_growth": 10.0, "students": 9.0, "science_spending": 4.0,
        "fdi": 3.0, "road_area": 5.0, "land_area": 900.0, "growth_share": 0.1, "base_growth": 0.1, "value_usd": 5.0,
        "cny_per_usd": 8.2, "in_yearbook": True,
    }  # fmt: skip
    row = {"city_id": "130200", "year": 2004, "city_name": "唐山市"} | numbers | dict.fromkeys(BASELINE, 1.0)
    return pd.DataFrame([row | changes])


REFUSED = pd.DataFrame(
    [("130200", 2004, "fdi", "typing_error", "2005.xlsx!2-17!D8")],
    columns=["city_id", "year", "indicator", "primary_reason", "source_cell"],
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lnvalue": None, "value_usd": None}, ("lnvalue", "no_exports", None)),
        ({"lnnumcou": None}, ("lnnumcou", "not_positive", "no destination economy")),
        ({"lnPro": None}, ("lnPro", "no_firms", None)),
        ({"ETDZ": None}, ("ETDZ", "no_list", "etdz.csv")),
        ({"lnseadis": None}, ("lnseadis", "no_coordinates", None)),
        ({"lnrd": None, "science_spending": None}, ("lnrd", "not_printed", "science_spending")),
        ({"lnrd": None, "science_spending": None, "in_yearbook": None}, ("lnrd", "city_not_in_yearbook", None)),
        ({"lnfdi": None, "fdi": None}, ("lnfdi", "refused", "fdi: typing_error at 2005.xlsx!2-17!D8")),
        ({"lnfdi": None, "cny_per_usd": None}, ("lnfdi", "no_exchange_rate", "2004")),
        ({"lnphumc": None, "population": 0.0}, ("lnphumc", "not_positive", "students = 9, population = 0")),
        ({"lnRes": None, "base_growth": None}, ("lnRes", "no_base_year", "no growth in the base year")),
        ({"lnRes": None, "growth_share": -1.5}, ("lnRes", "not_positive", "growth -1.5, base year 0.1")),
        ({"lnRes": None, "gdp_growth": None, "growth_share": None}, ("lnRes", "not_printed", "gdp_growth")),
    ],
)
def test_every_missing_variable_has_its_reason(changes, expected):
    report = explain_missing(assembled(**changes), REFUSED, Panel())
    assert report.reasons[["variable", "missing_reason", "missing_detail"]].values.tolist() == [list(expected)]
    assert report.missing_variables == [[expected[0]]]
    assert report.losses()[["missing", "only_this"]].values.tolist() == [[1, 1]]


def test_inputs_follow_the_options():
    assert variable_inputs(Panel(growth="deflated"))["lnRes"] == ("gdp", "gdp_deflator")
    assert variable_inputs(Panel(human_capital="published"))["lnphumc"] == ("students_per_10k",)


def test_losses_are_counted_by_reason():
    no_fdi = {"lnfdi": None, "fdi": None}
    changes = [no_fdi, no_fdi | {"year": 2005}, no_fdi | {"year": 2006, "lnrd": None, "science_spending": -2.0}]
    frame = pd.DataFrame([assembled(**change).iloc[0].to_dict() for change in changes])
    losses = explain_missing(frame, REFUSED, Panel()).losses()
    assert losses.values.tolist() == [["lnfdi", 3, 2, "2 not_printed, 1 refused"], ["lnrd", 1, 0, "1 not_positive"]]


def test_complete_panel_has_no_losses():
    report = explain_missing(assembled(), REFUSED, Panel())
    assert report.reasons.empty and report.losses().empty and report.missing_variables == [[]]
