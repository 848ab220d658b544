"""A study in ten lines: rows by a condition, errors by province, columns and labels of one's own, all faults at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conf.tables import TableFileError, read_table_files
from estimation.errors import SpecificationError
from estimation.tables import (
    TableSpecError,
    estimate_column,
    estimate_tables,
    parse_tables,
    print_table,
    table_faults,
    table_panel,
    to_latex,
    to_text,
    write_excel,
)
from estimation.tables.extra import read_extra, with_extra
from estimation.tables.layout import LAYOUTS, lay_out
from estimation.tables.samples import meets

TEN_LINES = """number = 9
title = "Without the two largest"
title_zh = "不含京沪"
where = "!inlist(city_id, '110000', '310000')"
cluster = "province"
[panel]
extra = "mine.csv"
[labels]
mine = ["My control", "我的控制变量"]
[options]
lags = [2, 3]
[[column]]
dependent = "lnvalue"
exogenous = ["lnphumc", "lnrd", "lnseadis", "lnfdi", "lnroadper", "ETDZ", "mine"]
"""


def _own(panel, drop=0):
    draws = np.random.default_rng(4).standard_normal(len(panel.natural))
    return panel.natural[["city_id", "year"]].assign(mine=draws).iloc[drop:]


def _study(tmp_path, panel, text=TEN_LINES, drop=0):
    _own(panel, drop).to_csv(tmp_path / "mine.csv", index=False)
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    return next(table for table in parse_tables(*read_table_files(tmp_path)) if table.name == "mine")


def test_a_study_of_ten_lines_is_the_same_as_by_hand(tmp_path, study, classes, shipped):
    panel, _ = study
    table = _study(tmp_path, panel)
    assert table_faults(table, panel.natural.columns) == []
    joined, notes = table_panel(panel, table.extra)
    assert notes == ()
    fit = estimate_column(table.columns[0], joined, classes)
    inside = ~panel.natural["city_id"].isin(["110000", "310000"])
    assert not fit.failure and (fit.mask == inside.to_numpy()).all()
    assert fit.results.n_groups == inside.groupby(panel.natural["city_id"]).any().sum()
    # by hand: the same model without the words, clusters and rows set by the options of the estimator
    by_city = estimate_column(table.columns[0].replaced(cluster=""), joined, classes).results
    assert (by_city.std_errors - fit.results.std_errors).abs().max() > 1e-6
    assert fit.results.spec.cluster == "province_code"
    printed = print_table(table, [fit], notes=notes)
    text = to_text(printed, LAYOUTS["plain"])
    assert "My control" in text and "errors by province_code" in text and 'City-years where !inlist(city_id, "110000"' in text
    assert "我的控制变量" in to_text(printed, LAYOUTS["plain"], "zh") and "不含京沪" in to_latex(printed, language="zh")
    write_excel([printed], tmp_path / "tables.xlsx", LAYOUTS["plain"], "zh")


def test_the_plain_layout_has_our_numbers_alone(printed):
    table = printed["table1"]
    both, plain = lay_out(table), lay_out(table, sides=LAYOUTS["plain"])
    assert {sides for _, sides in plain.heads} == {("ours",)}
    step = len(both.heads[0][1])
    assert [cells[::step] for _, cells in both.rows] == [cells for _, cells in plain.rows]


@pytest.mark.parametrize(("condition", "expected"), [
    ("year >= 2005 & year < 2009", lambda f: f["year"].between(2005, 2008)),
    ("year != 2008 | province == '110000'", lambda f: (f["year"] != 2008) | (f["province_code"] == "110000")),
    ("lnfdi > 9", lambda f: (f["lnfdi"] > 9) | f["lnfdi"].isna()),
    ("!missing(lnfdi) & lnfdi > 9", lambda f: f["lnfdi"] > 9),
    ("L.lnvalue > 20 & !missing(L.lnvalue)", lambda f: f.groupby("city_id")["lnvalue"].shift(1) > 20),
    ("D.lnvalue < 0", lambda f: f.groupby("city_id")["lnvalue"].diff() < 0),
])
def test_conditions_keep_the_rows_stata_keeps(study, condition, expected):
    frame = study[0].natural.copy()
    frame.loc[::7, "lnfdi"] = np.nan
    text = condition.replace("'", '"')
    assert (meets(frame, text, entity="city_id", time="year") == expected(frame).to_numpy()).all()


def test_all_faults_of_all_files_are_told_together(shipped):
    bad = {
        "number": 9, "where": "year >> 3", "colour": 1, "options": {"lags": 2, "steps": 7}, "labels": {"x": 3},
        "samples": {"odd": {"rule": "trim"}},
        "column": [{"dependent": "lnvalue", "sample": "north", "exogenous": "lnfdi"}, {"sample": "full"}],
    }
    with pytest.raises(TableSpecError) as caught:
        parse_tables(shipped[0], {"mine": bad, "other": {"number": "nine"}})
    lines = str(caught.value).splitlines()
    for part in (
        "unknown colour", "year >> 3", "options.lags", "options.steps", "[labels] x", "sample odd", "other: expected `number",
    ):
        assert sum(part in line for line in lines) >= 1, part


def test_every_column_may_be_wrong_in_several_ways(shipped):
    bad = {"number": 9, "column": [{"dependent": "lnvalue", "sample": "north", "exogenous": "lnfdi"}, {"sample": "full"}]}
    with pytest.raises(TableSpecError) as caught:
        parse_tables(shipped[0], {"mine": bad})
    assert [line.partition(": ")[0] for line in str(caught.value).splitlines()] == [
        "mine column 1", "mine column 1", "mine column 2",
    ]


def test_names_the_panel_has_not_are_found_before_there_are_rows(tmp_path, study, shipped):
    content = {
        "number": 9, "where": "lnfdy > 3", "cluster": "provinz", "labels": {"lnmoon": "Moon"},
        "column": [{"dependent": "lnvalu", "exogenous": ["lnrd", "lnmoon*lnAgg"]}],
    }
    table = parse_tables(shipped[0], {"mine": content})[0]
    faults = table_faults(table, study[0].natural.columns)
    for part in ("'lnvalu' is not a column of the panel; did you mean lnvalue", "'lnfdy'", "cluster: 'provinz'", "'lnmoon'"):
        assert any(part in fault for fault in faults), part
    for table in parse_tables(*shipped):
        assert table_faults(table, study[0].natural.columns) == []


def test_several_files_that_are_not_toml_are_all_named(tmp_path):
    (tmp_path / "a.toml").write_text("number = = 3", encoding="utf-8")
    (tmp_path / "b.toml").write_bytes("title = '城市'".encode("gb18030"))
    with pytest.raises(TableFileError, match=r"(?s)a\.toml: not valid TOML.*b\.toml: expected UTF-8"):
        read_table_files(tmp_path)


@pytest.mark.parametrize("kind", ["csv", "dta", "xlsx"])
def test_own_columns_come_as_text_stata_and_workbook_by_code_or_by_name(tmp_path, study, kind):
    panel, _ = study
    names = {city: f"城{number}市" for number, city in enumerate(panel.natural["city_id"].unique())}
    natural = panel.natural.assign(city_name=panel.natural["city_id"].map(names))
    panel = type(panel).from_natural(natural)
    own = _own(panel)
    by_name = own.assign(city=own["city_id"].map(names).str.removesuffix("市")).drop(columns="city_id")
    for given in (own.assign(city_id=own["city_id"].astype(int)), by_name):
        path = tmp_path / f"mine.{kind}"
        if kind == "csv":
            given.to_csv(path, index=False, encoding="gb18030")
        elif kind == "dta":
            given.to_stata(path, write_index=False, version=118)
        else:
            given.to_excel(path, index=False)
        joined, notes = with_extra(panel, read_extra(path))
        assert notes == ()
        np.testing.assert_allclose(joined.natural["mine"], own["mine"], rtol=1e-12)


def test_what_does_not_match_is_named_and_a_row_there_twice_stops(tmp_path, study):
    panel, _ = study
    own = _own(panel, drop=3)
    own.iloc[5, 2] = np.nan
    odd = pd.concat([own, pd.DataFrame({"city_id": ["999900"], "year": [2005], "mine": [1.0]})])
    odd.to_csv(tmp_path / "mine.csv", index=False)
    _, notes = with_extra(panel, read_extra(tmp_path / "mine.csv"), source="mine.csv")
    assert [note.partition(": ")[2].partition(" row")[0] for note in notes] == ["1", "3", "1"]
    assert "999900 2005" in notes[0] and "with no value of mine" in notes[2]
    pd.concat([odd, own.head(1)]).assign(lnfdi=1).to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(SpecificationError, match=r"(?s)the panel has lnfdi already.*2 rows there twice"):
        read_extra(tmp_path / "mine.csv", taken=panel.natural.columns)
    pd.DataFrame({"town": ["a"], "x": [1]}).to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(SpecificationError, match="expected a column of city codes"):
        read_extra(tmp_path / "mine.csv")
    own.assign(year=1900).drop_duplicates("city_id").to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(SpecificationError, match="no row matches a city-year"):
        with_extra(panel, read_extra(tmp_path / "mine.csv"))


def test_columns_without_years_hold_for_all_and_text_may_cluster_but_not_regress(tmp_path, study, classes, shipped):
    panel, _ = study
    cities = panel.natural["city_id"].unique()
    own = pd.DataFrame({"city_id": cities, "group": [f"g{i % 40}" for i in range(len(cities))]})
    own.to_csv(tmp_path / "own.csv", index=False)
    joined, notes = table_panel(panel, str(tmp_path / "own.csv"))
    assert notes == () and joined.natural["group"].notna().all()
    content = {"number": 9, "cluster": "group", "where": "group != 'g1'", "column": [
        {"dependent": "lnvalue"}, {"dependent": "lnvalue", "exogenous": ["group"]},
    ]}
    tables = parse_tables(shipped[0], {"mine": content})
    good, bad = estimate_tables(tables, joined, classes)["mine"]
    assert not good.failure and good.results.spec.cluster == "group"
    assert "expected numbers, found text" in bad.failure
