"""Doctor: what this machine has, what is missing, and what to do about it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from jobs.cluster.checks import DELTA_VERSION, Finding
from jobs.core.errors import EXIT_DONE, EXIT_REFUSED
from jobs.core.printing import cell
from jobs.runtime.jars import JarsNotFoundError, jar_paths
from jobs.runtime.java import JavaNotUsableError, require_java

EXPECTED = {"pyspark": "4.2.0", "delta-spark": DELTA_VERSION}
ALSO_NEEDED = (
    "pandas", "polars", "pyarrow", "numpy", "scipy", "rich", "openpyxl", "python-calamine", "matplotlib", "jinja2",
    "vl-convert-python", "deltalake",
)
MIN_FREE_GB = 5


def examine(lake: Path | None = None) -> list[Finding]:
    """Run all checks; none raises."""
    return [*_python(), *_java(), *_packages(), *_jars(), *_disk(lake or Path.cwd())]


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer and run make again")


def _java() -> Iterator[Finding]:
    try:
        executable, major = require_java()
    except JavaNotUsableError as error:
        yield Finding("Java", False, str(error), "see the sentence before")
        return
    yield Finding("Java", True, f"{major} at {executable}")


def _packages() -> Iterator[Finding]:
    for name in (*EXPECTED, *ALSO_NEEDED):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Finding(name, False, "not installed", "run `make setup`")
            continue
        wanted = EXPECTED.get(name, version)
        yield Finding(name, version == wanted, version, f"version {wanted} expected: run `make setup`")


def _jars() -> Iterator[Finding]:
    try:
        yield Finding("Delta JARs", True, str(Path(jar_paths()[0]).parent))
    except JarsNotFoundError as error:
        yield Finding("Delta JARs", False, str(error), "run `make setup`")


def _disk(folder: Path) -> Iterator[Finding]:
    place = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    free = shutil.disk_usage(place).free / 1e9
    yield Finding("Disk", free > MIN_FREE_GB, f"{free:.0f} GB free at {place}", f"at least {MIN_FREE_GB} GB expected")
    yield Finding("Write access", os.access(place, os.W_OK), str(place), "choose a folder you may write to")


def run_command(arguments: argparse.Namespace) -> int:
    """Say what is missing on this machine, or on the nodes of a cluster."""
    if arguments.cluster:
        from jobs.cluster.probe import examine_cluster

        return examine_cluster(arguments)
    findings = examine()
    if arguments.json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], ensure_ascii=False, indent=1))
    else:
        _print_findings(findings)
    return EXIT_DONE if all(finding.is_fine for finding in findings) else EXIT_REFUSED


def _print_findings(findings: list[Finding]) -> None:
    table = RichTable("check", "", "found", "what to do", box=None, pad_edge=False)
    for finding in findings:
        verdict = cell("ok") if finding.is_fine else cell("missing", "bold red")
        table.add_row(cell(finding.name), verdict, cell(finding.found), cell("" if finding.is_fine else finding.remedy))
    Console(markup=False, emoji=False, highlight=False).print(table)
