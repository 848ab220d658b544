"""The steps a migration is made of, as values; jobs/migrate.py carries them out.

Only what Delta can do without rewriting files: add a nullable column, widen a type, rename a column (column mapping),
set properties, replace a check. A step never drops data. What readers of the tables must know and no file needs (another
key, a table that is left) is a step, too: data contracts count it as the migration of a breaking change.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AddColumns:
    """Add nullable columns at the end of a table.

    Attributes
    ----------
    table : str
        ``layer.name``.
    columns : tuple of (str, str)
        Name and Spark SQL type.
    """

    table: str
    columns: tuple[tuple[str, str], ...]

    def describe(self) -> str:
        """One line for the plan."""
        return f"{self.table}: add {', '.join(f'{name} {kind}' for name, kind in self.columns)}"


@dataclass(frozen=True, slots=True)
class WidenColumn:
    """Change a column's type to a wider one (``int`` to ``bigint``, more digits of a decimal); a reader feature."""

    table: str
    column: str
    type: str

    def describe(self) -> str:
        """One line for the plan."""
        return f"{self.table}: widen {self.column} to {self.type}"


@dataclass(frozen=True, slots=True)
class RenameColumn:
    """Rename a column with column mapping by name; a reader feature, and the change feed starts anew."""

    table: str
    column: str
    to: str

    def describe(self) -> str:
        """One line for the plan."""
        return f"{self.table}: rename {self.column} to {self.to}"


@dataclass(frozen=True, slots=True)
class SetProperties:
    """Set table properties."""

    table: str
    properties: tuple[tuple[str, str], ...]

    def describe(self) -> str:
        """One line for the plan."""
        return f"{self.table}: set {', '.join(f'{key} = {value}' for key, value in self.properties)}"


@dataclass(frozen=True, slots=True)
class ReplaceCheck:
    """Put a CHECK constraint in the place of the one of its name; Delta holds every row against the new one.

    Attributes
    ----------
    table, name : str
    expression : str
        SQL that is true of every row.
    """

    table: str
    name: str
    expression: str

    def describe(self) -> str:
        """One line for the plan."""
        return f"{self.table}: check {self.name} becomes {self.expression}"


@dataclass(frozen=True, slots=True)
class ExtendKey:
    """Identify rows by more columns than before; stored rows are unique under the new key, too, and nothing is carried out."""

    table: str
    key: tuple[str, ...]

    def describe(self) -> str:
        """One line for the plan."""
        return f"{self.table}: a row is identified by {', '.join(self.key)}"


@dataclass(frozen=True, slots=True)
class LeaveTable:
    """Write and read a table no more; what is stored stays where it is, and nothing is carried out."""

    table: str
    instead: str

    def describe(self) -> str:
        """One line for the plan."""
        return f"{self.table}: used no more, its place is taken by {self.instead}; its files stay"


Step = AddColumns | WidenColumn | RenameColumn | SetProperties | ReplaceCheck | ExtendKey | LeaveTable
#: Steps that only state what a newer product no longer does.
Stated = ExtendKey | LeaveTable


@dataclass(frozen=True, slots=True)
class Migration:
    """All steps from one lake format to the next.

    Attributes
    ----------
    format : int
        Lake format it ends in.
    description : str
        Why, in one sentence.
    steps : tuple of Step
    """

    format: int
    description: str
    steps: tuple[Step, ...]
