"""The two paths of mediation: agglomeration moves productivity (resilience), which moves exports.

The paper calls its interactions channels; an interaction says when agglomeration matters more, not through what. Here the
mediator is regressed on agglomeration and the outcome on the mediator, both dynamically, and the indirect effect is the
product of the two coefficients. Its distribution is not normal, so it is bootstrapped by city, all fits sharing the drawn
cities. The controls are the column's; the other mediator stays in the outcome's equation.

References: Baron and Kenny (1986); MacKinnon et al. (2002) on the product's distribution.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from estimation.dynamic_panel.bootstrap import bootstrap
from estimation.dynamic_panel.results import GMMResults
from estimation.errors import EstimationError
from estimation.tables.columns import ColumnFit, build_model
from estimation.tables.spec import Column
from estimation.tables.study import StudyPanel

N_REPLICATIONS = 199
SEED = 20031


def mediation(fit: ColumnFit, panel: StudyPanel, *, n_replications: int = N_REPLICATIONS) -> pd.DataFrame:
    """Return the indirect effects of agglomeration through productivity and resilience, and their difference.

    Returns
    -------
    DataFrame
        path, first (agglomeration on the mediator), second (mediator on the outcome), indirect, lower, upper (95%
        percentile interval over cities drawn with replacement), share of draws above zero, n_draws; one row with the
        reason in ``problem`` when it cannot be had.
    """
    column = fit.column
    mediators = {"productivity": "lnPro", "resilience": column.resilience}
    try:
        fits = [fit.estimated, *(_mediator_fit(column, name, panel, fit.mask) for name in mediators.values())]

        def effects(outcome: pd.Series, *firsts: pd.Series) -> list[float]:
            products = [first["lnAgg"] * outcome[name] for first, name in zip(firsts, mediators.values(), strict=True)]
            return [float(value) for value in (*products, products[0] - products[1])]

        drawn = bootstrap(
            fits, effects, n_replications=n_replications, seed=SEED, names=[*mediators, "difference"]
        )
    except EstimationError as error:
        return pd.DataFrame([{"path": "not available", "problem": str(error)}])
    bounds = drawn.conf_int(0.95)
    rows = []
    for position, (path, name) in enumerate([*mediators.items(), ("difference", "")]):
        first = float(fits[1 + position].params["lnAgg"]) if name else np.nan
        rows.append({
            "path": path, "first": first, "second": float(fit.estimated.params[name]) if name else np.nan,
            "indirect": float(drawn.estimate[path]), "lower": float(bounds.loc[path, "lower"]),
            "upper": float(bounds.loc[path, "upper"]), "share_above_zero": float((drawn.draws[path] > 0).mean()),
            "n_draws": len(drawn.draws), "problem": "",
        })
    return pd.DataFrame(rows)


def _mediator_fit(column: Column, mediator: str, panel: StudyPanel, mask: np.ndarray) -> GMMResults:
    """Fit the mediator on its lag, agglomeration and the controls, with the column's instruments."""
    equation = Column(
        column.table, column.position, mediator, column.resilience, column.sample, ("lnAgg",), (), column.exogenous,
        column.external_instruments, column.dependent_lags, column.options,
    )
    return build_model(equation, panel, mask).fit(steps=column.options.steps)
