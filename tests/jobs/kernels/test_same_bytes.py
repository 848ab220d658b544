"""A file whose values change between looking and loading is refused, however it is read and however well it is put back."""

import gzip
import hashlib
import io
import os
import zipfile
from dataclasses import replace

import pytest

from conf.layouts import load_layouts
from jobs.core.errors import InputRefusedError
from jobs.kernels import limits
from jobs.kernels.loading import FileToLoad, bronze_batches, share_out
from jobs.kernels.parts import parts_to_json
from jobs.kernels.raw_folder import RawFolder
from jobs.kernels.same_bytes import HashingReader, Overheard
from jobs.kernels.sources import look_at

HEADINGS = "shipment_date,exp_or_imp,hs_id,hs_name,value,quantity,unit,party_id,company,CompanyType,zip,city,country,port"
HEADINGS += ",shipment"
ROW = "200506,0,84713010,goods,{value},5,台,3204910{n:03},公司,私营企业,213000,江苏省常州,美国,上海海关,一般贸易"


def text(value=100, n_rows=200):
    return "\n".join([HEADINGS, *(ROW.format(value=value, n=n) for n in range(n_rows))]).encode() + b"\n"


def zipped(content):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(zipfile.ZipInfo("data200506.csv"), content)
    return target.getvalue()


KINDS = {
    "data200506.csv": lambda content: content, "data200506.csv.gz": lambda content: gzip.compress(content, mtime=0),
    "data200506.zip": zipped,
}


def received(folder, name):
    path = folder.path / name
    parts = parts_to_json(look_at(folder.file(name), load_layouts()).parts)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return FileToLoad(name, sha256, path.stat().st_size, (2005,), (2005,), 6, parts, state=folder.state_of(name))


def loaded(folder, files):
    return [row for file in files for batch in bronze_batches(folder, file, load_layouts()) for row in batch.to_pylist()]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("is_known", [True, False], ids=["state known", "state not known"])
def test_values_that_change_between_looking_and_loading_are_refused(tmp_path, name, is_known):
    folder = RawFolder(str(tmp_path))
    path = tmp_path / name
    path.write_bytes(KINDS[name](text(100)))
    file, before = received(folder, name), path.stat()
    assert len(loaded(folder, [file])) == 200
    other = KINDS[name](text(999))
    # as many lines, as many bytes, the old date: only the bytes tell
    path.write_bytes(other[: before.st_size].ljust(before.st_size, b"\0") if name.endswith(".gz") else other)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    if not is_known:
        file = replace(file, state="")
    with pytest.raises(InputRefusedError, match="changed since it was looked at|cannot be read"):
        loaded(folder, [file])


def test_every_piece_of_a_large_file_sees_that_it_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "PIECE_BYTES", 1 << 12)
    folder = RawFolder(str(tmp_path))
    path = tmp_path / "data200506.csv"
    path.write_bytes(text(100, 400))
    pieces = [file for task in share_out([received(folder, path.name)]) for file in task]
    assert len(pieces) > 3 and len(loaded(folder, pieces)) == 400
    before = path.stat()
    path.write_bytes(text(999, 400))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    for piece in pieces:
        with pytest.raises(InputRefusedError, match="changed since it was looked at"):
            loaded(folder, [piece])


def test_a_file_that_changes_while_it_is_read_is_refused_at_its_end(tmp_path):
    folder = RawFolder(str(tmp_path))
    path = tmp_path / "data200506.csv"
    path.write_bytes(text(100))
    batches = bronze_batches(folder, received(folder, path.name), load_layouts())
    assert next(batches).num_rows
    os.utime(path)
    with pytest.raises(InputRefusedError, match="changed since it was looked at"):
        list(batches)


def test_what_is_read_in_order_is_hashed_while_it_is_read():
    content = bytes(range(256)) * 4_000
    overheard = Overheard(lambda: io.BytesIO(content))
    with overheard.open() as stream:
        stream.read(64)
        stream.seek(0)
        while stream.read(10_000):
            pass
    assert overheard.digest_of(len(content)) == hashlib.sha256(content).hexdigest()
    assert overheard.digest_of(len(content) + 1) is None, "a file that is longer was not read to its end"
    skipping = Overheard(lambda: io.BytesIO(content))
    with skipping.open() as stream:
        stream.seek(2 << 20 if len(content) > 2 << 20 else len(content) // 2)
        stream.read()
    assert skipping.digest_of(len(content)) is None


def test_a_stream_that_went_back_hashes_each_byte_once():
    content = os.urandom(5_000)
    reader = HashingReader(io.BytesIO(content))
    for offset, n in ((0, 100), (50, 100), (0, 3_000), (2_000, 3_000), (5_000, 10)):
        reader.seek(offset)
        reader.read(n)
    assert reader.digest_of(5_000) == hashlib.sha256(content).hexdigest()
