"""The printed table of a fit, in the order a referee reads it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from estimation.dynamic_panel.advice import chosen_conventions

if TYPE_CHECKING:
    from estimation.dynamic_panel.results import GMMResults

_COVARIANCE = {
    "unadjusted": "classical",
    "robust": "cluster-robust",
    "windmeijer": "Windmeijer-corrected",
    "doubly_corrected": "doubly corrected",
}
_WIDTH = 86


def stars(pvalue: float) -> str:
    """Return *** ** * for p below .01, .05, .1."""
    return "***" if pvalue < 0.01 else "**" if pvalue < 0.05 else "*" if pvalue < 0.1 else ""


def render(results: GMMResults) -> str:
    """Return the table as text."""
    parts = [_head(results), _coefficients(results), _tests(results)]
    if results.notes:
        parts.append("\n".join(textwrap.fill(f"Note: {note}", _WIDTH) for note in results.notes))
    parts += [textwrap.fill(f"Convention: {text}", _WIDTH) for text in chosen_conventions(results.spec)]
    return "\n".join(parts)


def _head(results: GMMResults) -> str:
    spec = results.spec
    transform = "first differences" if spec.transform == "fd" else "forward orthogonal deviations"
    steps = {1: "one-step", 2: "two-step", "iterated": "iterated", "cue": "continuously updated"}[results.steps]
    low, mean, high = results.obs_per_group
    errors = (
        _COVARIANCE[results.cov_type]
        if not (results.steps == 2 and results.cov_type == "unadjusted")
        else "uncorrected two-step"
    )
    errors = errors if results.steps != "cue" or results.cov_type == "unadjusted" else "many-moments robust"
    unit = spec.cluster or results.fit.prepared.grid.entity
    wald = results.wald_test()
    left = [
        f"{results.kind}, {steps}, {transform}",
        f"Dependent variable: {spec.dependent}",
        f"Standard errors: {errors}",
        f"Clustered on {unit}" + (", small-sample" if results.options.small else ""),
        f"Wald, slopes: {wald.stat:.2f} (p = {wald.pvalue:.4f})" if wald.applies else "Wald: not available",
    ]
    right = [
        f"Observations: {results.nobs}",
        f"Groups: {results.n_groups}",
        f"Instruments: {results.n_instruments}",
        f"Obs. per group: {low} / {mean:.2f} / {high}",
        f"Transformed rows: {results.n_transformed}",
    ]
    rows = [f"{a:<56}{b:>{_WIDTH - 56}}" for a, b in zip(left, right, strict=True)]
    return "\n".join(["=" * _WIDTH, *rows, "=" * _WIDTH])


def _coefficients(results: GMMResults) -> str:
    letter = "z" if results.df_resid is None else "t"
    table = results.conf_int()
    head = f"{'':<22}{'coef':>12}{'std. err.':>12}{letter:>9}{'p':>8}{'':<4}{'[95% interval]':>18}"
    lines = [head, "-" * _WIDTH]
    columns = zip(
        results.names,
        results.params,
        results.std_errors,
        results.tstats,
        results.pvalues,
        table["lower"],
        table["upper"],
        strict=True,
    )
    for name, estimate, error, t, p, low, high in columns:
        lines.append(
            f"{name[:22]:<22}{estimate:>12.6g}{error:>12.6g}{t:>9.2f}{p:>8.3f} {stars(p):<3}{low:>9.4g}{high:>10.4g}"
        )
    lines.append("-" * _WIDTH)
    return "\n".join(lines)


def _tests(results: GMMResults) -> str:
    lines = [str(results.ar_test(1)), str(results.ar_test(2)), str(results.hansen), str(results.sargan)]
    lines.append("Difference-in-Hansen (excluding group | difference):")
    for test in results.diff_in_hansen:
        group = test.group if len(test.group) <= 40 else test.group[:37] + "..."
        if not test.difference.applies:
            lines.append(f"  {group:<41}n/a: {test.difference.reason}")
            continue
        a, b = test.excluding, test.difference
        lines.append(f"  {group:<41}{a.stat:>8.2f} ({a.df}) p {a.pvalue:.3f} |{b.stat:>8.2f} ({b.df}) p {b.pvalue:.3f}")
    lines.append("=" * _WIDTH)
    return "\n".join(lines)
