"""Cells of few firms: empty in what leaves the lake, in every table of cells, and nothing else is."""

from __future__ import annotations

import decimal
import json

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from conf.errors import SettingsError
from conf.privacy import Privacy
from jobs.commands.export import export_table, without_small_cells
from jobs.commands.query import ask, connect, small_cells_note
from jobs.core.direct import arrow_schema
from jobs.core.errors import InputRefusedError
from jobs.core.reading import LakeReader
from jobs.study.small_cells import LOOKED_UP, RULES, suppressed_sql
from schemas import gold
from schemas.catalog import TABLES
from schemas.indicators import CITY_DYNAMICS, CITY_FIRM, CITY_MARGINS, TRADE_MIX
from schemas.migrations import LAKE_FORMAT
from schemas.panel import CITY_PANEL

USD = decimal.Decimal("5.00")


class _Lake:
    """A lake of a few Arrow tables."""

    root = "lake"

    def __init__(self, **tables):
        self.tables = tables

    def exists(self, table):
        return table.name in self.tables

    def arrow(self, table, *, version=None, columns=None):
        found = self.tables[table.name]
        return found if columns is None else found.select([name for name in columns if name in found.column_names])


def _table(table, rows):
    schema = arrow_schema(table)
    return pa.Table.from_pylist([{name: row.get(name) for name in table.columns} for row in rows], schema=schema)


def _without(table, rows, lookups=None):
    found, n_small = without_small_cells(_Lake(**(lookups or {})), table, _table(table, rows), 3)
    assert found.schema == arrow_schema(table)
    return found.to_pylist(), n_small


def test_a_city_year_of_two_firms_keeps_its_keys_and_number_of_firms_only():
    rows = [
        {"year": 2003, "city_id": city, "city_name": "市", "n_firms": firms, "value_usd": USD, "n_products": 1, "n_pairs": 1,
         "n_destinations": 1}
        for city, firms in (("A", 2), ("B", 3))
    ]
    found, n_small = _without(gold.CITY_EXPORTS, rows)
    small, large = sorted(found, key=lambda row: row["city_id"])
    assert n_small == 1
    assert {name for name, value in small.items() if value is not None} == {"year", "city_id", "city_name", "n_firms"}
    assert large["value_usd"] == USD and large["n_products"] == 1


def test_columns_that_the_lake_never_leaves_empty_may_be_empty_in_an_export():
    row = {"year": 2003, "city_id": "A", "city_name": "市", "n_firms": 1, "value_usd": USD, "n_products": 1, "n_pairs": 1,
           "n_destinations": 1}
    content = _table(gold.CITY_EXPORTS, [row])
    strict = pa.schema([field.with_nullable(False) if row.get(field.name) is not None else field for field in content.schema])
    found, n_small = without_small_cells(_Lake(), gold.CITY_EXPORTS, content.cast(strict), 3)
    assert n_small == 1 and found["value_usd"].to_pylist() == [None]


def test_where_one_member_is_small_the_next_smallest_is_emptied_too_since_members_sum_to_the_city():
    def rows(*firms_and_values):
        return [
            {"year": 2003, "city_id": "A", "dimension": "regime", "member": member, "n_firms": firms, "value_usd": value,
             "share_value": 0.1}
            for member, firms, value in firms_and_values
        ]

    found, n_small = _without(TRADE_MIX, rows(("ordinary", 9, 90), ("processing", 5, 50), ("other", 1, 60)))
    assert n_small == 2 and {row["member"] for row in found if row["value_usd"] is None} == {"processing", "other"}
    # two small ones hide each other
    found, n_small = _without(TRADE_MIX, rows(("ordinary", 9, 90), ("processing", 2, 50), ("other", 1, 60)))
    assert n_small == 2 and {row["member"] for row in found if row["value_usd"] is None} == {"processing", "other"}
    found, n_small = _without(TRADE_MIX, rows(("ordinary", 9, 90), ("processing", 5, 50)))
    assert n_small == 0 and all(row["value_usd"] is not None for row in found)


def test_dynamics_keep_counts_and_rates_and_lose_the_values_of_a_state_of_few_firms():
    row = {column.name: 1.0 for column in CITY_DYNAMICS.fields if column.type == "double"}
    row |= {
        "year": 2004, "city_id": "A", "population": "all", "borders": "year", "n_firms": 10, "n_entrants": 2,
        "n_exiters": 4, "n_incumbents": 8, "n_surviving_entrants": 0,
    }
    (found,), n_small = _without(CITY_DYNAMICS, [row])
    assert n_small == 1
    assert found["value_entrant_median_usd"] is None and found["share_value_entrants"] is None
    # the mean of all and of the others would tell the two entrants' mean
    assert found["value_incumbent_mean_usd"] is None and found["value_incumbent_median_usd"] == 1.0
    assert found["value_exiter_mean_usd"] == found["entry_rate"] == found["value_exporter_mean_usd"] == 1.0
    (found,), _ = _without(CITY_DYNAMICS, [row | {"n_firms": 2, "n_entrants": 0, "n_incumbents": 2}])
    assert found["value_exporter_mean_usd"] is None and found["n_firms"] == 2 and found["entry_rate"] == 1.0


