"""Secrets leave by no way out, and delivered text reaches the terminal as text; no JVM."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
import time

import pytest

from conf.secrets import HIDDEN, redact
from conf.settings import SettingsError, load_settings
from jobs.commands.main import run_command
from jobs.core.printing import GuardedStream, printable
from jobs.runtime.context import shut_lake
from jobs.runtime.ending import explained
from jobs.runtime.session import build_session
from jobs.runtime.surroundings import scratch_folder

ESCAPES = "\x1b[2J\x1b]0;title\x07\x00\x9b31m\u202egnihton\r"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("https://me:hunter2@host/api", "hunter2"),
        ("https://me:hun@ter2@host/api", "ter2"),
        ("https://ghp_0123456789@host/api", "ghp_0123456789"),
        ("wasbs://c@acc.blob/x?sv=2024-11-04&sp=r&sig=aB%2Fc3d%3D", "aB%2Fc3d%3D"),
        ("https://b.s3.amazonaws.com/k?X-Amz-Credential=AKX%2F1&X-Amz-Signature=9f8e7d", "9f8e7d"),
        ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=Zm9vYmFy==;EndpointSuffix=x", "Zm9vYmFy"),
        ("Authorization: Bearer eyJhbGciOi.eyJzdWIi.abc", "eyJhbGciOi.eyJzdWIi.abc"),
        ("jdbc:postgresql://h/db?user=u&password=hunter2", "hunter2"),
        ("fs.azure.account.key.acc.dfs.core.windows.net=Zm9vYmFy", "Zm9vYmFy"),
        ("{'privacy.key': 1, 'shared_key': 'hunter2'}", "hunter2"),
        # of addresses: a slash in the password, no scheme, other databases
        ("s3a://AKIAIOSFODNN7EXAMPLE:wJalr/K7MDENG@bucket/lake", "K7MDENG"),
        ("could not reach reader:hunter2@store.example.org:9000", "hunter2"),
        ("//reader:hunter2@share/lake", "hunter2"),
        ("jdbc:oracle:thin:scott/hunter2@//host:1521/x", "hunter2"),
        # shared access without an address around it
        ("sv=2022-11-02&ss=b&sig=AbC%2B1%3D&se=2027", "AbC%2B1%3D"),
        ("fs.azure.sas.fixed.token.acc=?sv=2020&sp=r&sig=q1w2e3", "q1w2e3"),
        # Spark's settings as they are listed, and what a store answers
        ("('spark.hadoop.fs.s3a.secret.key', 'wJalrXUtnFEMI/K7MDENG')", "wJalr"),
        ("spark.hadoop.fs.s3a.secret.key wJalrXUtnFEMI/K7MDENG/bPxRfi", "wJalr"),
        ("--conf spark.hadoop.fs.oss.accessKeySecret=wJalrXUtnFEMI", "wJalr"),
        ("<SignatureProvided>abcDEF+/123=</SignatureProvided>", "abcDEF"),
        ("<s3:SecretKey>abcDEF+/123=</s3:SecretKey>", "abcDEF"),
        ("Set-Cookie: JSESSIONID=0a1b2c; Path=/", "0a1b2c"),
        ("x-amz-security-token: FQoGZXIvYXdz", "FQoGZ"),
        # quoted, with what would end a word
        ('password="hunter 2, and 3"', "and 3"),
        ('{"password":"hun\\"ter2"}', "ter2"),
        ("密码：hunter2", "hunter2"),
        # known by their form, wherever they stand
        ("LTAI5tFooBarBaz123456789 is not allowed", "LTAI5t"),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "16C7e42F"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4", "SflKxw"),
        ("the key " + "aB3/" * 21 + "aB==", "aB3/aB3/"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\nBg==\n-----END PRIVATE KEY-----", "MIIEvQ"),
        ('"private_key": "-----BEGIN RSA PRIVATE KEY-----\\nMIIEvQ', "MIIEvQ"),
    ],
)
def test_every_kind_of_secret_in_a_text_is_hidden(text, secret):
    assert secret in text and secret not in redact(text) and HIDDEN in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "keys (city_id, year): 3 rows", "hs6_code=847130", "--accept token.csv", "2003-01-01 10:20:30", "/data/x:y@z/file.csv",
        "fs.s3a.path.style.access=true", "abfss://container@account.dfs.core.windows.net/lake", "hdfs://host:8020/lake",
        "s3a://bucket:9000/raw/a@b.csv", "registry:5000/lake:0.2@sha256:0123456789abcdef", "it ended with code=5",
        "spark.hadoop.fs.s3a.secret.key looks like a secret", "mailto:editor@example.org", "customs/2003.csv: 35 lines",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


@pytest.mark.parametrize(
    "piece", ["a", "a.", "a:", "a@", "/a", "'\"", "s3://a:", "eyJ", "-eyJaaaaaaaaa", "secret='", "<secret>"]
)
def test_a_long_text_of_anything_is_searched_in_time_that_grows_with_it(piece):
    start = time.process_time()
    redact(piece * (100_000 // len(piece)))
    # .1 to .7 s where it was measured; a search that takes the square takes minutes
    assert time.process_time() - start < 5


def test_values_of_the_environment_named_like_secrets_are_hidden_in_what_a_store_answers(tmp_path, capsys, monkeypatch):
    key = tmp_path / "key"
    key.touch()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7+MDENG")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", str(key))
    answer = f"403: wJalrXUtnFEMI/K7+MDENG, wJalrXUtnFEMI%2FK7%2BMDENG; {key}"
    assert explained(lambda: print(answer) or 0) == 0  # noqa: T201  (what is tested)
    assert capsys.readouterr().out == f"403: {HIDDEN}, {HIDDEN}; {key}\n"


@pytest.mark.parametrize("option", ["--lake", "--raw"])
@pytest.mark.parametrize("address", ["s3a://AKIAIOSFODNN7EXAMPLE:wJal/rXU@bucket/x", "wasbs://c@a.blob/x?sv=1&sig=wJal%2FrXU"])
def test_an_address_with_a_key_in_it_is_refused_without_repeating_it(option, address, tmp_path, capsys):
    given = {"--lake": str(tmp_path / "lake"), "--raw": str(tmp_path)} | {option: address}
    assert run_command(["plan", *(word for pair in given.items() for word in pair)]) == 4
    printed = "".join(capsys.readouterr())
    assert "rXU" not in printed and f"{option} " in printed and "Give it in the environment" in printed


def test_value_read_by_reference_is_hidden_wherever_it_appears(tmp_path):
    key = tmp_path / "key"
    key.write_text("correct horse battery staple\n", encoding="utf-8")
    user = tmp_path / "mine.toml"
    user.write_text(
        f'[privacy]\nfirm_codes = "pseudonymise"\nkey = {{ file = "{key}" }}\n'
        '[operations]\nlineage = { env = "LISTENER" }\n', encoding="utf-8",
    )
    environment = {"LISTENER": "https://host/q/Tr0ub4dor"}
    os.environ.update(environment)
    try:
        settings = load_settings(config_file=user, environment={})
    finally:
        del os.environ["LISTENER"]
    assert settings.privacy.key == "correct horse battery staple" and settings.operations.lineage == environment["LISTENER"]
    assert "horse" not in str(settings.shown()) and "Tr0ub4dor" not in str(settings.shown())
    assert redact("posted to https://host/q/Tr0ub4dor") == f"posted to {HIDDEN}"
    assert "horse" not in repr(settings)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("operations.lineage=https://me:hunter2@host", "list of processes"),
        ("privacy.key=0123456789abcdef", "list of processes"),
        ("privacy.key={env=\"NOT_SET_ANYWHERE\"}", "NOT_SET_ANYWHERE is not set"),
        ("privacy.key={password=\"x\"}", "expected"),
        ("privacy.firm_codes=pseudonymise", "pseudonyms need a key"),
        ("privacy.personal_columns=hide", "expected one of leave_out, pseudonymise, keep"),
    ],
)
def test_secret_on_the_command_line_or_a_missing_one_is_refused_without_repeating_it(override, message):
    with pytest.raises(SettingsError) as refused:
        load_settings(overrides=[override], environment={})
    assert message in str(refused.value)
    assert "hunter2" not in str(refused.value) and "0123456789abcdef" not in str(refused.value)


def test_secret_written_into_a_file_is_refused_and_the_environment_is_taken(tmp_path):
    user = tmp_path / "mine.toml"
    user.write_text('[privacy]\nkey = "0123456789abcdef"\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="by reference"):
        load_settings(config_file=user, environment={})
    settings = load_settings(environment={"CUSTOMS_LAKE__PRIVACY__KEY": "0123456789abcdef"})
    assert settings.privacy.key == "0123456789abcdef" and settings.shown()["privacy"]["key"] == HIDDEN


def test_config_show_hides_the_password_of_an_address(tmp_path, capsys):
    user = tmp_path / "mine.toml"
    user.write_text('[operations]\nlineage = "https://me:hunter2@host/api"\nlog_file = "[red]a[/red]"\n', encoding="utf-8")
    assert run_command(["config", "show", "--config", str(user)]) == 0
    shown = capsys.readouterr().out
    assert "hunter2" not in shown and "https://***@host/api" in shown
    assert "[red]a[/red]" in shown  # a value is no markup


def test_control_characters_are_written_out_and_tab_and_newline_stay():
    shown = printable(f"价格\t{ESCAPES}\n")
    assert shown == "价格\t\\x1b[2J\\x1b]0;title\\x07\\x00\\u009b31m\\u202egnihton\\x0d\n"


def test_json_with_any_character_stays_json():
    text = "".join(map(chr, (*range(0x100), 0x2028, 0x202E, 0x2066, 0x1F600)))
    assert json.loads(printable(json.dumps({"company": text}, ensure_ascii=False))) == {"company": text}


def test_whatever_a_command_prints_is_guarded(capsys):
    def act():
        print(f"{ESCAPES} password=hunter2")  # noqa: T201  (what is tested)
        print(f"{ESCAPES} password=hunter2", file=sys.stderr)  # noqa: T201  (what is tested)
        return 0

    assert explained(act) == 0
    for text in capsys.readouterr():
        assert "\x1b" not in text and "\x07" not in text and "hunter2" not in text and "\\x1b" in text


def test_guarded_stream_writes_through_to_the_stream_below():
    below = io.StringIO()
    stream = GuardedStream(below)
    stream.writelines(["a\r\n", "\x1b"])
    stream.flush()
    assert below.getvalue() == "a\n\\x1b"


def test_what_a_command_writes_is_its_owners_and_the_umask_comes_back(tmp_path):
    before = os.umask(0o022)
    try:
        explained(lambda: (tmp_path / "file").write_text("x", encoding="utf-8"))
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


@pytest.mark.parametrize(("group_access", "left"), [(False, 0o700), (True, 0o750)])
def test_a_lake_that_others_can_enter_is_shut_once(tmp_path, caplog, settings, group_access, left):
    lake, outside = tmp_path / "lake", tmp_path / "outside"
    (lake / "bronze").mkdir(parents=True)
    for path in (lake / "bronze" / "part.parquet", outside):
        path.write_text("x", encoding="utf-8")
        path.chmod(0o644)
    (lake / "link").symlink_to(outside)
    for folder in (lake, lake / "bronze"):
        folder.chmod(0o755)
    now = settings.replaced("privacy", group_access=group_access)
    with caplog.at_level("INFO", logger="customs_lake"):
        assert shut_lake(str(lake), now) == shut_lake("file:" + str(lake), now) + 3
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (lake, lake / "bronze", lake / "bronze" / "part.parquet", outside)]
    assert modes == [left, left, left & 0o666 & ~0o022, 0o644]
    assert shut_lake("s3a://bucket/lake", now) == shut_lake(str(tmp_path / "absent"), now) == 0


def test_scratch_folder_is_entered_by_its_owner_only(tmp_path):
    folder = scratch_folder(str(tmp_path / "scratch"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and folder.parent == tmp_path / "scratch"
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SettingsError, match="scratch folder cannot be made"):
        scratch_folder(str(tmp_path / "file"))


def test_session_keeps_its_files_from_others(spark):
    assert build_session  # the suite's session is the product's own
    folder = spark.conf.get("spark.local.dir")
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert spark.conf.get("spark.hadoop.fs.permissions.umask-mode") == "077"
    assert spark._jvm.java.lang.System.getProperty("java.io.tmpdir") == folder
