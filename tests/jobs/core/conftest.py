"""A lake made by hand: logs, data files and checksums as a run leaves them, without Java."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.core.checksums import record_checksums
from jobs.core.damage import MARKER
from jobs.core.stored_files import StoredFiles
from schemas.catalog import TABLES
from schemas.migrations import LAKE_FORMAT

#: Table to its years; a table without years has one file.
HELD = {
    "bronze.declaration": (2003, 2004), "silver.declaration": (2003, 2004), "gold.city_exports": (2003, 2004),
    "ops.build": (), "ops.file_receipt": (), "ops.run": (),
}


def _write_file(folder, name, table_name, n_rows, year):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    columns = {"city_id": [f"{year or 0}{row:04d}" for row in range(n_rows)], "amount": list(range(n_rows))}
    if table_name == "ops.build":
        columns = {
            "table_name": ["silver.declaration"] * n_rows, "year": [2003] * n_rows, "table_version": [1] * n_rows,
            "built_at": list(range(n_rows)),
        }
    pq.write_table(pa.table(columns), folder / name)
    return (folder / name).stat().st_size


def _write_table(root, name, years):
    folder, table = root / name.replace(".", "/"), TABLES[name]
    log = folder / "_delta_log"
    log.mkdir(parents=True)
    schema = json.dumps({"type": "struct", "fields": [{"name": c.name, "type": c.type} for c in table.fields]})
    created = [
        {"commitInfo": {"timestamp": 1, "operation": "CREATE TABLE"}},
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 3}},
        {"metaData": {"id": name, "schemaString": schema, "partitionColumns": list(table.partition_by), "configuration": {}}},
    ]
    (log / f"{0:020}.json").write_text("".join(json.dumps(action) + "\n" for action in created))
    column = table.partition_by[0] if table.partition_by else ""
    added = []
    for year in years or (None,):
        # as Spark names and encodes them
        path = f"{column}={year}/part-0 {year}.snappy.parquet" if year else "part-0.snappy.parquet"
        size = _write_file(folder, path, name, 50, year)
        added.append({
            "path": path.replace(" ", "%20"), "size": size, "partitionValues": {column: str(year)} if year else {},
            "dataChange": True, "stats": json.dumps({"numRecords": 50}),
        })
    builds = {str(year): {"fingerprint": f"f{year}", "inputs": {"files": "x"}} for year in years}
    mark = json.dumps({"product": "customs-lake", "run": "r1", "builds": builds})
    info = {
        "timestamp": 2_000, "operation": "WRITE", "operationMetrics": {"numFiles": str(len(added))}, "userMetadata": mark,
    }
    actions = [{"commitInfo": info}, *({"add": item} for item in added)]
    (log / f"{1:020}.json").write_text("".join(json.dumps(action) + "\n" for action in actions))
    record_checksums(StoredFiles(str(root)), table.relative_path)


@pytest.fixture(scope="session")
def _sound_lake(tmp_path_factory):
    root = tmp_path_factory.mktemp("sound") / "lake"
    for name, years in HELD.items():
        _write_table(root, name, years)
    (root / MARKER).write_text(json.dumps({"format": LAKE_FORMAT, "product": "customs-lake", "floors": {}, "columns": ""}))
    return root


@pytest.fixture
def hand_made_lake(_sound_lake, tmp_path):
    """Root of a sound lake of six tables, two versions each."""
    return Path(shutil.copytree(_sound_lake, tmp_path / "lake"))
