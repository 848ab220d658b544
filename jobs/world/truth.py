"""The truth beside the raw files: targets per city-year, a ledger of every defect, totals per file.

Nothing here is read by the jobs that make the panel; ``verify`` compares with it. Each year is entered block by block as
its files are written, and the ledger goes to disk as it grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.world import dirt
from jobs.world.counts import CityCounts
from jobs.world.records import Records
from jobs.world.totals import TradeTotals
from jobs.world.world import World

#: Rows written at a time.
ROW_GROUP = 1 << 20
#: Every primary reason, in the order of the categories.
_PRIMARIES = sorted({*dirt.REJECTS, *dirt.REPAIRS})


def _schema(example: dict[str, Any]) -> pa.Schema:
    return pa.Schema.from_pandas(pd.DataFrame(example), preserve_index=False)


_LEDGER = _schema({
    "file": [""], "source_row": [1], "year": [1], "kind": pd.Categorical(["reject"], ["reject", "repair"]),
    "primary": pd.Categorical(_PRIMARIES[:1], _PRIMARIES), "defects": [""], "city_id": [""],
    "value_usd": pd.array([1], "Int64"),
})
_ELSEWHERE = _schema({
    "file": [""], "source_row": [1], "year": [1], "city_id": [""], "value_usd": pd.array([1], "Int64"),
    "registered_city_id": [""],
})


@dataclass(frozen=True, slots=True)
class TrueYear:
    """The truth of one year: files with its part of the ledger and of the firms registered elsewhere, and small tables."""

    ledger: Path
    elsewhere: Path
    files: pd.DataFrame
    trade: pd.DataFrame
    cities: pd.DataFrame


class YearTruth:
    """Collects the truth of a year while its files are written.

    Parameters
    ----------
    world : World
    year : int
    folder : Path
        Receives the parts of the year.
    """

    def __init__(self, world: World, year: int, folder: Path) -> None:
        self._world, self._year = world, year
        self._ledger = _Rows(folder / f"ledger-{year}.parquet", _LEDGER)
        self._elsewhere = _Rows(folder / f"registered_elsewhere-{year}.parquet", _ELSEWHERE)
        self._files: list[pd.DataFrame] = []
        self._trade, self._counts = TradeTotals(world), CityCounts(world, year)
        self._outcomes = np.zeros((2, len(dirt.REJECTS) + 1), np.int64)
        self._places = pa.array(world.places, pa.string())
        self._row = 0

    def add_block(self, name: str, rows: Records) -> None:
        """Enter the next block of a file: its defective rows by their position in it, and what it holds by outcome."""
        source_row = np.arange(self._row + 1, self._row + len(rows) + 1)
        self._row += len(rows)
        is_clean, is_readable = rows.defects == 0, (rows.defects & dirt.VALUE_UNREADABLE) == 0
        primary = np.where(is_clean, len(dirt.REJECTS), _lowest_bit(rows.defects))
        np.add.at(self._outcomes[0], primary, 1)
        np.add.at(self._outcomes[1], primary, np.where(is_readable, rows.value, 0))
        self._enter(self._ledger, name, source_row, rows, ~is_clean | (rows.repairs != 0))
        self._enter(self._elsewhere, name, source_row, rows, is_clean & self._world.roster.is_elsewhere[rows.firm])
        self._trade.add(rows)
        self._counts.add(rows.take(is_clean))

    def end_file(self, name: str) -> None:
        """Note what the file held."""
        outcomes = pd.DataFrame({
            "file": f"customs/{name}", "year": self._year, "outcome": [*dirt.REJECTS, "clean"], "rows": self._outcomes[0],
            "value_usd": self._outcomes[1],
        })
        self._files.append(outcomes[outcomes["rows"] > 0].sort_values("outcome"))
        self._outcomes[:] = 0
        self._row = 0

    def end(self) -> TrueYear:
        """Close the year; what was drawn must be what was planned."""
        cities = self._counts.table()
        plans = pd.DataFrame([asdict(plan) for plan in self._world.plans if plan.year == self._year]).set_index("city_id")
        plans = plans[["value_usd", "n_products", "n_destinations"]].astype("int64")
        if not plans.equals(cities.loc[plans.index, list(plans.columns)].astype("int64")):
            raise AssertionError(f"{self._year}: the records drawn do not come to the plan; a defect of the generator.")
        cities = cities.rename_axis("city_id").reset_index()
        return TrueYear(
            self._ledger.close(), self._elsewhere.close(), pd.concat(self._files, ignore_index=True),
            self._trade.table(self._year), cities,
        )

    def _enter(self, target: _Rows, name: str, source_row: np.ndarray, rows: Records, chosen: np.ndarray) -> None:
        part = rows.take(chosen)
        unreadable = (part.defects & dirt.VALUE_UNREADABLE) != 0
        columns = {
            "file": pa.repeat(f"customs/{name}", len(part)), "source_row": pa.array(source_row[chosen]),
            "year": pa.repeat(self._year, len(part)), "city_id": self._places.take(pa.array(part.place)),
            "value_usd": pa.array(part.value, mask=unreadable),
        }
        if target is self._elsewhere:
            columns["registered_city_id"] = self._world.roster.texts["registered_city"].take(pa.array(part.firm))
        else:
            columns |= _reasons(part)
        target.add([columns[field] for field in target.schema.names])


class _Rows:
    """A Parquet file that grows in groups of rows."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.schema = path, schema
        self._writer = pq.ParquetWriter(path, schema)
        self._waiting: list[pa.Table] = []

    def add(self, columns: Sequence[pa.Array]) -> None:
        """Append rows."""
        self._waiting.append(pa.table(list(columns), schema=self.schema))
        if sum(table.num_rows for table in self._waiting) >= ROW_GROUP:
            self._flush()

    def close(self) -> Path:
        """Write what waits and return the path."""
        self._flush()
        self._writer.close()
        return self.path

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=ROW_GROUP)
        self._waiting = []


