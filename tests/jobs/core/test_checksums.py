"""Recorded checksums and the deep look that compares with them, without Java."""

import json
import shutil
import time
import zlib

import pytest

from jobs.core import checksums
from jobs.core.checksums import VERIFIED, ToVerify, read_recorded, record_checksums, verify_files
from jobs.core.damage import examine
from jobs.core.delta_log import LiveFile
from jobs.core.stored_files import StoredFiles, hadoop_checksum_fails
from tests.fixtures.harms import GOLD, SILVER, data_file, flip, log_entry, with_checksum_of


def test_a_deep_look_that_was_interrupted_goes_on_and_leaves_nothing_when_done(hand_made_lake, monkeypatch):
    root, files = str(hand_made_lake), StoredFiles(str(hand_made_lake))
    names = dict(read_recorded(files, SILVER).files)
    sound = [f"{SILVER}/{path} {sha256}" for path, (_, sha256) in names.items()]
    files.write(VERIFIED, json.dumps({"at": time.time(), "sound": sound}).encode())
    read = []
    plain = StoredFiles.open
    monkeypatch.setattr(StoredFiles, "open", lambda self, name: (read.append(name), plain(self, name))[1])
    assert examine(root, "deep").damages == []
    assert not [name for name in read if name.startswith(f"{SILVER}/year")] and not (hand_made_lake / VERIFIED).exists()
    files.write(VERIFIED, json.dumps({"at": time.time() - 90_000, "sound": sound}).encode())
    examine(root, "deep")
    assert [name for name in read if name.startswith(f"{SILVER}/year")], "older than a day: all of it again"


def test_executors_find_what_this_machine_finds_wave_by_wave(hand_made_lake, monkeypatch):
    root, waves = str(hand_made_lake), []
    monkeypatch.setattr(checksums, "_TASK_BYTES", 1)
    monkeypatch.setattr(checksums, "_WAVE", 2)

    def share(tasks, function, arguments):
        """In the last task first: executors end in any order."""
        waves.append(len(tasks))
        kernel = getattr(checksums, function.rpartition(".")[2])
        assert all(isinstance(task, str) for task in tasks) and arguments == (root,)
        return [text for task in reversed(tasks) for batch in kernel(task, root) for text in batch["result"].to_pylist()]

    assert examine(root, "deep", share=share).damages == [] and set(waves) == {2, 1}, "nine files, two a wave"
    flip(data_file(hand_made_lake, SILVER, 2003))
    shutil.rmtree(hand_made_lake / "_checksums" / "gold.city_exports")
    flip(data_file(hand_made_lake, GOLD, 2004))
    found = [damage.sentence for damage in examine(root, "deep", share=share).damages]
    assert found and sorted(found) == sorted(damage.sentence for damage in examine(root, "deep").damages)

    def lost(tasks, function, arguments):
        raise ConnectionError("the cluster is gone")

    with pytest.raises(ConnectionError):
        list(verify_files(StoredFiles(root), [ToVerify(SILVER, LiveFile("year=2003/x", 1), "a")], share=lost))


def test_a_commit_that_a_killed_run_did_not_record_is_recorded_with_the_next(hand_made_lake):
    files = StoredFiles(str(hand_made_lake))
    record = hand_made_lake / f"_checksums/silver.declaration/{1:020}.json"
    former = record.read_text()
    record.unlink()
    assert record_checksums(files, SILVER) == 2 and record.read_text() == former
    assert record_checksums(files, SILVER) == 0, "what is recorded is not read again"


def test_hadoop_checksums_are_understood():
    content = bytes(range(256)) * 5
    sums = b"".join(zlib.crc32(content[at : at + 512]).to_bytes(4, "big") for at in range(0, len(content), 512))
    header = b"crc\0" + (512).to_bytes(4, "big")
    assert not hadoop_checksum_fails(content, header + sums)
    assert hadoop_checksum_fails(content + b"x", header + sums)
    assert not hadoop_checksum_fails(content, None) and not hadoop_checksum_fails(content, b"odd")


def test_entries_with_their_own_checksum_are_sound(hand_made_lake):
    with_checksum_of(log_entry(hand_made_lake, SILVER), log_entry(hand_made_lake, SILVER).read_bytes())
    assert examine(str(hand_made_lake)).damages == []
