"""Model and moment selection of Andrews and Lu (2001) as a table over candidates.

Each criterion is Hansen's J less a bonus per overidentifying restriction; smaller is better. BIC and HQIC choose the
right moments with probability one in large samples, AIC keeps too many of the wrong ones. The decision worth knowing:
criteria compare fits of one outcome on the same entities; other samples are listed but not ranked.

References: Andrews and Lu (2001), J. Econometrics 101; Kiviet (2020), Econometrics and Statistics 13, for the use
with panels.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd

from estimation.dynamic_panel.diagnostics import selection_criteria
from estimation.dynamic_panel.model import PanelGMM
from estimation.dynamic_panel.results import GMMResults
from estimation.dynamic_panel.spec import FitOptions
from estimation.errors import EstimationError, EstimationWarning, SpecificationError

CRITERIA = ("bic", "hqic", "aic")


def selection_table(candidates: Mapping[str, GMMResults | str]) -> pd.DataFrame:
    """Compare fits by their criteria.

    Parameters
    ----------
    candidates : mapping of str to GMMResults
        Two-step (or iterated) fits of the same outcome; a text in place of a fit is the reason it could not be had.

    Returns
    -------
    DataFrame
        One row per candidate in the order given: n_obs, n_groups, n_params, n_instruments, df, hansen, hansen_p, ar2_p,
        bic, hqic, aic, chosen (names of the criteria that choose it), problem.

    Raises
    ------
    SpecificationError
        When the outcomes differ.
    """
    fits = {name: fit for name, fit in candidates.items() if isinstance(fit, GMMResults)}
    outcomes = {fit.spec.dependent for fit in fits.values()}
    if len(outcomes) > 1:
        raise SpecificationError(f"selection_table: expected fits of one outcome, found {', '.join(sorted(outcomes))}.")
    table = pd.DataFrame([_row(name, fit) for name, fit in candidates.items()]).set_index("candidate")
    if not fits:
        return table.assign(chosen="")
    # criteria of other samples are not comparable: the most frequent number of groups is the common one
    common = table["n_groups"].mode().iloc[0]
    other = table["n_groups"].notna() & (table["n_groups"] != common)
    table.loc[other, "problem"] = [
        f"{n:.0f} groups, the others {common:.0f}: not ranked" for n in table["n_groups"][other]
    ]
    ranked = table[~other]
    chosen: dict[str, list[str]] = {name: [] for name in table.index}
    for criterion in CRITERIA:
        if ranked[criterion].notna().any():
            chosen[ranked[criterion].idxmin()].append(criterion.upper())
    return table.assign(chosen=[", ".join(chosen[name]) for name in table.index])


def select_moments(
    model: PanelGMM, candidates: Mapping[str, Mapping[str, object]], options: FitOptions | None = None
) -> pd.DataFrame:
    """Fit a model under changed specifications and compare them.

    Parameters
    ----------
    model : PanelGMM
    candidates : mapping of str to mapping
        Name of a candidate to the fields of its `PanelSpec` that change, e.g. ``{"no level moments": {"system": False}}``.
    options : FitOptions, optional

    Returns
    -------
    DataFrame
        As `selection_table`.
    """
    options = FitOptions() if options is None else options
    fits: dict[str, GMMResults | str] = {}
    for name, changes in candidates.items():
        try:
            with warnings.catch_warnings():
                # counts and ranks are columns of the table
                warnings.simplefilter("ignore", EstimationWarning)
                fits[name] = model.with_spec(**dict(changes)).fit_options(options)
        except EstimationError as error:
            fits[name] = str(error)
    return selection_table(fits)


def _row(name: str, fit: GMMResults | str) -> dict[str, object]:
    """Return the row of one candidate."""
    row: dict[str, object] = dict.fromkeys(
        ("n_obs", "n_groups", "n_params", "n_instruments", "df", "hansen", "hansen_p", "ar2_p", *CRITERIA), np.nan
    )
    if isinstance(fit, str):
        return {"candidate": name, **row, "problem": fit}
    criteria = selection_criteria(fit)
    row |= {
        "n_obs": fit.nobs,
        "n_groups": fit.n_groups,
        "n_params": len(fit.names),
        "n_instruments": fit.n_instruments,
        "df": fit.df,
        "hansen": fit.hansen.stat,
        "hansen_p": fit.hansen.pvalue,
        "ar2_p": fit.ar_test(2).pvalue,
        "bic": criteria.bic,
        "hqic": criteria.hqic,
        "aic": criteria.aic,
    }
    return {"candidate": name, **row, "problem": ""}
