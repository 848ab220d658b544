"""Looks that are shared out are the looks of one process; the raw folder through a file system of another kind."""

from __future__ import annotations

import hashlib
import importlib

import pytest
from deliveries import RECORDS, ROWS, lines, values
from pyarrow import fs

from conf.layouts import load_layouts
from jobs.core.errors import InputRefusedError
from jobs.kernels import limits
from jobs.kernels.loading import FileToLoad, load_task, share_out, task_of
from jobs.kernels.parts import parts_to_json
from jobs.kernels.raw_folder import RawFolder, raw_folder
from jobs.kernels.side_by_side import look_side_by_side
from jobs.kernels.sources import look_at


def no_flow(name: str) -> str:
    return ""


def run(tasks, function, arguments):
    """What a cluster does, in one process and in another order."""
    module, _, name = function.rpartition(".")
    kernel = getattr(importlib.import_module(module), name)
    return [row["result"] for task in reversed(tasks) for batch in kernel(task, *arguments) for row in batch.to_pylist()]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "2005").mkdir()
    (tmp_path / "2005" / "data200506.csv").write_bytes(lines(ROWS * 40).encode("gb18030"))
    (tmp_path / "data200507.txt").write_text(lines(delimiter="\t"), "utf-8")
    (tmp_path / "bad.csv").write_text("a,b,c\n1,2,3\n")
    return raw_folder(tmp_path)


def _files(folder):
    return [(path.relative_to(folder.path).as_posix(), path.stat().st_size) for path in sorted(folder.path.rglob("*.*"))]


def test_shared_looks_are_those_of_one_process(folder, monkeypatch):
    monkeypatch.setattr(limits, "PIECE_BYTES", 1 << 10)
    files = _files(folder)
    found = list(look_side_by_side(folder, files, load_layouts(), run, strict=False, flow_in_name=no_flow))
    assert [item.source_file for item in found] == [name for name, _ in files]
    for item in found:
        if item.source_file == "bad.csv":
            assert "match none of the" in str(item.refused)
        else:
            assert item.look == look_at(folder.file(item.source_file), load_layouts())
    assert len(found[0].look.parts[0].pieces) > 3


def test_pieces_load_as_the_whole_does_and_a_changed_file_is_refused(folder, monkeypatch):
    monkeypatch.setattr(limits, "PIECE_BYTES", 1 << 10)
    name, n_bytes = "2005/data200506.csv", folder.size_of("2005/data200506.csv")
    parts = parts_to_json(look_at(folder.file(name), load_layouts()).parts)
    sha256 = hashlib.sha256((folder.path / name).read_bytes()).hexdigest()
    file = FileToLoad(name, sha256, n_bytes, (2005,), (2005,), 6, parts)
    tasks = share_out([file])
    assert len(tasks) > 3
    batches = [batch for task in tasks for batch in load_task(task_of(task), folder.address, load_layouts())]
    rows = [row for batch in batches for row in batch.to_pylist()]
    assert values(rows) == RECORDS * 40
    assert [row["source_row"] for row in rows] == list(range(1, 201))
    assert {(row["source_year"], row["source_month"], row["file_sha256"]) for row in rows} == {(2005, 6, sha256)}
    with open(folder.path / name, "ab") as stream:
        stream.write(b"\n")
    with pytest.raises(InputRefusedError, match="It changed since it was looked at"):
        list(load_task(task_of([file]), folder.address, load_layouts()))


def test_rows_of_a_file_of_several_years_go_by_their_own_dates(folder):
    path = folder.path / "all.csv"
    path.write_text(lines([["200312", *row[1:]] for row in ROWS] + ROWS + [["", *ROWS[0][1:]]]), "utf-8")
    parts = parts_to_json(look_at(folder.file("all.csv"), load_layouts()).parts)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    file = FileToLoad("all.csv", sha256, path.stat().st_size, (2003, 2005), (2003,), None, parts)
    rows = [row for batch in load_task(task_of([file]), folder.address, load_layouts()) for row in batch.to_pylist()]
    # of the two years one is asked for; a record without a date lies with the first and is marked, to be refused
    assert [(row["source_year"], row["source_month"]) for row in rows] == [(2003, 12)] * 5 + [(2003, None)]
    assert [row["reading_marks"] for row in rows] == [None] * 5 + [["year_unknown"]]


def test_another_file_system_is_read_as_a_local_folder_is(folder, monkeypatch):
    system, root = fs.SubTreeFileSystem(str(folder.path), fs.LocalFileSystem()), ""
    monkeypatch.setattr("jobs.kernels.raw_folder._opened", lambda address: (system, root))
    remote = RawFolder("s3a://bucket/raw")
    assert not remote.is_local
    assert [name for name, _ in remote.list_remote()] == [name for name, _ in _files(folder)]
    name = "data200507.txt"
    assert look_at(remote.file(name), load_layouts()) == look_at(folder.file(name), load_layouts())
    assert remote.size_of("nowhere.csv") is None
    assert remote.changed_at(name) == folder.changed_at(name) > 0 == remote.changed_at("nowhere.csv")


def test_a_part_of_another_file_system_is_copied_to_be_read_as_files(folder, monkeypatch, tmp_path):
    system = fs.SubTreeFileSystem(str(folder.path), fs.LocalFileSystem())
    monkeypatch.setattr("jobs.kernels.raw_folder._opened", lambda address: (system, ""))
    remote, expected = RawFolder("hdfs://name/raw"), (folder.path / "2005" / "data200506.csv").read_bytes()
    n_files = sum(name.startswith("2005/") for name, _ in _files(folder))
    assert remote.copy_below("2005", tmp_path / "copy") == n_files > 0
    assert (tmp_path / "copy" / "2005" / "data200506.csv").read_bytes() == expected
    assert remote.copy_below("yearbook", tmp_path / "copy") == 0


def test_keys_in_an_address_are_refused_without_being_shown():
    with pytest.raises(InputRefusedError, match="AWS_SECRET_ACCESS_KEY") as refused:
        raw_folder("s3a://AKIA:topsecret@bucket/raw")
    assert "topsecret" not in str(refused.value) and "AKIA" not in str(refused.value)
    assert raw_folder("abfs://container@account/raw").address == "abfs://container@account/raw"
