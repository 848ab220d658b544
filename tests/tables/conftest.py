"""A study panel with known truth for the tests of tables: the generated world's latent city panel, no files, no Spark."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conf.tables import read_table_files
from estimation.tables import CityClasses, StudyPanel, estimate_tables, paper_columns, parse_tables, print_table
from jobs.world.equation import standardised_truth
from jobs.world.latent import AVERAGE_YEARS, WorldModel, simulate
from jobs.world.reference import WorldReference


@pytest.fixture(scope="session")
def world_reference():
    """The shipped look-ups as the generator reads them."""
    return WorldReference()


@pytest.fixture(scope="session")
def make_study(world_reference):
    """Return a maker of (StudyPanel, truth) by seed and the paper's columns the world obeys."""

    def make(seed: int, **obeyed: str):
        latent = simulate(WorldModel(seed=seed, **obeyed), world_reference)
        frame = latent.panel[(latent.panel["year"] >= 2003) & latent.panel["is_city"]].copy()
        frame["province_code"] = frame["city_id"].str[:2] + "0000"
        # a panel that starts in 2003 has no three years before 2005
        frame["lnResc"] = frame["lnResc"].where(frame["year"] >= 2002 + AVERAGE_YEARS)
        panel = StudyPanel.from_natural(frame)
        truth = {
            (outcome, eq.resilience): standardised_truth(eq, {name: panel.constant(name) for name in eq.variables})
            for outcome, eq in latent.equations.items()
        }
        return panel, truth

    return make


@pytest.fixture(scope="session")
def study(make_study):
    """One study panel with its truth."""
    return make_study(7)


@pytest.fixture(scope="session")
def classes(world_reference):
    """Region and size classes as shipped."""
    return CityClasses.from_frames(
        world_reference.table("region_classes"), world_reference.table("city_size_thresholds")
    )


@pytest.fixture(scope="session")
def paper(world_reference):
    """The paper's printed numbers."""
    return paper_columns(world_reference.table("paper_tables"), world_reference.table("paper_table_stats"))


@pytest.fixture(scope="session")
def shipped():
    """The shipped table files, parsed: (shared, files)."""
    return read_table_files()


@pytest.fixture(scope="session")
def printed(study, classes, paper, shipped):
    """All shipped tables in print, defensible profile, by name."""
    panel, truth = study
    tables = parse_tables(*shipped, profile="defensible")
    fits = estimate_tables(tables, panel, classes)
    return {table.name: print_table(table, fits[table.name], paper=paper, truth=truth) for table in tables}


@pytest.fixture(scope="session")
def panel_frames(study) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The study panel as the panel job writes it: rows of gold.panel_constants and of gold.city_panel."""
    from jobs.study.scaling import scale_panel
    from schemas.panel import CITY_PANEL, MODEL_VARIABLES, PRODUCTS

    natural = study[0].natural.copy()
    for name in MODEL_VARIABLES:
        if name not in natural:
            natural[name] = np.nan
    scaled = scale_panel(natural, tuple(MODEL_VARIABLES), PRODUCTS)
    frame = scaled.panel.assign(city_name=natural["city_id"], is_complete=True, missing_variables=[[]] * len(natural))
    for name in CITY_PANEL.columns:
        if name not in frame:
            frame[name] = None
    frame["value_usd"] = None
    return scaled.constants.assign(constant_sample="test"), frame[list(CITY_PANEL.columns)]


@pytest.fixture(scope="session")
def study_report(study, classes, paper, shipped, world_reference, printed):
    """A report on the study panel, with made-up bookkeeping of the lake and few bootstrap draws."""
    from estimation.report import Provenance, build_report

    panel, truth = study
    tables = parse_tables(*shipped, profile="paper")[:1]
    fits = estimate_tables(tables, panel, classes)
    other = [print_table(table, fits[table.name], paper=paper, truth=truth) for table in tables]
    places = world_reference.table("city_coordinates")
    names = world_reference.table("prefectures").drop_duplicates("city_id").set_index("city_id")["name_en"]
    coordinates = pd.DataFrame({
        "city_id": places["city_id"], "lat": places["lat"].astype(float), "lon": places["lon"].astype(float),
        "name": places["city_id"].map(names),
    })
    provenance = Provenance(
        command="customs-lake report --lake LAKE --at 3", facts={"code": "customs-lake test", "panel": "version 3"},
        versions={"gold.city_panel": 3}, settings=[("study.first_year", "2003", "default")],
        funnel=[("lines delivered", 600_000), ("records kept", 310_000), ("city-years of the panel", 2_573)],
        rejects=pd.DataFrame({"bad_hs_code": [120, 80], "county": [900, 950]}, index=[2003, 2004]),
        coverage=pd.DataFrame({"year": [2003], "city_years": [286], "complete": [280], "share": [280 / 286]}),
        left_out={"without Changzhou": {("320400", year) for year in range(2003, 2012)}},
        coordinates=coordinates,
    )
    return build_report(
        {"defensible": list(printed.values()), "paper": other}, panel, classes, paper, provenance, n_replications=19
    )
