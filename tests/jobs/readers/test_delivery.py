"""A raw folder from its listing to the judgement: what is taken, what is set aside, and which years wait; no JVM."""

from __future__ import annotations

import errno
import gzip
import importlib
import json
import os
import re
import zipfile
from dataclasses import replace
from importlib.resources import files
from types import SimpleNamespace

import pytest

from conf.layouts import load_layouts
from conf.settings import load_settings
from jobs.core.errors import InputRefusedError
from jobs.kernels.raw_folder import raw_folder
from jobs.readers import looks
from jobs.readers.delivery import grouped
from jobs.readers.looks import LookCache
from jobs.readers.raw_listing import list_delivery
from jobs.readers.receiving import carry_over, left_out_lines, look_at_folder, receive, unfinished_text

HEADINGS = "日期,进口或出口,税号编码,企业编码,邮编,消费地或生产地,起运国或目的国,金额,数量"
YEARLY = "_日期\t_进口或出口\t_税号编码\t_企业编码\t_消费地进口or生产地出口\t_起运国或目的国\t_金额"


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CUSTOMS_LAKE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def settings():
    return load_settings(environment={}, overrides=["study.first_year=2000", "study.last_year=2011"])


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw" / "customs"
    folder.mkdir(parents=True)
    return folder


def _lines(period, n_rows=12, *, first=0):
    dollars, flows = period % 997 * 7, ("出口",) * 5 + ("进口",)
    return [
        f"{period},{flows[k % 6]},8471301{k % 10},32049100{k:02d},213000,江苏省常州,美国,{dollars + k}.5,{k + 1}"
        for k in range(first, first + n_rows)
    ]


