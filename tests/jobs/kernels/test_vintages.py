"""Every shipped layout with a file of its vintage, written under every spelling it knows; what a vintage cannot serve."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from deliveries import RECORDS, values

from conf.layouts import load_layouts, parse_layout
from jobs.core.errors import InputRefusedError
from jobs.kernels.proposals import propose_layout
from jobs.kernels.sources import local_file, look_at
from jobs.kernels.suitability import UnsuitableError
from schemas.fields import RAW_COLUMNS

ROOT = Path(__file__).resolve().parents[3]
LAYOUTS = {layout.name: layout for layout in load_layouts()}
# names that files of a vintage have, where the name matters
NAMES = {
    "export_codes": "export1_2012", "export_trade_modes": "data_2003_0", "firm_exports_hg": "hg2004",
    "all_years": "custom_0015_exp", "imports_monthly": "Raw_import_200001",
}
WITHOUT_PLACE = {"code_name", "thin", "firm_exports_hg", "all_years", "imports_monthly"}


def a_file(layout, spelling: int = 0) -> str:
    """A file of a layout's columns, each under one of its headings."""
    columns = {name: aliases[spelling % len(aliases)] for name, aliases in layout.columns.items()}
    rows = [[record.get(name) or f"{name}1" for name in columns] for record in RECORDS]
    if layout.script == "traditional":
        rows = [[cell.replace("国", "國").replace("进", "進") for cell in row] for row in rows]
    return "".join(",".join(row) + "\n" for row in [columns.values(), *rows])


@pytest.mark.parametrize("name", sorted(set(LAYOUTS) - WITHOUT_PLACE))
@pytest.mark.parametrize("spelling", [0, 1, 2])
def test_a_file_of_the_vintage_gives_the_records(deliver, name, spelling):
    layout = LAYOUTS[name]
    look, rows = deliver(f"{NAMES.get(name, 'x200506')}.csv", a_file(layout, spelling).encode())
    assert look.parts[0].layout == name
    carried = [column for column in RECORDS[0] if column in layout.columns]
    assert values(rows, *carried) == values(RECORDS, *carried)
    if "flow" not in layout.columns:
        assert {row["flow"] for row in rows} == {"出口"}


@pytest.mark.parametrize("name", sorted(WITHOUT_PLACE))
def test_a_vintage_without_the_place_is_named_with_what_it_lacks(deliver, name):
    with pytest.raises(UnsuitableError, match=f"recognised as {name} .* lacks the production place.* is set aside"):
        deliver(f"{NAMES.get(name, 'x200506')}.csv", a_file(LAYOUTS[name]).encode())


def test_the_renamed_columns_of_2012_and_the_vintage_without_quantity_are_one_layout():
    layout = LAYOUTS["code_name"]
    plain = "year,进出口分类代码_ImpExpTypeCd,HS商品编码_HSCd,金额_美元_Sum_USD".split(",")
    for partner in ("起运国或目的国代码_BegEndCntryCd", "产消国代码_PrdMktCntryCd"):
        assert layout.fits([*plain, partner]) and layout.lacks([*plain, partner]) == ["the production place"]


def test_a_file_of_one_direction_needs_a_name_that_says_it(deliver):
    with pytest.raises(UnsuitableError, match=r"lacks the direction of trade. Say it in the file's name .*\[constants\]"):
        deliver("x2012.csv", a_file(LAYOUTS["export_codes"]).encode())
    assert {row["flow"] for row in deliver("import1_2012.csv", a_file(LAYOUTS["export_codes"]).encode())[1]} == {"进口"}


def test_ownership_codes_of_a_vintage_become_words(deliver):
    text = a_file(LAYOUTS["export_trade_modes"]).replace("私营企业", "4")
    assert {row["firm_type"] for row in deliver("data_2003_0.csv", text.encode())[1]} == {"私营企业"}


def test_two_spellings_side_by_side_are_one_column(deliver):
    headings = "shipment_date,exp_or_imp,hs_id,value,party_id,city,country,CompanyType,companyType"
    row = "200507,出口,85171100,1,3204910001,江苏省常州,美国,,私营企业"
    assert deliver("200507.csv", f"{headings}\n{row}\n".encode())[1][0]["firm_type"] == "私营企业"


def test_columns_no_layout_names_stay_beside_the_record(deliver):
    text = a_file(LAYOUTS["monthly_english"]).replace("\n", ",网址\n", 1).replace("\n", ",a\n").replace(",网址,a", ",网址", 1)
    assert deliver("200507.csv", text.encode())[1][0]["extra"] == [("网址", "a")]


@pytest.mark.parametrize("kind", ["csv", "dta", "xlsx"])
def test_a_proposed_layout_reads_the_file_it_was_proposed_for(tmp_path, kind):
    names = {"flow": "进出口", "hs_code": "hs", "value": "金额", "firm_id": "e1", "production_place": "e2", "partner": "e3"}
    frame = pd.DataFrame([[record[column] for column in names] for record in RECORDS * 3], columns=list(names.values()))
    path = tmp_path / f"unknown200506.{kind}"
    if kind == "dta":
        frame.to_stata(path, write_index=False, version=118)
    else:
        {"csv": frame.to_csv, "xlsx": frame.to_excel}[kind](path, index=False)
    with pytest.raises(InputRefusedError, match="match none of the"):
        look_at(local_file(path, tmp_path), load_layouts())
    layout = parse_layout(propose_layout(local_file(path, tmp_path), load_layouts()), "proposed.toml")
    assert {column: headings[0] for column, headings in layout.columns.items()} == names
    assert look_at(local_file(path, tmp_path), (layout,)).n_rows == len(frame)


def test_a_file_without_headings_is_proposed_with_its_columns_numbered(tmp_path):
    path = tmp_path / "x200506.txt"
    columns = ("period", "hs_code", "firm_id", "production_place")
    path.write_text("".join("|".join(record[name] for name in columns) + "\n" for record in RECORDS))
    layout = parse_layout(propose_layout(local_file(path, tmp_path), load_layouts()), "proposed.toml")
    assert layout.form.headings == ("column 1", "column 2", "column 3", "column 4")
    assert set(columns) == set(layout.columns)


def test_the_page_on_layouts_lists_every_column_and_every_layout():
    page = (ROOT / "docs" / "operations" / "layouts.md").read_text("utf-8")
    missing = [name for name in (*RAW_COLUMNS, *LAYOUTS) if f"| `{name}` |" not in page]
    assert missing == []
