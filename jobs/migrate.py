"""Migrate: bring a lake of an older format to the one this product writes. Forward only, safe to repeat.

In: the lake's marker and ``schemas/migrations``. Out: changed table definitions, never rewritten files; the marker last.
The marker also keeps, for each table whose shape changed, the first version of the new shape: a restore does not go
below it, and a change feed starts there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conf.settings import Settings, load_settings
from jobs.cleaning.rewriting import firm_tables, rewrite_bronze, rewrite_firms, years_of
from jobs.core import upkeep
from jobs.core.damage import refuse_damage
from jobs.core.errors import EXIT_DONE, EXIT_NOTHING_TO_DO, LakeError
from jobs.core.lake import MARKER, Lake
from jobs.core.ledger import new_run_id
from jobs.core.privacy import policy_of, refuse_rewrite, stored_policy, wanted_protection, write_policy
from jobs.runtime.context import (
    Outcome,
    command_main,
    shut_lake,
)
from jobs.runtime.session import build_session
from jobs.runtime.surroundings import apply_rights
from schemas import bronze
from schemas.catalog import TABLES
from schemas.migrations import (
    AddColumns,
    Migration,
    RenameColumn,
    ReplaceCheck,
    SetProperties,
    Stated,
    Step,
    WidenColumn,
    pending_migrations,
)
from schemas.table import Table


def plan_migration(lake: Lake) -> tuple[Migration, ...]:
    """Return the migrations a lake still needs.

    Raises
    ------
    LakeError
        If there is no lake, or a newer product wrote it.
    """
    if lake.store.read_text(MARKER) is None:
        raise LakeError(f"{lake.root}: no lake there. Check --lake.")
    return pending_migrations(lake.format())


def migrate(lake: Lake, migrations: Sequence[Migration], *, run_id: str = "") -> Outcome:
    """Apply migrations in order; the marker is raised after each, so that an interrupted one is repeated."""
    for migration in migrations:
        floors = dict(lake.marker().get("floors", {}))
        tables = {step.table: _table(step.table) for step in migration.steps}
        with lake.lock_whole(*tables.values()):
            for step in migration.steps:
                table = tables[step.table]
                if lake.exists(table) and not isinstance(step, Stated):
                    with lake.committing(table, {"run": run_id, "migration": migration.format}):
                        apply_step(lake, table, step)
                    floors[step.table] = lake.version(table)
            lake.write_marker(migration.format, floors, columns=lake.marker().get("columns", ""))
    if not migrations:
        return Outcome(f"lake format {lake.format()} is the present one", changed=False)
    return Outcome(f"lake is of format {migrations[-1].format} now: " + "; ".join(item.description for item in migrations))


def apply_step(lake: Lake, table: Table, step: Step) -> None:
    """Carry out one step on an existing table; a step already done changes nothing."""
    types = upkeep.column_types(lake, table)
    if isinstance(step, AddColumns):
        missing = [(column, kind) for column, kind in step.columns if column not in types]
        if missing:
            upkeep.alter(lake, table, f"ADD COLUMNS ({', '.join(f'{c} {t}' for c, t in missing)})")
    elif isinstance(step, WidenColumn):
        if types[step.column] != step.type:
            upkeep.alter(lake, table, "SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')")
            upkeep.alter(lake, table, f"ALTER COLUMN {step.column} TYPE {step.type}")
    elif isinstance(step, RenameColumn):
        if step.to not in types:
            upkeep.alter(lake, table, "SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
            upkeep.alter(lake, table, f"RENAME COLUMN {step.column} TO {step.to}")
    elif isinstance(step, ReplaceCheck):
        if upkeep.constraints(lake, table).get(step.name.lower()) != step.expression:
            upkeep.alter(lake, table, f"DROP CONSTRAINT IF EXISTS {step.name}")
            upkeep.alter(lake, table, f"ADD CONSTRAINT {step.name} CHECK ({step.expression})")
    elif isinstance(step, SetProperties):
        pairs = ", ".join(f"'{key}' = '{value}'" for key, value in step.properties)
        upkeep.alter(lake, table, f"SET TBLPROPERTIES ({pairs})")


def protect(lake: Lake, settings: Settings, *, run_id: str = "") -> Outcome:
    """Rewrite a lake's records as the settings ask of persons and firms, and remove every older version of them.

    Raises
    ------
    LakeError
        If what the settings ask for cannot be had without the raw files.
    """
    if not (change := change_of_policy(lake, settings)):
        return Outcome("persons and firms are as the settings ask", changed=False)
    protection, metadata = wanted_protection(lake, settings), {"run": run_id, "privacy": policy_of(settings)}
    tables = firm_tables(lake) if protection.firm_codes == "pseudonymise" else []
    with lake.lock_whole(bronze.DECLARATION, *tables):
        rewrite_bronze(lake, protection, years_of(lake, bronze.DECLARATION), metadata=metadata)
        for table in tables:
            rewrite_firms(lake, table, protection, metadata=metadata)
        write_policy(lake, settings)
    return Outcome(f"{change}; older versions were removed, exports and copies of the lake were not")


def change_of_policy(lake: Lake, settings: Settings) -> str:
    """What a rewrite to the settings' policy on persons and firms would do, in words; empty when nothing."""
    stored, wanted = stored_policy(lake), policy_of(settings)
    if stored is None or stored == wanted:
        return ""
    refuse_rewrite(lake, stored, wanted)
    others = firm_tables(lake) if wanted["firm_codes"] != stored["firm_codes"] else []
    names = [table.name for table in (bronze.DECLARATION, *others)]
    return (
        f"{', '.join(names)}: rewritten from personal_columns = {stored['personal_columns']}, firm_codes ="
        f" {stored['firm_codes']} to {wanted['personal_columns']}, {wanted['firm_codes']}"
    )


def describe(migrations: Sequence[Migration]) -> str:
    """The steps as lines of text."""
    lines = []
    for migration in migrations:
        lines.append(f"format {migration.format}: {migration.description}")
        lines += [f"  {step.describe()}" for step in migration.steps]
    return "\n".join(lines)


def _table(name: str) -> Table:
    # a table that the product has no more is still a table of an old lake
    return TABLES.get(name) or Table(name=name, fields=(), key=(), description="")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; opens lakes that no other job will."""
    return command_main("migrate", run_command, argv)


def run_command(arguments: argparse.Namespace) -> int:
    """Plan, show and, unless ``dry_run``, apply; return the exit code."""
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    apply_rights(settings.privacy)
    if not arguments.dry_run:
        shut_lake(arguments.lake, settings)
    refuse_damage(arguments.lake, raw=arguments.raw)
    lake = Lake(build_session(settings), arguments.lake)
    try:
        migrations = plan_migration(lake)
        change = change_of_policy(lake, settings)
        print(describe(migrations) or f"lake format {lake.format()} is the present one", change or "", sep="\n")
        if arguments.dry_run or not (migrations or change):
            return EXIT_DONE if migrations or change else EXIT_NOTHING_TO_DO
        run_id = new_run_id()
        outcomes = [migrate(lake, migrations, run_id=run_id), protect(lake, settings, run_id=run_id)]
        print("\n".join(outcome.message for outcome in outcomes))
        return EXIT_DONE
    finally:
        lake.spark.stop()


if __name__ == "__main__":
    sys.exit(main())
