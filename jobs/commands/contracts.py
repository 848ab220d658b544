"""Data contracts of the tables: written for those who read a lake, and compared with those of another version."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from conf.settings import Settings, load_settings
from jobs.core.errors import EXIT_DONE, EXIT_QUALITY, InputRefusedError
from jobs.core.printing import printable
from schemas.catalog import TABLES
from schemas.contract_changes import Change, breaking_changes, lake_format_of, unmigrated
from schemas.contracts import Terms, lake_contract, table_contract
from schemas.migrations import LAKE_FORMAT, MIGRATIONS

ENDING = ".odcs.yaml"


def run_command(arguments: argparse.Namespace) -> int:
    """Write contracts, compare older ones with today's, or both; exit code 6 when no migration covers a loss."""
    if arguments.out is None and arguments.compare is None:
        raise InputRefusedError("contracts: expected --out FOLDER or FILE.yaml, --compare OLD, or both.")
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    open_ones: list[Change] = []
    if arguments.compare is not None:
        changes, open_ones = compare_contracts(arguments.compare)
        print(printable(render_changes(changes, open_ones)))
    if arguments.out is not None:
        written = _written(arguments.out, terms_of(settings, arguments.lake or ""))
        print(printable(f"{len(TABLES)} tables in {len(written)} documents: {arguments.out}"))
    return EXIT_QUALITY if open_ones else EXIT_DONE


def _written(target: Path, terms: Terms) -> list[Path]:
    try:
        return write_contracts(target, terms)
    except OSError as error:
        raise InputRefusedError(
            f"--out {target}: expected a folder, or a file that ends in .yaml; it cannot be written ({error.strerror})."
        ) from error


class _Plain(yaml.SafeDumper):
    """YAML without anchors: what is said twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def terms_of(settings: Settings, lake: str = "") -> Terms:
    """What the settings say of the contracts' terms; ``lake`` is the root they are about, empty for any."""
    operations = settings.operations
    days = {layer: operations.retention_hours(layer) // 24 for layer in {table.layer for table in TABLES.values()}}
    return Terms(_version(), LAKE_FORMAT, operations.owner, operations.contact, days, lake)


def write_contracts(target: Path, terms: Terms) -> list[Path]:
    """Write one contract a table into a folder, or all of them as one document.

    Parameters
    ----------
    target : Path
        A file that ends in ``.yaml`` or ``.yml`` for one document; else a folder, which is made.
    terms : Terms

    Returns
    -------
    list of Path
        What was written.
    """
    if target.suffix in (".yaml", ".yml"):
        target.parent.mkdir(parents=True, exist_ok=True)
        return [_write(target, lake_contract(TABLES.values(), terms))]
    target.mkdir(parents=True, exist_ok=True)
    return [
        _write(target / f"{name}{ENDING}", table_contract(table, terms)) for name, table in sorted(TABLES.items())
    ]


def read_contracts(source: Path) -> list[Mapping[str, Any]]:
    """Return the documents of a file or of a folder's ``*.odcs.yaml`` files.

    Raises
    ------
    InputRefusedError
        If there is none, or one is not a contract.
    """
    files = sorted(source.glob(f"*{ENDING}")) if source.is_dir() else [source]
    if not files:
        raise InputRefusedError(f"{source}: no contracts there; expected files that end in {ENDING}.")
    return [_read(path) for path in files]


def compare_contracts(old: Path) -> tuple[list[Change], list[Change]]:
    """Return the breaking changes from older contracts to today's, and those of them without a migration."""
    before = read_contracts(old)
    today = lake_contract(TABLES.values(), Terms(_version(), LAKE_FORMAT))
    changes = breaking_changes(before, [today])
    return changes, unmigrated(changes, MIGRATIONS, lake_format_of(before))


def render_changes(changes: Sequence[Change], open_ones: Sequence[Change]) -> str:
    """One line a change, those without a migration marked."""
    if not changes:
        return "nothing that readers rely on was taken away"
    return "\n".join(f"{change}{'' if change in open_ones else ' (by migration)'}" for change in changes)


def _version() -> str:
    try:
        return metadata.version("customs-lake")
    except metadata.PackageNotFoundError:
        return "unpackaged"


def _write(path: Path, document: Mapping[str, Any]) -> Path:
    text = yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=127)
    path.write_text(text, encoding="utf-8")
    return path


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputRefusedError(f"{path}: cannot be read as a contract: {error}.") from error
    if not isinstance(document, dict) or document.get("kind") != "DataContract" or not document.get("schema"):
        raise InputRefusedError(f"{path}: not a data contract; expected kind: DataContract and a schema.")
    return document
