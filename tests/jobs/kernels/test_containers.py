"""Archives, compressed files, workbooks, databases, files of other programs: the same records; bad ones by a sentence."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from dataclasses import replace

import pandas as pd
import py7zr
import pyarrow as pa
import pyreadstat
import pytest
from deliveries import COLUMNS, HEADINGS, RECORDS, ROWS, lines, values

from conf.layouts import load_layouts, parse_layout
from jobs.core.errors import InputRefusedError
from jobs.kernels import limits, sheets
from jobs.kernels.kinds import kind_of

TEXT = lines().encode("gb18030")
FRAME = pd.DataFrame(ROWS, columns=HEADINGS)
ENGLISH = "shipment_date exp_or_imp hs_id party_id company zip city CompanyType country shipment value quantity".split()
SHORT = [f"V{number:02}" for number in range(len(ENGLISH))]
NUMBERS = {"value": float, "quantity": float}


def packed(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return stream.getvalue()


def seven(tmp_path, name, content, **options) -> bytes:
    path = tmp_path / "x.7z"
    with py7zr.SevenZipFile(path, "w", **options) as archive:
        archive.writestr(content, name)
    return path.read_bytes()


def stata(tmp_path) -> bytes:
    path = tmp_path / "x.dta"
    FRAME.to_stata(path, write_index=False, version=118)
    return path.read_bytes()


def excel(**sheets_) -> bytes:
    stream = io.BytesIO()
    with pd.ExcelWriter(stream) as book:
        for name, frame in sheets_.items():
            frame.to_excel(book, sheet_name=name, index=False)
    return stream.getvalue()


def test_a_compressed_file_is_the_file_itself(deliver, tmp_path):
    assert values(deliver("data200506.csv.gz", gzip.compress(TEXT))[1]) == RECORDS
    look, rows = deliver("data200506.dta.gz", gzip.compress(stata(tmp_path)))
    assert values(rows) == RECORDS and look.parts[0].member == ""


def test_members_of_an_archive_are_numbered_through_and_what_holds_no_records_is_named(deliver, tmp_path):
    content = packed(**{
        "海关__200506.csv": TEXT, "海关__200507.csv.gz": gzip.compress(TEXT), "b.dta": stata(tmp_path),
        "说明.txt": b"read me\n", "__MACOSX__._x.csv": b"x", "inner.zip": packed(**{"200508.csv": TEXT}),
    })
    look, rows = deliver("2005.zip", content)
    assert [part.member for part in look.parts] == ["b.dta", "inner.zip/200508.csv", "海关/200506.csv", "海关/200507.csv"] or [
        part.member for part in look.parts
    ] == ["b.dta", "200508.csv", "海关/200506.csv", "海关/200507.csv"]
    assert values(rows) == RECORDS * 4
    assert [name for name, _ in look.left_out] == ["说明.txt"]


def test_names_of_members_in_gbk_are_read_as_that(deliver):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("abcdefgh.csv", TEXT)
    stored = stream.getvalue().replace(b"abcdefgh.csv", "海关数据".encode("gbk") + b".csv")
    assert deliver("200506.zip", stored)[0].parts[0].member == "海关数据.csv"


def test_a_7z_archive_is_read(deliver, tmp_path):
    assert values(deliver("200506.7z", seven(tmp_path, "200506.csv", TEXT))[1]) == RECORDS


def test_sheets_with_records_are_read_and_others_are_named(deliver):
    book = excel(一=FRAME, 说明=pd.DataFrame({"a": ["b"]}), 二=FRAME)
    look, rows = deliver("200506.xlsx", book)
    assert [part.table for part in look.parts] == ["一", "二"] and values(rows) == RECORDS * 2


def test_a_layout_may_be_for_one_sheet_only(deliver):
    layouts = tuple(replace(item, form=replace(item.form, sheet="二")) for item in load_layouts())
    look, rows = deliver("200506.xlsx", excel(一=FRAME, 二=FRAME[:2]), layouts=layouts)
    assert [part.table for part in look.parts] == ["二"] and values(rows) == RECORDS[:2]


def test_numbers_of_a_workbook_are_written_as_they_are_seen(deliver):
    frame = FRAME.assign(税号编码=FRAME["税号编码"].astype(float), 金额=FRAME["金额"].astype(float))
    _, rows = deliver("200506.xlsx", excel(a=frame))
    assert [row["hs_code"] for row in rows] == ["85171100", "9024090", "62034290", "84713000", "61091000"]
    assert [row["value"] for row in rows] == [record["value"] for record in RECORDS]


def test_parquet_comes_back_with_whole_numbers_as_such(deliver, tmp_path):
    path = tmp_path / "x.parquet"
    FRAME.assign(金额=FRAME["金额"].astype(float), 数量=10).to_parquet(path)
    assert values(deliver("200506.parquet", path.read_bytes())[1]) == RECORDS


def test_labels_of_an_spss_file_win_over_its_numbers(deliver, tmp_path):
    path = tmp_path / "x.sav"
    frame = FRAME.set_axis(ENGLISH, axis=1).assign(exp_or_imp=[1.0, 1.0, 1.0, 2.0, 1.0])
    pyreadstat.write_sav(frame, path, variable_value_labels={"exp_or_imp": {1.0: "出口", 2.0: "进口"}})
    assert values(deliver("200506.sav", path.read_bytes())[1]) == RECORDS


def english_frame(rows=ROWS):
    frame = pd.DataFrame(rows, columns=ENGLISH)
    return frame.assign(**{name: frame[name].map(kind) for name, kind in NUMBERS.items()}).set_axis(SHORT, axis=1)


def own_layout():
    columns = "".join(f'{column} = "{short}"\n' for column, short in zip(COLUMNS.values(), SHORT, strict=True))
    return parse_layout(f'name = "own"\nperiod = "month"\n[columns]\n{columns}', "own.toml")


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
@pytest.mark.parametrize("version", [5, 8])
@pytest.mark.parametrize("ending", [".xpt", ".sas7bdat"])
def test_sas_files_give_the_records_in_either_encoding(deliver, tmp_path, monkeypatch, encoding, version, ending):
    path = tmp_path / "x.xpt"
    # no free program writes .sas7bdat: its reader stands in with the other's, which takes the same arguments
    monkeypatch.setattr(pyreadstat, "read_sas7bdat", pyreadstat.read_xport)
    pyreadstat.write_xport(english_frame(), path, file_format_version=version)
    content = path.read_bytes()
    for text in {text for row in ROWS for text in row if not text.isascii()}:
        stored = text.encode()
        content = content.replace(stored, text.encode(encoding).ljust(len(stored)))
    assert values(deliver(f"200506{ending}", content, layouts=(own_layout(),))[1]) == RECORDS


def test_sas_readers_take_what_they_are_given():
    assert "apply_value_formats" not in pyreadstat.read_sas7bdat.__doc__.partition("Returns")[0]
    assert "encoding" in pyreadstat.read_sas7bdat.__doc__ and "row_limit" in pyreadstat.read_sas7bdat.__doc__


def test_a_portable_file_of_spss_is_read_as_far_as_it_says_its_letters(deliver, tmp_path):
    plain = {"出口": "E", "进口": "I", "江苏省常州": "32049", "福建省厦门": "35029", "浙江省杭州": "33019"}
    plain |= {"上海市浦东": "31049", "广东省深圳": "44039", "美国": "502", "日本": "116", "德国": "304"}
    plain |= {"韩国": "133", "香港": "110"}
    rows = [[plain.get(text, text if text.isascii() else "x") for text in row] for row in ROWS]
    pyreadstat.write_por(english_frame(rows), tmp_path / "x.por")
    content = (tmp_path / "x.por").read_bytes()
    _, found = deliver("200506.por", content, layouts=(own_layout(),))
    assert [list(row.values()) for row in values(found, *COLUMNS.values())] == rows
    with pytest.raises(InputRefusedError, match="not ASCII.*Save it in SPSS as .sav"):
        deliver("200506.por", content.replace(b"32049", "江苏1".encode("gbk")), layouts=(own_layout(),))


def open_document(rows) -> bytes:
    """An OpenDocument sheet: texts as texts, amounts as numbers, an empty row repeated a million times at its end."""
    def cell(text, heading):
        if heading in ("金额", "数量"):
            return f'<table:table-cell office:value-type="float" office:value="{text}"/>'
        return f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'

    lines_ = [[cell(text, "") for text in HEADINGS]]
    lines_ += [[cell(*pair) for pair in zip(row, HEADINGS, strict=True)] for row in rows]
    body = "".join(f"<table:table-row>{''.join(line)}</table:table-row>" for line in lines_)
    empty = '<table:table-row table:number-rows-repeated="1048000"><table:table-cell/></table:table-row>'
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {spaces} office:version="1.2"><office:body>'
        f'<office:spreadsheet><table:table table:name="6月">{body}{empty}</table:table></office:spreadsheet></office:body>'
        "</office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        '<?xml version="1.0"?><manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/></manifest:manifest>'
    )
    return packed(mimetype=kind.encode(), **{"content.xml": content.encode(), "META-INF__manifest.xml": manifest.encode()})


@pytest.mark.parametrize("name", ["200506.ods", "200506.xlsx", "200506"])
def test_an_open_document_sheet_gives_the_records_under_any_ending(deliver, name):
    look, rows = deliver(name, open_document(ROWS))
    assert values(rows) == RECORDS and look.parts[0].table == "6月"


def test_texts_of_access_97_are_gb18030_and_numbers_have_no_point():
    table = sheets._of_lists("t", {"名": [b"\xb3\xa3".decode("latin-1"), None], "数": [12.0, 0.5]}, True)
    (rows,) = table.read(0, 2)
    assert [column.to_pylist() for column in rows.columns] == [["常", None], ["12", "0.5"]]


def test_kinds_are_told_by_their_first_bytes():
    assert kind_of("x.csv", b"PK\x03\x04") == "zip" and kind_of("x.xlsx", b"PK\x03\x04") == "excel"
    assert kind_of("x.bin", b"<stata_dta>") == "stata" and kind_of("x.pdf", b"%PDF") == ""


def _escaping() -> bytes:
    return packed(**{"..__..__x.csv": TEXT})


def _locked() -> bytes:
    content = bytearray(packed(**{"200506.csv": TEXT}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(signature) + offset
        content[at : at + 2] = struct.pack("<H", struct.unpack("<H", content[at : at + 2])[0] | 1)
    return bytes(content)


def _deep() -> bytes:
    content = packed(**{"200506.csv": TEXT})
    for _ in range(4):
        content = packed(**{"a.zip": content})
    return content


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.zip", _escaping(), "would be unpacked outside its folder"),
        ("a.zip", _locked(), "locked with a password. Unpack it"),
        ("a.zip", _deep(), "archives inside archives, 3 deep"),
        ("a.zip", packed(**{"200506.csv": TEXT})[:-30], "a ZIP archive that cannot be read"),
        ("a.zip", packed(**{"x.txt": b"nothing\n"}), "a text without columns"),
        ("a.csv.gz", gzip.compress(TEXT)[:-12], "packed, and cannot be read"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c" + bytes(40), "a 7z archive that cannot be read"),
        ("a.rar", b"Rar!\x1a\x07\x00" + bytes(40), "RAR archive"),
        ("a.sas7bdat", bytes.fromhex("000000000000000000000000c2ea8160") + bytes(300), "a SAS file .*proc export"),
        ("a.xlsx", b"PK\x03\x04 not a book", "an Excel workbook that cannot be read"),
        ("a.mdb", b"\0\x01\0\0Standard Jet DB" + bytes(100), "an Access database that cannot be read.*mdb-export"),
    ],
)
def test_what_cannot_be_opened_is_refused_by_a_sentence(deliver, name, content, message):
    with pytest.raises(InputRefusedError, match=f"{name}.*{message}"):
        deliver(name, content)


def test_a_locked_7z_archive_is_refused(deliver, tmp_path):
    with pytest.raises(InputRefusedError, match="locked with a password"):
        deliver("a.7z", seven(tmp_path, "a.csv", TEXT, password="x"))


@pytest.mark.parametrize("pack", [lambda data: packed(**{"a.csv": data}), gzip.compress], ids=["zip", "gz"])
def test_a_bomb_is_refused_before_it_is_unpacked(deliver, monkeypatch, pack):
    monkeypatch.setattr(limits, "PACKING_FREE_BYTES", 1 << 20)
    with pytest.raises(InputRefusedError, match="unpacks to more than 400 times its size"):
        deliver("a.csv.gz" if pack is gzip.compress else "a.zip", pack(lines().encode() + b"\n" * (8 << 20)))


def _workbook(n_rows: int) -> bytes:
    """A workbook as others write it, of rows that are all alike."""
    office = "http://schemas.openxmlformats.org"
    relationship = f'<Relationships xmlns="{office}/package/2006/relationships"><Relationship Id="r1" Type="{office}/'
    relationship += 'officeDocument/2006/relationships/{}" Target="{}"/></Relationships>'
    main = f'xmlns="{office}/spreadsheetml/2006/main"'
    return packed(**{
        "_rels/.rels": relationship.format("officeDocument", "xl/workbook.xml").encode(),
        "xl/workbook.xml": f'<workbook {main} xmlns:r="{office}/officeDocument/2006/relationships"><sheets>'
        '<sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>'.encode(),
        "xl/_rels/workbook.xml.rels": relationship.format("worksheet", "worksheets/sheet1.xml").encode(),
        "xl/worksheets/sheet1.xml": f"<worksheet {main}><sheetData>".encode() + b"<row><c><v>1</v></c></row>" * n_rows
        + b"</sheetData></worksheet>",
    })


def test_an_archive_whose_members_share_their_bytes_is_refused(deliver):
    """Each unpacks to little enough, and thousands of them come from the same few bytes."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("200301.csv", "a,b\n" + "1,2\n" * 1000)
        archive.filelist *= 500
        archive.NameToInfo["200301.csv"] = archive.filelist[0]
    with pytest.raises(InputRefusedError, match="ZIP archive that cannot be read .its members share their bytes"):
        deliver("data200301.zip", written.getvalue())


