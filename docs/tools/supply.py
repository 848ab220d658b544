"""Supply chain: pins with hashes, the bill of materials and the licences of what is installed.

``supply.py lock``      writes requirements.lock, every pin of constraints.txt with the SHA-256 of its archive, the part
                        of it that the image installs (conf/kubernetes/requirements.lock), and the licences in
                        docs/operations/supply_chain.md; asks pip, which asks its index
``supply.py sbom OUT``  writes a CycloneDX 1.5 document of the packages, Delta's JARs and their hashes
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
IMAGE_LOCK = ROOT / "conf" / "kubernetes" / "requirements.lock"
PAGE = ROOT / "docs" / "operations" / "supply_chain.md"
TABLE_HEAD = "| package | version | licence |\n|---|---|---|\n"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
#: What a licence is called by where the package says it in many words.
SPDX = {
    "apache": "Apache-2.0",
    "mit": "MIT",
    "bsd": "BSD-3-Clause",
    "isc": "ISC",
    "mozilla": "MPL-2.0",
    "mpl": "MPL-2.0",
    "python software foundation": "PSF-2.0",
    "psf": "PSF-2.0",
    "lgpl": "LGPL",
    "lesser general": "LGPL",
    "gpl": "GPL",
    "unlicense": "Unlicense",
    "cc0": "CC0-1.0",
    "0bsd": "0BSD",
    "zlib": "Zlib",
    "hpnd": "HPND",
}
#: Of packages that only HDFS, tests of the object store and documentation install, read from their licence files.
STATED = {
    "annotated-doc": "MIT",
    "cryptography": "Apache-2.0 OR BSD-3-Clause",
    "flask": "BSD-3-Clause",
    "flask-cors": "MIT",
    "hdfs-native": "Apache-2.0",
    "pydantic": "MIT",
    "pydantic-core": "MIT",
    "typer": "MIT",
    "typing-inspection": "MIT",
    "werkzeug": "BSD-3-Clause",
    "xmltodict": "MIT",
}
IMAGE_HEADING = """\
# The part of requirements.lock that the image installs: what the package and its extra `spark` need to run, and the build
# backend. Written by `python docs/tools/supply.py lock`.
"""
LOCK_HEADING = """\
# Every package of constraints.txt with the SHA-256 of the archive that Python 3.11 on Linux (x86-64) installs, and the build
# backend. Used by `make setup LOCKED=1` (pip --require-hashes); other platforms install by constraints.txt. Written by
# `python docs/tools/supply.py lock`.
"""


def pins(path: Path) -> dict[str, str]:
    """Name, as pip compares names, to version."""
    found = (PIN.match(line) for line in path.read_text("utf-8").splitlines())
    return {canonical(match[1]): match[2] for match in found if match}


def canonical(name: str) -> str:
    """A name as pip compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def build_backend() -> list[str]:
    """What a build of this package needs, pinned in pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]


def write_lock() -> None:
    """Ask pip which archives it would install, and write their hashes."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text((ROOT / "constraints.txt").read_text("utf-8") + "\n".join(build_backend()) + "\n", "utf-8")
        command = [
            "-m",
            "pip",
            "install",
            "--dry-run",
            "--ignore-installed",
            "--no-deps",
            "--quiet",
            "--report",
            str(report),
        ]
        subprocess.run([sys.executable, *command, "-r", str(wanted)], check=True)
        found = json.loads(report.read_text("utf-8"))
        LOCK.write_text(lock_text(found), "utf-8")
        IMAGE_LOCK.write_text(image_lock_text(), "utf-8")
        page = PAGE.read_text("utf-8").partition(TABLE_HEAD)[0]
        PAGE.write_text(page + TABLE_HEAD + licence_rows(found), "utf-8")


def lock_text(report: Mapping) -> str:
    """The lock file of what pip reports it would install."""
    lines = sorted(
        f"{item['metadata']['name']}=={item['metadata']['version']}"
        f" --hash=sha256:{item['download_info']['archive_info']['hashes']['sha256']}"
        for item in report["install"]
    )
    return LOCK_HEADING + "\n".join(sorted(lines, key=str.lower)) + "\n"


def image_lock_text() -> str:
    """The lines of the lock file that running the lake needs."""
    wanted = needed_to_run() | {canonical(item.split("==")[0]) for item in build_backend()}
    lines = LOCK.read_text("utf-8").splitlines(keepends=True)
    return IMAGE_HEADING + "".join(line for line in lines if (pin := PIN.match(line)) and canonical(pin[1]) in wanted)