def _write(folder, name, lines, headings=HEADINGS, encoding="utf-8"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = ("\n".join([headings, *lines]) + "\n").encode(encoding)
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def _delivery(raw, settings, receipts=(), **options):
    looked = look_at_folder(raw.parent, settings, receipts=receipts)
    return receive(looked, receipts, settings, where=str(raw), **options)


def _kinds(delivery):
    return {item.source_file.removeprefix("customs/"): item.kind for item in delivery.left_out}


def _names(items):
    return [item.source_file.removeprefix("customs/") for item in items]


def _receipts(items):
    """What landing would have written of files."""
    return [
        {
            "source_file": item.source_file, "file_sha256": item.sha256, "bytes": item.n_bytes, "layout": item.layout,
            "encoding": item.encoding, "delimiter": item.delimiter, "headings": list(item.headings),
            "source_year": year.year, "source_month": year.month, "n_lines": year.n_lines, "receipt_status": "received",
            "parts": item.parts, "content": json.dumps(year.content.to_json()), "has_postcodes": item.has_postcodes,
        }
        for item in items
        for year in item.years
    ]


def test_everything_in_a_folder_is_taken_or_named(raw, settings):
    _write(raw, "data200401.csv", _lines(200401))
    useless = ("Thumbs.db", "desktop.ini", ".DS_Store", "~$200401.xlsx", "clean.do", "README.txt", "下载说明.pdf", "a.json")
    for name in useless:
        (raw / name).write_bytes(b"x")
    (raw / "empty_200402.csv").write_bytes(b"")
    _write(raw, "data200403.csv", [])
    _write(raw, "_old/data200404.csv", _lines(200404))
    _write(raw, "__MACOSX/._data200401.csv", [])
    elsewhere = raw.parent.parent / "elsewhere"
    _write(elsewhere, "data200405.csv", _lines(200405))
    os.symlink(elsewhere, raw / "linked")
    os.symlink(raw / "nowhere", raw / "broken_200406.csv")
    _write(raw, "_old/data200405.csv", _lines(200405))
    os.symlink(raw / "_old" / "data200405.csv", raw / "data200405.csv")
    delivery = _delivery(raw, settings)
    assert _names(delivery.new) == ["data200401.csv", "data200405.csv"], "a link within the folder is the file"
    assert _kinds(delivery) == dict.fromkeys(useless, "useless") | {
        "empty_200402.csv": "empty", "data200403.csv": "empty", "_old/": "useless", "__MACOSX/": "useless",
        "linked": "link", "broken_200406.csv": "link",
    }
    printed = "\n".join(left_out_lines(delivery.left_out))
    assert all(name.rstrip("/") in printed for name in _kinds(delivery)) and "left out with its 2 files" in printed
    assert delivery.blocked_years == () and unfinished_text(delivery) == ""


def test_bad_file_blocks_its_own_year_only(raw, settings):
    _write(raw, "data200401.csv", _lines(200401))
    _write(raw, "data200402.csv", ["1,2,3"], headings="a,b,c")
    _write(raw, "data200501.csv", _lines(200501))
    delivery = _delivery(raw, settings)
    assert _names(delivery.new) == ["data200401.csv", "data200501.csv"]
    assert delivery.blocked_years == (2004,)
    assert "the counts of 2004 wait" in unfinished_text(delivery) and "--accept" in unfinished_text(delivery)
    accepted = _delivery(raw, settings, accepted=["data200402.csv"])
    assert accepted.blocked_years == () and unfinished_text(accepted) == ""
    (row,) = (item for item in accepted.left_out if item.kind == "refused")
    kept = [{"source_file": row.source_file, "left_out_reason": row.reason, "is_accepted": True}]
    assert _delivery(raw, settings, former=kept).blocked_years == (), "what was accepted stays so while the fault is the same"
    with pytest.raises(InputRefusedError, match=r"(?s)1 of 3 files cannot be taken; nothing was loaded.*data200402.csv"):
        _delivery(raw, settings, all_or_nothing=True)


def test_delivery_without_a_usable_file_is_refused_with_all_reasons_equal_ones_together(raw, settings):
    for month in range(1, 13):
        _write(raw, f"data2004{month:02d}.csv", ["1,2,3"], headings="a,b,c")
    _write(raw, "data200501.csv", ["1"], headings="x")
    with pytest.raises(InputRefusedError) as caught:
        _delivery(raw, settings)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3 and "12 files customs/data200401.csv, customs/data200402.csv" in lines[1]


def test_files_of_years_not_asked_for_are_named_and_block_nothing(raw, settings):
    _write(raw, "data200401.csv", _lines(200401))
    _write(raw, "data201501.csv", _lines(201501))
    _write(raw, "data201502.csv", ["1,2"], headings="x,y")
    assert _kinds(_delivery(raw, settings)) == {"data201501.csv": "other_year", "data201502.csv": "other_year"}
    only = _delivery(raw, settings, years={2015})
    assert _names(only.new) == ["data201501.csv"] and only.blocked_years == (2015,)
    assert _kinds(only) == {"data200401.csv": "other_year", "data201502.csv": "refused"}
    former = [
        {"source_file": item.source_file, "left_out_kind": item.kind, "left_out_reason": item.reason,
         "blocked_years": list(item.blocked_years), "is_accepted": False}
        for item in only.left_out
    ]
    later = _delivery(raw, settings, years={2004})
    carried = carry_over(later.left_out, former, {2004})
    assert {year for item in carried for year in item.blocked_years} == {2015}, "a year not asked for goes on waiting"


def test_name_and_dates_that_disagree_are_refused_beyond_the_bound(raw, settings):
    _write(raw, "data200401.csv", _lines(200301))
    _write(raw, "data200502.csv", [*_lines(200502, 40), *_lines(200503, 2, first=40)])
    delivery = _delivery(raw, settings)
    (refused,) = (item for item in delivery.left_out if item.kind == "refused")
    assert "the name says 2004-01, the date column 2003-01 in 12 of 12" in refused.reason and "year_from" in refused.reason
    assert _names(delivery.new) == ["data200502.csv"]
    assert "the date column 2005-03 in 2 of 42 dated records; the name decides" in delivery.notes[0]


def test_file_of_several_years_is_split_by_its_rows(raw, settings):
    rows = [*_lines(200403, 10), *_lines(200504, 20, first=10), *_lines(200604, 5, first=40)]
    _write(raw, "all.csv", [*rows, rows[0].replace("200403", "no date")])
    (item,) = _delivery(raw, settings).new
    found = [(year.year, year.month, year.n_lines, year.content.n_rows) for year in item.years]
    assert found == [(2004, None, 11, 11), (2005, None, 20, 20), (2006, None, 5, 5)]
    assert "3 years, 2004-2006" in item.notes[0] and "1 records without a readable date are not counted" in item.notes[0]


def test_year_comes_from_the_folder_and_a_file_that_nobody_can_date_is_refused(raw, settings):
    _write(raw, "2004年/海关数据.csv", _lines(200401))
    _write(raw, "2005/m03.csv", _lines(200503))
    _write(raw, "notdated.csv", [line.replace("200401", "") for line in _lines(200401, first=50)])
    delivery = _delivery(raw, settings)
    assert {item.source_file: (item.years[0].year, item.years[0].month) for item in delivery.new} == {
        "customs/2004年/海关数据.csv": (2004, None), "customs/2005/m03.csv": (2005, 3),
    }
    assert delivery.blocked_years == () and "no year in" in next(iter(delivery.left_out)).reason


def test_names_of_a_kind_of_their_own_are_read_by_the_layouts_pattern(raw, settings, tmp_path, monkeypatch):
    own = (files("conf.layouts") / "monthly_chinese.toml").read_text("utf-8")
    pattern = r"name_pattern = 'cus(?P<year>\d\d)(?P<month>[a-z]{3}|\d\d)'"
    (tmp_path / "layouts").mkdir()
    (tmp_path / "layouts" / "own.toml").write_text(f"{pattern}\n{own}", "utf-8")
    monkeypatch.setenv("CUSTOMS_LAKE_LAYOUTS", str(tmp_path / "layouts"))
    load_layouts.cache_clear()
    try:
        _write(raw, "cus04Mar.csv", _lines(200403))
        _write(raw, "x/cus0512_part.csv", _lines(200512, first=50))
        _write(raw, "cus04Jun.csv", _lines(200401, first=100))
        # the pattern is not in it: read as all names are
        _write(raw, "data200601.csv", _lines(200601, first=150))
        delivery = _delivery(raw, settings)
    finally:
        load_layouts.cache_clear()
    assert {item.source_file.rsplit("/")[-1]: (item.years[0].year, item.years[0].month) for item in delivery.new} == {
        "cus04Mar.csv": (2004, 3), "cus0512_part.csv": (2005, 12), "data200601.csv": (2006, 1),
    }
    (refused,) = delivery.left_out
    assert "the name says 2004-06, the date column 2004-01" in refused.reason
    assert refused.blocked_years == (2004,), "the year waits although no usual pattern finds it in the name"


def test_withdrawn_file_delivered_packed_is_read_anew(raw, settings):
    path = _write(raw, "data200401.csv", _lines(200401))
    receipts = [row | {"receipt_status": "withdrawn"} for row in _receipts(_delivery(raw, settings).new)]
    (raw / "data200401.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert _names(_delivery(raw, settings, receipts).new) == ["data200401.csv.gz"]


def test_members_that_are_not_taken_are_named_and_a_bad_one_blocks_its_year(raw, settings):
    good, bad = "\n".join([HEADINGS, *_lines(200401)]), "\n".join(["a,b,c,d,e,f,g", "1,2,3,4,5,6,7"])
    with zipfile.ZipFile(raw / "2004.zip", "w") as archive:
        for name, text in (("200401.csv", good), ("200402.csv", bad), ("note.txt", "no columns here"), ("x.do", "")):
            archive.writestr(name, text)
    looked = look_at_folder(raw, settings)
    delivery = receive(looked, (), settings, where="raw")
    assert _names(delivery.new) == ["2004.zip"]
    assert _kinds(delivery) == {"2004.zip/200402.csv": "refused", "2004.zip/note.txt": "useless", "2004.zip/x.do": "useless"}
    assert delivery.blocked_years == (2004,)
    # known by its receipt it is looked at again: no receipt says what was left out
    again = look_at_folder(raw, settings, receipts=_receipts(delivery.new))
    assert again.left_out == looked.left_out


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError()])
def test_full_disk_is_no_fault_of_the_file_and_is_not_remembered(raw, settings, monkeypatch, error):
    _write(raw, "data200402.csv", _lines(200402, first=50))
    with zipfile.ZipFile(raw / "2004_1.zip", "w") as archive:
        with zipfile.ZipFile(raw / "x.zip", "w") as inner:
            inner.writestr("200401.csv", "\n".join([HEADINGS, *_lines(200401)]))
        archive.write(raw / "x.zip", "inner.zip")
    (raw / "x.zip").unlink()

    def fill(*_):
        raise error

    with monkeypatch.context() as full:
        full.setattr("jobs.kernels.containers.shutil.copyfileobj", fill)
        looked = look_at_folder(raw, settings)
    (waits,) = looked.left_out
    assert (waits.source_file, waits.kind, waits.blocked_years) == ("2004_1.zip", "refused", (2004,))
    assert "this machine could not read it now" in waits.reason and "TMPDIR" in waits.reason
    assert _names(looked.files) == ["data200402.csv"]
    assert sorted(_names(look_at_folder(raw, settings).files)) == ["2004_1.zip", "data200402.csv"]