def test_a_workbook_with_more_rows_than_excel_writes_is_refused_before_its_cells_are_made(deliver, monkeypatch):
    monkeypatch.setattr(limits, "MAX_SHEET_ROWS", 10_000)
    with pytest.raises(InputRefusedError, match=r"sheet1.xml has more than 10,000 rows, the most that Excel writes"):
        deliver("a.xlsx", _workbook(10_001))


def test_a_workbook_that_unpacks_to_more_than_memory_holds_is_refused(deliver, monkeypatch):
    monkeypatch.setattr(limits, "MAX_WORKBOOK_BYTES", 1 << 20)
    with pytest.raises(InputRefusedError, match="a workbook that unpacks to 2 MB; at most 1 are read"):
        deliver("a.xlsx", _workbook(100_000))


@pytest.mark.parametrize("rubble", [b"a\n", b'"\n', b"a\r", b"\r\na"], ids=["letters", "quotes", "old Mac", "Windows"])
def test_millions_of_lines_too_short_for_a_record_are_refused_at_once(deliver, rubble):
    with pytest.raises(InputRefusedError, match="bytes on average follow each other, too short for"):
        deliver("a.csv.gz", gzip.compress(lines().encode() + rubble * (3 << 20)))


def test_a_line_of_hundreds_of_megabytes_is_refused_after_the_longest_record(deliver, monkeypatch):
    monkeypatch.setattr(limits, "MAX_RECORD_BYTES", 2 << 20)
    with pytest.raises(InputRefusedError, match="a line of more than 2 MB. No record is that long"):
        deliver("a.csv.gz", gzip.compress(lines().encode() + b"a" * (32 << 20)))


