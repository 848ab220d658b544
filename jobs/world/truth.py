"""The truth beside the raw files: targets per city-year, a ledger of every defect, totals per file.

Nothing here is read by the jobs that make the panel; ``verify`` compares with it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from jobs.world import dirt
from jobs.world.layouts import RawFile
from jobs.world.records import Records
from jobs.world.totals import year_totals
from jobs.world.world import World

_EXPECTED_LEDGER = {"kind": "category", "primary": "category"}


@dataclass
class TruthWriter:
    """Collects the truth while files are written.

    ``ledger``: one row per defective row; ``elsewhere``: clean rows of firms registered in another city.
    """

    ledger: list[pd.DataFrame] = field(default_factory=list)
    totals: list[pd.DataFrame] = field(default_factory=list)
    elsewhere: list[pd.DataFrame] = field(default_factory=list)
    city_years: list[pd.DataFrame] = field(default_factory=list)
    trade: list[pd.DataFrame] = field(default_factory=list)

    def add_file(self, world: World, year: int, file: RawFile, records: Records) -> None:
        """Enter one file: its defective rows by their position in it, and what it holds by outcome."""
        rows = records.take(file.rows)
        name = f"customs/{file.name}"
        value = pd.array(rows.value, dtype="Int64")
        value[(rows.defects & dirt.VALUE_UNREADABLE) != 0] = pd.NA
        reasons, primary = _reason_texts(rows.defects)
        frame = pd.DataFrame({
            "file": name, "source_row": np.arange(1, len(rows) + 1), "year": year,
            "kind": np.where(rows.defects != 0, "reject", "repair"), "primary": primary, "defects": reasons,
            "city_id": np.array(world.places, dtype=object)[rows.place], "value_usd": value,
        })
        repaired = rows.repairs != 0
        frame.loc[repaired, "primary"] = frame.loc[repaired, "defects"] = [
            "|".join(dirt.names_of(mask, dirt.REPAIRS)) for mask in rows.repairs[repaired]
        ]
        self.ledger.append(frame[(rows.defects != 0) | repaired])
        outcome = np.where(rows.defects == 0, "clean", primary)
        totals = frame.assign(outcome=outcome).groupby(["file", "year", "outcome"], as_index=False).agg(
            rows=("source_row", "size"), value_usd=("value_usd", "sum")
        )
        self.totals.append(totals)
        moved = (rows.defects == 0) & world.is_elsewhere[rows.firm]
        self.elsewhere.append(
            frame.loc[moved, ["file", "source_row", "year", "city_id", "value_usd"]].assign(
                registered_city_id=world.registered_city[rows.firm[moved]]
            )
        )

    def add_year(self, world: World, year: int, records: Records) -> None:
        """Enter the targets of a year, and what the registered place would make of the same clean rows."""
        self.trade.append(year_totals(world, year, records))
        clean = records.take(records.defects == 0)
        made = _counts(world, year, clean, np.array(world.places, dtype=object)[clean.place])
        registered = _counts(world, year, clean, world.registered_city[clean.firm]).add_suffix("_registered")
        doubtful = pd.Series(world.has_doubtful_postcode[clean.firm]).groupby(
            np.array(world.places, dtype=object)[clean.place]
        ).mean()
        plans = pd.DataFrame([asdict(plan) for plan in world.plans if plan.year == year]).set_index("city_id")
        plans = plans[["value_usd", "n_products", "n_destinations"]]
        drawn = made[list(plans.columns)]
        if not plans.astype("int64").equals(drawn.loc[plans.index].astype("int64")):
            raise AssertionError(f"{year}: the records drawn do not come to the plan; a defect of the generator.")
        both = made.join(registered, how="left").assign(share_rows_ambiguous=doubtful, year=year)
        self.city_years.append(both.rename_axis("city_id").reset_index())

    def write(self, folder: Path) -> None:
        """Write the tables into ``truth/``."""
        ledger = pd.concat(self.ledger, ignore_index=True).astype(_EXPECTED_LEDGER)
        ledger.to_parquet(folder / "ledger.parquet", index=False)
        pd.concat(self.totals, ignore_index=True).to_csv(folder / "file_totals.csv", index=False)
        pd.concat(self.trade, ignore_index=True).to_csv(folder / "trade_totals.csv", index=False)
        pd.concat(self.elsewhere, ignore_index=True).to_parquet(folder / "registered_elsewhere.parquet", index=False)
        years = pd.concat(self.city_years, ignore_index=True)
        first = ["city_id", "year"]
        counts = [name for name in years.columns if name not in (*first, "share_rows_ambiguous")]
        years = years.astype(dict.fromkeys(counts, "Int64"))[[*first, *counts, "share_rows_ambiguous"]]
        years.sort_values(first).to_csv(folder / "city_year_truth.csv", index=False)


def _reason_texts(defects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Names of all defects, joined in the rules' order, and the first of them; empty where there is none."""
    masks, position = np.unique(defects, return_inverse=True)
    named = [dirt.names_of(int(mask), dirt.REJECTS) for mask in masks]
    joined = np.array(["|".join(names) for names in named], dtype=object)
    first = np.array([names[0] if names else "" for names in named], dtype=object)
    return joined[position], first[position]


def _counts(world: World, year: int, clean: Records, city: np.ndarray) -> pd.DataFrame:
    """Value, products, destinations, partner codes and records by a given city of each clean row."""
    iso3 = world.goods.partners["iso3"].to_numpy(dtype=object)
    codes, inverse = np.unique(clean.code, return_inverse=True)
    families = np.array([world.goods.family(code, year) for code in codes], dtype=object)
    rows = pd.DataFrame({
        "city_id": city, "value_usd": clean.value, "n_products": clean.code, "n_products_family": families[inverse],
        "n_destinations": np.where(world.is_destination[clean.partner], iso3[clean.partner], None),
        "n_partner_codes": clean.partner, "n_firms": clean.firm,
    })
    groups = rows.groupby("city_id")
    counts = groups[["n_products", "n_products_family", "n_destinations", "n_partner_codes", "n_firms"]].nunique()
    counts.insert(0, "value_usd", groups["value_usd"].sum())
    return counts.assign(n_records=groups.size())