def write_truth(years: Sequence[TrueYear], folder: Path) -> None:
    """Put the years together in ``truth/`` and remove their parts."""
    _join([year.ledger for year in years], folder / "ledger.parquet", _LEDGER)
    pd.concat([year.files for year in years], ignore_index=True).to_csv(folder / "file_totals.csv", index=False)
    pd.concat([year.trade for year in years], ignore_index=True).to_csv(folder / "trade_totals.csv", index=False)
    _join([year.elsewhere for year in years], folder / "registered_elsewhere.parquet", _ELSEWHERE)
    cities = pd.concat([year.cities for year in years], ignore_index=True)
    first = ["city_id", "year"]
    counts = [name for name in cities.columns if name not in (*first, "share_rows_ambiguous")]
    cities = cities.astype(dict.fromkeys(counts, "Int64"))[[*first, *counts, "share_rows_ambiguous"]]
    cities.sort_values(first).to_csv(folder / "city_year_truth.csv", index=False)


def _join(parts: Sequence[Path], target: Path, schema: pa.Schema) -> None:
    with pq.ParquetWriter(target, schema) as writer:
        for part in parts:
            with pq.ParquetFile(part) as opened:
                for batch in opened.iter_batches(ROW_GROUP):
                    writer.write_batch(batch)
            part.unlink()


def _lowest_bit(masks: np.ndarray) -> np.ndarray:
    """Position of the lowest bit that is set; undefined where none is."""
    _, exponent = np.frexp((masks & -masks).astype(np.float64))
    return exponent - 1


def _reasons(rows: Records) -> dict[str, pa.Array]:
    """Whether a row is refused or repaired, the names of all its defects in the rules' order, and the first of them."""
    kind = (rows.defects == 0).astype(np.int8)
    masks, position = np.unique(rows.defects.astype(np.int64) | rows.repairs.astype(np.int64) << 32, return_inverse=True)
    names = [_names(int(mask)) for mask in masks]
    firsts = np.array([_PRIMARIES.index(name[0]) for name in names], dtype=np.int8)
    joined = pa.array(["|".join(name) for name in names], pa.string())
    return {
        "kind": pa.DictionaryArray.from_arrays(kind, ["reject", "repair"]),
        "primary": pa.DictionaryArray.from_arrays(firsts[position], _PRIMARIES),
        "defects": joined.take(pa.array(position)),
    }


def _names(mask: int) -> list[str]:
    return dirt.names_of(mask >> 32, dirt.REPAIRS) or dirt.names_of(mask & 0xFFFFFFFF, dirt.REJECTS)