def test_blank_lines_at_the_end_are_no_bomb(deliver):
    look, _ = deliver("a.csv", lines().encode() + b"\r\n" * (2 << 20))
    assert look.n_rows


def packed_in_tar(mode: str, **members: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"sub/{name}.csv")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        archive.addfile(tarfile.TarInfo("sub/._a.csv"))
        link = tarfile.TarInfo("sub/link.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return stream.getvalue()


TEXT = lines().encode("gb18030")


@pytest.mark.parametrize(
    ("name", "content", "copies"),
    [
        ("200506.csv.bz2", bz2.compress(TEXT), 1), ("200506.csv.xz", lzma.compress(TEXT), 1),
        ("200506.csv.zst", pa.compress(TEXT, "zstd", asbytes=True), 1), ("200506.txt", bz2.compress(TEXT), 1),
        ("200506.tar", packed_in_tar("w", a=TEXT, b=TEXT), 2), ("200506.tgz", packed_in_tar("w:gz", a=TEXT), 1),
        ("200506.tar.bz2", packed_in_tar("w:bz2", a=TEXT, b=TEXT), 2), ("200506.tar.xz", packed_in_tar("w:xz", a=TEXT), 1),
        # workbooks and texts under other names
        ("200506.csv", excel(a=FRAME), 1), ("200506", excel(a=FRAME), 1), ("200506.xls", excel(a=FRAME), 1),
        ("200506.xls", lines(delimiter="\t").encode("gb18030"), 1), ("200506.xlsx", TEXT, 1),
        ("200506", TEXT, 1), ("export.200506", lines(delimiter="|").encode(), 1),
        ("200506.unl", lines(delimiter="|").encode(), 1),
    ],
)
def test_every_packing_and_a_wrong_ending_give_the_records(deliver, name, content, copies):
    _, rows = deliver(name, content)
    assert values(rows) == RECORDS * copies


def test_a_feather_file_is_read(deliver, tmp_path):
    FRAME.to_feather(tmp_path / "x")
    _, rows = deliver("200506.feather", (tmp_path / "x").read_bytes())
    assert values(rows) == RECORDS


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("200506.7z.001", "one volume of an archive in several"), ("200506.part2.rar", "one volume"),
        ("200506.z01", "one volume"), ("200506.rds", "not read here .*write.csv"), ("200506.h5", "not read here .*to_csv"),
        ("200506.sqlite", "Export its table"),
    ],
)
def test_data_that_no_reader_knows_is_refused_with_what_to_do(deliver, name, message):
    with pytest.raises(InputRefusedError, match=message):
        deliver(name, b"\x01\x02records")


