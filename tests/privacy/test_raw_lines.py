"""A refused record is shown from the raw folder, to whoever can read that; no JVM."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from conf.layouts import load_layouts
from jobs import explain
from jobs.core.errors import InputRefusedError
from jobs.kernels.raw_folder import RawFolder
from jobs.readers.raw_lines import raw_line
from jobs.readers.receiving import look_at_folder

HEADINGS = "shipment_date,exp_or_imp,hs_id,value,quantity,party_id,company,pperson,zip,city,country,port,shipment"
SOUND = "200401,0,84713010,100,2,3204910001,公司,张三,213000,江苏省常州,美国,上海海关,一般贸易"


@pytest.fixture
def received(tmp_path, settings):
    folder = tmp_path / "raw" / "customs"
    folder.mkdir(parents=True)
    lines = [HEADINGS, *[SOUND] * 3, "200401,0,84713010,张三,13812345678", SOUND]
    (folder / "data200401.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (item,) = look_at_folder(tmp_path / "raw", settings).files
    receipt = {
        "source_file": item.source_file, "file_sha256": item.sha256, "bytes": item.n_bytes, "parts": item.parts,
        "received_at": 1, "source_year": 2004,
    }
    return RawFolder(str(tmp_path / "raw")), receipt


def test_row_is_shown_by_column_and_a_line_that_cannot_be_split_as_a_whole(received):
    folder, receipt = received
    shown = raw_line(folder, receipt, 3, load_layouts())
    assert any(line.split() == ["contact_person", "张三"] for line in shown)
    (line,) = raw_line(folder, receipt, 4, load_layouts())
    assert line.endswith("200401,0,84713010,张三,13812345678") and "13 fields" in line


def test_row_or_file_that_is_not_there_or_another_is_refused(received):
    folder, receipt = received
    for number in (0, 6):
        with pytest.raises(InputRefusedError, match=f"from 1 to 5; found {number}"):
            raw_line(folder, receipt, number, load_layouts())
    with pytest.raises(InputRefusedError, match="was received with"):
        raw_line(folder, receipt | {"bytes": 7}, 1, load_layouts())


def test_explain_takes_name_or_hash_and_says_what_is_near(received, settings, monkeypatch):
    folder, receipt = received
    monkeypatch.setattr(explain, "latest_receipts", lambda lake: [receipt])
    context = SimpleNamespace(lake=None, settings=settings, require_raw=lambda: folder.address)
    for name in (receipt["source_file"], receipt["file_sha256"][:12]):
        assert "张三,13812345678" in explain.explain_row(context, f"{name}#4").detail
    with pytest.raises(InputRefusedError, match="Did you mean customs/data200401.csv"):
        explain.explain_row(context, "customs/data20041.csv#4")
    with pytest.raises(InputRefusedError, match="expected FILE#ROW"):
        explain.explain_row(context, "customs/data200401.csv#last")
