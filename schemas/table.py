"""A table as a value: its columns, key, partition and constraints.

Every frame is brought to the table's columns before a write. Rows made on the driver are held against the key there;
the key of frames that Spark computes is checked by ``fsck``, since a check at every write would compute them twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from schemas.fields import Field

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType


class SchemaMismatchError(ValueError):
    """Raised when a frame lacks a column of the table it is meant for; usually a transform forgot a select."""


class DuplicateKeyError(ValueError):
    """Raised when a frame repeats a key of its table or leaves it null; usually a join multiplied rows."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a table of the lake is.

    Attributes
    ----------
    name : str
        ``layer.name``; also its path below the lake.
    fields : tuple of Field
        Columns in order.
    key : tuple of str
        Columns that identify a row.
    description : str
        One sentence: one row is what, made from what.
    partition_by : tuple of str
        Partition columns.
    checks : dict
        CHECK constraints, name to SQL expression: comparisons, ranges, lists and ``length``, which every writer of Delta
        tables can hold a row against.
    caveats : tuple of str
        What a reader must know before using it.
    append_only : bool
        Delta refuses updates and deletes.
    properties : dict
        Further Delta table properties.
    made_by : tuple of str
        Jobs that write it; empty for the records that every job keeps of itself.
    made_from : tuple of str
        Tables it is computed from; empty when it comes from delivered files, shipped tables or a person's word.
    """

    name: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]
    description: str
    partition_by: tuple[str, ...] = ()
    checks: dict[str, str] = field(default_factory=dict, hash=False)
    caveats: tuple[str, ...] = ()
    append_only: bool = False
    properties: dict[str, str] = field(default_factory=dict, hash=False)
    made_by: tuple[str, ...] = ()
    made_from: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = self.columns
        repeated = {name for name in names if names.count(name) > 1}
        unknown = set(self.key + self.partition_by) - set(names)
        if repeated or unknown:
            raise SchemaMismatchError(
                f"Table {self.name}: repeated columns {sorted(repeated)}, unknown key columns {sorted(unknown)}."
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.fields)

    @property
    def layer(self) -> str:
        """bronze, silver, gold, ref or ops."""
        return self.name.split(".")[0]

    @property
    def relative_path(self) -> str:
        """Path below the lake's root."""
        return self.name.replace(".", "/")

    @property
    def promised_days(self) -> int:
        """Days for which its own properties keep replaced files; 0 where they say nothing."""
        promise = self.properties.get("delta.deletedFileRetentionDuration", "")
        return int(promise.split()[1]) if promise.startswith("interval ") and promise.endswith(" days") else 0

    def ddl(self) -> str:
        """Columns as Spark DDL, for inline frames in tests."""
        return ", ".join(
            f"{column.name} {column.type}{' NOT NULL' if column.required else ''}" for column in self.fields
        )

    def struct(self) -> StructType:
        """Columns as a Spark StructType with nullability and comments."""
        from pyspark.sql.types import StructField, StructType, _parse_datatype_string

        return StructType(
            [
                StructField(
                    column.name,
                    _parse_datatype_string(column.type),
                    not column.required,
                    {"comment": column.comment},
                )
                for column in self.fields
            ]
        )

    def check_constraints(self) -> dict[str, str]:
        """The declared checks, and one for each closed vocabulary."""
        vocabularies = {
            f"{column.name}_allowed": f"{column.name} IS NULL OR {column.name} IN "
            + "("
            + ", ".join(f"'{value}'" for value in column.allowed)
            + ")"
            for column in self.fields
            if column.allowed
        }
        return vocabularies | self.checks

    def conform(self, frame: DataFrame) -> DataFrame:
        """Return the frame with exactly this table's columns, types and nullability.

        Parameters
        ----------
        frame : DataFrame
            Must have every column of the table; further columns are left behind.

        Raises
        ------
        SchemaMismatchError
            If a column is missing. ``DataFrame.to`` alone would invent it as NULL.
        """
        missing = [name for name in self.columns if name not in frame.columns]
        if missing:
            raise SchemaMismatchError(
                f"{self.name}: expected columns {', '.join(self.columns)}; missing {', '.join(missing)};"
                f" found {', '.join(frame.columns)}."
            )
        from pyspark.sql.types import StructField, StructType

        relaxed = StructType([StructField(f.name, f.dataType, True, f.metadata) for f in self.struct()])
        # NOT NULL is enforced by the Delta table itself on write: a nullable expression that never is null must pass
        return frame.select(*self.columns).to(relaxed)

    def assert_unique(self, keys: Iterable[tuple[Any, ...]]) -> None:
        """Check the keys of rows made on the driver: none twice, nothing null.

        Parameters
        ----------
        keys : iterable of tuple
            Values of the key columns, a tuple a row.

        Raises
        ------
        DuplicateKeyError
            With at most five of the keys.
        """
        seen: set[tuple[Any, ...]] = set()
        bad: list[tuple[Any, ...]] = []
        for key in keys:
            if key in seen or any(value is None or value != value for value in key):
                bad.append(key)
            seen.add(key)
        if bad:
            raise DuplicateKeyError(
                f"{self.name}: key ({', '.join(self.key)}) must be unique and not null; found e.g."
                f" {'; '.join(map(str, bad[:5]))}."
            )

    def assert_key(self, frame: DataFrame) -> None:
        """Check that the key is unique and not null.

        Raises
        ------
        DuplicateKeyError
            With the number of repeated keys and at most five of them.
        """
        from pyspark.sql import functions as F

        is_null = F.lit(False)
        for name in self.key:
            is_null = is_null | F.col(name).isNull()
        bad = (
            frame.groupBy(*self.key)
            .agg(F.count("*").alias("n_rows"))
            .where((F.col("n_rows") > 1) | is_null)
            .limit(5)
            .collect()
        )
        if bad:
            examples = "; ".join(f"{tuple(row)[:-1]} x{row['n_rows']}" for row in bad)
            raise DuplicateKeyError(
                f"{self.name}: key ({', '.join(self.key)}) must be unique and not null; found e.g. {examples}."
            )
