"""Places away from this machine: which way each kind is opened, what is said where there is none, and what is read there."""

from __future__ import annotations

import io
import os
import socket

import pytest
from pyarrow import fs

from jobs.core import file_systems
from jobs.core.damage import refuse_damage
from jobs.core.errors import InputRefusedError, NoDirectAccessError
from jobs.core.file_systems import NotOpenedError, as_hadoop_names_it, is_remote, opened
from jobs.core.stored_files import StoredFiles, files_beside
from jobs.kernels.raw_folder import raw_folder


@pytest.fixture(autouse=True)
def fresh():
    """Nothing that another test opened."""
    opened.cache_clear()
    yield
    opened.cache_clear()


@pytest.fixture
def silent():
    """Address of a name node that does not answer: a port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return f"hdfs://127.0.0.1:{port}"


def test_addresses_and_folders_are_told_apart_and_named_as_hadoop_does():
    assert is_remote("hdfs://n:8020/raw") and is_remote("s3a://b/raw")
    assert not is_remote("/data/raw") and not is_remote("file:///data/raw") and not is_remote("data:raw")
    assert [as_hadoop_names_it(f"{scheme}://b/x") for scheme in ("s3", "s3n", "s3a")] == ["s3a://b/x"] * 3
    assert as_hadoop_names_it("hdfs://n/x") == "hdfs://n/x" and as_hadoop_names_it("/s3/x") == "/s3/x"


def test_s3_is_opened_at_the_address_of_the_environment_raw_folder_and_lake_alike(monkeypatch):
    asked = []
    monkeypatch.setattr(fs, "S3FileSystem", lambda **options: asked.append(options) or fs.LocalFileSystem())
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    assert opened("s3a://bucket/lake/")[1] == "bucket/lake" and opened("s3://bucket")[1] == "bucket"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.example.org")
    opened("s3n://bucket/raw")
    local = {"endpoint_override": "127.0.0.1:9000", "scheme": "http"}
    assert asked == [local, local, {"endpoint_override": "s3.example.org", "scheme": "https"}]


def test_hdfs_without_the_package_or_libhdfs_is_one_sentence_with_the_remedy(monkeypatch):
    monkeypatch.setattr(file_systems, "find_spec", lambda name: None)
    monkeypatch.delenv("HADOOP_HOME", raising=False)
    with pytest.raises(NotOpenedError, match="needs the package hdfs-native on driver and executors"):
        opened("hdfs://127.0.0.1:9/raw")
    with pytest.raises(InputRefusedError, match="^hdfs://127.0.0.1:9/raw: this file system cannot be opened .*hdfs-native"):
        raw_folder("hdfs://127.0.0.1:9/raw").list_remote()
    with pytest.raises(NoDirectAccessError, match="cannot be opened without Java"):
        StoredFiles("hdfs://127.0.0.1:9/lake").kind("x")


def test_a_name_node_that_does_not_answer_is_not_a_damaged_lake(silent):
    with pytest.raises(InputRefusedError, match="cannot be listed"):
        raw_folder(f"{silent}/raw").list_remote()
    with pytest.raises(NoDirectAccessError, match="does not answer"):
        StoredFiles(f"{silent}/lake").names("")
    refuse_damage(f"{silent}/lake")


@pytest.mark.parametrize(("given", "user"), [({}, "anna"), ({"HADOOP_USER_NAME": "ben"}, "ben")])
def test_in_a_container_of_yarn_hdfs_is_read_as_who_submitted(monkeypatch, silent, given, user):
    for name in ("HADOOP_USER_NAME", "SPARK_USER"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    for name, value in ({"SPARK_USER": "anna"} | given).items():
        monkeypatch.setenv(name, value)
    opened(f"{silent}/raw")
    assert os.environ["HADOOP_USER_NAME"] == user


def test_files_of_hdfs_have_the_time_of_their_last_change():
    assert file_systems._timed({"name": "/x", "modification_time": 1_500})["mtime"] == 1.5


class Noted:
    """Stands for the connection: what it was asked to make, with which rights."""

    def __init__(self):
        self.made = {}

    def mkdirs(self, path, permission, create_parent):
        self.made[path] = permission

    def create(self, path, write_options):
        self.made[path] = write_options.permission
        return io.BytesIO()


@pytest.mark.parametrize(("umask", "folder", "file"), [(0o077, 0o700, 0o600), (0o027, 0o750, 0o640), (0, 0o777, 0o666)])
def test_what_is_made_on_hdfs_has_the_rights_that_the_settings_leave(monkeypatch, umask, folder, file):
    system = file_systems._native()("127.0.0.1", 9, skip_instance_cache=True)
    system.client = Noted()
    monkeypatch.setattr(file_systems, "opened", lambda address: (fs.PyFileSystem(fs.FSSpecHandler(system)), "/lake"))
    monkeypatch.setattr("jobs.core.stored_files.opened", file_systems.opened)
    system.info = lambda path, **options: {"name": path, "type": "directory", "size": 0, "mtime": 0.0}
    before = os.umask(umask)
    try:
        StoredFiles("hdfs://127.0.0.1:9/lake").write("marker.json", b"{}")
        file_systems.opened("")[0].create_dir("/lake/tables")
        assert file_systems.process_umask() == umask
    finally:
        assert os.umask(before) == umask
    assert system.client.made == {"/lake": folder, "/lake/marker.json": file, "/lake/tables": folder}


def test_a_walk_has_sizes_and_times_of_a_local_folder_and_of_an_address(tmp_path, monkeypatch):
    for name in ("a/b.parquet", "a/_delta_log/0.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("123")
        os.utime(tmp_path / name, (5, 5))
    here = StoredFiles(str(tmp_path)).walk("a")
    assert [item.path for item in here] == ["_delta_log/0.json", "b.parquet"]
    assert {(item.n_bytes, item.modified_ms) for item in here} == {(3, 5000)}
    system = fs.SubTreeFileSystem(str(tmp_path.parent), fs.LocalFileSystem())
    monkeypatch.setattr("jobs.core.stored_files.opened", lambda address: (system, tmp_path.name))
    assert StoredFiles("s3a://bucket").walk("a") == here


def test_a_session_without_a_java_machine_reads_the_lake_through_files_of_its_own(monkeypatch, tmp_path):
    from jobs.core import storage

    monkeypatch.setattr(storage, "is_remote_session", lambda: True)
    store = storage.open_store(object(), str(tmp_path))
    store.write_text("marker.json", "{}")
    assert store.read_text("marker.json") == "{}" and store.names("") == ["marker.json"]
    store.delete("marker.json")
    assert not store.exists("marker.json") and [item.path for item in store.walk("")] == []


def test_a_folder_beside_another_is_found_on_a_disk_and_at_an_address(tmp_path, monkeypatch):
    for name in ("world/raw", "world/truth"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "world" / "truth" / "world.json").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "world" / "raw")
    for raw in (tmp_path / "world" / "raw", f"{tmp_path}/world/raw/", tmp_path / "link", f"file:{tmp_path}/world/raw"):
        assert files_beside(raw, "truth").read("world.json") == b"{}", raw
    assert files_beside(tmp_path / "world", "truth") is None
    system = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    monkeypatch.setattr("jobs.core.stored_files.opened", lambda address: (system, address.removeprefix("s3a://").rstrip("/")))
    assert files_beside("s3a://world/raw", "truth").read("world.json") == b"{}"
    assert files_beside("s3a://world/raw", "model") is None and files_beside("s3a://world", "truth") is None


def test_nothing_is_beside_a_folder_whose_store_does_not_answer(silent):
    assert files_beside(f"{silent}/raw", "truth") is None
