"""Every kind of damage that disks, people and copy tools do is found, named and made readable again, without Java."""

import json
import shutil
import time

import pytest

from jobs.core.checksums import VERIFIED, record_missing
from jobs.core.damage import FOUND_DEEP, MARKER, UNFINISHED_REPAIR, examine, lines_of, parse_marker, refuse_damage
from jobs.core.delta_log import read_log
from jobs.core.errors import DamagedLakeError, LakeError
from jobs.core.locks import hold_commit
from jobs.core.mending import ASIDE, Scope, finish, make_readable, scopes_of
from jobs.core.protection import STATE
from jobs.core.stored_files import StoredFiles
from schemas.migrations import LAKE_FORMAT
from tests.fixtures.harms import (
    BUILD,
    GOLD,
    SILVER,
    as_dangling_link,
    as_file,
    as_folder,
    as_link,
    as_pipe,
    checkpoint,
    cut,
    data_file,
    flip,
    log_entry,
    swap,
    with_checksum_of,
    without_last_line,
)

ALL, NOTHING = Scope(), None


# damage, what a look that needs no reading finds of it, and what of which table is to be made anew
LISTED = {
    "entry half written": (lambda r: cut(log_entry(r, SILVER)), "silver.declaration: _delta_log/0+1.json is cut", ALL),
    "entry empty": (lambda r: cut(log_entry(r, SILVER), 0), "silver.declaration: _delta_log/0+1.json is empty", ALL),
    "entry not JSON": (lambda r: log_entry(r, GOLD).write_text("x"), "city_exports: _delta_log/0+1.json is not JSON", ALL),
    "entry of other JSON": (lambda r: log_entry(r, GOLD).write_text('{"a": 1}\n'), "does not hold actions", ALL),
    "entry of unknown actions": (lambda r: log_entry(r, GOLD).write_text('{"a": {}}\n'), "Delta does not know", ALL),
    "entry without its last line": (lambda r: without_last_line(log_entry(r, SILVER)), "of 2 data files and names 1", ALL),
    "entry of bytes": (lambda r: log_entry(r, SILVER).write_bytes(bytes(range(256))), "0+1.json is not JSON", ALL),
    "entry of another checksum": (
        lambda r: with_checksum_of(log_entry(r, SILVER), b"another"), "0+1.json is not what was written: its checksum", ALL,
    ),
    "first entry gone": (lambda r: log_entry(r, SILVER, 0).unlink(), "_delta_log/0+0.json is gone", ALL),
    "first entry cut at a line": (lambda r: without_last_line(log_entry(r, SILVER, 0)), "lacks protocol or columns", ALL),
    "last entry gone": (lambda r: log_entry(r, SILVER).unlink(), "is at version 0, 1 was committed", ALL),
    "all entries gone": (
        lambda r: [log_entry(r, SILVER, v).unlink() for v in (0, 1)], "silver.declaration: is gone; it was at version 1", ALL,
    ),
    "entry is a link to nowhere": (lambda r: as_dangling_link(log_entry(r, SILVER)), "0+1.json is a link to nowhere", ALL),
    "table gone": (lambda r: shutil.rmtree(r / GOLD), "gold.city_exports: is gone; it was at version 1", ALL),
    "table and its records gone": (
        lambda r: [shutil.rmtree(r / BUILD), shutil.rmtree(r / "_checksums/ops.build")], "ops.build: is gone; silver", ALL,
    ),
    "table is a file": (lambda r: as_file(r / GOLD), "gold.city_exports: is a file, not a folder", ALL),
    "table is a link to nowhere": (lambda r: as_dangling_link(r / GOLD), "gold.city_exports: is a link to nowhere", ALL),
    # what is behind a link is never touched: another table, or all of a disk, which a look would walk through
    "table is a link to another": (lambda r: as_link(r / GOLD, r / SILVER), "exports: is a link to another place", ALL),
    "table is a link to itself": (lambda r: as_link(r / GOLD, r / GOLD), "exports: is a link to nowhere", ALL),
    "table is a link to all there is": (lambda r: as_link(r / GOLD, "/"), "exports: is a link to another place", ALL),
    "log is a link to another's": (
        lambda r: as_link(r / GOLD / "_delta_log", r / SILVER / "_delta_log"), "exports/_delta_log is a link to another", ALL,
    ),
    "year is a link to another": (
        lambda r: as_link(r / SILVER / "year=2003", r / GOLD / "year=2003"), "lies in year=2003, which is a link", 2003,
    ),
    "year renamed": (
        lambda r: (r / SILVER / "year=2003").rename(r / SILVER / "year=2003 (1)"), "year=2003/part.* is gone", 2003,
    ),
    "data file is a folder": (lambda r: as_folder(data_file(r, SILVER)), "year=2003/part.* is gone", 2003),
    "data file is a pipe": (lambda r: as_pipe(data_file(r, SILVER)), "year=2003/part.* is gone", 2003),
    "entry is a folder": (lambda r: as_folder(log_entry(r, SILVER)), r"0+1.json cannot be read \(is no file\)", ALL),
    "entry is a pipe": (lambda r: as_pipe(log_entry(r, SILVER)), r"0+1.json cannot be read \(is no file\)", ALL),
    "entries swapped": (
        lambda r: swap(log_entry(r, SILVER, 0), log_entry(r, SILVER)), "0+0.json is cut: the first entry lacks", ALL,
    ),
    "entry far ahead": (
        lambda r: shutil.copy(log_entry(r, SILVER), log_entry(r, SILVER, 7)), "_delta_log/0+2.json is gone", ALL,
    ),
    "entry nested without end": (lambda r: log_entry(r, SILVER).write_text('{"add":' * 100_000), "is cut or damaged", ALL),
    "entry with a mark of the encoding": (
        lambda r: log_entry(r, SILVER).write_bytes(b"\xef\xbb\xbf" + log_entry(r, SILVER).read_bytes()), "is not JSON", ALL,
    ),
    "checkpoint is a folder": (
        lambda r: as_folder(checkpoint(r, SILVER)), "0+1.checkpoint.parquet cannot be read", NOTHING,
    ),
    "marker is a pipe": (lambda r: as_pipe(r / MARKER), f"{MARKER}: is no file", NOTHING),
    "record of an older version gone": (
        lambda r: (r / f"_checksums/silver.declaration/{0:020}.json").unlink(),
        f"silver.declaration: _checksums/silver.declaration/{0:020}.json is gone", NOTHING,
    ),
    "records are a file": (lambda r: as_file(r / "_checksums"), "_checksums: is a file, not a folder", NOTHING),
    "a table's records are a file": (
        lambda r: as_file(r / "_checksums/silver.declaration"), "silver.declaration: _checksums/silver.declaration is a file",
        NOTHING,
    ),
    "policy cut": (lambda r: (r / STATE).write_text('{"firm_codes": "as'), f"{STATE}: is not JSON", ALL),
    "policy empty": (lambda r: (r / STATE).write_text(""), f"{STATE}: is empty", ALL),
    "policy of a list": (lambda r: (r / STATE).write_text("[1]"), f"{STATE}: has odd values", ALL),
    "policy of odd words": (lambda r: (r / STATE).write_text('{"firm_codes": "x"}'), f"{STATE}: has an odd firm_codes", ALL),
    "policy is a folder": (lambda r: as_folder(r / STATE), f"{STATE}: is a folder", ALL),
    "locks are a file": (lambda r: (r / "_locks").write_text("x"), "_locks: is a file, not a folder", NOTHING),
    "repair interrupted, its note a folder": (lambda r: as_folder(r / UNFINISHED_REPAIR), "was interrupted", ALL),
    "a file where what is broken goes": (
        lambda r: [(r / ASIDE).write_text("x"), cut(log_entry(r, SILVER))], "0+1.json is cut", ALL,
    ),
    "log is a file": (lambda r: as_file(r / GOLD / "_delta_log"), "its folder gold/city_exports/_delta_log is a file", ALL),
    "layer is a file": (lambda r: as_file(r / "gold"), "gold.city_exports: its folder gold is a file", ALL),
    "data file cut": (lambda r: cut(data_file(r, SILVER)), r"declaration: year=2003/part.*bytes, .* were committed", 2003),
    "data file empty": (lambda r: cut(data_file(r, SILVER), 0), "has 0 bytes", 2003),
    "data file longer": (lambda r: data_file(r, SILVER).write_bytes(data_file(r, SILVER).read_bytes() + b"x"), "bytes", 2003),
    "data file gone": (lambda r: data_file(r, SILVER, 2004).unlink(), "year=2004/part-0 2004.snappy.parquet is gone", 2004),
    "data file is a link to nowhere": (lambda r: as_dangling_link(data_file(r, SILVER)), "is a link to nowhere", 2003),
    "year gone": (lambda r: shutil.rmtree(r / SILVER / "year=2004"), "year=2004.* is gone", 2004),
    "file of a ledger gone": (lambda r: data_file(r, BUILD, None).unlink(), "ops.build: part.* is gone", ALL),
    "checkpoint cut": (lambda r: cut(checkpoint(r, SILVER)), "0+1.checkpoint.parquet cannot be read", NOTHING),
    "checkpoint empty": (lambda r: cut(checkpoint(r, SILVER), 0), "0+1.checkpoint.parquet is empty", NOTHING),
    "checkpoint of something else": (
        lambda r: shutil.copyfile(data_file(r, GOLD), checkpoint(r, SILVER)), "checkpoint.parquet cannot be read", NOTHING,
    ),
    "last checkpoint not JSON": (
        lambda r: (r / SILVER / "_delta_log/_last_checkpoint").write_text("{"), "_last_checkpoint cannot be read", NOTHING,
    ),
    "last checkpoint of a version that is not there": (
        lambda r: (r / SILVER / "_delta_log/_last_checkpoint").write_text('{"version": 9}'), "names version 9", NOTHING,
    ),
    "last checkpoint with odd values": (
        lambda r: (r / SILVER / "_delta_log/_last_checkpoint").write_text('{"version": "a"}'), "its version is 'a'", NOTHING,
    ),
    "marker lost": (lambda r: (r / MARKER).unlink(), f"{MARKER}: is gone", NOTHING),
    "marker empty": (lambda r: cut(r / MARKER, 0), f"{MARKER}: is empty", NOTHING),
    "marker not JSON": (lambda r: (r / MARKER).write_text("{"), f"{MARKER}: is not JSON", NOTHING),
    "marker of bytes": (lambda r: (r / MARKER).write_bytes(b"\xff\xfe\0"), f"{MARKER}: is not JSON", NOTHING),
    "marker is a folder": (lambda r: [(r / MARKER).unlink(), (r / MARKER).mkdir()], f"{MARKER}: is a folder", NOTHING),
    "marker is a list": (lambda r: (r / MARKER).write_text("[1]"), "has no format", NOTHING),
    "marker without format": (lambda r: (r / MARKER).write_text("{}"), "has no format", NOTHING),
    "marker with a format in words": (lambda r: (r / MARKER).write_text('{"format": "2"}'), "has no format", NOTHING),
    "marker with format true": (lambda r: (r / MARKER).write_text('{"format": true}'), "has no format", NOTHING),
    "marker with format 0": (lambda r: (r / MARKER).write_text('{"format": 0}'), "has no format", NOTHING),
    "marker with odd floors": (
        lambda r: (r / MARKER).write_text('{"format": 2, "floors": {"silver.declaration": "x"}}'), "has odd floors", NOTHING,
    ),
    "marker with floors in a list": (lambda r: (r / MARKER).write_text('{"format": 2, "floors": []}'), "odd floors", NOTHING),
    "marker with floors too high": (
        lambda r: (r / MARKER).write_text('{"format": 2, "floors": {"silver.declaration": 7}}'), "floors above", NOTHING,
    ),
    "marker with odd columns": (lambda r: (r / MARKER).write_text('{"format": 2, "columns": 3}'), "has odd columns", NOTHING),
    "repair interrupted": (
        lambda r: (r / UNFINISHED_REPAIR).write_text('{"tables": {"silver.declaration": [2003]}}'), "was interrupted", 2003,
    ),
}
# seen in the log or in the first and last bytes of files
LOGGED = {
    "latest record gone": (
        lambda r: (r / f"_checksums/silver.declaration/{1:020}.json").unlink(), "_checksums/.*1.json is gone", NOTHING,
    ),
    "record is a folder": (
        lambda r: as_folder(r / f"_checksums/silver.declaration/{1:020}.json"), "declaration: _checksums.* cannot be read",
        NOTHING,
    ),
    "entry with other line ends": (
        lambda r: log_entry(r, SILVER).write_bytes(log_entry(r, SILVER).read_bytes().replace(b"\n", b"\r\n")),
        "0+1.json is not the one that was committed", ALL,
    ),
    "entry edited": (
        lambda r: log_entry(r, SILVER).write_text(log_entry(r, SILVER).read_text().replace("r1", "r2")),
        "0+1.json is not the one that was committed", ALL,
    ),
    "file zeroed": (
        lambda r: data_file(r, SILVER).write_bytes(bytes(data_file(r, SILVER).stat().st_size)), "is not a Parquet file", 2003,
    ),
    "record not JSON": (
        lambda r: (r / f"_checksums/silver.declaration/{1:020}.json").write_text("{"), "_checksums/.* cannot be read", NOTHING,
    ),
    "table older than the manifest": (
        lambda r: [log_entry(r, SILVER).unlink(), shutil.rmtree(r / "_checksums")], "manifest .* knows version 1", ALL,
    ),
}
DEEP = {
    "bit flipped": (lambda r: flip(data_file(r, SILVER)), "holds other bytes than were committed", 2003),
    "files swapped": (
        lambda r: swap(data_file(r, SILVER, 2003), data_file(r, SILVER, 2004)), "holds other bytes than were committed", None,
    ),
    "bit flipped, nothing recorded": (
        lambda r: [flip(data_file(r, SILVER)), shutil.rmtree(r / "_checksums")], "cannot be read|rows", 2003,
    ),
}
CASES = [
    pytest.param(harm, depth, words, scope, id=name)
    for depth, cases in (("listing", LISTED), ("log", LOGGED), ("deep", DEEP))
    for name, (harm, words, scope) in cases.items()
]


