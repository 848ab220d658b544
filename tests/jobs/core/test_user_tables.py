"""One reader of tables that a user writes by hand: rows as text with their line, and each fault in one sentence."""

from __future__ import annotations

import pytest

from jobs.core.errors import InputRefusedError
from jobs.core.user_tables import read_user_frame, read_user_table


class OwnError(InputRefusedError):
    pass


def test_rows_are_text_without_outer_spaces_under_their_line(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text('\ufeffcode , name,note\n 010, "a, b","two\nlines"\n\n020 ,c\n', "utf-8")
    rows = read_user_table(path, ("code", "name"))
    assert rows == [
        (3, {"code": "010", "name": "a, b", "note": "two\nlines"}), (5, {"code": "020", "name": "c", "note": ""})
    ]
    frame = read_user_frame(path, ("code",))
    assert list(frame.index) == [3, 5] and list(frame["code"]) == ["010", "020"] and list(frame["note"]) == ["two\nlines", ""]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"code,name\n1\n", None),
        (b"code\n1\n", "expected a CSV file with columns code, name; missing name; found code"),
        (b"", "missing code, name; found no heading line"),
        (b"code,name,code\n1,2,3\n", "expected each heading once; code stands there more than once"),
        (b"code,name\n1,2\n3,4,5\n", "own.csv, line 3: expected 2 cells, as headings; found 3"),
        ("code,name\n1,备注\n".encode("gb18030"), "expected a CSV file in UTF-8; cannot be read"),
    ],
)
@pytest.mark.parametrize("read", [read_user_table, read_user_frame])
def test_a_fault_is_one_sentence_of_the_kind_asked_for(content, sentence, read, tmp_path):
    path = tmp_path / "own.csv"
    path.write_bytes(content)
    if sentence is None:
        assert len(read(path, ("code", "name"), error=OwnError)) == 1
        return
    with pytest.raises(OwnError) as error:
        read(path, ("code", "name"), error=OwnError)
    assert sentence in str(error.value) and str(path) in str(error.value)


def test_a_file_that_is_not_there_is_named_with_its_columns(tmp_path):
    with pytest.raises(InputRefusedError, match=r"absent\.csv: expected a CSV file with columns code; there is no such file"):
        read_user_table(tmp_path / "absent.csv", ("code",))
