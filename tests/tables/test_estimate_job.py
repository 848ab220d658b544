"""The estimate job on a lake: numbers stored with their origin, files written, reruns equal, refusals explained."""

from __future__ import annotations

import json

import pytest

from jobs import estimate
from jobs.context import JobContext
from jobs.errors import InputRefusedError
from jobs.lake import Lake
from jobs.world.equation import write_model
from jobs.world.latent import WorldModel, simulate
from schemas.panel import CITY_PANEL, PANEL_CONSTANTS, PRODUCTS, product_name
from schemas.results import ESTIMATE


@pytest.fixture(scope="module")
def context(spark, settings, study, city_panel_frame, world_reference, tmp_path_factory):
    root = tmp_path_factory.mktemp("estimate")
    lake = Lake.open(spark, str(root / "lake"), create=True)
    panel, _ = study
    rows = city_panel_frame.astype(object).where(city_panel_frame.notna(), None)
    rows["missing_variables"] = [[] for _ in range(len(rows))]
    for name in ("n_products", "n_destinations", "year"):
        rows[name] = [None if value is None else int(value) for value in rows[name]]
    rows["value_usd"] = None
    lake.overwrite(CITY_PANEL, spark.createDataFrame([tuple(row) for row in rows.to_numpy()], CITY_PANEL.ddl()))
    names = {name: name for name in ("lnvalue", "lnnum", "lnnumcou", *panel.natural.columns) if name.startswith("ln")}
    names |= {product_name(*pair): "*".join(pair) for pair in PRODUCTS if set(pair) <= set(panel.natural.columns)}
    names |= {"ETDZ": "ETDZ", "land_area": "land_area"}
    constants = [
        (column, statistic, getattr(panel.constant(label), statistic), "complete")
        for column, label in names.items() for statistic in ("mean", "sd")
    ]
    lake.overwrite(PANEL_CONSTANTS, spark.createDataFrame(constants, PANEL_CONSTANTS.ddl()))
    model = WorldModel(seed=7)
    (root / "truth").mkdir()
    (root / "raw").mkdir()
    write_model(root / "truth" / "model.json", model, simulate(model, world_reference).equations)
    return JobContext(spark, lake, settings, "run-1", root / "raw", None, root / "out")


@pytest.mark.lake
def test_table_1_is_printed_beside_paper_and_truth_and_stored_with_its_origin(context, printed):
    outcome = estimate.run(context)
    assert outcome.changed
    assert "ours      paper  truth" in outcome.detail and "Table 1. Baseline" in outcome.detail
    rows = context.lake.read(ESTIMATE).where("study_profile = 'defensible' AND result_table = 'table1'").toPandas()
    cell = rows[(rows["result_column"] == "col1") & (rows["term"] == "lnAgg*lnPro")].set_index("result_statistic")
    expected = printed["table1"].columns[0]
    # the lake's doubles are the estimator's own: nothing is rounded on the way
    assert cell["estimate"]["coefficient"] == pytest.approx(expected.ours["lnAgg*lnPro"].coefficient, rel=1e-9)
    assert cell["estimate"]["paper_coefficient"] == 0.212
    assert cell["estimate"]["true_coefficient"] == pytest.approx(expected.truth["lnAgg*lnPro"], rel=1e-9)
    lineage = json.loads(cell["lineage"].iloc[0])
    assert lineage["gold.city_panel"] == context.lake.version(CITY_PANEL)
    for ending in ("txt", "md", "tex", "html"):
        assert (context.out / "defensible" / f"table1.{ending}").is_file()
        assert (context.out / "paper" / f"table8.{ending}").is_file()
    assert (context.out / "defensible" / "tables.xlsx").is_file()


@pytest.mark.lake
def test_a_second_run_writes_nothing_and_prints_the_same(context):
    first = estimate.run(context)
    version = context.lake.version(ESTIMATE)
    second = estimate.run(context)
    assert not second.changed and second.detail == first.detail
    assert context.lake.version(ESTIMATE) == version


@pytest.mark.lake
def test_an_old_version_of_the_panel_gives_the_same_digits(context):
    now = estimate.run(context, tables="1")
    version = context.lake.version(CITY_PANEL)
    # the lake moves on: the same panel with another export value in one city
    changed = context.lake.read(CITY_PANEL).selectExpr(
        *[f"CASE WHEN city_id = '320400' THEN {name} + 1 ELSE {name} END AS {name}" if name == "z_lnvalue" else name
          for name in CITY_PANEL.columns]
    )
    rows = context.spark.createDataFrame(changed.collect(), CITY_PANEL.ddl())
    context.lake.overwrite(CITY_PANEL, rows)
    context.lake.overwrite(PANEL_CONSTANTS, context.lake.read(PANEL_CONSTANTS).localCheckpoint())
    assert estimate.run(context, tables="1").detail != now.detail
    assert estimate.run(context, tables="1", at=version).detail == now.detail


@pytest.mark.lake
def test_versions_tables_and_profiles_that_do_not_exist_are_refused(context):
    with pytest.raises(InputRefusedError, match="has versions 0 to"):
        estimate.run(context, at=99)
    with pytest.raises(InputRefusedError, match="expected all, or some of 1 "):
        estimate.run(context, tables="12")
    with pytest.raises(InputRefusedError, match="expected some of defensible, paper"):
        estimate.run(context, profiles=("optimistic",))