def test_correction_that_lost_a_third_of_its_lines_waits_to_be_accepted(raw, settings):
    path = _write(raw, "data200401.csv", _lines(200401, 60))
    receipts = _receipts(_delivery(raw, settings).new)
    path.write_text("\n".join([HEADINGS, *_lines(200401, 40)]) + "\n", encoding="utf-8")
    delivery = _delivery(raw, settings, receipts)
    (item,) = delivery.left_out
    assert (item.kind, delivery.corrected) == ("correction", ()) and "40 lines instead of 60" in item.reason
    assert delivery.blocked_years == (), "the former file stays in force"
    assert _names(_delivery(raw, settings, receipts, accepted=["data200401.csv"]).corrected) == ["data200401.csv"]
    path.write_text("\n".join([HEADINGS, *_lines(200401, 55)]) + "\n", encoding="utf-8")
    assert _names(_delivery(raw, settings, receipts).corrected) == ["data200401.csv"]


@pytest.mark.parametrize(("change", "printed"), [("dollars", r"US\$ .* instead of"), ("month", "no records of 2004-02 any")])
def test_correction_that_lost_dollars_or_a_month_waits_too(raw, settings, change, printed):
    rows = [*_lines(200401, 40), *_lines(200402, 8)]
    path = _write(raw, "2004.csv", rows)
    receipts = _receipts(_delivery(raw, settings).new)
    if change == "dollars":
        rows = [line.replace(line.split(",")[7], "1") for line in rows]
    else:
        rows = [line.replace("200402", "200401") for line in rows]
    path.write_text("\n".join([HEADINGS, *rows]) + "\n", encoding="utf-8")
    (item,) = _delivery(raw, settings, receipts).left_out
    assert item.kind == "correction" and re.search(printed, item.reason)


