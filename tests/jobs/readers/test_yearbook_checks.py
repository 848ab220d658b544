"""Corrections, contradictions and typing errors; and the round trip through printed sheets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conf.yearbook import load_yearbook_config
from jobs.core.errors import InputRefusedError
from jobs.readers.yearbook_checks import check_values, jump_over_neighbours
from jobs.readers.yearbook_sheets import SheetRows, read_folder
from jobs.reference.city_names import CityNames
from jobs.world.yearbook_sheets import YearbookFrameError, write_yearbook

CONFIG = load_yearbook_config()
NAMES = {
    "110000": "北京市", "130200": "唐山市", "150100": "呼和浩特市", "220200": "吉林市", "320500": "苏州市", "540100": "拉萨市",
}  # fmt: skip
PROVINCES = {"11": "北京市", "13": "河北省", "15": "内蒙古自治区", "22": "吉林省", "32": "江苏省", "54": "西藏自治区"}
CITIES = CityNames(
    [
        {
            "city_id": code, "name_zh": name, "kind": "municipality" if code == "110000" else "prefecture_city",
            "province_name": PROVINCES[code[:2]], "valid_from": "2000", "valid_to": "",
        }
        for code, name in NAMES.items()
    ]
)  # fmt: skip


def tidy(years=range(2003, 2012)) -> pd.DataFrame:
    """All indicators for six cities, growing 5% a year, at most 15 significant digits."""
    rng = np.random.default_rng(20030)
    rows = []
    for indicator in CONFIG.indicators.values():
        for area in indicator.areas:
            for code, name in NAMES.items():
                start = {"%": 9.0, "上年=100": 109.0}.get(indicator.unit, 50.0 * rng.uniform(0.5, 2))
                growth = 1.0 if indicator.unit in ("%", "上年=100") else 1.05
                for step, year in enumerate(years):
                    value = round(start * growth**step * rng.uniform(0.99, 1.01), 4)
                    rows.append((code, name, year, indicator.name, area, value))
    return pd.DataFrame(rows, columns=["city_id", "city_name", "year", "indicator", "area", "value"])


def rows_of(*cells: tuple) -> SheetRows:
    """Sheet rows from (city, year, indicator, value, cell)."""
    rows = SheetRows()
    for city, year, indicator, value, cell in cells:
        unit = CONFIG.indicators[indicator].unit
        rows.values.append((city, year, indicator, "districts", value, unit, str(value), unit, NAMES[city], year + 1, cell))
    return rows


def series(values, indicator="population", city="540100"):
    return rows_of(*[(city, 2003 + i, indicator, value, f"x!A{i}") for i, value in enumerate(values)])


def test_printed_sheets_come_back_to_the_last_digit(tmp_path):
    frame = tidy()
    written = write_yearbook(frame, tmp_path)
    checked = check_values(read_folder(tmp_path, CONFIG, CITIES), CONFIG, CITIES)
    assert len(checked.refused) == 0
    keys = ["city_id", "year", "indicator", "area"]
    both = frame.merge(checked.values, on=keys, how="outer", validate="one_to_one")
    assert len(both) == len(frame) == written.n_values
    assert (both["value"] == both["indicator_value"]).all()
    assert checked.values["unit_printed"].nunique() > 5  # units did change between editions


def test_repeated_row_undeclared_unit_and_foreign_city_are_found_again(tmp_path):
    frame = tidy(range(2004, 2007))
    doubled = frame[(frame.city_id == "320500") & (frame.year == 2005) & (frame.indicator == "gdp")].assign(value=1.0)
    foreign = frame[(frame.city_id == "320500") & (frame.indicator == "fdi")].assign(city_id="320583", city_name="昆山市")
    write_yearbook(
        pd.concat([frame, doubled, foreign]), tmp_path, unit_overrides={(2006, "land_area"): "亩"}
    )
    checked = check_values(read_folder(tmp_path, CONFIG, CITIES), CONFIG, CITIES)
    assert checked.counts["two_values"] == 2 * len(doubled)
    assert checked.counts["not_a_city"] == len(foreign)
    assert checked.counts["unit_not_declared"] == 2 * len(NAMES)


def test_hundredfold_slip_is_refused_and_its_neighbours_stay():
    checked = check_values(series([66, 67, 0.68, 69, 70]), CONFIG, CITIES)
    assert checked.values["year"].tolist() == [2003, 2004, 2006, 2007]
    assert checked.refused[["year", "primary_reason", "detail"]].values.tolist() == [
        [2005, "typing_error", "0.0101 times the neighbouring years"]
    ]


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ([6600, 67, 68, 69], [2003]),
        ([66, 67, 68, 6900], [2006]),
        ([66, 6700, 68, 6900, 70, 71, 72], [2004, 2006]),
        ([66, 67], []),  # nothing to compare with
        ([66, 6700], []),  # one of two is wrong: nobody can say which
        ([66, 6700, 6800, 69, 70, 71], []),  # two slips side by side pass (the stated limit); the sound 66 stays
        ([66, 67, 6800, 6900], []),  # a level that stays is not a slip
        ([0, 67, 0, 69], []),  # zeros are not judged
    ],
)
def test_typing_errors_at_the_ends_and_inside(values, refused):
    checked = check_values(series(values), CONFIG, CITIES)
    assert sorted(checked.refused["year"]) == refused


def test_neighbour_out_of_reach_is_not_used():
    cells = [("540100", year, "population", value, f"x!{year}") for year, value in [(2003, 66), (2007, 6900), (2011, 70)]]
    assert len(check_values(rows_of(*cells), CONFIG, CITIES).refused) == 0


def test_jump_is_that_of_a_plain_loop():
    rng = np.random.default_rng(5)
    logs = np.where(rng.random((200, 9)) < 0.25, np.nan, rng.normal(0, 3, (200, 9)))
    expected = np.zeros_like(logs)
    for i, line in enumerate(logs):
        for t, value in enumerate(line):
            before = [line[s] for s in range(t - 1, max(t - 3, -1), -1) if not np.isnan(line[s])]
            after = [line[s] for s in range(t + 1, min(t + 3, 9)) if not np.isnan(line[s])]
            pair = [before[0], after[0]] if before and after else (before or after)[:2]
            if np.isnan(value) or len(pair) < 2 or (value > pair[0]) != (value > pair[1]):
                continue
            expected[i, t] = min(value - pair[0], value - pair[1], key=abs)
    np.testing.assert_array_equal(jump_over_neighbours(logs, reach=2), expected)


def test_growth_out_of_range_is_refused():
    checked = check_values(series([9, 130, 11], indicator="gdp_growth"), CONFIG, CITIES)
    assert checked.refused["detail"].tolist() == ["expected -60 to 100; found 130"]


def test_two_values_for_one_cell_are_both_refused_and_equal_ones_kept_once():
    cells = [
        ("110000", 2004, "population", 8.53, "a!C1"), ("110000", 2004, "population", 8.5312, "b!C1"),
        ("130200", 2004, "population", 8.5, "a!C2"), ("130200", 2004, "population", 9.5, "b!C2"),
    ]  # fmt: skip
    checked = check_values(rows_of(*cells), CONFIG, CITIES)
    assert checked.values[["city_id", "indicator_value"]].values.tolist() == [["110000", 8.53]]
    assert checked.refused["primary_reason"].tolist() == ["two_values"] * 2
    assert checked.refused["detail"].iloc[0] == "printed differently in a!C2, b!C2"
    assert checked.counts["repeated"] == 1


def write_corrections(folder, *lines):
    path = folder / "corrections.csv"
    path.write_text("city_id,year,indicator,area,value,unit,source\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_correction_replaces_the_printed_value_and_names_its_source(tmp_path):
    path = write_corrections(
        tmp_path,
        "540100,2005,population,districts,680000,人,Lhasa yearbook 2006 table 3-1",
        "540100,2009,population,districts,71,万人,Lhasa yearbook 2010 table 3-1",
        "540100,2007,population,districts,,万人,withdrawn by the bureau in edition 2009",
        "540100,2003,population,districts,1,万人,",
        "320583,2003,population,districts,1,万人,somewhere",
        "540100,2004,population,districts,1,斤,somewhere",
        "540100,2004,nonsense,districts,1,万人,somewhere",
    )
    checked = check_values(series([66, 67, 0.68, 69, 70]), CONFIG, CITIES, corrections=path)
    assert dict(zip(checked.values["year"], checked.values["indicator_value"], strict=True)) == {
        2003: 66, 2004: 67, 2005: 68, 2006: 69, 2009: 71
    }  # fmt: skip
    row = checked.values.set_index("year").loc[2005]
    assert (row["value_printed"], row["is_corrected"], row["source_cell"]) == ("0.68", True, "x!A2")
    assert row["correction_source"] == "Lhasa yearbook 2006 table 3-1"
    counts = checked.counts
    assert (counts["corrected"], counts["added"], counts["withdrawn"], counts["corrections_refused"]) == (1, 1, 1, 4)
    assert sorted(checked.refused["primary_reason"]) == sorted(
        ["withdrawn", "correction_without_source", "not_a_city", "unit_not_declared", "correction_unknown"]
    )


def test_correction_settles_two_values(tmp_path):
    path = write_corrections(tmp_path, "130200,2004,population,districts,9.5,万人,table 2-1 of edition 2006")
    cells = [("130200", 2004, "population", 8.5, "a!C2"), ("130200", 2004, "population", 9.5, "b!C2")]
    checked = check_values(rows_of(*cells), CONFIG, CITIES, corrections=path)
    assert checked.values["indicator_value"].tolist() == [9.5]
    assert len(checked.refused) == 0


def test_correction_file_with_two_lines_for_a_cell_is_refused(tmp_path):
    line = "130200,2004,population,districts,9.5,万人,s"
    with pytest.raises(InputRefusedError, match="a second time"):
        check_values(rows_of(), CONFIG, CITIES, corrections=write_corrections(tmp_path, line, line))


def test_unit_that_changed_without_its_heading_is_reported():
    frame = [
        (city, year, "gdp", 100.0 * (10_000 if year >= 2008 else 1), f"{city}{year}")
        for city in NAMES for year in range(2005, 2012)
    ]  # fmt: skip
    checked = check_values(rows_of(*frame), CONFIG, CITIES)
    assert checked.level_breaks == ("gdp (districts) 2008: median city x 1e+04",)
    assert len(checked.refused) == 0


def test_nothing_read_gives_empty_tables():
    checked = check_values(SheetRows(), CONFIG, CITIES)
    assert len(checked.values) == len(checked.refused) == 0
    assert checked.level_breaks == ()


def test_writer_refuses_an_unknown_indicator(tmp_path):
    with pytest.raises(YearbookFrameError, match="Unknown indicators \\['nonsense'\\]"):
        write_yearbook(tidy(range(2004, 2005)).assign(indicator="nonsense"), tmp_path)
