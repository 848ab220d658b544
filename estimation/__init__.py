"""Dynamic panel estimation: system and difference GMM with the tests a referee asks for.

It needs NumPy, SciPy and pandas, never Spark.

    from estimation import SystemGMM, GMMStyle, IVStyle

    model = SystemGMM(
        panel,                                # DataFrame, one row per (entity, time)
        entity="city_id", time="year",        # or a two-level index and neither
        dependent="lnvalue", lags=1,          # L.lnvalue enters first
        regressors=["lnAgg", "lnRes", "lnseadis"],
        instruments=[GMMStyle(["lnvalue", "lnAgg", "lnRes"], lags=(2, 4), collapse=True),
                     IVStyle(["lnseadis", "land_area"])],    # one column over both equations; may be excluded
        time_effects="level",                 # period dummies, instrumenting the level equation; None for none
    )
    results = model.fit(steps=2, cov_type="windmeijer")   # the defaults
    print(results)

Or by class, the instruments following from it (`n_lags=2, collapse=True` by default):
`SystemGMM(panel, ..., endogenous=["lnAgg"], exogenous=["lnseadis"], instruments=[IVStyle("land_area")])`.

Results (frozen): `params std_errors tstats pvalues cov conf_int(level)`; `nobs` (= `n_obs`: level rows in a system)
`n_transformed n_groups n_clusters n_instruments df obs_per_group`; `hansen sargan ar_test(order) diff_in_hansen
wald_test(R, q)`, each a test with `stat pvalue df null applies reason`; `moments` (one row per instrument), `resids`
(rows named), `predict()`, `notes`, `summary`, `to_dict()`. `results.params["L.lnvalue"]`, `results.hansen.pvalue`,
`results.ar_test(2).pvalue`. The constant is called `_cons`, a lag `L.x` or `L2.x`, a period dummy `year=2005`.

By formula (`SystemGMM.from_formula`) or from a command line of Stata (`estimation.stata.parse`); several fits side by side
with `compare(a, b)`.

After the fit (`estimation.postestimation`, `estimation.diagnostics`, `estimation.robustness`): linear combinations,
long-run effects, marginal effects, Johnson-Neyman range, bootstrap, OLS and fixed-effects bracket, sensitivity grid.
Further estimators: `NonlinearGMM` (Ahn-Schmidt, Chudik-Pesaran), `BiasCorrectedMM`, `HalfPanelJackknife`, `two_stage`.
Further tests: `hausman_test jochmans_test yamagata_test sanderson_windmeijer cue_underidentification_test`; candidates
compared by `selection_table`; errors clustered two ways by `two_way_clustered`; predictions of the entity effect and the
error by `entity_effects` and `idiosyncratic_errors`. docs/methodology/estimators has a page on each.

Every error derives from `EstimationError`, every warning from `EstimationWarning`.
`python -m estimation fit --spec CASE.json --data DATA.csv --json` does the same from a file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from estimation.column_file import read_case
    from estimation.dynamic_panel.bias_corrected import BiasCorrectedMM
    from estimation.dynamic_panel.entity_effects import entity_effects, idiosyncratic_errors
    from estimation.dynamic_panel.hausman import hausman_test
    from estimation.dynamic_panel.hypotheses import DifferenceInHansen, TestResult
    from estimation.dynamic_panel.identification import cue_underidentification_test, sanderson_windmeijer
    from estimation.dynamic_panel.jackknife import HalfPanelJackknife
    from estimation.dynamic_panel.model import DifferenceGMM, PanelGMM, SystemGMM
    from estimation.dynamic_panel.nonlinear import NonlinearGMM, fit_nonlinear
    from estimation.dynamic_panel.portmanteau import jochmans_test, yamagata_test
    from estimation.dynamic_panel.quadratic_moments import NonlinearMoments
    from estimation.dynamic_panel.results import GMMResults
    from estimation.dynamic_panel.selection import select_moments, selection_table
    from estimation.dynamic_panel.side_by_side import Comparison, compare
    from estimation.dynamic_panel.spec import FitOptions, GMMStyle, IVStyle, PanelSpec
    from estimation.dynamic_panel.two_stage import two_stage
    from estimation.dynamic_panel.two_way import two_way_clustered
    from estimation.errors import EstimationError, EstimationWarning

# loaded when first asked for: NumPy, pandas and SciPy cost half a second to a second, and not every caller fits a model
_HOMES = {
    "BiasCorrectedMM": "dynamic_panel.bias_corrected",
    "Comparison": "dynamic_panel.side_by_side",
    "DifferenceGMM": "dynamic_panel.model",
    "DifferenceInHansen": "dynamic_panel.hypotheses",
    "EstimationError": "errors",
    "EstimationWarning": "errors",
    "FitOptions": "dynamic_panel.spec",
    "GMMResults": "dynamic_panel.results",
    "GMMStyle": "dynamic_panel.spec",
    "HalfPanelJackknife": "dynamic_panel.jackknife",
    "IVStyle": "dynamic_panel.spec",
    "NonlinearGMM": "dynamic_panel.nonlinear",
    "NonlinearMoments": "dynamic_panel.quadratic_moments",
    "PanelGMM": "dynamic_panel.model",
    "PanelSpec": "dynamic_panel.spec",
    "SystemGMM": "dynamic_panel.model",
    "TestResult": "dynamic_panel.hypotheses",
    "compare": "dynamic_panel.side_by_side",
    "cue_underidentification_test": "dynamic_panel.identification",
    "entity_effects": "dynamic_panel.entity_effects",
    "fit_nonlinear": "dynamic_panel.nonlinear",
    "hausman_test": "dynamic_panel.hausman",
    "idiosyncratic_errors": "dynamic_panel.entity_effects",
    "jochmans_test": "dynamic_panel.portmanteau",
    "read_case": "column_file",
    "sanderson_windmeijer": "dynamic_panel.identification",
    "select_moments": "dynamic_panel.selection",
    "selection_table": "dynamic_panel.selection",
    "two_stage": "dynamic_panel.two_stage",
    "two_way_clustered": "dynamic_panel.two_way",
    "yamagata_test": "dynamic_panel.portmanteau",
}

# modules that are reached as attributes of the package, such as estimation.stata.parse
_MODULES = frozenset({"bootstrap", "data_files", "diagnostics", "example_data", "postestimation", "robustness", "stata"})

__all__ = [
    "BiasCorrectedMM",
    "Comparison",
    "DifferenceGMM",
    "DifferenceInHansen",
    "EstimationError",
    "EstimationWarning",
    "FitOptions",
    "GMMResults",
    "GMMStyle",
    "HalfPanelJackknife",
    "IVStyle",
    "NonlinearGMM",
    "NonlinearMoments",
    "PanelGMM",
    "PanelSpec",
    "SystemGMM",
    "TestResult",
    "compare",
    "cue_underidentification_test",
    "entity_effects",
    "fit_nonlinear",
    "hausman_test",
    "idiosyncratic_errors",
    "jochmans_test",
    "read_case",
    "sanderson_windmeijer",
    "select_moments",
    "selection_table",
    "two_stage",
    "two_way_clustered",
    "yamagata_test",
]


def __getattr__(name: str) -> object:
    """Load a public name from its module when it is first used (PEP 562)."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted(set(globals()) | set(__all__))
