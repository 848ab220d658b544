"""A raw folder may lie anywhere that pyarrow reaches: what is found there is what a local folder would give."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from pyarrow import fs

from conf.settings import load_settings
from jobs.kernels.raw_folder import raw_folder
from jobs.readers.firm_files import find_given_file, find_survey_files
from jobs.readers.local_copy import local_raw, raw_of_executors
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


def context_on(master):
    return SimpleNamespace(
        require_raw=lambda: "s3a://bucket/raw", spark=SimpleNamespace(conf=SimpleNamespace(get=lambda name, other: master))
    )


def test_side_deliveries_of_a_remote_folder_are_copied(raw):
    copy = local_raw(context_on("spark://host:7077"), "yearbook")
    assert [path.name for path in (copy / "yearbook").iterdir()] == ["2004.csv"] and not (copy / "customs").exists()
    assert not list(local_raw(context_on("local[2]"), "yearbook", only=["2005.csv"]).rglob("*.csv"))
    assert local_raw(context_on("local[2]"), "firms").is_dir(), "no firm files are no reason to stop"
    assert local_raw(SimpleNamespace(require_raw=lambda: raw), "yearbook") == raw


def test_executors_of_a_cluster_open_firm_files_where_they_were_delivered_and_of_this_machine_a_copy(raw):
    there = raw_of_executors(context_on("spark://host:7077"), "yearbook")
    assert there.spark_path("yearbook/2004.csv") == "s3a://bucket/raw/yearbook/2004.csv"
    here = raw_of_executors(context_on("local[2]"), "yearbook")
    assert here.is_local and here.names_in("yearbook") == ["2004.csv"]


def test_firm_files_of_a_remote_folder_are_looked_at_as_local_ones_are(raw):
    text = "firm_id,year,place_code,industry,ln_tfp,output,employment\n1,2005,320400,17,0.5,10,3\n"
    (raw / "firms").mkdir()
    (raw / "firms" / "firm_tfp.csv").write_text(text, "utf-8")
    remote, local = find_given_file(raw_folder("s3a://bucket/raw")), find_given_file(raw_folder(raw))
    assert (remote.sha256, remote.headings, remote.source_file) == (local.sha256, local.headings, local.source_file)
    assert find_survey_files(raw_folder("s3a://bucket/raw")) == [] and find_given_file(raw_folder(raw / "firms")) is None
