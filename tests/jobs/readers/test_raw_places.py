"""A raw folder may lie anywhere that pyarrow reaches: what is found there is what a local folder would give."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from pyarrow import fs

from conf.settings import load_settings
from jobs.core.errors import InputRefusedError
from jobs.readers.local_copy import local_raw
from jobs.readers.receiving import look_at_folder
from jobs.runtime.command_line.options import raw_place
from jobs.sniff import sniff


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """A local folder, reachable as ``s3a://bucket/raw`` too."""
    folder = tmp_path / "raw"
    heading = "日期,进口或出口,税号编码,企业编码,邮编,消费地或生产地,起运国或目的国,金额,数量\n"
    rows = "".join(f"200401,出口,85171100,32049100{n:02d},213000,江苏省常州,美国,{n}000,1\n" for n in range(1, 20))
    for name, text in (("customs/data200401.csv", heading + rows), ("customs/notes.do", "x"), ("yearbook/2004.csv", "a,b\n")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    monkeypatch.setenv("CUSTOMS_LAKE_CACHE", str(tmp_path / "cache"))
    system = fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem())
    monkeypatch.setattr("jobs.kernels.raw_folder._opened", lambda address: (system, ""))
    return folder


def test_an_address_stays_an_address_and_a_folder_a_path():
    assert raw_place("s3a://bucket/raw") == "s3a://bucket/raw" and raw_place("hdfs://n:8020/raw") == "hdfs://n:8020/raw"
    assert raw_place("file:///data/raw%20files") == Path("/data/raw files") and raw_place("raw") == Path("raw")


def test_a_remote_folder_is_looked_at_as_a_local_one_is(raw):
    settings = load_settings()
    assert look_at_folder("s3a://bucket/raw", settings) == look_at_folder(raw, settings)
    report, _ = sniff("s3a://bucket/raw", settings)
    actions = {item.file: item.action for item in report.files}
    assert actions == {"customs/data200401.csv": "load", "customs/notes.do": "useless"}


def test_a_remote_file_that_changed_within_its_size_is_looked_at_again(raw):
    before = look_at_folder("s3a://bucket/raw", load_settings()).files[0]
    path = raw / "customs" / "data200401.csv"
    path.write_text(path.read_text("utf-8").replace("9000,1", "9001,1"), "utf-8")
    after = look_at_folder("s3a://bucket/raw", load_settings()).files[0]
    assert after.n_bytes == before.n_bytes and after.sha256 != before.sha256


@pytest.mark.parametrize(("master", "by_executors"), [("local[2]", True), ("spark://host:7077", False)])
def test_side_deliveries_of_a_remote_folder_are_copied(raw, master, by_executors):
    context = SimpleNamespace(
        require_raw=lambda: "s3a://bucket/raw", spark=SimpleNamespace(sparkContext=SimpleNamespace(master=master))
    )
    copy = local_raw(context, "yearbook", read_by_executors=by_executors)
    assert [path.name for path in (copy / "yearbook").iterdir()] == ["2004.csv"] and not (copy / "customs").exists()


def test_on_a_cluster_files_that_executors_read_must_lie_where_they_are_seen(raw):
    spark = SimpleNamespace(sparkContext=SimpleNamespace(master="spark://host:7077"))
    context = SimpleNamespace(require_raw=lambda: "s3a://bucket/raw", spark=spark)
    with pytest.raises(InputRefusedError, match="a folder that all machines of the cluster see"):
        local_raw(context, "yearbook", read_by_executors=True)
    assert local_raw(context, "firms", read_by_executors=True).is_dir(), "no firm files are no reason to stop"
    assert local_raw(SimpleNamespace(require_raw=lambda: raw), "yearbook") == raw
