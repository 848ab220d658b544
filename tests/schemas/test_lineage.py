"""Where tables come from, as declared: jobs that exist, tables that exist, no circle, every table on the way drawn."""

from __future__ import annotations

from graphlib import TopologicalSorter

from jobs.runtime.command_line.catalogue import commands
from schemas.catalog import TABLES

# the records that every job keeps of itself
KEPT_BY_ALL = {"ops.run", "ops.build"}


def test_every_table_names_jobs_that_can_be_run():
    assert {name for name, table in TABLES.items() if not table.made_by} == KEPT_BY_ALL
    assert {job for table in TABLES.values() for job in table.made_by} <= set(commands())


def test_tables_come_from_tables_and_in_no_circle():
    sources = {name: set(table.made_from) for name, table in TABLES.items()}
    assert set().union(*sources.values()) <= set(TABLES)
    order = list(TopologicalSorter(sources).static_order())
    assert order.index("bronze.declaration") < order.index("silver.declaration") < order.index("gold.estimate")
