"""The paper's question, tested: is the productivity channel larger than the resilience channel?

A channel is the coefficient of agglomeration times productivity (or resilience), in the direction in which a high value
means more productivity (resilience). The paper compares point values column by column; here the difference is tested with
the joint covariance of both coefficients, per standard deviation and in natural units, alone and adjusted for the number
of columns; then between size classes and regions, as marginal effects and in the long run. "Channels" are interactions,
that is moderation; the path through productivity itself is in `estimation.tables.mediation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import scipy

from estimation.dynamic_panel.postestimation import (
    fieller_set,
    johnson_neyman,
    linear_combination,
    long_run_effect,
    marginal_effect,
)
from estimation.tables.columns import ColumnFit, counted_panel
from estimation.tables.joint import Contrast, holm, joint_covariance, pvalues_of, romano_wolf, upper_tail, wald_equality
from estimation.tables.printed import PrintedTable
from estimation.tables.study import StudyPanel

PRODUCTIVITY = "lnAgg*lnPro"
CHANNELS = ("resilience", "productivity")


def resilience_term(fit: ColumnFit) -> str:
    """Interaction of agglomeration with the column's resilience measure."""
    return f"lnAgg*{fit.column.resilience}"


def fits_with_channels(tables: Sequence[PrintedTable]) -> Iterator[tuple[PrintedTable, ColumnFit]]:
    """Columns that were estimated and have both channels."""
    for table in tables:
        for column in table.columns:
            fit = column.fit
            if fit.results is not None and {PRODUCTIVITY, resilience_term(fit)} <= set(fit.results.names):
                yield table, fit


def channel_tests(tables: Sequence[PrintedTable], panel: StudyPanel) -> pd.DataFrame:
    """Return one row per column: both channels, their difference tested per SD and in natural units, adjusted p-values.

    Notes
    -----
    ``pvalue`` is two-sided, ``pvalue_larger`` one-sided against the paper's claim being false. Natural units: a change of
    one in the log of each variable, which is not the same sized event for a growth index as for productivity.
    """
    found = list(fits_with_channels(tables))
    if not found:
        return pd.DataFrame()
    per_sd = [_difference(table, fit, panel, natural=False) for table, fit in found]
    natural = [_difference(table, fit, panel, natural=True) for table, fit in found]
    rows = []
    for (table, fit), contrast, own in zip(found, per_sd, natural, strict=True):
        results, sign = fit.estimated, fit.column.resilience_sign
        z = contrast.estimate / contrast.std_error
        rows.append({
            "table": table.table.number, "column": fit.column.position, "dependent": fit.column.dependent,
            "sample": fit.column.sample.name, "resilience": fit.column.resilience,
            "resilience_channel": sign * float(results.params[resilience_term(fit)]),
            "productivity_channel": float(results.params[PRODUCTIVITY]),
            "correlation": _correlation(fit) * sign,
            "difference": contrast.estimate, "std_error": contrast.std_error, "z": z,
            "pvalue": 2 * upper_tail(abs(z), results.df_resid), "pvalue_larger": upper_tail(z, results.df_resid),
            "natural_difference": own.estimate, "natural_std_error": own.std_error,
            "natural_pvalue": 2 * upper_tail(abs(own.estimate / own.std_error), results.df_resid),
        })
    frame = pd.DataFrame(rows)
    frame["holm"] = holm(pvalues_of(per_sd).tolist())
    frame["romano_wolf"] = romano_wolf(per_sd)
    return frame


