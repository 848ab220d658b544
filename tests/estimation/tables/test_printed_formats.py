"""What is printed: the paper's digits, our stars, the truth, and the same cells in every format."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree

import pytest

from estimation.tables import (
    compare,
    count_agreement,
    estimate_tables,
    parse_tables,
    print_table,
    to_html,
    to_latex,
    to_markdown,
    to_records,
    to_text,
    write_excel,
)
from estimation.tables.layout import lay_out, three_digits


@pytest.mark.parametrize(("value", "text"), [
    (0.0598, "0.0598"), (0.2, "0.200"), (-0.1811, "-0.181"), (1.2345, "1.23"), (0.00089, "0.000890"), (12.34, "12.3"),
    (0.09996, "0.100"), (0.0, "0.000"), (123.4, "123"), (math.nan, ""), (0.99999, "1.00"),
])
def test_numbers_have_three_significant_digits_as_the_paper_prints(value, text):
    assert three_digits(value) == text


def test_the_papers_cells_are_printed_with_its_own_digits_and_stars(printed, paper):
    layout = lay_out(printed["table1"])
    row = dict(layout.rows)["lnAgg*lnPro"]
    assert layout.heads[0] == ("(1) lnvalue", ("ours", "paper", "truth"))
    assert row[1] == "0.212***" and row[4] == "0.385**" and row[7] == "0.315*"
    assert sum(len(column.cells) for column in paper.values()) == 390


def test_stars_follow_the_normal_distribution(printed):
    for table in printed.values():
        for column in table.columns:
            for number in column.ours.values():
                size = abs(number.coefficient / number.std_error)
                expected = "***" if size > 2.5758 else "**" if size > 1.95996 else "*" if size > 1.64485 else ""
                assert number.stars == expected


def test_truth_stands_beside_baseline_columns_only_where_it_is_known(printed):
    assert printed["table1"].has_truth and not printed["table2"].has_truth
    column = printed["table1"].columns[0]
    # with year dummies the constant is another number than the world's
    assert "Constant" not in column.truth and "lnAgg*lnRes" in column.truth


@pytest.mark.parametrize("name", ["table1", "table4", "table7"])
def test_every_format_has_every_printed_cell(printed, name, tmp_path):
    from openpyxl import load_workbook

    table = printed[name]
    cells = [cell for _, row in lay_out(table).rows for cell in row if cell]
    write_excel([table], tmp_path / "tables.xlsx")
    sheet = load_workbook(tmp_path / "tables.xlsx")[name]
    excel = [str(cell.value) for row in sheet.iter_rows() for cell in row if cell.value is not None]
    html = re.sub(r'<span class="stars">(\**)</span>', r"\1", to_html(table))
    for text in (to_text(table), to_markdown(table).replace("\\*", "*"), to_latex(table), html):
        for cell in set(cells):
            assert text.count(cell) >= 1, cell
    assert not set(cells) - set(excel)


def test_latex_is_booktabs_with_one_group_head_per_column(printed):
    text = to_latex(printed["table6"])
    assert text.count(r"\toprule") == 1 and text.count(r"\bottomrule") == 1 and text.count(r"\midrule") == 2
    assert text.count(r"\multicolumn{3}{c}") == 3
    assert not re.search(r"(?<!\\)_(?!{)", text.replace("tab:table6", ""))
    assert all(line.count("&") == 9 for line in text.splitlines() if line.startswith("lnAgg"))


def test_html_is_well_formed_and_carries_both_titles(printed):
    html = to_html(printed["table1"])
    body = re.sub(r"<style.*?</style>", "", html, flags=re.S).replace("&nbsp;", " ")
    root = ElementTree.fromstring(body)
    assert "基准回归" in "".join(root.itertext()) and "Baseline" in "".join(root.itertext())
    rows = root.findall(".//tbody/tr")
    assert len(rows) == len(lay_out(printed["table1"]).rows)


def test_a_failed_column_leaves_the_others_and_says_why(study, classes, shipped):
    panel, truth = study
    # eight small cities and all others: the third column of Table 4 has too few
    first = panel.natural.sort_values("year").groupby("city_id")["population_nonagricultural"].first()
    small = first.index[first < 20]
    few = panel.with_rows(~panel.natural["city_id"].isin(small[8:]).to_numpy())
    spec = parse_tables(*shipped)[3]
    table = print_table(spec, estimate_tables([spec], few, classes)[spec.name], truth=truth)
    fine, failed = table.columns[:2], table.columns[2]
    for text in (to_text(table), to_markdown(table), to_latex(table), to_html(table)):
        assert "n/a" in text and "8 cities in it, expected at least 10" in text
    assert f"{failed.heading}: not estimated." in to_text(table)
    assert all(column.ours and not column.fit.failure for column in fine)


def test_comparison_states_difference_and_coverage(printed):
    frame = compare(list(printed.values()))
    row = frame[(frame["table"] == 1) & (frame["column"] == 2) & (frame["variable"] == "lnfdi")].iloc[0]
    assert row["paper"] == 0.0378 and row["difference"] == pytest.approx(row["ours"] - 0.0378)
    assert row["difference_z"] == pytest.approx(row["difference"] / math.hypot(row["std_error"], 0.0187))
    assert row["paper_in_interval"] == (row["ci_low"] <= 0.0378 <= row["ci_high"])
    summary = count_agreement(frame).set_index("table")
    assert summary.loc[1, "cells"] == 36
    shares = summary.loc["all", ["same_sign", "same_stars", "paper_in_interval", "truth_in_interval"]].astype(float)
    assert shares.between(0, 1).all()


def test_records_are_unique_and_hold_numbers_of_all_three_kinds(printed):
    records = to_records(list(printed.values()))
    keys = [(r["result_table"], r["result_column"], r["variable"], r["statistic"]) for r in records]
    assert len(keys) == len(set(keys))
    found = {r["statistic"] for r in records}
    from schemas.results import ESTIMATE_STATISTICS

    assert found == set(ESTIMATE_STATISTICS)
