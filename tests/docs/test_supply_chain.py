"""Every pin has its hash and its licence, the bill of materials names them all, and only published JARs are started."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs" / "tools"))

import supply  # noqa: E402  (found by the path set above)

from jobs.runtime import jars  # noqa: E402  (found by the path set above)
from jobs.runtime.jars import JAR_NAMES, JarsNotFoundError, jar_paths  # noqa: E402  (found by the path set above)


def test_the_lock_holds_every_pin_and_the_build_backend_with_its_hash():
    wanted = supply.pins(supply.ROOT / "constraints.txt")
    for requirement in supply.build_backend():
        name, version = requirement.split("==")
        wanted[supply.canonical(name)] = version
    locked = supply.pins(supply.LOCK)
    assert {name: locked.get(name) for name in wanted} == wanted, "write it anew: python docs/tools/supply.py lock"
    assert set(supply.locked_hashes()) == set(locked), "a pin without hash"
    assert "://" not in supply.LOCK.read_text("utf-8"), "an index is the machine's own business"


def test_the_image_installs_what_running_needs_and_no_more():
    assert supply.IMAGE_LOCK.read_text("utf-8") == supply.image_lock_text(), "python docs/tools/supply.py lock"
    names = set(supply.pins(supply.IMAGE_LOCK))
    assert {"pyspark", "delta-spark", "polars", "scipy", "rich", "py4j", "numpy"} <= names
    assert not {"pytest", "mypy", "mkdocs", "moto"} & names


def test_every_pin_has_a_licence_on_the_page():
    known = supply.licences()
    assert set(supply.pins(supply.LOCK)) == set(known)
    assert [name for name, licence in known.items() if not licence or licence == "not stated"] == []


def test_the_bill_of_materials_is_cyclonedx_and_complete(tmp_path):
    out = tmp_path / "build" / "sbom.json"
    assert supply.main(["sbom", str(out)]) == 0
    bill = json.loads(out.read_text("utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    named = {(item["name"], item["version"]) for item in bill["components"]}
    assert set(supply.pins(supply.ROOT / "constraints.txt").items()) <= named and len(named) >= len(JAR_NAMES)
    assert all(len(item["hashes"][0]["content"]) == 64 and item["purl"].startswith("pkg:") for item in bill["components"])


def test_a_lock_is_written_from_what_pip_reports():
    item = {
        "metadata": {"name": "Some_Package", "version": "1.2", "classifier": ["License :: OSI Approved :: MIT License"]},
        "download_info": {"archive_info": {"hashes": {"sha256": "a" * 64}}},
    }
    assert supply.lock_text({"install": [item]}).endswith(f"Some_Package==1.2 --hash=sha256:{'a' * 64}\n")
    assert supply.licence_rows({"install": [item]}) == "| some-package | 1.2 | MIT |\n"


def test_direct_dependencies_are_pinned():
    project = tomllib.loads((supply.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [item for extra in project["optional-dependencies"].values() for item in extra]
    direct = {supply.canonical(item.split("[")[0].split(">")[0].split("=")[0].split("<")[0].strip()) for item in
              (*project["dependencies"], *extras)}
    assert direct - set(supply.pins(supply.ROOT / "constraints.txt")) - {"customs-lake"} == set()


@pytest.fixture
def own_jars(tmp_path, monkeypatch):
    for name, path in zip(JAR_NAMES, jar_paths(), strict=True):
        shutil.copyfile(path, tmp_path / name)
    monkeypatch.setenv(jars.JARS_VARIABLE, str(tmp_path))
    return tmp_path


def test_jars_of_other_bytes_are_not_started(own_jars):
    assert [path.rpartition("/")[2] for path in jar_paths()] == list(JAR_NAMES)
    with open(own_jars / JAR_NAMES[1], "ab") as stream:
        stream.write(b"x")
    with pytest.raises(JarsNotFoundError, match="storage-4.4.0.jar is not the JAR that was published: expected SHA-256"):
        jar_paths()