def test_same_month_in_other_forms_and_the_years_file_are_taken_once(raw, settings):
    _write(raw, "data200401.csv", _lines(200401, 30))
    _write(raw, "data200401.csv.gz", _lines(200401, 30), encoding="gb18030")
    _write(raw, "data200402.csv", _lines(200402, 30, first=30))
    _write(raw, "tradedata_2004.csv", [*_lines(200402, 30, first=30), *_lines(200401, 30)])
    delivery = _delivery(raw, settings)
    assert _names(delivery.new) == ["data200401.csv", "data200402.csv"]
    assert _kinds(delivery) == {"data200401.csv.gz": "duplicate", "tradedata_2004.csv": "duplicate"}
    assert all("data200401.csv" in item.reason for item in delivery.left_out), "both files are named"
    # delivered later, beside what is in force
    receipts = _receipts(delivery.new)
    again = _delivery(raw, settings, receipts)
    assert _names(again.unchanged) == ["data200401.csv", "data200402.csv"] and again.new == ()
    assert _kinds(again) == _kinds(delivery)


def test_no_file_is_read_twice_and_a_changed_one_is_read_again(raw, settings, monkeypatch):
    path = _write(raw, "data200401.csv", _lines(200401))
    _write(raw, "data200402.csv", _lines(200402))
    seen = []

    def progress(name, n_bytes, is_known):
        seen.append((name, is_known))

    monkeypatch.setattr("jobs.readers.looks._OPEN", {})
    first = look_at_folder(raw.parent, settings, progress=progress)
    monkeypatch.setattr("jobs.readers.looks._OPEN", {})
    assert look_at_folder(raw.parent, settings, progress=progress) == first
    assert sorted(is_known for _, is_known in seen) == [False, False, True, True]
    path.write_text("\n".join([HEADINGS, *_lines(200401, 13)]) + "\n", encoding="utf-8")
    seen.clear()
    look_at_folder(raw.parent, settings, progress=progress)
    assert dict(seen) == {"customs/data200401.csv": False, "customs/data200402.csv": True}


