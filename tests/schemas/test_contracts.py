"""Data contracts: valid under the standard, whole, and never broken against the last release without a migration."""

from __future__ import annotations

import dataclasses
import json
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import yaml
from open_data_contract_standard.model import OpenDataContractStandard

from conf.settings import SettingsError, load_settings
from jobs.commands.contracts import compare_contracts, read_contracts, render_changes, terms_of, write_contracts
from jobs.commands.main import run_command
from jobs.core.errors import EXIT_DONE, EXIT_QUALITY, EXIT_REFUSED, InputRefusedError
from schemas.catalog import TABLES
from schemas.contract_changes import breaking_changes, lake_format_of, unmigrated
from schemas.contracts import Terms, lake_contract, table_contract
from schemas.fields import PERSONAL_COLUMNS, Field
from schemas.migrations import (
    LAKE_FORMAT,
    MIGRATIONS,
    ExtendKey,
    LeaveTable,
    Migration,
    RenameColumn,
    ReplaceCheck,
    WidenColumn,
)

RELEASES = Path(__file__).resolve().parents[2] / "docs" / "contracts"
TERMS = Terms("9.9", LAKE_FORMAT, "Customs desk", "mailto:desk@example.org", {"gold": 365}, "s3a://bucket/lake")
EXPORTS = TABLES["gold.city_exports"]
SILVER = TABLES["silver.declaration"]


@pytest.fixture(scope="module")
def standard():
    schema = json.loads((resources.files("open_data_contract_standard") / "schema.json").read_text("utf-8"))
    return jsonschema.validators.validator_for(schema)(schema)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contracts")
    write_contracts(folder, dataclasses.replace(terms_of(load_settings(environment={})), lake="lake"))
    return folder


def test_every_table_has_a_contract_that_the_standard_accepts(standard, written):
    documents = read_contracts(written)
    assert {document["name"] for document in documents} == set(TABLES)
    for document in documents:
        assert document["apiVersion"] == "v3.1.0"
        assert list(standard.iter_errors(document)) == [], document["name"]
        read = OpenDataContractStandard.from_string(yaml.safe_dump(document))
        assert read.model_dump(by_alias=True, exclude_none=True) == document
    whole = lake_contract(TABLES.values(), TERMS)
    assert list(standard.iter_errors(whole)) == []
    broken = table_contract(EXPORTS, TERMS) | {"schema": [{"columns": []}]}
    assert list(standard.iter_errors(broken)), "the standard's schema refuses what is no contract"


def test_contract_says_all_that_the_table_says(written):
    (document,) = read_contracts(written / "gold.city_exports.odcs.yaml")
    (table,) = document["schema"]
    columns = {item["name"]: item for item in table["properties"]}
    assert tuple(columns) == EXPORTS.columns
    for field in EXPORTS.fields:
        assert (columns[field.name]["physicalType"], columns[field.name]["required"]) == (field.type, field.required)
    keys = sorted((item["primaryKeyPosition"], name) for name, item in columns.items() if item.get("primaryKey"))
    assert tuple(name for _, name in keys) == EXPORTS.key
    assert columns["year"]["partitioned"] and columns["year"]["partitionKeyPosition"] == 1
    assert columns["value_usd"]["customProperties"] == [{"property": "unit", "value": "US dollars"}]
    rules = {rule["name"]: rule for rule in table["quality"]}
    assert set(rules) == {"key_unique", *EXPORTS.checks}
    assert rules["pairs_cover"]["query"] == (
        "SELECT COUNT(*) FROM ${table} WHERE (n_pairs >= n_products AND n_pairs >= n_partner_codes) IS NOT TRUE"
    )
    assert all(caveat in document["description"]["limitations"] for caveat in EXPORTS.caveats)
    assert document["servers"] == [
        {"server": "lake", "type": "local", "path": "lake/gold/city_exports", "format": "delta"}
    ]
    assert document["team"] == {"name": "data owner of the lake"}


def test_contract_names_owner_place_retention_and_what_is_confidential():
    contract = table_contract(EXPORTS, TERMS)
    assert contract["support"] == [{"channel": "Customs desk", "url": "mailto:desk@example.org"}]
    assert contract["servers"][0]["location"] == "s3://bucket/lake/gold/city_exports"
    # the table's own promise of a year goes beyond a shorter setting of the layer
    short = table_contract(EXPORTS, dataclasses.replace(TERMS, days={"gold": 7}))
    assert [item["value"] for item in short["slaProperties"]] == ["unlimited", 365]
    bronze = table_contract(TABLES["bronze.declaration"], TERMS)["schema"][0]
    marks = {item["name"]: item.get("classification") for item in bronze["properties"]}
    assert {marks[name] for name in (*PERSONAL_COLUMNS, "extra", "malformed_row")} == {"restricted"}
    assert (marks["firm_id"], marks["hs_code"]) == ("confidential", None)
    with pytest.raises(SettingsError, match="operations.contact: expected mailto:NAME or https://PAGE; found 'desk'"):
        load_settings(overrides=["operations.contact=desk"], environment={})