def test_a_sound_lake_has_no_damage_at_any_depth(hand_made_lake):
    for depth in ("listing", "log", "deep"):
        assert examine(str(hand_made_lake), depth).damages == []
    checkpoint(hand_made_lake, SILVER)
    assert examine(str(hand_made_lake), "log").damages == []


@pytest.mark.parametrize(("harm", "depth", "words", "scope"), CASES)
def test_damage_is_named_and_the_lake_made_readable_again(hand_made_lake, harm, depth, words, scope):
    import re

    harm(hand_made_lake)
    root = str(hand_made_lake)
    found = examine(root, depth)
    assert found.damages
    lines = list(lines_of(found.damages, "customs-lake repair --lake L --raw R"))
    assert any(re.search(words, line) for line in lines), lines
    assert all("Repair: customs-lake repair" in line and "\n" not in line for line in lines)
    if depth == "listing":
        with pytest.raises(DamagedLakeError, match="is damaged; nothing was changed") as refused:
            refuse_damage(root, raw="R")
        assert refused.value.exit_code == 5
    scopes = scopes_of(found)
    if isinstance(scope, int):
        assert list(scopes.values()) == [Scope(frozenset({scope}))]
    else:
        assert bool(scopes) == (scope is not NOTHING) or depth == "deep"
    make_readable(found, scopes)
    left = [item.sentence for item in examine(root, "deep").damages if item.kind != "unfinished"]
    # a table that is to be written anew is not there before Spark has done so
    awaited = ("was built with it", "the manifest (ops.build) knows version 1")
    assert [sentence for sentence in left if not any(words in sentence for words in awaited)] == []
    assert bool(scopes) == (hand_made_lake / UNFINISHED_REPAIR).exists()
    marker = json.loads((hand_made_lake / MARKER).read_text())
    assert marker["format"] == LAKE_FORMAT and marker["floors"] == {}, "a table's first commit is no change of its shape"
    finish(StoredFiles(root))
    assert not (hand_made_lake / ASIDE).exists()


