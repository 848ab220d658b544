"""The estimate job on a lake: numbers stored with their origin, files written, reruns equal, refusals explained."""

from __future__ import annotations

import json

import polars as pl
import pytest

from estimation.report.evidence import ROBUSTNESS
from jobs import estimate, explain, report
from jobs.core.errors import InputRefusedError
from jobs.core.frames import to_rows
from jobs.core.lake import Lake
from jobs.runtime.context import JobContext
from jobs.study import variants
from jobs.world.equation import write_model
from jobs.world.latent import WorldModel, simulate
from schemas.panel import CITY_PANEL, PANEL_CONSTANTS
from schemas.results import ESTIMATE, EVIDENCE


@pytest.fixture(scope="module")
def context(spark, settings, panel_frames, world_reference, tmp_path_factory):
    root = tmp_path_factory.mktemp("estimate")
    lake = Lake.open(spark, str(root / "lake"), create=True)
    constants, panel = panel_frames
    lake.overwrite(PANEL_CONSTANTS, to_rows(constants, PANEL_CONSTANTS))
    lake.overwrite(CITY_PANEL, to_rows(panel, CITY_PANEL))
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
    assert "same sign as the paper in" in outcome.detail and "the truth inside in" in outcome.detail
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
def test_an_old_version_of_the_panel_gives_the_same_digits(context, panel_frames):
    now = estimate.run(context, tables="1")
    version = context.lake.version(CITY_PANEL)
    constants, panel = panel_frames
    # the lake moves on: another export value in one city
    changed = panel.assign(z_lnvalue=panel["z_lnvalue"] + (panel["city_id"] == "320400"))
    context.lake.overwrite(PANEL_CONSTANTS, to_rows(constants, PANEL_CONSTANTS))
    context.lake.overwrite(CITY_PANEL, to_rows(changed, CITY_PANEL))
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


@pytest.mark.lake
def test_a_number_is_walked_back_to_its_versions_and_estimated_again(context):
    estimate.run(context)
    text = explain.run(context, "table1.col1.lnAgg*lnPro").detail
    assert "the paper prints 0.212 (0.0289)" in text and "the truth is" in text
    assert "the same digits" in text
    assert f"gold.city_panel                    v{context.lake.version(CITY_PANEL)}" in text
    with pytest.raises(InputRefusedError, match=r"Did you mean lnAgg\*lnPro"):
        explain.run(context, "table1.col1.lnAgg*lnPr")
    with pytest.raises(InputRefusedError, match="no estimate of table99.col1"):
        explain.run(context, "table99.1.lnAgg")


@pytest.mark.lake
def test_the_report_of_a_lake_is_one_page_with_its_command(context):
    context.lake.note_origin("generated")
    outcome = report.run(context, tables="1", profiles=("defensible",))
    page = (context.out / "report.html").read_text("utf-8")
    version = context.lake.version(CITY_PANEL)
    assert f"--at {version}" in page and f"gold.city_panel version {version}" in page
    assert "What the estimates say of the paper's claims" in outcome.detail
    assert (context.out / "claims.md").is_file() and (context.out / "report" / "channel_tests.csv").is_file()
    assert "Generated data, not customs records" in page and "customs-lake estimate --robustness" in outcome.message
    stored = context.lake.read(EVIDENCE).where("study_profile = 'defensible'").toPandas()
    assert {"claims", "channel_tests", "effects"} <= set(stored["evidence"]) and not set(ROBUSTNESS) & set(stored["evidence"])
    with pytest.raises(InputRefusedError, match="nothing was estimated on version 10000 of gold.city_panel"):
        report.run(context, at=10_000)
    with pytest.raises(InputRefusedError, match="expected type FeatureCollection, found 'Point'"):
        shape = context.out / "point.json"
        shape.write_text('{"type": "Point"}', encoding="utf-8")
        report.run(context, geojson=shape)


@pytest.mark.spark
def test_trading_companies_and_reimports_are_left_out_by_name_and_partner(spark):
    cube = spark.createDataFrame(
        [
            ("320400", 2003, "847130", True, 10.0), ("320400", 2003, "847130", False, 5.0),
            ("320400", 2003, "852520", False, 7.0),
        ],
        "city_id string, year int, hs6_code string, is_destination boolean, value_usd double",
    )
    assert variants.count_without_reimports(cube).collect() == [("320400", 2003, 10.0, 1)]
    assert _scanned(cube, variants.scan_without_reimports) == [("320400", 2003, 10.0, 1)]
    declarations = spark.createDataFrame(
        [
            ("320400", 2003, "847130", "USA", True, 10.0, "常州机械厂"),
            ("320400", 2003, "852520", "JPN", True, 4.0, "常州进出口有限公司"),
            ("320400", 2003, "852520", "CHN", False, 3.0, None),
        ],
        "city_id string, year int, hs6_code string, country_iso3 string, is_destination boolean, value_usd double,"
        " firm_name string",
    )
    # a firm without a name is kept: nothing says it trades
    assert variants.count_without_intermediaries(declarations).collect() == [("320400", 2003, 13.0, 2, 1)]
    assert _scanned(declarations, variants.scan_without_intermediaries) == [("320400", 2003, 13.0, 2, 1)]


def _scanned(frame, scan):
    return scan(pl.DataFrame(pl.from_arrow(frame.toArrow())).lazy()).collect().rows()