def test_looks_taken_by_others_are_those_taken_here(raw, settings, monkeypatch):
    _write(raw, "data200401.csv", _lines(200401))
    _write(raw, "data200502.csv", _lines(200501))
    _write(raw, "empty.csv", [])
    _write(raw, "locked200503.csv", _lines(200503))
    (raw / "locked200503.csv").chmod(0)
    (raw / "x.bin").write_bytes(b"\0\1")
    here = look_at_folder(raw, settings)
    monkeypatch.setattr(looks, "_OPEN", {})
    monkeypatch.setenv("CUSTOMS_LAKE_CACHE", str(raw / ".." / "other"))
    monkeypatch.setattr(looks, "SHARED_BYTES", 70_000)
    calls = []

    def run(tasks, function, arguments):
        calls.append(tasks)
        module, _, name = function.rpartition(".")
        for task in tasks:
            for batch in getattr(importlib.import_module(module), name)(task, *arguments):
                yield from batch.column(0).to_pylist()

    assert look_at_folder(raw, settings, run=run) == here and len(here.files) == 1
    assert len(calls) > 1, "what is found is kept group by group"
    assert look_at_folder(raw, settings, run=None) == here
    n_calls = len(calls)
    assert look_at_folder(raw, settings, run=run) == here
    # a file without permission is neither given to anybody nor kept; all others are known
    assert len(calls) == n_calls and not any("locked" in task for tasks in calls for task in tasks)


def test_cache_survives_a_cut_line_and_a_folder_that_cannot_be_written(raw, settings, tmp_path, monkeypatch):
    _write(raw, "data200401.csv", _lines(200401))
    first = look_at_folder(raw.parent, settings)
    (stored,) = (tmp_path / "cache" / "looks").iterdir()
    stored.write_text(stored.read_text("utf-8") + '{"version": "x", "fi', encoding="utf-8")
    monkeypatch.setattr("jobs.readers.looks._OPEN", {})
    assert look_at_folder(raw.parent, settings) == first
    cache = LookCache(tmp_path / "cache" / "looks" / stored.name / "below a file", "x")
    cache.put("a", (1, 1), {"kind": "empty"})
    assert cache.get("a", (1, 1)) == {"kind": "empty"} and cache.get("a", (1, 2)) is None


def test_known_file_without_a_cached_look_costs_its_hash_only(raw, settings, monkeypatch):
    _write(raw, "data200401.csv", _lines(200401))
    receipts = _receipts(_delivery(raw, settings).new)
    monkeypatch.setenv("CUSTOMS_LAKE_CACHE", str(raw.parent.parent / "other"))
    monkeypatch.setattr("jobs.readers.looks.look_at", lambda *_, **__: pytest.fail("the file was read"))
    assert _names(_delivery(raw, settings, receipts).unchanged) == ["data200401.csv"]


def test_files_that_another_layout_reads_now_are_read_again_and_no_others(raw, settings, monkeypatch):
    odd = HEADINGS.replace("邮编", "邮政代号")
    _write(raw, "data200401.csv", _lines(200401), headings=odd)
    _write(raw, "data200402.csv", _lines(200402))
    with zipfile.ZipFile(raw / "2005.zip", "w") as archive:
        archive.writestr("data200501.csv", "\n".join([odd, *_lines(200501)]))
        archive.writestr("data200502.csv", "\n".join([HEADINGS, *_lines(200502)]))
    first = _delivery(raw, settings)
    receipts = _receipts(first.new)
    assert len(receipts) == 3 and _names(_delivery(raw, settings, receipts).unchanged) == _names(first.new)
    named = replace(settings, aliases=replace(settings.aliases, headings={"邮政代号": "postcode", "没有": "email"}))
    again = _delivery(raw, named, receipts)
    assert _names(again.reread) == ["2005.zip", "data200401.csv"] and _names(again.unchanged) == ["data200402.csv"]
    assert again.arrived == again.reread and all(item.has_postcodes for item in again.arrived)
    receipts = [row for row in receipts if "02" in row["source_file"]] + _receipts(again.arrived)
    assert _names(_delivery(raw, named, receipts).unchanged) == ["2005.zip", "data200401.csv", "data200402.csv"]
    # without the alias as they were; a withdrawn file, and one whose receipt does not say how it was read, stay what they are
    assert _names(_delivery(raw, settings, receipts).reread) == ["2005.zip", "data200401.csv"]
    older = [row | {"parts": re.sub('"reading":"[0-9a-f]*"', '"reading":""', row["parts"])} for row in receipts]
    assert _delivery(raw, settings, older).reread == ()
    gone = [row | {"receipt_status": "withdrawn"} for row in receipts]
    assert len(_delivery(raw, settings, gone).withdrawn) == 3