#: What a place in a JSON file may hold instead of what was written.
ODD = (None, "x", 5, -1, 1.5, [], {}, True, [1], {"a": 1}, "a\0", 10**400, float("inf"), "1")


def _places(value, above=()):
    if above:
        yield above
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield from _places(one, (*above, key))


def _with(content, place, value):
    changed = at = json.loads(json.dumps(content))
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    return changed


@pytest.mark.parametrize("version", [0, 1])
def test_no_value_anywhere_in_a_log_entry_stops_the_look_or_passes_for_another_state(hand_made_lake, version):
    path, files = log_entry(hand_made_lake, SILVER, version), StoredFiles(str(hand_made_lake))
    sound = read_log(files, SILVER)
    actions = [json.loads(line) for line in path.read_text().splitlines()]
    for place in _places(actions):
        for value in ODD:
            path.write_text("".join(json.dumps(action) + "\n" for action in _with(actions, place, value)))
            log = read_log(files, SILVER)
            if log.is_known:
                assert set(log.columns) <= {*sound.columns, "a"} and len(log.files) == len(sound.files), (place, value)
                assert all(isinstance(item.n_bytes, int) and item.n_bytes >= 0 for item in log.files.values())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (MARKER, {"format": LAKE_FORMAT, "floors": {"silver.declaration": 1}, "columns": "x"}),
        (f"_checksums/silver.declaration/{1:020}.json", {"version": 1, "entry": "e", "files": {"year=2003/a": [1, "s"]}}),
        (UNFINISHED_REPAIR, {"tables": {"silver.declaration": [2003], "gold.city_exports": None}}),
        (FOUND_DEEP, {"files": [["silver.declaration", "year=2003/a"]]}), (VERIFIED, {"at": 1e12, "sound": ["a"]}),
        (f"{SILVER}/_delta_log/_last_checkpoint", {"version": 1, "size": 1}),
    ],
)
def test_no_value_anywhere_in_a_note_of_the_lake_stops_the_look(hand_made_lake, name, content):
    for place in _places(content):
        for value in ODD:
            (hand_made_lake / name).write_text(json.dumps(_with(content, place, value)))
            for depth in ("listing", "deep"):
                scopes_of(examine(str(hand_made_lake), depth))


