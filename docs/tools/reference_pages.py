"""Pages of the reference that are written from the code: commands, settings, lineage, API.

Nothing here is committed, so nothing can become stale: docs/tools/hooks.py asks for the pages when the site is built.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from drawing import Box, draw, reduced  # noqa: E402  (found by the path set above)

LAYER_COLOURS = {"bronze": "#f6e3d3", "silver": "#e9edf1", "gold": "#fdf3cf", "ops": "#eef7ea", "outside": "#fff"}
API = {
    "estimation": ("estimation", "estimation.tables", "estimation.production"),
    "schemas": ("schemas.table", "schemas.fields", "schemas.catalog", "schemas.reference.shipped"),
    "conf": ("conf.settings", "conf.layouts", "conf.rules", "conf.tables"),
    "lake": ("jobs.core.lake", "jobs.core.ledger", "jobs.runtime.context"),
    "kernels": ("jobs.kernels.cleaning", "jobs.kernels.parsing", "jobs.kernels.placing", "jobs.kernels.judging"),
    "transforms": ("jobs.transforms.counts", "jobs.transforms.variables", "jobs.transforms.panel"),
}  # fmt: skip


def commands_page() -> str:
    """Every command with the help it prints itself."""
    from jobs.runtime.command_line.catalogue import GROUPS, commands, parser_of

    lines = ["# Commands", "", "What `customs-lake COMMAND --help` prints, written by the commands themselves.", ""]
    for group in GROUPS:
        lines += [f"## {group}", ""]
        for name, chosen in commands().items():
            if chosen.group != group:
                continue
            summary = f"{chosen.summary[0].upper()}{chosen.summary[1:]}."
            lines += [f"### {name}", "", summary, "", "```text", help_of(name), "```", ""]
            for action in parser_of(name).actions():
                lines += [f"**{name} {action}**", "", "```text", help_of(name, action), "```", ""]
    return "\n".join(lines)


def help_of(*command: str) -> str:
    """Output of ``customs-lake COMMAND --help``, 84 columns wide, as wide as the page."""
    from jobs.commands.main import run_command

    output = io.StringIO()
    with mock.patch.dict(os.environ, COLUMNS="84"), contextlib.redirect_stdout(output):
        with mock.patch.object(sys, "argv", ["customs-lake"]), contextlib.suppress(SystemExit):
            run_command([*command, "--help"])
    return output.getvalue().strip()


def settings_page() -> str:
    """Every setting with its default and meaning, from the dataclasses of ``conf``."""
    from conf.settings import load_settings

    settings = load_settings(environment={})
    lines = [
        "# Settings",
        "",
        "Written from `conf/`. A value is looked for in this order, the last one wins: `conf/default.toml`, a profile",
        "(`--profile`), your file (`--config`), the environment (`CUSTOMS_LAKE__SECTION__KEY`), `--set section.key=value`.",
        "`customs-lake config show` prints every value with its origin. An unknown key is rejected at start.",
        "",
    ]
    for section, values in settings.as_dict().items():
        owner = type(getattr(settings, section))
        meanings = meanings_of(section, owner)
        summary = (owner.__doc__ or "").split("\n\n")[0].strip()
        lines += [f"## {section}", "", *([] if summary.startswith("Section") else [summary, ""])]
        lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
        kinds = {one.name: str(one.type) for one in dataclasses.fields(owner)}
        for key, value in values.items():
            meaning = re.sub(r"``([^`]*)``", r"`\1`", meanings.get(key, ""))
            lines.append(f"| `{key}` | {_cell(kinds[key])} | {_cell(_shown(value))} | {_cell(meaning)} |")
        lines.append("")
    return "\n".join(lines)


def meanings_of(section: str, owner: type) -> dict[str, str]:
    """Key to meaning: the Attributes of the docstring; else the comment before the key in ``conf/default.toml``."""
    meanings = dict(_comments(section))
    for names, text in re.findall(
        r"^    ([\w, ]+) : [^\n]*\n((?:        [^\n]*\n?)+)", owner.__doc__ or "", re.MULTILINE
    ):
        for name in names.split(","):
            meanings[name.strip()] = " ".join(text.split())
    return meanings


def _comments(section: str) -> Iterator[tuple[str, str]]:
    text = (ROOT / "conf" / "default.toml").read_text("utf-8")
    body = text.split(f"[{section}]")[-1].split("\n[")[0] if f"[{section}]" in text else ""
    assert not body or tomllib.loads(body) is not None
    for comment, key in re.findall(r"^# (.*)\n(\w+) = ", body, re.MULTILINE):
        yield key, comment[0].upper() + comment[1:] + "."


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}:{entry}" for key, entry in value.items()) or "none"
    return str(value) if value != "" else "none"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def lineage_svg() -> str:
    """SVG of the tables from delivered files to estimates, with the job that writes each."""
    from schemas.catalog import TABLES

    shown = {name: table for name, table in TABLES.items() if table.layer in ("bronze", "silver", "gold")}
    boxes = {"files": Box("delivered files", ("customs, yearbook, firms",), "outside")}
    boxes |= {name: Box(name, (f"by {', '.join(table.made_by)}",), table.layer) for name, table in shown.items()}
    edges: dict[str, set[str]] = {name: set() for name in boxes}
    for name, table in shown.items():
        for source in [one for one in table.made_from if one in shown] or ["files"]:
            edges[source].add(name)
    return draw(boxes, reduced(edges), LAYER_COLOURS, "Tables and the jobs that write them")


def lineage_page() -> str:
    """The picture of the tables, and a row for each with its job and sources."""
    from schemas.catalog import TABLES

    lines = [
        "# Lineage of the tables",
        "",
        "Written from `made_by` and `made_from` in `schemas/`; a test compares them with what the jobs record in `ops.run`.",
        "Arrows that a longer way replaces are left out of the picture. The record of a single run, with versions, is in",
        "`ops.run` and, where `operations.lineage` is set, in OpenLineage events.",
        "",
        "![Tables and the jobs that write them](lineage.svg)",
        "",
        "| table | written by | from |",
        "|---|---|---|",
    ]
    for name, table in sorted(TABLES.items()):
        anchor = f"[{name}](../data_dictionary.md#{name.replace('.', '')})"
        jobs, sources = ", ".join(table.made_by) or "every job", ", ".join(table.made_from) or "outside the lake"
        lines.append(f"| {anchor} | {jobs} | {sources} |")
    return "\n".join([*lines, ""])


def api_pages() -> dict[str, str]:
    """Page name to Markdown that mkdocstrings fills in."""
    pages = {}
    for name, modules in API.items():
        blocks = "\n\n".join(f"## {module}\n\n::: {module}" for module in modules)
        pages[name] = f"# API: {name}\n\n{blocks}\n"
    return pages
