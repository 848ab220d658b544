"""Files of the deliveries' records, looked at and read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from conf.file_names import period_of
from conf.layouts import load_layouts
from jobs.kernels.sources import local_file, look_at, read_batches

# the records and their writers lie beside the tests
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def deliver(tmp_path):
    """Write bytes under a name; return what a look finds and the rows that would be loaded, as dictionaries."""

    def write(name: str, content: bytes, layouts=None, **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        known = load_layouts() if layouts is None else layouts
        look = look_at(local_file(path, tmp_path), known, flow_in_name=lambda name: period_of(name).flow, **options)
        read = read_batches(local_file(path, tmp_path), look.parts, known)
        rows = [row for _, batch in read for row in batch.to_pylist()]
        assert len(rows) == look.n_rows == look.content.n_rows
        assert [row["source_row"] for row in rows] == list(range(1, len(rows) + 1))
        return look, rows

    return write