@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_a_lake_that_lost_the_key_of_what_was_erased_is_not_built_again(hand_made_lake, content):
    """Its hashes tell nobody any more who was erased: a load would bring them back."""
    shutil.copytree(hand_made_lake / "ops" / "run", hand_made_lake / "ops" / "erasure")
    sound = {"personal_columns": "leave_out", "firm_codes": "as_is", "key_check": "", "erasure_key": "ab" * 32}
    (hand_made_lake / STATE).write_text(json.dumps(sound))
    assert examine(str(hand_made_lake)).damages == []
    (hand_made_lake / STATE).unlink() if content is None else (hand_made_lake / STATE).write_text(content)
    found = examine(str(hand_made_lake))
    assert [damage.kind for damage in found.damages] == ["privacy"]
    with pytest.raises(LakeError, match=r"_privacy.json: .*they would come back\. Restore _privacy.json from a copy"):
        scopes_of(found)
    assert (hand_made_lake / "bronze" / "declaration").is_dir()


def test_an_entry_that_counts_a_file_without_rows_is_whole(hand_made_lake):
    """Spark counts what it wrote for an empty partition and names it in no entry, as in a lake of the first format."""
    shutil.rmtree(hand_made_lake / "_checksums")
    path = log_entry(hand_made_lake, SILVER)
    for n_rows, is_whole in (("100", True), ("101", False)):
        actions = [json.loads(line) for line in path.read_text().splitlines()]
        actions[0]["commitInfo"]["operationMetrics"] = {"numFiles": "3", "numOutputRows": n_rows}
        path.write_text("".join(json.dumps(action) + "\n" for action in actions))
        assert (examine(str(hand_made_lake), "log").damages == []) == is_whole


