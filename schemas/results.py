"""Estimates: every number of every result table as a row, with what it was made from."""

from __future__ import annotations

import schemas.ops  # noqa: F401  (defines fingerprint, code_version, config_sha256)
from schemas.fields import define, fields
from schemas.table import Table

ESTIMATE_STATISTICS = (
    "coefficient", "std_error", "pvalue", "ci_low", "ci_high", "paper_coefficient", "paper_std_error",
    "true_coefficient", "n_raw", "n_level", "n_transformed", "n_cities", "n_instruments", "ar1_p", "ar2_p", "hansen_p",
    "paper_n_raw", "paper_n_cities", "paper_ar2_p", "paper_hansen_p",
)
define("study_profile", "string", "Profile of the estimation options (conf/tables/model.toml)")
define("result_table", "string", "Result table: name of its file in conf/tables")
define("result_column", "string", "Column of the table: col1, col2, ...")
define("dependent", "string", "Outcome of the column")
define("sample", "string", "Sample rule of the column (conf/tables/model.toml)")
define("resilience", "string", "Resilience measure of the column")
define("term", "string", "Right-hand side term as printed (L.y, lnAgg*lnPro, Constant), or (model) for the whole column")
define("result_statistic", "string", "What the number is", allowed=ESTIMATE_STATISTICS)
define("estimate", "double", "The number, per standard deviation for coefficients; null when it does not exist")
define("failure", "string", "Why the column could not be estimated; null when it could")
define("panel_version", "bigint", "Version of gold.city_panel the number was estimated on")
define("lineage", "string", "Versions of all tables behind the panel when it was read, as JSON")
define("spec_sha256", "string", "Hash of the column's specification and options")
define("estimated_at", "timestamp", "When it was estimated, UTC")

ESTIMATE = Table(
    name="gold.estimate",
    made_by=("estimate",),
    made_from=("gold.city_panel", "gold.panel_constants"),
    fields=fields(
        "study_profile!", "result_table!", "result_column!", "dependent!", "sample!", "resilience!", "term!",
        "result_statistic!", "estimate", "failure", "panel_version!", "lineage!", "spec_sha256!", "config_sha256!",
        "code_version!", "fingerprint!", "run_id!", "estimated_at!",
    ),
    key=("study_profile", "result_table", "result_column", "term", "result_statistic"),
    description="One row per profile, result table, column, term and statistic, with the versions it came from.",
    caveats=(
        "Older results are older versions of this table.",
        "paper_ statistics are the paper's printed numbers, true_coefficient is known for generated data only.",
    ),
)
define("evidence", "string", "What was computed from the estimates: channel_tests, claims, provinces, ...")
define("row_number", "int", "Row of that frame, from 0")
define("evidence_column", "string", "Column of that frame")
define("number", "double", "The cell when it is a number")
define("text", "string", "The cell when it is a word or a truth value")

EVIDENCE = Table(
    name="gold.evidence",
    made_by=("estimate",),
    made_from=("gold.city_panel", "gold.panel_constants"),
    fields=fields(
        "study_profile!", "evidence!", "row_number!", "evidence_column!", "number", "text", "panel_version!",
        "config_sha256!", "code_version!", "fingerprint!", "run_id!", "estimated_at!",
    ),
    key=("study_profile", "evidence", "row_number", "evidence_column"),
    description="One row per cell of what stands beside the tables in the report: joint tests, judged claims, robustness.",
    caveats=(
        "What estimates again (robustness) is there after `customs-lake estimate --robustness` only.",
        "Computed for the first study profile and all result tables together, as p-values are adjusted over them.",
    ),
)
TABLES = (ESTIMATE, EVIDENCE)
