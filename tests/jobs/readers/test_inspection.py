"""What land accepts and what it refuses, file by file; no JVM."""

from __future__ import annotations

import gzip

import pytest

from jobs.core.errors import InputRefusedError
from jobs.readers.customs_files import inspect_file

ENGLISH = "shipment_date,exp_or_imp,hs_id,value,quantity,party_id,company,zip,city,country"
CHINESE = "日期,进口或出口,税号编码,企业编码,邮编,消费地或生产地,起运国或目的国,金额"
YEARLY = "_日期\t_进口或出口\t_税号编码\t_企业编码\t_消费地进口or生产地出口\t_起运国或目的国\t_金额"
ENGLISH_ROW = "200501,0,84713010,1500,3,3204910001,某公司,213000,江苏省常州,美国"
CHINESE_ROW = "200301,出口,84713010,3204910001,213000,江苏省常州,美国,1500"
YEARLY_ROW = "2007\t0\t1012110\t3204910001\t江苏省常州\t502\t1500"


def _write(folder, name, text, encoding="utf-8"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("name", "heading", "row", "encoding", "layout", "year", "month"),
    [
        ("200501.csv", ENGLISH, ENGLISH_ROW, "utf-8", "monthly_english", 2005, 1),
        ("200511.csv", ENGLISH, ENGLISH_ROW, "gb18030", "monthly_english", 2005, 11),
        ("data200301.csv", CHINESE, CHINESE_ROW, "utf-8-sig", "monthly_chinese", 2003, 1),
        ("data2003-02.csv", CHINESE, CHINESE_ROW, "gb18030", "monthly_chinese", 2003, 2),
        ("2007_1.txt", YEARLY, YEARLY_ROW, "gb18030", "yearly_underscore", 2007, None),
        ("2007_12.txt", YEARLY, YEARLY_ROW, "gb18030", "yearly_underscore", 2007, None),
    ],
    ids=["english", "english in gb18030", "chinese with BOM", "chinese gb18030", "yearly", "yearly part twelve"],
)
def test_layout_encoding_and_period_come_from_headings_and_name(
    tmp_path, name, heading, row, encoding, layout, year, month
):
    path = _write(tmp_path, name, f"{heading}\r\n{row}\r\n\r\n{row}\r\n", encoding)
    found = inspect_file(path, tmp_path)
    assert (found.layout.name, found.year, found.month, found.n_lines) == (layout, year, month, 2)
    assert found.encoding == encoding.removesuffix("-sig")


def test_lines_are_counted_as_the_reader_counts_them(tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.kernels.limits.CHUNK_BYTES", 7)
    body = f"{ENGLISH}\r\n{ENGLISH_ROW}\n   \n\n{ENGLISH_ROW}\r{ENGLISH_ROW}\r\n\u3000\n{ENGLISH_ROW}"
    assert inspect_file(_write(tmp_path, "200502.csv", body), tmp_path).n_lines == 5


def test_compressed_file_is_read_through(tmp_path):
    path = tmp_path / "200503.csv.gz"
    path.write_bytes(gzip.compress(f"{ENGLISH}\n{ENGLISH_ROW}\n".encode()))
    assert inspect_file(path, tmp_path).n_lines == 1
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(InputRefusedError, match="200503.csv.gz: packed, and cannot be read"):
        inspect_file(path, tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("200501.csv", b"", r"200501.csv: the file is empty \(0 bytes\)"),
        ("200501.csv", f"{ENGLISH}\n".encode(), "headings but no data lines"),
        ("200501.csv", b"a,b,c\n1,2,3\n", r"match none of the \d+ known layouts. Found: a, b, c"),
        (
            "200501.csv",
            (ENGLISH.replace(",value", ",amount") + "\n" + ENGLISH_ROW).encode(),
            "nearest, monthly_english .* also needs: value",
        ),
        ("data.csv", f"{ENGLISH}\n{ENGLISH_ROW.replace('200501', '')}\n".encode(), "no year in the file's name"),
        (
            "2007_1.txt",
            f"{YEARLY}\n{YEARLY_ROW}".encode("gb18030")[:-1] + "市".encode("gb18030")[:1],
            "ends in the middle of a gb18030 character",
        ),
        ("200601.csv", "日期,進口".encode("utf-32-be"), "without columns|match none of"),
    ],
    ids=["empty", "headings only", "unknown", "one heading wrong", "no year", "cut", "no text"],
)
def test_unusable_file_is_refused_with_what_was_found(tmp_path, name, content, message):
    with pytest.raises(InputRefusedError, match=message):
        inspect_file(_write(tmp_path, name, content), tmp_path)


def test_a_damaged_byte_marks_its_field_and_nothing_else(tmp_path):
    good = f"{CHINESE}\n{CHINESE_ROW}\n".encode()
    path = _write(tmp_path, "200601.csv", good + CHINESE_ROW.encode().replace("常州".encode(), b"\xe5\xb8\xffx") + b"\n")
    found = inspect_file(path, tmp_path)
    assert (found.n_lines, dict(found.parts[0].noticed)) == (2, {"damaged text in production_place": 1})
    with pytest.raises(InputRefusedError, match="not valid utf-8: texts with damaged bytes: 1 in production_place"):
        inspect_file(path, tmp_path, strict=True)
