"""What a machine without the right Java, JARs or arguments is told; no JVM."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from jobs.commands import doctor
from jobs.commands.main import run_command
from jobs.core.errors import EXIT_DONE, EXIT_REFUSED, InputRefusedError
from jobs.core.years import parse_years
from jobs.runtime.command_line.catalogue import commands
from jobs.runtime.jars import JARS_VARIABLE, JarsNotFoundError, jar_paths
from jobs.runtime.java import JavaNotUsableError, java_major, require_java

ROOT = Path(__file__).resolve().parents[3]


def _fake_java(folder, text):
    program = folder / "bin" / "java"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\necho '{text}' >&2\n")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    return program


@pytest.mark.parametrize(
    ("text", "major"),
    [('openjdk version "17.0.15" 2025-04-15', 17), ('java version "1.8.0_401"', 8), ('openjdk version "21" 2023-09-19', 21)],
)
def test_java_version_is_read_in_its_old_and_new_form(tmp_path, text, major):
    assert java_major(str(_fake_java(tmp_path, text))) == major


@pytest.mark.parametrize("version", ["1.8.0_401", "11.0.2", "25.0.1"])
def test_java_that_spark_does_not_take_is_named_with_the_remedy(tmp_path, monkeypatch, version):
    _fake_java(tmp_path, f'openjdk version "{version}"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(JavaNotUsableError, match=r"Java (8|11|25) found .* runs on Java 17 or 21. Install Java 17 or 21"):
        require_java()


def test_missing_java_and_wrong_java_home_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JavaNotUsableError, match="No Java found"):
        require_java()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(JavaNotUsableError, match="there is no bin/java in it. Unset JAVA_HOME"):
        require_java()


def test_set_up_without_java_is_a_sentence_and_makes_nothing(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    environment["JAVA_HOME"] = str(tmp_path)
    result = subprocess.run(
        ["bash", ".ci/setup", "python3", str(tmp_path / "venv")], cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=60,
    )
    assert result.returncode == 1
    assert "set-up stopped: JAVA_HOME is" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "venv").exists()


def test_set_up_without_python_is_a_sentence(tmp_path):
    result = subprocess.run(
        ["bash", ".ci/setup", "python-not-there", str(tmp_path / "venv")], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 1
    assert "no 'python-not-there' on the PATH. Install Python 3.11 or newer" in result.stderr


def test_missing_jars_are_named_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv(JARS_VARIABLE, str(tmp_path))
    with pytest.raises(JarsNotFoundError, match=r"expected delta-spark_4.2_2.13-4.4.0.jar, .*Run `make setup`"):
        jar_paths()
    assert [finding.is_fine for finding in doctor.examine() if finding.name == "Delta JARs"] == [False]


def test_years_are_ranges_and_lists():
    assert parse_years("2003-2005,2007") == {2003, 2004, 2005, 2007}
    assert parse_years(None) is None
    for text in ("2005-2003", "early", "2003-"):
        with pytest.raises(InputRefusedError, match="--years: expected years or ranges"):
            parse_years(text)


def test_every_command_of_the_list_exists(capsys):
    for name in commands():
        with pytest.raises(SystemExit) as ended:
            run_command([name, "--help"])
        assert ended.value.code == 0, name
        assert "usage:" in capsys.readouterr().out, name


def test_unknown_command_is_refused_with_the_list(capsys):
    assert run_command(["estimat"]) == EXIT_REFUSED
    refused = capsys.readouterr().err
    assert "customs-lake estimat: no such command. Did you mean estimate? There are: run, sniff, land" in refused
    assert run_command([]) == EXIT_DONE
    assert "From raw files to tables" in capsys.readouterr().out


def test_postcode_is_explained_without_a_lake(capsys):
    assert run_command(["places", "explain", "312000", "2007"]) == EXIT_DONE
    printed = capsys.readouterr().out
    assert "绍兴市" in printed and "ambiguous" in printed and "绍兴县" in printed


@pytest.mark.parametrize("is_starting", [True, False])
def test_greetings_of_the_jvm_are_left_out_and_every_other_line_passes(is_starting, monkeypatch):
    from jobs.runtime import gateway

    monkeypatch.setattr(gateway, "_is_starting", threading.Event())
    if is_starting:
        gateway._is_starting.set()
    printed = (
        b"WARNING: Using incubator modules: jdk.incubator.vector\n"
        b"Exception in thread main: no memory\n\tat x.Y.z(Y.scala:1)\n"
        b'Setting default log level to "WARN".\n'
        b"To adjust logging level use sc.setLogLevel(newLevel). For SparkR, use setLogLevel(newLevel).\n"
        b"WARNING: another warning\nan end without a new line"
    )
    sides = os.pipe(), os.pipe()
    (source, feed), (result, target) = sides
    os.write(feed, printed)
    os.close(feed)
    gateway.forward_lines(source, target)
    os.close(target)
    with os.fdopen(result, "rb") as stream:
        heard = stream.read()
    # the frames of what keeps a session from starting are said in a sentence
    frame = b"" if is_starting else b"\tat x.Y.z(Y.scala:1)\n"
    assert heard == b"Exception in thread main: no memory\n" + frame + b"WARNING: another warning\nan end without a new line"
    assert "Exception in thread main: no memory" in gateway.last_lines()


def test_a_jvm_is_started_without_python_in_the_fork_and_ctrl_c_is_not_for_it():
    import signal
    import sys

    from pyspark import java_gateway

    from jobs.runtime.gateway import _without_code_of_ours_in_the_fork

    def refused():
        raise AssertionError("ran in the forked process")

    before, popen = signal.getsignal(signal.SIGINT), java_gateway.Popen
    code = "import signal; print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"
    with _without_code_of_ours_in_the_fork():
        process = java_gateway.Popen([sys.executable, "-c", code], stdout=-1, preexec_fn=refused)
    assert process.communicate(timeout=60)[0].strip() == b"True"
    assert signal.getsignal(signal.SIGINT) == before and java_gateway.Popen is popen