def test_growth_loses_its_terms_where_few_firms_enter_and_its_level_where_few_firms_were():
    row = {name: USD for name in CITY_MARGINS.columns if name.endswith("_usd") and name != "value_per_cell_usd"}
    row |= {"year": 2004, "city_id": "A", "destination": "USA", "n_products": 2, "n_firm_products": 5, "density": 0.5}
    (found,), _ = _without(CITY_MARGINS, [row | {"n_firms": 9, "n_entrants": 1, "n_exiters": 0}])
    assert found["change_entrants_usd"] is None and found["change_grown_usd"] is None
    assert found["value_change_usd"] == found["value_usd"] == USD
    # seven of nine are new: two firms sold all of the year before
    (found,), _ = _without(CITY_MARGINS, [row | {"n_firms": 9, "n_entrants": 7, "n_exiters": 0}])
    assert found["value_before_usd"] is None and found["value_change_usd"] is None and found["value_usd"] == USD
    (found,), n_small = _without(CITY_MARGINS, [row | {"n_firms": 9, "n_entrants": 4, "n_exiters": 5}])
    assert n_small == 0 and found["change_entrants_usd"] == USD


def test_cells_of_the_cube_and_the_panel_know_their_firms_from_other_tables():
    cell = {
        "year": 2003, "city_id": "A", "hs6_code": "010101", "hs_revision": "2002", "hs6_family": "f", "value_usd": USD,
        "n_records": 4, "is_destination": True,
    }
    firms = [("501", firm) for firm in "aabbc"] + [("502", firm) for firm in "aab"]
    declarations = pa.Table.from_pylist([
        {"year": 2003, "city_id": "A", "hs6_code": "010101", "partner_code": partner, "firm_id": firm}
        for partner, firm in firms
    ])
    found, n_small = _without(
        gold.CITY_PRODUCT_DESTINATION, [cell | {"partner_code": "501"}, cell | {"partner_code": "502"}],
        {"silver.declaration": declarations},
    )
    assert {row["partner_code"]: row["value_usd"] for row in found} == {"501": USD, "502": None} and n_small == 1
    exports = pa.Table.from_pylist([{"year": 2003, "city_id": "A", "n_firms": 2}])
    panel = {"lnvalue": 1.0, "z_lnvalue": 0.1, "lnAgg": 2.0, "missing_variables": [], "is_complete": True}
    found, n_small = _without(
        CITY_PANEL, [panel | {"year": 2003, "city_id": "A"}, panel | {"year": 2003, "city_id": "B"}],
        {"gold.city_exports": exports},
    )
    values = {row["city_id"]: (row["lnvalue"], row["z_lnvalue"], row["lnAgg"]) for row in found}
    assert values == {"A": (None, None, 2.0), "B": (1.0, 0.1, 2.0)} and n_small == 1


def test_a_number_of_firms_that_nobody_counted_is_a_small_one(tmp_path):
    (row,), n_small = _without(gold.CITY_EXPORTS, [{"year": 2003, "city_id": "A", "value_usd": USD, "n_products": 3}])
    assert n_small == 1 and row["value_usd"] is row["n_products"] is None
    mix = [{"year": 2003, "city_id": "A", "dimension": "trade_mode", "member": str(i), "value_usd": USD} for i in range(2)]
    assert {row["value_usd"] for row in _without(TRADE_MIX, mix)[0]} == {None}
    panel = [{"year": 2003, "city_id": "A", "lnvalue": 1.0, "missing_variables": [], "is_complete": True}]
    uncounted = pa.table({"year": [2003], "city_id": ["A"], "n_firms": pa.array([None], pa.int64())})
    for lookups in ({"gold.city_exports": uncounted}, {}):
        (row,), n_small = _without(CITY_PANEL, panel, lookups)
        assert (row["lnvalue"], n_small) == (None, 1)
    cube = [{"year": 2003, "city_id": "A", "hs6_code": "010101", "partner_code": "501", "value_usd": USD, "n_records": 1}]
    assert _without(gold.CITY_PRODUCT_DESTINATION, cube)[0][0]["value_usd"] is None


