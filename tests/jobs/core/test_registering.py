"""Names, comments and statements of a catalog's entries; the metastore itself is asked in tests/cluster/test_register.py."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from jobs.core import registering
from jobs.core.errors import InputRefusedError, LakeError
from schemas import gold


class Session:
    """A session that keeps entries as a catalog would, and the statements it was given."""

    def __init__(self, confs=(), entries=()):
        self.confs, self.entries, self.given = dict(confs), dict(entries), []
        self.conf = SimpleNamespace(
            get=lambda name, other=None: self.confs.get(name, other), set=self.confs.__setitem__,
            unset=lambda name: self.confs.pop(name, None),
        )

    def sql(self, statement):
        self.given.append(statement)
        found = self.entries if statement.startswith("DESCRIBE") else {}
        return SimpleNamespace(collect=lambda: [{"col_name": name, "data_type": value} for name, value in found.items()])


def lake_with(session, monkeypatch, root="/lakes/it's"):
    monkeypatch.setattr(registering, "existing_tables", lambda lake: [gold.CITY_EXPORTS])
    return SimpleNamespace(spark=session, path=lambda table: f"{root}/{table.relative_path}")


HIVE = {"spark.sql.catalogImplementation": "hive"}


def test_an_entry_names_place_description_and_key(monkeypatch):
    session = Session(HIVE)
    done = registering.register_tables(lake_with(session, monkeypatch), "spark_catalog", "cus`toms")
    assert [(item.name, item.what) for item in done] == [("spark_catalog.cus`toms.gold__city_exports", "new")]
    assert session.given[0] == "CREATE SCHEMA IF NOT EXISTS `spark_catalog`.`cus``toms`"
    created = session.given[-1]
    assert created.startswith("CREATE TABLE `spark_catalog`.`cus``toms`.`gold__city_exports` USING DELTA COMMENT '")
    assert created.endswith("LOCATION '/lakes/it\\'s/gold/city_exports'")
    assert f"Key: {', '.join(gold.CITY_EXPORTS.key)}." in created
    assert registering.UPDATE not in session.confs, "the session's own setting is put back"


@pytest.mark.parametrize("there", ["file:/lakes/it's/gold/city_exports", "file:///lakes/it's/gold/city_exports/"])
def test_an_entry_that_stands_for_this_place_stays(monkeypatch, there):
    session = Session(HIVE, {"Location": there, "Type": "EXTERNAL"})
    assert registering.register_tables(lake_with(session, monkeypatch), "spark_catalog", "c")[0].what == "as it was"
    assert not [statement for statement in session.given if statement.startswith(("DROP", "CREATE TABLE"))]


def test_an_entry_of_another_lake_is_moved_only_on_demand_and_a_managed_table_never(monkeypatch):
    session = Session(HIVE, {"Location": "hdfs://n/other/gold/city_exports", "Type": "EXTERNAL"})
    lake = lake_with(session, monkeypatch)
    with pytest.raises(LakeError, match="stands for hdfs://n/other/gold/city_exports, not for /lakes"):
        registering.register_tables(lake, "spark_catalog", "c")
    assert registering.register_tables(lake, "spark_catalog", "c", replace=True)[0].what == "moved"
    assert "DROP TABLE `spark_catalog`.`c`.`gold__city_exports`" in session.given
    managed = Session(HIVE, {"Location": "file:/warehouse/x", "Type": "MANAGED"})
    with pytest.raises(LakeError, match="files would be lost with its name"):
        registering.register_tables(lake_with(managed, monkeypatch), "spark_catalog", "c", replace=True)
    assert not [statement for statement in managed.given if statement.startswith("DROP")]


@pytest.mark.parametrize(("catalog", "words"), [("spark_catalog", "gone when it ends"), ("unity", "no such catalog")])
def test_a_catalog_that_is_not_there_or_does_not_last_is_refused(monkeypatch, catalog, words):
    session = Session()
    with pytest.raises(InputRefusedError, match=words):
        registering.register_tables(lake_with(session, monkeypatch), catalog, "c")
    assert session.given == []


def test_a_configured_catalog_is_taken(monkeypatch):
    session = Session({"spark.sql.catalog.unity": "io.unitycatalog.spark.UCSingleCatalog"})
    assert registering.register_tables(lake_with(session, monkeypatch), "unity", "c")[0].name == "unity.c.gold__city_exports"