def test_rules_find_the_rows_that_break_them():
    duckdb = pytest.importorskip("duckdb", reason="comes with the extra spark")
    rules = {rule["name"]: rule for rule in table_contract(EXPORTS, TERMS)["schema"][0]["quality"]}
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA gold")
    connection.execute(
        "CREATE TABLE gold.city_exports AS SELECT * FROM (VALUES (5.0, 2, 3, 1, 1), (-1.0, 2, 1, 1, 1), (1.0, NULL, 1, 1, 1))"
        " AS rows(value_usd, n_products, n_pairs, n_partner_codes, n_destinations)"
    )
    queries = {name: rule["query"].replace("${table}", EXPORTS.name) for name, rule in rules.items() if "query" in rule}
    found = {name: connection.execute(query).fetchall()[0][0] for name, query in queries.items()}
    assert found == {"value_usd_positive": 1, "pairs_cover": 2, "destinations_within_codes": 0}


def test_last_release_is_not_broken_without_a_migration():
    (release,) = RELEASES.glob("*.odcs.yaml")
    changes, without_migration = compare_contracts(release)
    assert without_migration == [], (
        "readers of the last release lose this; keep it, or add a migration that states it (CONTRIBUTING, Releases):\n"
        + render_changes(changes, without_migration)
    )


def test_last_release_is_a_valid_contract_of_an_older_format(standard):
    (release,) = RELEASES.glob("*.odcs.yaml")
    documents = read_contracts(release)
    assert list(standard.iter_errors(documents[0])) == []
    assert release.name == f"{documents[0]['version']}.odcs.yaml"
    assert 1 <= lake_format_of(documents) <= LAKE_FORMAT


def _changed(table, **changes):
    return dataclasses.replace(table, **changes)


def _column(table, name, **changes):
    return _changed(
        table, fields=tuple(dataclasses.replace(f, **changes) if f.name == name else f for f in table.fields)
    )


EXTRA = Field("remark", "string", "For a test")
METHOD = next(field for field in SILVER.fields if field.name == "place_method")
STEPS = {
    "table gone": LeaveTable(SILVER.name, "silver.record"),
    "column gone": RenameColumn(SILVER.name, "customs_port", "port"),
    "type": WidenColumn(SILVER.name, "month", "bigint"),
    "key": ExtendKey(SILVER.name, ("file_sha256", "source_row", "year")),
    "allowed values": ReplaceCheck(SILVER.name, "place_method_allowed", "place_method <> ''"),
    "check": ReplaceCheck(SILVER.name, "month_range", "month BETWEEN 1 AND 12"),
}


@pytest.mark.parametrize(
    ("table", "kinds"),
    [
        (None, ["table gone"]),
        (_changed(SILVER, fields=tuple(f for f in SILVER.fields if f.name != "customs_port")), ["column gone"]),
        (_column(SILVER, "month", type="bigint"), ["type"]),
        (_changed(SILVER, key=("file_sha256", "source_row", "year")), ["key"]),
        (_changed(SILVER, key=("source_row", "file_sha256")), ["key"]),
        (_changed(SILVER, partition_by=("year", "city_id")), ["partition"]),
        (_column(SILVER, "month", required=True), ["must not be null"]),
        (_column(SILVER, "hs8_code", required=False), ["may be null"]),
        (_column(SILVER, "value_usd", unit="yuan"), ["unit"]),
        (_column(SILVER, "place_method", allowed=METHOD.allowed[1:]), ["allowed values"]),
        # the constraint of an older lake refuses the new word
        (_column(SILVER, "place_method", allowed=(*METHOD.allowed, "satellite")), ["allowed values"]),
        (_column(SILVER, "unit_code", allowed=("1",)), ["allowed values"]),
        (_changed(SILVER, checks=SILVER.checks | {"month_range": "month > 0"}), ["check"]),
        (_changed(SILVER, checks=SILVER.checks | {"new": "month > 0"}), ["check"]),
        (_changed(SILVER, fields=(*SILVER.fields, dataclasses.replace(EXTRA, required=True))), ["column required"]),
        (_changed(SILVER, fields=(*SILVER.fields, EXTRA)), []),
        (_changed(SILVER, fields=tuple(reversed(SILVER.fields)), caveats=("Other words.",), description="Others."), []),
        (_column(SILVER, "place_method", allowed=tuple(reversed(METHOD.allowed)), meaning="Other words"), []),
    ],
)
def test_what_readers_lose_is_named_and_what_they_gain_is_not(table, kinds):
    old = lake_contract([SILVER], TERMS)
    new = lake_contract([EXPORTS] if table is None else [table], TERMS)
    changes = breaking_changes([old], [new])
    assert [change.kind for change in changes] == kinds
    assert unmigrated(changes, (), since=1) == changes
    assert all(str(change).startswith("silver.declaration") for change in changes)


