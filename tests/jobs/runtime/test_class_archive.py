"""The archive of Spark's classes: recorded once, then used, and only when it is whole and this user's own."""

from __future__ import annotations

import os

import pytest

from jobs.runtime.class_archive import MAGIC, archive_options
from jobs.runtime.java import find_java

JARS = ["/jars/delta.jar"]


@pytest.fixture
def archive(tmp_path):
    """Where the archive of these JARs will stand."""
    options = archive_options(find_java(), JARS, tmp_path / "java")
    return os.fspath(options.split("-XX:ArchiveClassesAtExit=")[1])


def test_the_first_session_records_and_the_next_ones_use(tmp_path, archive):
    folder = tmp_path / "java"
    assert folder.stat().st_mode & 0o777 == 0o700 and archive.startswith(str(folder))
    with open(archive, "wb") as stream:
        stream.write(MAGIC[0] + b"classes")
    assert archive_options(find_java(), JARS, folder).endswith(f" -XX:SharedArchiveFile={archive}")
    other = archive_options(find_java(), ["/jars/newer.jar"], folder)
    assert "-XX:ArchiveClassesAtExit=" in other and archive not in other, "another Delta gets another archive"


def test_what_is_half_written_or_open_to_others_is_not_used(tmp_path, archive):
    with open(archive, "wb") as stream:
        stream.write(b"\0" * 4096)
    assert archive_options(find_java(), JARS, tmp_path / "java") == "", "another session is writing it"
    with open(archive, "wb") as stream:
        stream.write(MAGIC[0] + b"classes")
    os.chmod(archive, 0o666)
    assert archive_options(find_java(), JARS, tmp_path / "java") == ""
    os.chmod(archive, 0o600)
    os.chmod(tmp_path / "java", 0o777)
    assert archive_options(find_java(), JARS, tmp_path / "java") == ""


def test_one_that_was_never_finished_is_recorded_again(tmp_path, archive):
    with open(archive, "wb") as stream:
        stream.write(b"\0" * 4096)
    os.utime(archive, (0, 0))
    assert "-XX:ArchiveClassesAtExit=" in archive_options(find_java(), JARS, tmp_path / "java")


def test_without_a_folder_for_it_the_session_starts_all_the_same(tmp_path):
    (tmp_path / "file").write_text("")
    assert archive_options(find_java(), JARS, tmp_path / "file" / "java") == ""
    # options are one line, split at spaces and quotes
    for name in ("a b", 'a"b', "缓存"):
        assert archive_options(find_java(), JARS, tmp_path / name) == ""
