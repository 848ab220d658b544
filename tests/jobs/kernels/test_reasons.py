"""What others' errors say comes into messages without addresses, paths and texts of cells; refusals print no record."""

from __future__ import annotations

import doctest

import pytest
from deliveries import HEADINGS, RECORDS, ROWS, lines

from conf.layouts import load_layouts
from jobs.core.errors import InputRefusedError
from jobs.kernels import codes, proposals
from jobs.kernels.proposals import propose_layout
from jobs.kernels.reasons import MAX_LETTERS, reason_of
from jobs.kernels.sources import local_file


class _Archive(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (_Archive("Block too small (errno=84, retcode=-30, archive_p=140429391754288)"), "Block too small"),
        (ValueError("<zipfile.ZipExtFile at 0x7f3b2c> has no tell"), "has no tell"),
        (OSError(28, "No space left on device", "/tmp/customs-lake-x/1.rar"), "No space left on device"),
        (ValueError("could not convert string to float: '常州甲公司 13912345678'"), "could not convert string to float"),
        (KeyError("常州甲公司"), "KeyError"),
        (RuntimeError(""), "RuntimeError"),
        (ValueError("cannot open /tmp/customs-lake-x/1.rar for reading"), "cannot open a file for reading"),
    ],
)
def test_reasons_keep_the_sentence_only(error, reason):
    assert reason_of(error) == reason


def test_a_long_reason_is_cut_at_a_word():
    assert len(reason_of(ValueError("word " * 200))) <= MAX_LETTERS + 4


SECRETS = [record[name] for record in RECORDS for name in ("firm_name", "firm_id")] + ["张三丰", "13912345678"]


def _spoilt() -> list[bytes]:
    """Deliveries that are refused, each in another way, with a name and a telephone number in every line."""
    rows = [[*row, "张三丰", "13912345678"] for row in ROWS]
    named = [*HEADINGS, "联系人", "电话"]
    shuffled = [[*row[5:], *row[:5]] for row in rows]
    return [
        lines(rows[1:], rows[0]).encode(), lines(shuffled[1:], shuffled[0]).encode("gb18030"),
        lines(rows, [f"v{index}" for index in range(len(named))]).encode(), lines(rows, named, "\x01").encode(),
        lines([row[4:] for row in rows], named[4:]).encode(), lines([row[-2:] for row in rows], named[-2:]).encode(),
        lines(rows, named).encode("big5hkscs", "ignore")[3:], lines([[row[4]] for row in rows], ["x"]).encode(),
        lines(rows, ["?" * 3] * len(named)).encode("shift_jis", "ignore"), lines(rows, named).encode("utf-8")[2:-3],
        lines([[*row[:1], "3", *row[2:]] for row in rows], named).encode(),
    ]


@pytest.mark.parametrize("number", range(len(_spoilt())))
@pytest.mark.parametrize("ending", ["csv", "xls", "dta", "mdb", "parquet", "zip", "7z", "rar", "sav", "sas7bdat"])
def test_no_refusal_prints_what_stands_in_a_record(deliver, number, ending):
    try:
        deliver(f"200506.{ending}", _spoilt()[number])
    except InputRefusedError as error:
        found = [secret for secret in SECRETS if secret in str(error)]
        assert not found, str(error)
        assert "0x" not in str(error) and "/tmp" not in str(error)


def test_a_proposed_layout_shows_names_and_numbers_by_their_form_only(tmp_path):
    rows = [[*row, "张三丰", "13912345678"] for row in ROWS]
    path = tmp_path / "200506.csv"
    path.write_text(lines(rows, [*HEADINGS[:4], *(f"v{index}" for index in range(len(HEADINGS) - 2))]), "utf-8")
    proposed = propose_layout(local_file(path, tmp_path), load_layouts())
    assert not [secret for secret in SECRETS if secret in proposed]
    assert "字字字" in proposed and "99999999999" in proposed and "江苏省常州" in proposed


def test_examples_in_the_modules_hold():
    for module in (codes, proposals):
        assert doctest.testmod(module).failed == 0
