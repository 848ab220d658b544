"""What is printed: the paper's digits, our stars, the truth, and the same cells in every format."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pandas as pd
import pytest

from estimation.tables import (
    compare,
    correlation_sheet,
    count_agreement,
    estimate_tables,
    parse_tables,
    print_table,
    summary_sheet,
    to_html,
    to_latex,
    to_markdown,
    to_records,
    to_text,
    write_excel,
    write_word,
)
from estimation.tables.layout import LAYOUTS, lay_out, three_digits


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
    for text in (to_text(table), to_markdown(table).replace("\\*", "*"), to_latex(table).replace("$-$", "-"), html):
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


@pytest.mark.parametrize("sides", list(LAYOUTS.values()))
def test_word_has_the_cells_three_rules_and_the_notes(printed, tmp_path, sides):
    from docx import Document
    from docx.oxml.ns import qn

    tables = [printed["table1"], printed["table4"]]
    write_word(tables, tmp_path / "tables.docx", sides)
    document = Document(str(tmp_path / "tables.docx"))
    texts = [paragraph.text for paragraph in document.paragraphs]
    for table, found in zip(tables, document.tables, strict=True):
        layout = lay_out(table, sides=sides)
        n_heads = 2 if len(layout.heads[0][1]) > 1 else 1
        for (label, cells), row in zip(layout.rows, list(found.rows)[n_heads:], strict=True):
            assert [cell.text for cell in row.cells] == [label, *cells]
        assert [found.rows[0].cells[1].text, found.rows[0].cells[-1].text] == [layout.heads[0][0], layout.heads[-1][0]]
        assert table.title in texts and set(table.notes) <= set(texts)
        widths = [int(line.get(qn("w:sz"))) for line in found.rows[0].cells[0]._tc.iter(qn("w:top"))]
        assert widths == [12]


def test_a_caption_of_latex_is_the_title_alone_with_a_label_of_its_profile(printed, study, classes, shipped):
    text = to_latex(printed["table1"])
    assert r"\caption{Baseline}" in text and r"\label{tab:table1}" in text and text.count(r"\caption") == 1
    spec = parse_tables(*shipped, profile="paper")[0]
    other = print_table(spec, estimate_tables([spec], study[0], classes)[spec.name])
    assert r"\label{tab:table1-paper}" in to_latex(other)
    assert r"\caption{基准回归}" in to_latex(other, language="zh")
    assert r"\\{}*** p\textless{}0.01" in text, "a star behind a line's end is lost"
    assert r"\shortstack{(1) \\ lnvalue}" in text
    assert r"lnAgg $\times$ lnPro & 0" in text and "& $-$0." in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs a TeX, which the image of the tests may lack")
def test_tables_compile_as_they_are(printed, tmp_path):
    sheets = [*printed.values(), *_descriptive(printed)]
    names = []
    for number, table in enumerate(sheets):
        for layout, sides in LAYOUTS.items():
            names.append(f"t{number}{layout}")
            text = to_latex(table, sides).replace("\\label{", f"\\label{{{layout}")
            (tmp_path / f"{names[-1]}.tex").write_text(text, "utf-8")
    body = "\n".join(rf"\input{{{name}}}\clearpage" for name in names)
    (tmp_path / "all.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}" + body + r"\end{document}", "utf-8"
    )
    ran = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"], cwd=tmp_path, capture_output=True, check=False
    )
    log = (tmp_path / "all.log").read_text("latin-1")
    assert ran.returncode == 0, log[-2000:]
    assert "multiply defined" not in log and not re.search(r"Overfull \\hbox \((\d{2,})", log)


def _descriptive(printed):
    panel = pd.DataFrame({"a": [1.0, 2.5, -3.0, 40_000.0], "b": [0.1, 0.2, 0.35, 0.3]})
    summary = pd.DataFrame([
        {"variable": name, "n": len(values), "mean": values.mean(), "sd": values.std(), "min": values.min(),
         "max": values.max()} for name, values in panel.items()
    ])
    return [summary_sheet(summary, notes=("Four rows & 100%.",)), correlation_sheet(panel.corr(), str.upper)]


def test_summary_and_correlations_are_tables_in_every_format(printed, tmp_path):
    from docx import Document
    from openpyxl import load_workbook

    sheets = _descriptive(printed)
    write_excel(sheets, tmp_path / "d.xlsx")
    write_word(sheets, tmp_path / "d.docx")
    assert load_workbook(tmp_path / "d.xlsx").sheetnames == ["summary", "correlations"]
    assert Document(str(tmp_path / "d.docx")).tables[1].rows[2].cells[1].text == "0.38"
    for write in (to_text, to_markdown, to_latex, to_html):
        text = write(sheets[0]).replace("$-$", "-")
        assert "Summary statistics" in text and "40,000" in text and "-3.00" in text
        assert "(2) B" in write(sheets[1]) and "1.00" in write(sheets[1])
    assert to_latex(sheets[1]).count(r"\midrule") == 1 and r"Four rows \& 100\%." in to_latex(sheets[0])
