"""The README of a replication package after the template of the social-science data editors, and its CITATION.cff.

References
----------
Vilhuber, L., Connolly, M., Koren, M., Llull, J. and Morrow, P. (2022), A template README for social science replication
packages, v1.1, https://doi.org/10.5281/zenodo.7293838.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from typing import Any

import jinja2

from estimation.replication import Check
from jobs.core.ledger import code_version, files_in_force, years_text
from jobs.runtime.command_line.making import STEPS
from jobs.runtime.context import JobContext
from jobs.study.package_content import StudyPackage
from schemas import ops

#: Packages whose versions the numbers may depend on.
PACKAGES = ("customs-lake", "numpy", "scipy", "pandas", "pyarrow", "polars", "pyspark", "delta-spark", "deltalake")
GIGABYTE = 2**30


@dataclass(frozen=True, slots=True)
class Facts:
    """What the README says beside the package.

    Attributes
    ----------
    checks : list of Check
        Of ``tables.do``, read back.
    seconds : float
        How long the package took.
    n_files, n_lines : int
        Delivered files in force and their lines.
    years : str
        Years of these files.
    runs : list of dict
        Latest row of ops.run of each step.
    chosen : str
        Options that choose tables and profiles.
    world : str
        What was generated beside the package, empty when nothing was.
    """

    checks: Sequence[Check]
    seconds: float
    n_files: int
    n_lines: int
    years: str
    runs: Sequence[Mapping[str, Any]]
    chosen: str = ""
    world: str = ""


def gather_facts(
    context: JobContext, checks: Sequence[Check], *, seconds: float, chosen: str = "", world: str = ""
) -> Facts:
    """Read from the ledger what was delivered and how long each step took."""
    receipts = files_in_force(context.lake)
    latest: dict[str, Any] = {}
    for row in sorted(context.lake.rows(ops.RUN), key=lambda row: row["ended_at"]):
        if row["run_status"] == "done":
            latest[row["job"]] = row
    return Facts(
        checks, seconds, len({row["source_file"] for row in receipts}), sum(row["n_lines"] for row in receipts),
        years_text(row["source_year"] for row in receipts), [latest[step] for step in STEPS if step in latest],
        chosen, world,
    )


def readme(package: StudyPackage, facts: Facts, files: Mapping[str, str]) -> str:
    """Return the README as Markdown.

    Parameters
    ----------
    files : dict
        File to what it is.
    """
    template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined).from_string(
        (resources.files("jobs") / "study" / "package_readme.md.j2").read_text("utf-8")
    )
    stata = [check for check in facts.checks if check.program == "xtabond2"]
    frame, total = package.frame, sum(row["run_seconds"] or 0 for row in facts.runs)
    text = template.render(
        name=package.name, banner=package.banner, generated=package.origin == "generated", facts=facts, files=files,
        n_rows=len(frame), n_cities=frame["city"].nunique(), first=int(frame["year"].min()), last=int(frame["year"].max()),
        n_columns=len(package.data.blocks), tables=package.printed, code=code_version(), python=platform.python_version(),
        cores=os.cpu_count(), memory=_memory(), system=f"{platform.system()}, {platform.machine()}", minutes=total / 60,
        n_checked=len(stata), worst=max((check.worst for check in stata), default=0.0),
        singular=[check.block for check in stata if check.is_singular], without=package.without,
        n_suppressed=package.n_suppressed, fewest_firms=package.fewest_firms, handed=package.handed,
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def _memory() -> float:
    """Memory of this machine in GB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE if hasattr(os, "sysconf") else 0.0


def citation(package: StudyPackage, authors: Sequence[str]) -> str:
    """Return CITATION.cff of the data set.

    Parameters
    ----------
    authors : sequence of str
        ``Family, Given``; without any, the study itself is named.
    """
    lines = [
        "cff-version: 1.2.0", "message: If you use these data, please cite them as below.", "type: dataset",
        f'title: "Replication package of {package.name}"', "authors:",
    ]  # fmt: skip
    for author in authors:
        family, _, given = (part.strip() for part in author.partition(","))
        lines += [f'  - family-names: "{_quoted(family)}"', *([f'    given-names: "{_quoted(given)}"'] if given else [])]
    lines += [] if authors else [f'  - name: "The authors of {package.name}"']
    return "\n".join([
        *lines, f"version: \"{package.handed.panel_version}\"", f"date-released: {dt.date.today().isoformat()}",
        f'abstract: "{_quoted(package.banner + " " if package.banner else "")}City-year panel of exports of China\'s cities'
        ' with the scripts of its result tables."',
        "references:", "  - type: software", "    title: customs-lake", "    authors:",
        "      - name: The customs-lake maintainers", f'    version: "{code_version()}"', "",
    ])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def environment() -> str:
    """Versions of Python and of the packages the numbers may depend on."""
    lines = [f"python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            lines.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return "\n".join(lines) + "\n"