@pytest.mark.parametrize("name", ["200506.tar", "200506.csv.bz2", "200506.csv.xz", "200506.csv.zst"])
def test_a_cut_archive_is_refused_and_harms_nobody(deliver, name):
    content = {"tar": packed_in_tar("w", a=TEXT), "bz2": bz2.compress(TEXT), "xz": lzma.compress(TEXT)}.get(
        name.rsplit(".", 1)[-1], pa.compress(TEXT, "zstd", asbytes=True)
    )
    with pytest.raises(InputRefusedError, match="deliver it again|Deliver it again"):
        deliver(name, content[: len(content) - 9000 if name.endswith("tar") else len(content) // 3])


def test_a_member_of_a_tar_archive_outside_its_folder_is_refused(deliver):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../200506.csv"))
    with pytest.raises(InputRefusedError, match="outside its folder"):
        deliver("200506.tar", stream.getvalue())


def test_a_sheet_without_headings_goes_on_where_the_one_before_ends(deliver):
    stream = io.BytesIO()
    with pd.ExcelWriter(stream) as book:
        FRAME[:3].to_excel(book, sheet_name="一", index=False)
        FRAME[3:].to_excel(book, sheet_name="二", index=False, header=False)
        pd.DataFrame({"说明": ["x"]}).to_excel(book, sheet_name="说明", index=False)
        FRAME.iloc[:, :6].to_excel(book, sheet_name="别的", index=False, header=False)
    look, rows = deliver("200506.xlsx", stream.getvalue())
    assert values(rows) == RECORDS and [part.table for part in look.parts] == ["一", "二"]
    assert "sheets without headings that go on where another ends" in look.parts[1].noticed
    # what does not is named, and a table of codes is no note
    reasons = dict(look.left_out)
    assert "holds no records" in reasons["说明"] and "no heading line" in reasons["别的"]


def test_bytes_of_a_parquet_file_are_decoded(deliver, tmp_path):
    FRAME.assign(经营单位=[name.encode("gb18030") for name in FRAME["经营单位"]]).to_parquet(tmp_path / "x", index=False)
    _, rows = deliver("200506.parquet", (tmp_path / "x").read_bytes())
    assert values(rows) == RECORDS


def test_a_reader_that_fails_in_the_middle_is_a_refusal(deliver, monkeypatch):
    def fail(*_):
        raise IndexError("常州甲公司")

    monkeypatch.setattr(sheets, "_rows_of_cells", fail)
    with pytest.raises(InputRefusedError, match=r"an Excel workbook that cannot be read \(IndexError\)"):
        deliver("200506.xlsx", excel(a=FRAME))