def test_what_is_behind_a_link_stays_as_it_is(hand_made_lake, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (hand_made_lake / GOLD).rename(elsewhere)
    (hand_made_lake / GOLD).symlink_to(elsewhere)
    before = sorted(path.relative_to(elsewhere) for path in elsewhere.rglob("*"))
    found = examine(str(hand_made_lake), "deep")
    make_readable(found, scopes_of(found))
    assert sorted(path.relative_to(elsewhere) for path in elsewhere.rglob("*")) == before
    assert not (hand_made_lake / GOLD).exists()


def test_a_marker_that_is_written_anew_keeps_where_its_records_come_from(hand_made_lake):
    (hand_made_lake / MARKER).write_text(json.dumps({"format": LAKE_FORMAT, "floors": [], "origin": "generated"}))
    make_readable(examine(str(hand_made_lake)), {})
    assert json.loads((hand_made_lake / MARKER).read_text())["origin"] == "generated"
    # a log that is taken back is behind what the marker says of it
    marker = {"format": LAKE_FORMAT, "floors": {"silver.declaration": 1}, "origin": "mixed"}
    (hand_made_lake / MARKER).write_text(json.dumps(marker))
    cut(log_entry(hand_made_lake, SILVER))
    found = examine(str(hand_made_lake))
    make_readable(found, scopes_of(found))
    assert json.loads((hand_made_lake / MARKER).read_text())["floors"] == {}


def test_a_run_that_is_at_work_or_was_killed_before_it_recorded_is_no_damage_to_the_next(hand_made_lake):
    record = hand_made_lake / f"_checksums/silver.declaration/{1:020}.json"
    former = record.read_text()
    record.unlink()
    with hold_commit(hand_made_lake / "_locks", "silver.declaration"):
        assert examine(str(hand_made_lake), "deep").damages == [], "its writer is about to record it"
    assert examine(str(hand_made_lake)).damages == [] and len(examine(str(hand_made_lake), "log").damages) == 1
    assert record_missing(StoredFiles(str(hand_made_lake)), [SILVER, GOLD, "silver/quarantine"]) == 2
    assert record.read_text() == former and examine(str(hand_made_lake), "log").damages == []


def test_what_a_deep_look_found_is_known_to_every_run_until_it_is_mended(hand_made_lake):
    """Flipped bits leave names and sizes as they are; once found, no run may call the lake up to date."""
    root, file = str(hand_made_lake), data_file(hand_made_lake, SILVER)
    sound = file.read_bytes()
    flip(file)
    assert examine(root).damages == [], "a listing cannot see it"
    assert len(examine(root, "deep").damages) == 1
    with pytest.raises(DamagedLakeError, match=r"silver.declaration: year=2003/.* has another content"):
        refuse_damage(root)
    assert scopes_of(examine(root)) == {"silver.declaration": Scope(frozenset({2003}))}
    file.write_bytes(sound)
    assert examine(root, "deep").damages == [] and examine(root).damages == [], "put back from a copy: the note goes"
    (hand_made_lake / FOUND_DEEP).write_text("{")
    assert examine(root).damages == [], "a note that cannot be read says nothing"
    finish(StoredFiles(root))
    assert not (hand_made_lake / FOUND_DEEP).exists()


def test_of_a_damaged_year_all_files_are_taken_out_and_the_others_stay(hand_made_lake):
    cut(data_file(hand_made_lake, SILVER, 2003))
    found = examine(str(hand_made_lake))
    make_readable(found, scopes_of(found))
    log = read_log(StoredFiles(str(hand_made_lake)), SILVER)
    assert log.version == 2 and [item.partition for item in log.files.values()] == [{"year": "2004"}]
    entry = [json.loads(line) for line in log_entry(hand_made_lake, SILVER, 2).read_text().splitlines()]
    assert entry[1]["remove"]["path"] == "year=2003/part-0%202003.snappy.parquet", "as Spark encodes it"
    assert json.loads(entry[0]["commitInfo"]["userMetadata"])["product"] == "customs-lake", "a change of ours"


def test_a_table_older_than_what_was_committed_keeps_its_log_and_loses_its_later_records(hand_made_lake):
    log_entry(hand_made_lake, SILVER).unlink()
    found = examine(str(hand_made_lake))
    assert [item.kind for item in found.damages] == ["absent"]
    make_readable(found, scopes_of(found))
    assert read_log(StoredFiles(str(hand_made_lake)), SILVER).version == 0 and log_entry(hand_made_lake, SILVER, 0).is_file()
    assert not (hand_made_lake / ASIDE / "tables").exists()
    assert [path.name for path in (hand_made_lake / "_checksums/silver.declaration").iterdir()] == [f"{0:020}.json"]


@pytest.mark.parametrize("version", [0, 1])
def test_a_broken_checkpoint_goes_with_all_its_parts_and_the_word_that_names_it(hand_made_lake, version):
    broken = checkpoint(hand_made_lake, SILVER, version, b"x")
    part = broken.with_name(f"{version:020}.checkpoint.0000000001.0000000002.parquet")
    part.write_bytes(b"x")
    found = examine(str(hand_made_lake))
    assert {item.kind for item in found.damages} == {"history"}
    make_readable(found, {})
    assert [path.name for path in broken.parent.iterdir() if "checkpoint" in path.name] == []


def test_a_repair_that_was_interrupted_is_taken_up_with_what_it_was_about(hand_made_lake):
    cut(data_file(hand_made_lake, SILVER, 2003))
    found = examine(str(hand_made_lake))
    make_readable(found, scopes_of(found))
    with pytest.raises(DamagedLakeError, match="a repair was interrupted"):
        refuse_damage(str(hand_made_lake))
    data_file(hand_made_lake, GOLD, 2004).unlink()
    scopes = scopes_of(examine(str(hand_made_lake)))
    assert scopes == {"silver.declaration": Scope(frozenset({2003})), "gold.city_exports": Scope(frozenset({2004}))}
    (hand_made_lake / UNFINISHED_REPAIR).write_text("{")
    assert scopes_of(examine(str(hand_made_lake)))["silver.declaration"] == Scope(), "not known any more: everything"


def test_an_entry_behind_a_sound_checkpoint_costs_history_only(hand_made_lake):
    checkpoint(hand_made_lake, SILVER)
    cut(log_entry(hand_made_lake, SILVER, 0))
    assert examine(str(hand_made_lake)).damages == [], "the present state does not need it"
    found = examine(str(hand_made_lake), "log")
    assert [item.kind for item in found.damages] == ["history"] and scopes_of(found) == {}
    make_readable(found, {})
    assert examine(str(hand_made_lake), "deep").damages == []
    assert len(read_log(StoredFiles(str(hand_made_lake)), SILVER).files) == 2


def test_a_lake_that_may_not_be_read_is_said_with_what_to_do(hand_made_lake, monkeypatch):
    def forbidden(self, relative):
        raise PermissionError(13, "Permission denied", f"{self.root}/{relative}")

    monkeypatch.setattr(StoredFiles, "names", forbidden)
    found = examine(str(hand_made_lake))
    (line,) = lines_of(found.damages, "customs-lake repair")
    assert "cannot be read (Permission denied)" in line and "chmod" in line
    with pytest.raises(LakeError, match="chown, chmod"):
        scopes_of(found)


def test_an_entry_that_may_not_be_read_is_named(hand_made_lake, monkeypatch):
    plain = StoredFiles.read

    def forbidden(self, relative):
        if relative.endswith(f"{SILVER}/_delta_log/{1:020}.json"):
            raise PermissionError(13, "Permission denied", relative)
        return plain(self, relative)

    monkeypatch.setattr(StoredFiles, "read", forbidden)
    assert [item.sentence for item in examine(str(hand_made_lake)).damages] == [
        f"silver.declaration: _delta_log/{1:020}.json cannot be read (Permission denied)"
    ]


def test_a_log_that_is_gone_behind_its_first_checkpoint_is_read_from_it(hand_made_lake):
    files, first = StoredFiles(str(hand_made_lake)), checkpoint(hand_made_lake, SILVER, 0)
    held = set(read_log(files, SILVER).files)
    for version in (0, 1):
        log_entry(hand_made_lake, SILVER, version).unlink()
    log = read_log(files, SILVER)
    assert first.is_file() and (log.version, log.newest, log.is_known) == (0, 0, True)
    assert set(log.files) == held and len(held) == 2


def test_a_table_that_is_not_there_is_known_to_be_at_no_version(hand_made_lake):
    log = read_log(StoredFiles(str(hand_made_lake)), "silver/quarantine")
    assert (log.version, log.newest, log.is_known, log.files) == (-1, -1, True, {})


def test_a_folder_that_is_no_lake_and_one_of_a_newer_product_are_not_called_damaged(tmp_path, hand_made_lake):
    refuse_damage(str(tmp_path / "nowhere"))
    with pytest.raises(LakeError, match="no lake there"):
        examine(str(tmp_path / "nowhere"))
    marker, odd = parse_marker(json.dumps({"format": LAKE_FORMAT + 1, "floors": {"silver.declaration": 99}}).encode(), {})
    assert marker["format"] == LAKE_FORMAT + 1 and not odd


def test_listing_ten_thousand_files_takes_less_than_a_second(tmp_path):
    log = tmp_path / SILVER / "_delta_log"
    log.mkdir(parents=True)
    (tmp_path / MARKER).write_text(json.dumps({"format": LAKE_FORMAT}))
    lines = [
        {"commitInfo": {"operation": "WRITE"}}, {"protocol": {}},
        {"metaData": {"schemaString": json.dumps({"fields": []}), "partitionColumns": ["year"]}},
    ]
    stats = json.dumps({"numRecords": 1, "minValues": {"city_id": "110000"}, "maxValues": {"city_id": "650000"}})
    for year in range(2003, 2013):
        (tmp_path / SILVER / f"year={year}").mkdir()
        for number in range(1000):
            path = f"year={year}/part-{number:05}.parquet"
            (tmp_path / SILVER / path).touch()
            lines.append({"add": {"path": path, "size": 0, "partitionValues": {"year": str(year)}, "stats": stats}})
    (log / f"{0:020}.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    start = time.process_time()
    found = examine(str(tmp_path))
    # .16 to .21 s of processor time where it was measured; the bound is the one that is promised
    assert time.process_time() - start < 1.0
    assert found.damages == [] and len(found.logs["silver.declaration"].files) == 10_000
