"""Results as plain values, for JSON and for other programs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from estimation.dynamic_panel.results import GMMResults


def as_plain_values(results: GMMResults) -> dict[str, Any]:
    """Return coefficients with errors, tests, counts and notes; missing numbers are None."""
    errors = results.std_errors
    return {
        "coefs": {name: [_plain(value), _plain(errors[name])] for name, value in results.params.items()},
        "tests": {
            "ar1": _plain(results.ar_test(1).stat),
            "ar2": _plain(results.ar_test(2).stat),
            "hansen": _plain(results.hansen.stat),
            "sargan": _plain(results.sargan.stat),
            "df": results.df,
            "n_obs": results.nobs,
            "n_groups": results.n_groups,
            "n_instruments": results.n_instruments,
            "ar1_p": _plain(results.ar_test(1).pvalue),
            "ar2_p": _plain(results.ar_test(2).pvalue),
            "hansen_p": _plain(results.hansen.pvalue),
            "sargan_p": _plain(results.sargan.pvalue),
            "sig2": _plain(results.sigma2),
            "n_transformed": results.n_transformed,
            "n_clusters": results.n_clusters,
        },
        "diff_in_hansen": [
            {
                "group": d.group,
                "excluding": _plain(d.excluding.stat),
                "excluding_df": d.excluding.df,
                "difference": _plain(d.difference.stat),
                "difference_df": d.difference.df,
                "p": _plain(d.difference.pvalue),
                "reason": d.difference.reason,
            }
            for d in results.diff_in_hansen
        ],
        "steps": results.steps,
        "cov_type": results.cov_type,
        "notes": list(results.notes),
        "dropped": dict(results.fit.prepared.design.dropped),
    }


def _plain(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)