def needed_to_run() -> set[str]:
    """Names of the package's dependencies, its extra ``spark`` and all that these need, as installed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    waiting = [Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"]["spark"])]
    found: dict[str, set[str]] = {}
    while waiting:
        requirement = waiting.pop()
        name, extras = canonical(requirement.name), requirement.extras | {""}
        new = extras - found.get(name, set())
        found[name] = found.get(name, set()) | extras
        needed = [Requirement(text) for text in metadata.requires(name) or ()] if new else []
        waiting += [
            item for item in needed if item.marker is None or any(item.marker.evaluate({"extra": one}) for one in new)
        ]
    return set(found)


def locked_hashes() -> dict[str, str]:
    """Name to SHA-256, of the lock file."""
    found = {}
    for line in LOCK.read_text("utf-8").splitlines():
        if (pin := PIN.match(line)) and (sha256 := HASH.search(line)):
            found[canonical(pin[1])] = sha256[1]
    return found


def licence_in(stated: Mapping) -> str:
    """Licence in SPDX's words, as far as the metadata of a package say it."""
    if expression := stated.get("license_expression"):
        return expression
    classified = [
        line.rpartition("::")[2].strip() for line in stated.get("classifier") or () if line.startswith("License ::")
    ]
    lines = (stated.get("license") or "").strip().splitlines()
    texts = [*classified, *(line[:60] for line in lines[:1])]
    for text in texts:
        for word, spdx in SPDX.items():
            if re.search(rf"\b{word}", text.lower()):
                return spdx
    return next((text for text in texts if text), "not stated")


def licence_of(name: str, reported: Mapping) -> str:
    """Licence of a package: what its installed metadata say, else STATED or what pip reports (not new-style fields)."""
    try:
        stated = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return STATED.get(canonical(name)) or licence_in(reported)
    found = licence_in(
        {
            "license_expression": stated.get("License-Expression"),
            "classifier": stated.get_all("Classifier"),
            "license": stated.get("License"),
        }
    )
    return STATED.get(canonical(name), found) if found == "not stated" else found


def licence_rows(report: Mapping) -> str:
    """Rows of the table of licences, of what pip reports it would install."""
    rows = {
        canonical(stated["name"]): f"| {stated['version']} | {licence_of(stated['name'], stated)} |"
        for stated in (item["metadata"] for item in report["install"])
    }
    return "".join(f"| {name} {rest}\n" for name, rest in sorted(rows.items()))


def licences() -> dict[str, str]:
    """Name to licence, of the table in the documentation."""
    rows = PAGE.read_text("utf-8").partition(TABLE_HEAD)[2].splitlines()
    cells = ([cell.strip() for cell in row.split("|")[1:-1]] for row in rows if row.startswith("|"))
    return {name: licence for name, _, licence in cells}


def bill_of_materials() -> dict:
    """All packages and JARs as a CycloneDX 1.5 document (https://cyclonedx.org/docs/1.5/json/)."""
    sys.path.insert(0, str(ROOT))
    from jobs.runtime.jars import DELTA_COORDINATES, JAR_NAMES, JAR_SHA256

    hashes, known = locked_hashes(), licences()
    product = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    packages = [
        _component(name, version, f"pkg:pypi/{name}@{version}", hashes.get(name, ""), known.get(name, "not stated"))
        for name, version in sorted(pins(ROOT / "constraints.txt").items())
    ]
    jars = []
    for coordinate, jar in zip(DELTA_COORDINATES, JAR_NAMES, strict=True):
        group, name, version = coordinate.split(":")
        jars.append(_component(name, version, f"pkg:maven/{group}/{name}@{version}", JAR_SHA256[jar], "Apache-2.0"))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": product["name"],
                "version": product["version"],
                "licenses": [{"license": {"id": product["license"]}}],
                "bom-ref": product["name"],
            }
        },
        "components": [*packages, *jars],
    }


def _component(name: str, version: str, purl: str, sha256: str, licence: str) -> dict:
    known = {"hashes": [{"alg": "SHA-256", "content": sha256}]} if sha256 else {}
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "licenses": [{"license": {"name": licence}}],
        **known,
    }


def main(argv: Sequence[str]) -> int:
    """Carry out one of the two."""
    action, *rest = argv
    if action == "lock":
        write_lock()
        return 0
    if action != "sbom":
        raise SystemExit(f"supply.py: expected lock or sbom OUT; found {action}")
    out = Path(rest[0])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(bill_of_materials(), indent=1) + "\n", "utf-8")
    sys.stdout.write(f"{out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
