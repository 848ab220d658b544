"""Nothing is read through a link that leads out of the raw folder unless it is allowed by name; no JVM."""

from __future__ import annotations

import os

import pytest

from jobs.core.errors import InputRefusedError
from jobs.kernels.raw_folder import RawFolder
from jobs.readers.raw_listing import list_delivery, refuse_links_out
from jobs.readers.receiving import look_at_folder

SECRET = "root:x:0:0:张三,13812345678\n"


@pytest.fixture
def raw(tmp_path):
    outside = tmp_path / "outside.csv"
    outside.write_text(SECRET, encoding="utf-8")
    folder = tmp_path / "raw" / "customs"
    folder.mkdir(parents=True)
    (folder / "inside.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (folder / "2003.csv").symlink_to(outside)
    (folder / "2004.csv").symlink_to(folder / "inside.csv")
    return tmp_path / "raw"


def test_link_out_is_refused_unread_and_link_within_is_followed(raw, settings):
    files, beside = list_delivery(RawFolder(str(raw)))
    assert [name for name, _ in files] == ["customs/2004.csv", "customs/inside.csv"]
    (link,) = beside
    assert (link.source_file, link.kind) == ("customs/2003.csv", "refused")
    found = look_at_folder(raw, settings)
    printed = " ".join(item.reason for item in found.left_out)
    assert "allowed_links" in printed and "张三" not in printed and "138" not in printed and "outside.csv" not in printed


def test_link_is_followed_when_it_is_allowed_by_name(raw):
    files, beside = list_delivery(RawFolder(str(raw)), ["customs/200?.csv"])
    assert len(files) == 3 and not beside


def test_links_of_other_folders_are_refused_too(raw, tmp_path):
    for name in ("yearbook", "firms"):
        (raw / name).mkdir()
        (raw / name / "2005.csv").symlink_to(tmp_path / "outside.csv")
        with pytest.raises(InputRefusedError, match=f"{name}/2005.csv.*leads out"):
            refuse_links_out(raw / name, raw, [])
        refuse_links_out(raw / name, raw, [f"{name}/*"])


@pytest.mark.parametrize(
    ("name", "shown", "reason"),
    [
        (b"data2003\nerror  forged.csv", "data2003\\nerror  forged.csv", "a line break or another control character"),
        (b"data\x1b[2J2003.csv", "data\\x1b[2J2003.csv", "control character"),
        ("data\x852003.csv".encode(), "data\\x852003.csv", "control character"),
        ("data\u20282003.csv".encode(), "data\\u20282003.csv", "control character"),
        ("出口2003.csv".encode("gbk"), "\\xb3\\xf6\\xbf\\xda2003.csv", "in GBK it reads customs/出口2003.csv: rename"),
        (b"data\xff2003.csv", "data\\xff2003.csv", "not UTF-8: rename"),
    ],
)
def test_a_name_that_no_ledger_can_hold_is_refused_in_one_line_and_the_others_are_taken(raw, name, shown, reason):
    (raw / "customs" / "2001.csv").write_text("x", encoding="utf-8")
    with open(os.fsencode(raw / "customs") + b"/" + name, "wb") as stream:
        stream.write(b"x")
    files, beside = list_delivery(RawFolder(str(raw)))
    (found,) = [item for item in beside if item.kind == "refused" and "rename" in item.reason]
    assert found.source_file == f"customs/{shown}" and reason in found.reason
    assert "customs/2001.csv" in [each for each, _ in files] and all("\n" not in each for each, _ in files)


def test_customs_folder_that_is_itself_a_link_out_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "customs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputRefusedError, match="leads out"):
        list_delivery(RawFolder(str(tmp_path / "raw")))
    list_delivery(RawFolder(str(tmp_path / "raw")), ["customs"])
