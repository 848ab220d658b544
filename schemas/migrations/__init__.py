"""Migrations of a lake, numbered, forward only: how an older lake becomes one that this product reads.

A lake's marker says its format; format 1 is the first that was written. Migration N brings format N - 1 to N. A step
says what changes in words that can be checked before (``describe``) and is safe to repeat: a migration killed half-way
is run again from its first step. Old files are never rewritten; a new column reads as null in old rows.

Adding a migration: a module ``mNNNN_what.py`` with ``MIGRATION``, its import below, and a test that starts from the
format before it. A lake written by a newer product is refused by :func:`jobs.core.lake.Lake.open`.
"""

from __future__ import annotations

from schemas.migrations.m0002_manifest import MIGRATION as MANIFEST
from schemas.migrations.m0003_content import MIGRATION as CONTENT
from schemas.migrations.m0004_reading import MIGRATION as READING
from schemas.migrations.m0005_checks import MIGRATION as CHECKS
from schemas.migrations.m0006_panel_check import MIGRATION as PANEL_CHECK
from schemas.migrations.steps import (
    AddColumns,
    ExtendKey,
    LeaveTable,
    Migration,
    RenameColumn,
    ReplaceCheck,
    SetProperties,
    Stated,
    Step,
    WidenColumn,
)

MIGRATIONS: tuple[Migration, ...] = (MANIFEST, CONTENT, READING, CHECKS, PANEL_CHECK)
LAKE_FORMAT = 1 + len(MIGRATIONS)


def pending_migrations(written: int) -> tuple[Migration, ...]:
    """Return the migrations a lake of the given format still needs, in order."""
    return MIGRATIONS[written - 1 :]


__all__ = [
    "LAKE_FORMAT", "MIGRATIONS", "AddColumns", "ExtendKey", "LeaveTable", "Migration", "RenameColumn", "ReplaceCheck",
    "SetProperties", "Stated", "Step", "WidenColumn", "pending_migrations",
]