def channel_coefficients(tables: Sequence[PrintedTable]) -> pd.DataFrame:
    """Return every channel coefficient with p-values alone and adjusted over all columns and both channels."""
    contrasts, rows = [], []
    for table, fit in fits_with_channels(tables):
        for channel, term, sign in (
            ("resilience", resilience_term(fit), fit.column.resilience_sign), ("productivity", PRODUCTIVITY, 1),
        ):
            contrast = Contrast(f"{table.table.name}.{fit.column.name}.{channel}", fit.estimated, {term: float(sign)})
            contrasts.append(contrast)
            rows.append({
                "table": table.table.number, "column": fit.column.position, "dependent": fit.column.dependent,
                "sample": fit.column.sample.name, "channel": channel, "estimate": contrast.estimate,
                "std_error": contrast.std_error,
            })
    if not rows:
        return pd.DataFrame()
    frame = pd.DataFrame(rows)
    frame["pvalue"] = pvalues_of(contrasts)
    frame["holm"] = holm(frame["pvalue"])
    frame["romano_wolf"] = romano_wolf(contrasts)
    return frame


def subsample_differences(tables: Sequence[PrintedTable]) -> pd.DataFrame:
    """Return differences of both channels between the subsamples of a table, by stacked estimation.

    One row per table, outcome, channel and pair of subsamples, and one per group with the test that all are equal.
    """
    groups: dict[tuple[int, str], list[ColumnFit]] = {}
    for table, fit in fits_with_channels(tables):
        if fit.column.sample.rule in ("size", "region"):
            groups.setdefault((table.table.number, fit.column.dependent), []).append(fit)
    rows = []
    for (number, dependent), fits in groups.items():
        if len(fits) < 2:
            continue
        for channel in CHANNELS:
            contrasts = [_channel_contrast(fit, channel) for fit in fits]
            head = {"table": number, "dependent": dependent, "channel": channel}
            stat, df, pvalue = wald_equality(contrasts)
            rows.append(head | {"compared": "all equal", "difference": np.nan, "std_error": np.nan, "stat": stat,
                                "df": df, "pvalue": pvalue})
            covariance = joint_covariance(contrasts)
            for a, b in combinations(range(len(fits)), 2):
                gap = contrasts[a].estimate - contrasts[b].estimate
                error = float(np.sqrt(covariance[a, a] + covariance[b, b] - 2 * covariance[a, b]))
                rows.append(head | {
                    "compared": f"{contrasts[a].label} - {contrasts[b].label}", "difference": gap, "std_error": error,
                    "stat": gap / error, "df": 1, "pvalue": float(2 * scipy.stats.norm.sf(abs(gap / error))),
                })
    frame = pd.DataFrame(rows)
    if len(frame):
        pairs = frame["compared"] != "all equal"
        frame.loc[pairs, "holm"] = holm(frame.loc[pairs, "pvalue"])
    return frame


def agglomeration_effects(fit: ColumnFit, panel: StudyPanel) -> pd.DataFrame:
    """Return the marginal effect of agglomeration over percentiles of resilience and of productivity, the other at its mean.

    A product standardised itself moves by sd(A) sd(M) / sd(A*M) when both factors move by one standard deviation, .89 at a
    correlation of one half; the effect at m standard deviations of the moderator is b_A + b_AM m times that.

    Columns: moderator, percentile, value (SD), natural_value, effect, std_error, pvalue, lower, upper, band_lower,
    band_upper (simultaneous).
    """
    parts = []
    for moderator, product in ((fit.column.resilience, resilience_term(fit)), ("lnPro", PRODUCTIVITY)):
        scale = product_scale(fit, panel, moderator, product)
        effects = marginal_effect(fit.estimated, "lnAgg", moderator, product, product_scale=scale)
        constant = _constants_of(fit, panel).constant(moderator)
        effects.insert(0, "variable", moderator)
        effects["natural_value"] = constant.mean + constant.sd * effects["moderator"]
        parts.append(effects.rename(columns={"moderator": "value"}))
    return pd.concat(parts, ignore_index=True)


def product_scale(fit: ColumnFit, panel: StudyPanel, moderator: str, product: str) -> float:
    """Return sd(A) sd(M) / sd(A*M) with the constants the column was scaled with; 1 where products of z are left alone."""
    source = _constants_of(fit, panel)
    spread = source.constant(product).sd
    return source.constant("lnAgg").sd * source.constant(moderator).sd / spread if spread > 0 else 1.0


