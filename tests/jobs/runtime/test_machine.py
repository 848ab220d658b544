"""The machine's locale, limits and folders: the same rows, or one sentence."""

import errno
import os
import resource
import tempfile

import pytest
from pyspark.errors import PySparkException

from conf.settings import SettingsError, load_settings
from jobs.core.damage import refuse_damage
from jobs.core.errors import LakeError, SurroundingsError
from jobs.runtime import machine
from jobs.runtime.ending import explained
from jobs.runtime.machine import (
    explained_os_error,
    jvm_locale,
    print_anything,
    require_open_files,
    require_temporary_folder,
)


@pytest.mark.parametrize("given", [{"LC_ALL": "POSIX"}, {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR"}, {"LANGUAGE": "tr"}, {}])
def test_the_jvm_starts_under_a_locale_that_knows_every_file_name(monkeypatch, given):
    for name in machine.LOCALE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with jvm_locale():
        assert {name: os.environ[name] for name in machine.LOCALE_VARIABLES if name in os.environ} == {"LC_ALL": "C.UTF-8"}
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("soft", "hard", "after"), [(64, 4096, 1024), (64, resource.RLIM_INFINITY, 1024), (2048, 4096, 2048)]
)
def test_the_limit_of_open_files_is_raised_where_it_may_be(monkeypatch, soft, hard, after):
    now = [soft, hard]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(now))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: now.__setitem__(slice(None), limits))
    require_open_files()
    assert now == [after, hard]


def test_too_few_open_files_are_refused_before_java_is_started(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    with pytest.raises(SurroundingsError, match=r"at most 64 files may be open .* need 1,024\. Raise the limit"):
        require_open_files()


def test_a_temporary_folder_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    with pytest.raises(SurroundingsError, match="TMPDIR=.*nowhere: no file can be written there"):
        require_temporary_folder()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    require_temporary_folder()
    monkeypatch.delenv("TMPDIR")

    def nowhere():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    with pytest.raises(SurroundingsError, match="no folder for temporary files can be written .* Set TMPDIR"):
        require_temporary_folder()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EMFILE, "ulimit -n"), (errno.EROFS, "mounted read-only"), (errno.ENAMETOOLONG, "choose shorter ones"),
        (errno.ENOSPC, "free some space"), (errno.EACCES, "the right to it"),
    ],
)
def test_what_the_operating_system_refuses_is_a_sentence(capsys, number, words):
    def fails():
        raise OSError(number, os.strerror(number), "/data/lake")

    assert explained(fails) == 4
    printed = capsys.readouterr().err
    assert printed.strip().count("\n") == 0 and "/data/lake" in printed and words in printed and "Traceback" not in printed


def test_a_defect_keeps_its_stack_trace():
    assert explained_os_error(OSError(errno.EPIPE, "Broken pipe")) is None

    def fails():
        raise OSError(errno.EPIPE, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        explained(fails)


def test_a_terminal_that_cannot_show_a_character_shows_its_number(monkeypatch, tmp_path):
    with open(tmp_path / "out", "w", encoding="ascii") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        monkeypatch.setattr("sys.stderr", object())
        print_anything()
        stream.write("常州 ş")
    assert (tmp_path / "out").read_bytes() == rb"\u5e38\u5dde \u015f"


def test_a_configuration_that_is_not_utf8_is_a_sentence(tmp_path):
    path = tmp_path / "own.toml"
    path.write_bytes('# 常州\n[study]\n'.encode("gb18030"))
    with pytest.raises(SettingsError, match=r"own.toml: not UTF-8 \(byte 2: 0xb3\). Save it as UTF-8"):
        load_settings(config_file=path)


@pytest.mark.parametrize(
    ("name", "words"),
    [("x" * 300, "whose longest name has 300"), ("/".join(["y" * 200] * 20), "a path of"), ("a\nb", "a control character")],
)
def test_a_lake_whose_files_could_not_be_named_is_refused(tmp_path, name, words):
    with pytest.raises(LakeError, match=words):
        refuse_damage(str(tmp_path / name))


@pytest.mark.parametrize("name", ["a`b", "a'b\"c", "a#b", "a%20b", "a b", "常州", "a;b", "ü&(c)"])
def test_a_lake_of_an_odd_name_passes(tmp_path, name):
    refuse_damage(str(tmp_path / name))


def test_a_data_file_that_spark_cannot_read_is_a_sentence(capsys):
    path = "file:///l/bronze/declaration/source_year=2003/a.parquet"
    printed = f"[FAILED_READ_FILE.NO_HINT] Encountered error while reading file {path}. SQLSTATE: KD001"

    def fails():
        raise PySparkException(message=f"Job aborted due to stage failure\norg.apache.spark.SparkException: {printed}")

    assert explained(fails) == 5
    shown = capsys.readouterr().err
    assert "/l/bronze/declaration/source_year=2003/a.parquet cannot be read" in shown and "fsck --deep" in shown

    def other():
        raise PySparkException(message="a defect")

    with pytest.raises(PySparkException):
        explained(other)


def test_a_store_that_does_not_answer_is_one_sentence(capsys):
    def fails():
        raise PySparkException("Call From a to b failed: java.net.ConnectException: Connection refused; see x\n\tat y")

    assert explained(fails) == 4
    printed = capsys.readouterr().err
    assert "does not answer: java.net.ConnectException: Connection refused; see x. Is" in printed and "at y" not in printed