def test_reading_that_loses_most_dollars_waits_like_a_correction(raw, settings, monkeypatch, tmp_path):
    _write(raw, "data200401.csv", _lines(200401), headings=HEADINGS.replace("金额", "金 额"))
    receipts = _receipts(_delivery(raw, settings).new)
    shipped = next(layout for layout in load_layouts() if layout.name == "monthly_chinese")
    mine = replace(shipped, units={"value": 0.001})
    monkeypatch.setattr("jobs.readers.receiving.load_layouts", lambda: (mine,))
    assert _kinds(_delivery(raw, settings, receipts)) == {"data200401.csv": "correction"}
    assert _names(_delivery(raw, settings, receipts, accepted=["data200401.csv"]).reread) == ["data200401.csv"]


def test_members_without_dates_count_for_the_years_of_their_names(raw, settings):
    with zipfile.ZipFile(raw / "both.zip", "w") as archive:
        for year in (2004, 2005):
            records = ["," + line.partition(",")[2] for line in _lines(year * 100 + 1, year - 2000)]
            archive.writestr(f"data{year}01.csv", "\n".join([HEADINGS, *records]))
    (item,) = _delivery(raw, settings).new
    assert [(year.year, year.n_lines, year.content.n_rows) for year in item.years] == [(2004, 4, 4), (2005, 5, 5)]
    assert all(year.content.value_usd > 0 for year in item.years)


@pytest.mark.parametrize("in_memory", [True, False])
def test_file_that_grows_while_it_is_read_is_refused_and_taken_when_it_is_complete(raw, settings, monkeypatch, in_memory):
    path = _write(raw, "data200401.csv", _lines(200401))
    _write(raw, "data200501.csv", _lines(200501))
    real = looks.look_at

    def look_at(file, *arguments, **options):
        found = real(file, *arguments, **options)
        if path.name in file.source_file:
            with open(path, "a", encoding="utf-8") as stream:
                stream.write(_lines(200401, first=12)[0] + "\n")
        return found

    monkeypatch.setattr(looks, "look_at", look_at)
    monkeypatch.setattr(looks, "READ_WHOLE_BYTES", 1 << 20 if in_memory else 0)
    delivery = _delivery(raw, settings)
    assert _names(delivery.new) == ["data200501.csv"] and delivery.blocked_years == (2004,)
    assert "still being written" in delivery.left_out[0].reason
    monkeypatch.setattr(looks, "look_at", real)
    assert [item.n_lines for item in _delivery(raw, settings).new] == [13, 12]


def test_unreadable_file_is_named_with_its_permission(raw, settings):
    path = _write(raw, "data200401.csv", _lines(200401))
    _write(raw, "data200501.csv", _lines(200501))
    path.chmod(0)
    delivery = _delivery(raw, settings)
    assert delivery.blocked_years == (2004,) and "no permission" in delivery.left_out[0].reason


def test_folder_that_is_not_there_or_empty_is_refused(tmp_path, settings):
    with pytest.raises(InputRefusedError, match="no such folder"):
        look_at_folder(tmp_path / "nowhere", settings)
    (tmp_path / "hollow").mkdir()
    with pytest.raises(InputRefusedError, match="no files in it"):
        look_at_folder(tmp_path / "hollow", settings)


def test_many_files_are_listed_without_opening_them(raw):
    for number in range(300):
        (raw / f"{number}").mkdir()
        (raw / f"{number}" / "data200401.csv").write_bytes(b"")
    files, beside = list_delivery(raw_folder(raw.parent))
    assert len(files) == 300 and beside == []


def test_groups_put_what_needs_a_look_first():
    given = (("useless", "x", "a"), ("refused", "y", "c"), ("refused", "y", "b"), ("correction", "z", "d"))
    items = [SimpleNamespace(kind=kind, reason=reason, source_file=name) for kind, reason, name in given]
    assert grouped(items) == [("refused", "y", ["b", "c"]), ("correction", "z", ["d"]), ("useless", "x", ["a"])]
