"""The production function of one industry on an executor: accounts in, one row of coefficients out.

Only coefficients come back; firm productivity is a native join afterwards, so no worker holds more than one industry and
nothing firm-level is pickled. An industry that is too small or singular is a row with its reason, never a failed run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from conf.productivity import Productivity
from jobs.transforms.productivity import INPUTS, LOG_OF

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, GroupedData

COEFFICIENTS = (
    "industry_code string, estimate_status string, estimate_reason string, coef_labour double, coef_capital double, "
    "coef_inputs double, se_labour double, se_capital double, se_inputs double, std_error_kind string, "
    "is_converged boolean, criterion double, n_roots int, n_firm_years bigint, n_firm_years_dropped bigint, "
    "n_pairs_used bigint, n_industry_firms bigint, notes array<string>, estimate_seconds double"
)
COEFFICIENT_NAMES = tuple(part.split()[0] for part in COEFFICIENTS.split(", "))
COLUMNS = ("industry_code", "firm", "year", "ln_output", "ln_workers", "ln_capital", "ln_inputs")


def known_technology(technology: Sequence[tuple[str, float, float, float | None]]) -> list[tuple]:
    """Rows of coefficients that a user knows: industry, elasticities of labour, capital and (or None) inputs."""
    without_estimate = {
        "estimate_status": "known", "std_error_kind": "none", "is_converged": True, "n_roots": 0, "n_firm_years": 0,
        "n_firm_years_dropped": 0, "n_pairs_used": 0, "n_industry_firms": 0, "notes": [], "estimate_seconds": 0.0,
    }
    names = ("industry_code", "coef_labour", "coef_capital", "coef_inputs")
    rows = [without_estimate | dict(zip(names, row, strict=True)) for row in technology]
    return [tuple(row.get(name) for name in COEFFICIENT_NAMES) for row in rows]


def estimate_technology(inputs: DataFrame, choices: Productivity, *, n_industries: int) -> DataFrame:
    """Estimate the production function of every industry.

    Parameters
    ----------
    inputs : DataFrame
        From :func:`jobs.transforms.productivity.build_inputs`.
    choices : Productivity
        Section ``productivity`` of the settings.
    n_industries : int
        Number of partitions: given by number, they are not merged by adaptive execution, which would put 30 industries
        into three tasks.

    Returns
    -------
    DataFrame
        One row per industry, columns :data:`COEFFICIENTS`.
    """

    def estimate(accounts: pd.DataFrame) -> pd.DataFrame:
        return estimate_industry(accounts, choices=choices)

    return industry_groups(inputs, choices, n_industries=n_industries).applyInPandas(estimate, COEFFICIENTS)


def industry_groups(inputs: DataFrame, choices: Productivity, *, n_industries: int) -> GroupedData:
    """Group the columns an estimator needs by industry; parameters as :func:`estimate_technology`."""
    from pyspark.sql import functions as F

    # a hash of the firm code is an eighth of its size on the way to the worker
    columns = (*COLUMNS, "ln_investment") if choices.method == "op" else COLUMNS
    narrow = inputs.withColumn("firm", F.xxhash64("legal_person_code")).select(*columns)
    return narrow.repartition(max(n_industries, 1), "industry_code").groupBy("industry_code")


def estimate_industry(accounts: pd.DataFrame, *, choices: Productivity) -> pd.DataFrame:
    """Estimate one industry; a refusal becomes a row with its reason.

    Parameters
    ----------
    accounts : pandas.DataFrame
        Columns :data:`COLUMNS` of one industry.
    choices : Productivity
    """
    from estimation.dynamic_panel.computing import one_thread
    from estimation.production import ProductionError, SingularError, TooSmallError

    start = time.perf_counter()
    industry = str(accounts["industry_code"].iloc[0])
    try:
        # as many workers as cores are at work; and sums in the same order, so the same digits, on every machine of a kind
        with one_thread():
            row = _estimated(accounts, choices)
    except TooSmallError as error:
        row = _refused("too_small", error, len(accounts))
    except SingularError as error:
        row = _refused("singular", error, len(accounts))
    except ProductionError as error:
        row = _refused("refused", error, len(accounts))
    names = COEFFICIENT_NAMES
    row |= {"industry_code": industry, "estimate_seconds": time.perf_counter() - start}
    return pd.DataFrame([[row[name] for name in names]], columns=names)


def _estimated(accounts: pd.DataFrame, choices: Productivity) -> dict:
    from estimation.production import ProductionFunction, ProductionOptions

    function = ProductionFunction(
        accounts,
        output="ln_output",
        free=["ln_workers", "ln_inputs"] if _is_op_gross(choices) else ["ln_workers"],
        state="ln_capital",
        proxy="ln_investment" if choices.method == "op" else "ln_inputs",
        entity="firm",
        time="year",
        options=ProductionOptions(
            measure=choices.measure, degree=choices.degree, markov_degree=choices.markov_degree,
            time_effects=choices.time_effects, exit=choices.exit, n_starts=choices.n_starts,
            min_pairs=choices.min_pairs, seed=choices.seed,
        ),
    )
    fit = function.fit(cast(Any, choices.method), n_bootstrap=choices.bootstrap)
    values = dict(_named(fit.params, "coef")) | dict(_named(fit.std_errors, "se"))
    if not fit.converged:
        values = dict.fromkeys(values)
    return values | {
        "estimate_status": "estimated" if fit.converged else "not_converged",
        "estimate_reason": None if fit.converged else "; ".join(fit.notes) or "the search did not converge",
        "std_error_kind": fit.std_error_kind, "is_converged": fit.converged, "criterion": fit.criterion,
        "n_roots": len(fit.roots), "n_firm_years": fit.n_obs, "n_firm_years_dropped": fit.n_dropped,
        "n_pairs_used": fit.n_pairs, "n_industry_firms": fit.n_entities, "notes": list(fit.notes),
    }


def _is_op_gross(choices: Productivity) -> bool:
    # the proxy of Olley and Pakes is investment, so intermediate inputs are one more free input
    return choices.method == "op" and choices.measure == "gross_output"


def _named(values: pd.Series, prefix: str) -> Iterator[tuple[str, float | None]]:
    for name in INPUTS:
        value = values.get(LOG_OF[name])
        yield f"{prefix}_{name}", None if value is None or value != value else float(value)


def _refused(status: str, error: Exception, n_rows: int) -> dict:
    empty = {f"{prefix}_{name}": None for prefix in ("coef", "se") for name in INPUTS}
    return empty | {
        "estimate_status": status, "estimate_reason": str(error), "std_error_kind": "none", "is_converged": False,
        "criterion": None, "n_roots": 0, "n_firm_years": 0, "n_firm_years_dropped": n_rows, "n_pairs_used": 0,
        "n_industry_firms": 0, "notes": [],
    }