def test_migration_newer_than_the_contract_accounts_for_its_change():
    gone = breaking_changes([lake_contract([SILVER], TERMS)], [lake_contract([EXPORTS], TERMS)])
    altered = _changed(
        _column(_column(SILVER, "month", type="bigint"), "place_method", allowed=METHOD.allowed[1:]),
        key=("file_sha256", "source_row", "year"), checks=SILVER.checks | {"month_range": "month BETWEEN 1 AND 12"},
    )
    altered = _changed(altered, fields=tuple(f for f in altered.fields if f.name != "customs_port"))
    changes = gone + breaking_changes([lake_contract([SILVER], TERMS)], [lake_contract([altered], TERMS)])
    assert {change.kind for change in changes} == set(STEPS)
    migration = Migration(LAKE_FORMAT + 1, "for a test", tuple(STEPS.values()))
    assert unmigrated(changes, (*MIGRATIONS, migration), since=LAKE_FORMAT) == []
    assert unmigrated(changes, (*MIGRATIONS, migration), since=LAKE_FORMAT + 1) == changes, "an older migration does not count"
    for kind, step in STEPS.items():
        rest = Migration(LAKE_FORMAT + 1, "for a test", tuple(item for item in STEPS.values() if item is not step))
        assert [change.kind for change in unmigrated(changes, (rest,), since=LAKE_FORMAT)] == [kind]


def test_one_document_and_one_a_table_are_the_same_contract(written, tmp_path):
    (whole,) = write_contracts(tmp_path / "lake.odcs.yaml", terms_of(load_settings(environment={})))
    assert breaking_changes(read_contracts(written), read_contracts(whole)) == []
    assert breaking_changes(read_contracts(whole), read_contracts(written)) == []
    assert compare_contracts(written) == ([], [])
    assert render_changes([], []) == "nothing that readers rely on was taken away"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Pod\n", "not a data contract; expected kind: DataContract and a schema"),
        ("a: [", "cannot be read as a contract"),
        (None, "cannot be read as a contract"),
    ],
)
def test_what_is_no_contract_is_refused(tmp_path, text, message):
    path = tmp_path / "old.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputRefusedError, match=message):
        compare_contracts(path)
    with pytest.raises(InputRefusedError, match=r"no contracts there; expected files that end in \.odcs\.yaml"):
        read_contracts(tmp_path)


def test_command_writes_compares_and_ends_with_6_when_readers_lose_something(tmp_path, capsys):
    out = tmp_path / "deep" / "lake.odcs.yaml"
    assert run_command(["contracts", "--out", str(out), "--set", "operations.owner=Customs desk"]) == EXIT_DONE
    (document,) = read_contracts(out)
    assert document["team"] == {"name": "Customs desk"} and "servers" not in document
    assert run_command(["contracts", "--compare", str(out)]) == EXIT_DONE
    # an older product that had a table and a column more, of the present lake format: no migration can cover them
    document["schema"][0]["properties"].append({"name": "seal", "physicalType": "string", "required": False})
    document["schema"].append({"name": "gold_seals", "businessName": "gold.seals", "properties": []})
    out.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert run_command(["contracts", "--compare", str(out)]) == EXIT_QUALITY
    printed = capsys.readouterr().out
    assert "bronze.declaration.seal: column gone, from string to nothing\n" in printed and "gold.seals: table gone" in printed


def test_command_refuses_what_it_cannot_do_in_a_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert run_command(["contracts"]) == EXIT_REFUSED
    assert run_command(["contracts", "--out", str(tmp_path / "file" / "contracts")]) == EXIT_REFUSED
    printed = capsys.readouterr().err
    assert "expected --out FOLDER or FILE.yaml, --compare OLD, or both" in printed
    assert "expected a folder, or a file that ends in .yaml; it cannot be written (Not a directory)" in printed
