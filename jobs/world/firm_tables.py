"""Firms of the generated world, as a table of productivity or as survey accounts it has to be estimated from.

The mean log TFP of a city's firms in a year is exactly the latent one. County firms of the prefecture are in the table too,
as in firm accounts; their mean is the same number, so a reader that takes districts and one that takes the whole prefecture
both recover it. In the survey all firms are in districts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from jobs.world.firm_accounts import AccountsModel, write_firm_accounts
from jobs.world.reference import ALL_YEARS
from jobs.world.streams import generator
from jobs.world.world import World

#: Firms per city-year in districts and in counties (where the prefecture has any).
N_DISTRICT_FIRMS, N_COUNTY_FIRMS = 10, 3
#: Spread of log TFP within a city-year.
WITHIN_CITY_SD = 0.6
#: Survey accounts: three firms of seven industries in every city, with measurement error and rows to refuse.
SURVEY = AccountsModel(firms_per_industry=3, error_sd=0.1, n_dirty=5)
INDUSTRIES = tuple(f"{code}" for code in (13, 14, 17, 18, 26, 27, 31, 34, 35, 36, 37, 39, 40, 41))


def write_firm_tfp(world: World, folder: Path) -> None:
    """Write ``firm_tfp.csv``: firm_id, year, place_code, industry, ln_tfp, output, employment."""
    panel = world.latent.panel
    chosen = panel[(panel["year"] >= ALL_YEARS[0]) & panel["is_city"] & panel["city_id"].isin(world.city_ids)]
    parts = [
        _city_year(world, row.city_id, int(row.year), row.lnPro)
        for row in chosen[["city_id", "year", "lnPro"]].itertuples()
    ]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    pd.DataFrame(columns).to_csv(folder / "firm_tfp.csv", index=False)


def write_firm_survey(world: World, folder: Path, truth_folder: Path) -> None:
    """Write survey files and the series beside them (jobs/world/firm_accounts.py); the firms' truth as Parquet."""
    panel = world.latent.panel
    chosen = panel[(panel["year"] >= ALL_YEARS[0]) & panel["is_city"] & panel["city_id"].isin(world.city_ids)]
    latent = chosen[["city_id", "year", "lnPro"]].rename(columns={"lnPro": "ln_pro"})
    written = write_firm_accounts(latent, folder, seed=world.seed, model=SURVEY)
    written.firms.to_parquet(truth_folder / "firm_accounts.parquet", index=False)


def _city_year(world: World, city: str, year: int, ln_productivity: float) -> dict[str, np.ndarray]:
    rng = generator(world.seed, "tfp", city, year)
    districts, counties = world.reference.units_of_city[city, year]
    n_county = N_COUNTY_FIRMS if counties else 0
    serial = np.arange(N_DISTRICT_FIRMS + n_county)
    is_county = serial >= N_DISTRICT_FIRMS
    places = [counties[k % len(counties)] if county else districts[k % len(districts)] for k, county in enumerate(is_county)]
    deviations = [_deviations(rng, n) for n in (N_DISTRICT_FIRMS, n_county) if n]
    return {
        "firm_id": np.array([f"{city[:4]}{k + 40 * county:05d}" for k, county in enumerate(is_county)], dtype=object),
        "year": np.full(len(serial), year), "place_code": np.array(places, dtype=object),
        "industry": np.array(INDUSTRIES, dtype=object)[serial % len(INDUSTRIES)],
        "ln_tfp": ln_productivity + np.concatenate(deviations),
        "output": np.round(np.exp(10 + rng.standard_normal(len(serial)))),
        "employment": rng.integers(20, 3000, size=len(serial)),
    }


def _deviations(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draws that sum to zero to the last bits: centred, then the rest taken from the last."""
    draws = WITHIN_CITY_SD * rng.standard_normal(n)
    draws -= draws.mean()
    draws[-1] -= draws.sum()
    return draws
