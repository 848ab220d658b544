"""City yearbook of the generated world: the published numbers behind the latent panel, with the gaps real ones have.

Six cities never appear in the tables; others lack an indicator here and there, more often at the start of the years.
Growth is never missing, because the resilience index needs the city's growth of 2008.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from jobs.world.equation import CENTRES
from jobs.world.reference import ALL_YEARS
from jobs.world.streams import generator
from jobs.world.world import World
from jobs.world.yearbook_sheets import write_yearbook

#: Cities without any row, as Lhasa often is: the panel keeps 280 of 286.
N_ABSENT_CITIES = 6
#: Chance that a present city-year lacks one indicator, in the first two years and later; gives about 2,337 complete.
MISSING_EARLY, MISSING_LATER = 0.12, 0.055
#: Indicators that can be missing, as in the books; districts.
CAN_BE_MISSING = ("students", "science_spending", "fdi", "road_area", "nonagri_population")
#: Whole city over districts, for indicators printed for both.
WHOLE_CITY_FACTOR = 2.2


def published_indicators(world: World) -> pd.DataFrame:
    """Return every published number: city_id, city_name, year, indicator, area, value in the canonical unit."""
    panel = world.latent.panel
    panel = panel[(panel["year"] >= ALL_YEARS[0]) & panel["is_city"] & panel["city_id"].isin(world.city_ids)]
    panel = panel[~panel["city_id"].isin(absent_cities(world))].reset_index(drop=True)
    names = [world.reference.city_name(city, year) for city, year in zip(panel["city_id"], panel["year"], strict=True)]
    districts = _district_values(panel)
    whole = {
        name: np.round(WHOLE_CITY_FACTOR * districts[name], 2)
        for name in ("population", "nonagri_population", "gdp", "land_area", "employees", "unemployed", "students")
    }
    whole |= {"gdp_growth": np.round(districts["gdp_growth"] * 0.97, 2)}
    gaps = _gaps(world, panel)
    frames = []
    for area, values in (("districts", districts), ("whole_city", whole)):
        for name, value in values.items():
            printed = ~gaps[name] if area == "districts" and name in gaps else np.ones(len(panel), dtype=bool)
            frames.append(pd.DataFrame({
                "city_id": panel["city_id"][printed], "city_name": np.array(names, dtype=object)[printed],
                "year": panel["year"][printed], "indicator": name, "area": area, "value": np.asarray(value)[printed],
            }))
    return pd.concat(frames, ignore_index=True)


def absent_cities(world: World) -> frozenset[str]:
    """Cities the yearbook never prints; in a smaller world none."""
    every = world.reference.cities
    if len(world.city_ids) < len(every):
        return frozenset()
    candidates = every.loc[every["last_year"] > ALL_YEARS[-1], "city_id"].to_numpy()
    return frozenset(generator(world.seed, "absent").choice(candidates, N_ABSENT_CITIES, replace=False))


def write_sheets(world: World, folder: Path, truth_folder: Path) -> None:
    """Write sheets and the list of development zones; the latent panel goes to the truth."""
    frame = published_indicators(world)
    write_yearbook(frame, folder)
    panel = world.latent.panel
    zones = panel[panel["ETDZ"].eq(1) & panel["city_id"].isin(world.city_ids) & (panel["year"] >= ALL_YEARS[0])]
    zones = zones.assign(ETDZ=1)[["city_id", "year", "ETDZ"]]
    zones.to_csv(folder / "etdz.csv", index=False)
    panel.to_csv(truth_folder / "latent_panel.csv", index=False)


def _district_values(panel: pd.DataFrame) -> dict[str, np.ndarray]:
    gdp = _nominal_gdp(panel)
    return {
        "population": panel["population"], "nonagri_population": panel["population_nonagricultural"],
        "gdp": np.round(gdp), "gdp_growth": panel["growth"], "employees": panel["employed"], "unemployed": panel["unemployed"],
        "students": panel["students"], "science_spending": panel["science"], "fdi": panel["fdi_usd"],
        "road_area": panel["road_area"], "land_area": panel["land_area"],
    }


def _nominal_gdp(panel: pd.DataFrame) -> np.ndarray:
    """Chain real growth and a price change from a start of 10,000 to 30,000 yuan a head, in 10,000 yuan."""
    factor = (1 + panel["growth"] / 100) * (1 + panel["inflation"])
    first = panel.groupby("city_id")[["population", "lnAgg"]].transform("first")
    start = 1e4 * first["population"] * (1 + first["lnAgg"] / CENTRES["lnAgg"])
    return (start * factor.groupby(panel["city_id"]).cumprod()).to_numpy()


def _gaps(world: World, panel: pd.DataFrame) -> dict[str, np.ndarray]:
    """Draw which indicator a city-year lacks, each city from a stream of its own."""
    lacking = np.full(len(panel), "", dtype=object)
    for city, rows in panel.groupby("city_id").indices.items():
        rng = generator(world.seed, "gaps", city)
        chance = np.where(panel["year"].to_numpy()[rows] <= ALL_YEARS[1], MISSING_EARLY, MISSING_LATER)
        which = rng.choice(CAN_BE_MISSING, size=len(rows))
        lacking[rows] = np.where(rng.random(len(rows)) < chance, which, "")
    return {name: lacking == name for name in CAN_BE_MISSING}
