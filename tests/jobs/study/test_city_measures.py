"""Indicators by name in result tables: every one has a column, and a table of ten lines may be on entry or diversification."""

from __future__ import annotations

import math

import pandas as pd
import pyarrow as pa
import pytest

from conf.tables import read_table_files
from jobs.core.direct import arrow_schema
from jobs.core.errors import InputRefusedError
from jobs.study.city_measures import city_measures
from jobs.study.handoff import (
    HandOff,
    measured_panel,
    measures_hash,
    named_measures,
    panel_columns,
    result_tables,
    study_panel,
)
from schemas.indicators import (
    CITY_DIVERSITY,
    CITY_DYNAMICS,
    CITY_MARGINS,
    FIRM_MEASURES,
    TRADE_MIX,
    VARIETY_MEASURES,
    measure_names,
)

KEYS = pd.DataFrame({"city_id": ["A", "A", "B"], "year": [2003, 2004, 2003]})


class _Lake:
    root = "lake"

    def __init__(self, *tables):
        self.tables = {table.name: rows for table, rows in tables}

    def arrow(self, table, *, version=None, columns=None):
        rows = [{name: row.get(name) for name in table.columns} for row in self.tables[table.name]]
        return pa.Table.from_pylist(rows, schema=arrow_schema(table))

    @property
    def versions(self):
        return dict.fromkeys(self.tables, 0)


@pytest.fixture
def lake():
    dynamics = [
        {"year": year, "city_id": "A", "population": population, "borders": borders, "n_firms": 10, "entry_rate": rate,
         "product_entry_incumbent_mean": 0.5}
        for year, population, borders, rate in [
            (2003, "all", "year", None), (2004, "all", "year", 0.3), (2004, "producers", "year", 0.2),
            (2004, "all", "constant", 0.25), (2004, "producers", "constant", 0.1),
        ]
    ]
    diversity = [
        {"year": 2004, "city_id": "A", "over": over, "n_firms": 10, "n_members": 4, "theil": theil}
        for over, theil in (("product", 2.0), ("destination", 1.0))
    ]
    mix = [
        {"year": 2004, "city_id": "A", "dimension": dimension, "member": member, "n_firms": 4, "share_value": share}
        for dimension, member, share in [
            ("regime", "ordinary", 0.75), ("regime", "unknown", 0.25), ("ownership", "unknown", 1.0),
            ("hs_section", "XVI", 1.0), ("partner_region", "asia", 1.0),
        ]
    ]
    margins = [
        {"year": 2004, "city_id": "A", "destination": destination, "n_firms": 10, "n_products": 4, "n_firm_products": 20,
         "density": 0.5, "value_per_cell_usd": 7.0, "hk_extensive": 0.4, "hk_intensive": 0.1, "value_before_usd": 100,
         "change_entrants_usd": 20}
        for destination in ("ALL", "USA")
    ]
    return _Lake((CITY_DYNAMICS, dynamics), (CITY_DIVERSITY, diversity), (TRADE_MIX, mix), (CITY_MARGINS, margins))


def test_measures_stand_beside_their_city_year_under_the_name_of_population_and_borders(lake):
    found = city_measures(lake, KEYS, lake.versions)
    assert tuple(found.columns) == measure_names() and len(found) == 3
    row = found.iloc[1]
    assert (row["entry_rate"], row["entry_rate_producers"], row["entry_rate_constant"]) == (0.3, 0.2, 0.25)
    assert (row["theil_product"], row["theil_destination"]) == (2.0, 1.0)
    # ln X = ln F + ln P + ln D + ln x
    logs = row[["ln_margin_firms", "ln_margin_products", "ln_margin_density", "ln_margin_value"]].sum()
    assert logs == pytest.approx(math.log(10 * 4 * 0.5 * 7))
    assert row["growth_from_entrants"] == pytest.approx(0.2) and row["hk_extensive"] == 0.4
    # null stays null, and a city without rows has none
    assert math.isnan(found["entry_rate"][0]) and found.iloc[2].isna().all()


def test_a_member_without_trade_has_the_share_0_and_a_dimension_nobody_can_read_is_missing(lake):
    row = city_measures(lake, KEYS, lake.versions).iloc[1]
    assert (row["share_ordinary"], row["share_processing"], row["share_hs_section_XVI"], row["share_hs_section_I"]) == (
        0.75, 0.0, 1.0, 0.0,
    )
    assert math.isnan(row["share_foreign"])


def test_a_lake_without_these_tables_has_empty_columns(lake):
    assert city_measures(_Lake(), KEYS, {}).isna().all().all()
    assert city_measures(lake, KEYS, {CITY_DYNAMICS.name: None}).isna().all().all()


def test_every_measure_of_the_tables_has_a_name_of_its_own_among_the_panels_columns():
    names = measure_names()
    # as the page on indicators says
    assert len(names) == 356
    assert len(set(names)) == len(names) and {*FIRM_MEASURES, *VARIETY_MEASURES} <= set(names)
    assert len(set(panel_columns())) == len(panel_columns()) and set(names) <= set(panel_columns())


@pytest.mark.parametrize("name", ["entry", "diversification"])
def test_the_examples_are_tables_of_ten_lines_that_name_measures_and_are_no_part_of_a_study(name):
    from importlib import resources

    text = (resources.files("conf") / "tables" / "examples" / f"table_{name}.toml").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(lines) <= 10
    (table,) = result_tables(f"table_{name}", "defensible", "examples")
    assert named_measures(table)
    assert f"table_{name}" not in read_table_files()[1]


def test_a_table_gets_the_measures_it_names_and_its_numbers_depend_on_them(lake):
    (table,) = result_tables("table_diversification", "defensible", "examples")
    frame = KEYS.assign(lnvalue=[1.0, 2.0, 3.0], is_complete=True)
    handed = HandOff(study_panel(frame, []), 1, 1, {}, "hash", lake.versions)
    panel = measured_panel(lake, handed, table)
    assert {"theil_product", "share_processing"} <= set(panel.natural.columns) and "entry_rate" not in panel.natural
    before = measures_hash(lake, handed, table)
    lake.tables[CITY_DIVERSITY.name][0]["theil"] = 3.0
    assert measures_hash(lake, handed, table) != before
    (plain,) = result_tables("table1", "defensible")
    assert measures_hash(lake, handed, plain) == "" and measured_panel(lake, handed, plain) is handed.panel
    with pytest.raises(InputRefusedError, match="theil_product.*customs-lake indicators"):
        measured_panel(lake, HandOff(handed.panel, 1, 1, {}, "hash"), table)