@pytest.mark.parametrize("others", [{}, {"gold.city_exports": {"n_firms": None}}, {"gold.city_exports": {"n_firms": 9}}])
def test_a_query_of_an_older_lake_shows_no_cell_whose_firms_it_cannot_tell(tmp_path, others):
    (tmp_path / "_customs_lake.json").write_text(json.dumps({"format": LAKE_FORMAT, "floors": {}}))
    keys = {"year": pa.array([2003], pa.int32()), "city_id": ["A"]}
    # an older product had these columns and no others
    write_deltalake(str(tmp_path / "gold" / "city_panel"), pa.table(keys | {"lnvalue": [1.5], "lnAgg": [2.5]}))
    for name, values in others.items():
        given = {column: pa.array([value], pa.int64()) for column, value in values.items() if value is not None}
        rows = pa.table(keys | {"value_usd": [USD]} | given)
        write_deltalake(str(tmp_path / name.replace(".", "/")), rows)
    connection = connect(LakeReader.look(str(tmp_path)), smallest=3)
    is_counted = others.get("gold.city_exports", {}).get("n_firms") is not None
    found = ask(connection, "SELECT * FROM gold.city_panel").to_pylist()
    assert found == [{"year": 2003, "city_id": "A", "lnvalue": 1.5 if is_counted else None, "lnAgg": 2.5}]
    if others:
        (row,) = ask(connection, "SELECT * FROM gold.city_exports").to_pylist()
        assert row["value_usd"] == (USD if is_counted else None) and row["city_id"] == "A"


def test_what_only_the_rows_show_to_be_wrong_is_a_sentence():
    with pytest.raises(InputRefusedError, match="query: .*Could not convert string 'x'"):
        ask(duckdb.connect(), "SELECT CAST(text AS INT) FROM (VALUES ('1'), ('x')) t(text)")


def test_every_table_of_cells_has_a_rule_of_its_own_columns():
    with_firms = {name for name, table in TABLES.items() if name.startswith("gold.") and "n_firms" in table.columns}
    productivity = {"gold.city_productivity", "gold.firm_technology", "gold.technology"}
    assert with_firms - productivity <= set(RULES)
    connection = duckdb.connect()
    for name in RULES:
        table = TABLES[name]
        connection.register("cells", _table(table, []))
        for place, looked_up in LOOKED_UP.items():
            connection.register(place, _table(looked_up, []))
        places = dict(zip(LOOKED_UP, LOOKED_UP, strict=True))
        assert connection.sql(suppressed_sql(table, "cells", 3, places)).columns == [*table.columns, "_small_cell"]


def test_a_table_of_single_firms_leaves_the_lake_only_where_the_rule_is_off(tmp_path):
    lake = _Lake(**{CITY_FIRM.name: _table(CITY_FIRM, [])})
    with pytest.raises(InputRefusedError, match="every row is one firm's.*fewest_firms=0"):
        export_table(lake, CITY_FIRM.name, tmp_path / "firms.csv", smallest=3)
    assert not list(tmp_path.iterdir())
    assert export_table(lake, CITY_FIRM.name, tmp_path / "firms.csv", smallest=0)[0] == 0


def test_the_rule_is_on_by_default_is_named_after_a_query_and_refuses_nonsense():
    assert Privacy().fewest_firms == 3
    with pytest.raises(SettingsError, match="fewest_firms"):
        Privacy(fewest_firms=-1)
    note = small_cells_note("SELECT * FROM gold.city_exports", 3)
    assert "fewer than 3 firms" in note and "gold.city_exports" in note
    assert small_cells_note("SELECT * FROM ops.run", 3) == small_cells_note("SELECT * FROM gold.city_exports", 0) == ""


def test_a_query_sees_no_small_cell_and_any_cell_where_the_rule_is_off(tmp_path):
    (tmp_path / "_customs_lake.json").write_text(json.dumps({"format": LAKE_FORMAT, "floors": {}}))
    rows = [
        {"year": 2003, "city_id": city, "n_firms": firms, "value_usd": USD, "n_products": 1, "n_destinations": 1, "n_pairs": 1}
        for city, firms in (("A", 2), ("B", 3))
    ]
    write_deltalake(str(tmp_path / "gold" / "city_exports"), _table(gold.CITY_EXPORTS, rows), partition_by=["year"])
    lake = LakeReader.look(str(tmp_path))
    sql = "SELECT city_id, value_usd, n_firms FROM gold.city_exports ORDER BY city_id"
    found = ask(connect(lake, smallest=3), sql).to_pydict()
    assert found == {"city_id": ["A", "B"], "value_usd": [None, USD], "n_firms": [2, 3]}
    assert ask(connect(lake, smallest=0), sql).to_pydict()["value_usd"] == [USD, USD]