def _constants_of(fit: ColumnFit, panel: StudyPanel) -> StudyPanel:
    """Return the panel whose constants scaled a column."""
    panel = counted_panel(fit.column, panel)
    return panel.restricted(fit.mask) if fit.column.options.scaling == "sample" else panel


def significance_ranges(fit: ColumnFit, panel: StudyPanel) -> pd.DataFrame:
    """Return the Johnson-Neyman ranges of both moderators: where the effect of agglomeration differs from zero."""
    rows = []
    for moderator, product in ((fit.column.resilience, resilience_term(fit)), ("lnPro", PRODUCTIVITY)):
        scale = product_scale(fit, panel, moderator, product)
        found = johnson_neyman(fit.estimated, "lnAgg", moderator, product, product_scale=scale)
        text = " or ".join(_range_in_words(low, high) for low, high in found.significant) or "nowhere"
        rows.append({"variable": moderator, "significant": text, "share_of_observations": found.share})
    return pd.DataFrame(rows)


def long_run(fit: ColumnFit) -> pd.DataFrame:
    """Return long-run effects of agglomeration and both channels, with delta-method and Fieller intervals."""
    rows = []
    for term in ("lnAgg", fit.column.resilience, "lnPro", resilience_term(fit), PRODUCTIVITY):
        effect = long_run_effect(fit.estimated, term)
        fieller = fieller_set(fit.estimated, term)
        rows.append({
            "term": term, "short_run": float(fit.estimated.params[term]), "long_run": effect.estimate,
            "std_error": effect.std_error, "pvalue": effect.pvalue, "lower": effect.lower, "upper": effect.upper,
            "fieller_lower": fieller.lower, "fieller_upper": fieller.upper, "fieller_kind": fieller.kind,
        })
    gap = long_run_effect(fit.estimated, {PRODUCTIVITY: 1.0, resilience_term(fit): -float(fit.column.resilience_sign)})
    rows.append({
        "term": "productivity - resilience channel",
        "short_run": linear_combination(
            fit.estimated, {PRODUCTIVITY: 1.0, resilience_term(fit): -float(fit.column.resilience_sign)}
        ).estimate,
        "long_run": gap.estimate, "std_error": gap.std_error, "pvalue": gap.pvalue, "lower": gap.lower,
        "upper": gap.upper, "fieller_lower": np.nan, "fieller_upper": np.nan, "fieller_kind": "",
    })
    return pd.DataFrame(rows)


def _range_in_words(low: float, high: float) -> str:
    """Name a range of a moderator, open ends as words."""
    if np.isinf(low) and np.isinf(high):
        return "everywhere"
    if np.isinf(low):
        return f"below {high:.2f} SD"
    return f"above {low:.2f} SD" if np.isinf(high) else f"{low:.2f} to {high:.2f} SD"


def _difference(table: PrintedTable, fit: ColumnFit, panel: StudyPanel, *, natural: bool) -> Contrast:
    term, sign = resilience_term(fit), float(fit.column.resilience_sign)
    weights = {PRODUCTIVITY: 1.0, term: -sign}
    if natural:
        source = _constants_of(fit, panel)
        y = source.constant(fit.column.dependent).sd
        weights = {name: weight * y / source.constant(name).sd for name, weight in weights.items()}
    return Contrast(f"{table.table.name}.{fit.column.name}", fit.estimated, weights)


def _channel_contrast(fit: ColumnFit, channel: str) -> Contrast:
    if channel == "productivity":
        return Contrast(fit.column.sample.name, fit.estimated, {PRODUCTIVITY: 1.0})
    return Contrast(fit.column.sample.name, fit.estimated, {resilience_term(fit): float(fit.column.resilience_sign)})


def _correlation(fit: ColumnFit) -> float:
    cov = fit.estimated.cov.loc[[resilience_term(fit), PRODUCTIVITY], [resilience_term(fit), PRODUCTIVITY]].to_numpy()
    return float(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]))
