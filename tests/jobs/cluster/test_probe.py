"""What the doctor sends to executors runs there with nothing but Python, and the code of driver and zip is compared."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pyspark
import pytest
from pyspark import cloudpickle

from jobs.cluster import probe
from jobs.runtime.package import build_zip

ASK = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb'))(7))"
SPARK = Path(pyspark.__file__).parent


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """An interpreter that has no packages."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    return folder / "bin" / "python"


def answer(python, question, tmp_path, path=()):
    """What another interpreter makes of the function as Spark would send it."""
    pickled = tmp_path / "function"
    pickled.write_bytes(cloudpickle.dumps(probe._asking(question)))
    done = subprocess.run(
        [str(python), "-c", ASK, str(pickled)], capture_output=True, text=True, cwd=tmp_path, check=False,
        env={"PYTHONPATH": ":".join(map(str, path)), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def question(raw, root):
    samples = probe._sample(raw)[0] if raw else {}
    return samples, {
        "raw": raw, "samples": sorted(samples), "packages": ["polars"], "root": str(root), "seconds": 0.0, "n_bytes": 1024,
    }


def test_a_python_without_packages_says_what_it_lacks(bare, tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.csv").write_text("1,2")
    _, asked = question(str(tmp_path / "raw"), tmp_path / "nowhere")
    printed = answer(bare, asked, tmp_path, sorted((SPARK / "python" / "lib").glob("*.zip")))
    assert printed["packages"] == {} and printed["code"] == "" and "jobs" in printed["raw_reason"]
    assert printed["python"].startswith("3.") and printed["executable"] == str(bare) and printed["clock"] > 1e9


def test_the_zip_is_the_code_of_the_folder_and_another_is_not(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.csv").write_text("1,2")
    samples, asked = question(str(tmp_path / "raw"), tmp_path / "nowhere")
    package = build_zip(tmp_path / "code.zip")
    printed = answer(sys.executable, asked, tmp_path, [package])
    assert printed["code"] == probe.code_hash() and printed["samples"] == samples and printed["raw_reason"] == ""
    assert samples.keys() == {"a.csv"} and set(printed["packages"]) == {"polars"}


def test_a_raw_folder_that_is_not_there_is_said_so(tmp_path):
    samples, reason = probe._sample(str(tmp_path / "nothing"))
    assert samples == {} and reason == "" and probe._sample("hdfs://127.0.0.1:9/raw")[1]


def test_the_last_cause_is_what_a_stack_is_about():
    text = "An error occurred while calling o1.parquet\nCaused by: x.A: first\n  at b\nCaused by: java.io.IOException: denied"
    assert probe._innermost(text) == "java.io.IOException: denied"
    assert probe._innermost("one line\nmore") == "one line" and probe._innermost("") == "nothing was said"
