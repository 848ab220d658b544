"""From accounts to the logs a production function needs, and from its coefficients to firm and city productivity.

Coefficients come per industry and are joined to the accounts here, so that no firm-level payload leaves the estimating
worker. The unit of capital shifts productivity by its coefficient times the log of the unit, differently by industry:
hence productivity relative to the industry's pooled mean beside the raw one.
"""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from schemas.places import INSIDE_TYPES

INPUTS = ("labour", "capital", "inputs")
LOG_OF = {"labour": "ln_workers", "capital": "ln_capital", "inputs": "ln_inputs"}


def add_prices(accounts: DataFrame, prices: DataFrame) -> DataFrame:
    """Add ``output_price`` and ``input_price`` (100 = base year); null where the user's series has no row.

    Parameters
    ----------
    prices : DataFrame
        One row per industry and year: ``industry_code, year, output_price, input_price``.
    """
    return accounts.join(F.broadcast(prices), on=["industry_code", "year"], how="left")


def build_inputs(accounts: DataFrame, *, measure: str, depreciation: float) -> DataFrame:
    """Return the logs of one firm-year, null where an amount is missing or not positive.

    Parameters
    ----------
    accounts : DataFrame
        With ``value_added_used, inputs_used, output_price, input_price, real_capital``.
    measure : {"value_added", "gross_output"}
        What ``ln_output`` is; value added is deflated with the output price.
    depreciation : float
        For investment, capital less what is left of last year's.

    Returns
    -------
    DataFrame
        ``year, legal_person_code, city_id, unit_type, industry_code, ln_output, ln_workers, ln_capital, ln_inputs,
        ln_investment, labour_share, output_weight, worker_weight, value_added_method, is_imputed``.
    """
    firm = Window.partitionBy("legal_person_code").orderBy("year")
    is_next = F.lag("year").over(firm) == F.col("year") - 1
    investment = F.when(is_next, F.col("real_capital") - (1.0 - depreciation) * F.lag("real_capital").over(firm))
    amount = F.col("value_added_used") if measure == "value_added" else F.col("output_current")
    compensation = F.col("wages") + F.coalesce(F.col("welfare"), F.lit(0.0))
    share = F.when(F.col("value_added_used") > 0, compensation / F.col("value_added_used"))
    return accounts.withColumn("investment", investment).select(
        "year", "legal_person_code", "city_id", "unit_type", "industry_code",
        _log(amount * 100.0 / F.col("output_price")).alias("ln_output"),
        _log(F.col("n_workers")).alias("ln_workers"),
        _log(F.col("real_capital")).alias("ln_capital"),
        _log(F.col("inputs_used") * 100.0 / F.col("input_price")).alias("ln_inputs"),
        _log(F.col("investment")).alias("ln_investment"),
        F.when(share.between(0.0, 1.0), share).alias("labour_share"),
        F.col("output_current").alias("output_weight"),
        F.col("n_workers").alias("worker_weight"),
        "value_added_method",
        "is_imputed",
    )


def trim_tails(inputs: DataFrame, *, share: float) -> DataFrame:
    """Leave out firm-years in the tails of output, inputs and capital per worker of their industry and year."""
    if share <= 0:
        return inputs
    per_worker = {name: F.col(name) - F.col("ln_workers") for name in ("ln_output", "ln_inputs", "ln_capital")}
    bounds = inputs.groupBy("industry_code", "year").agg(
        *(F.percentile(ratio, F.array(F.lit(share), F.lit(1.0 - share))).alias(f"{name}_bounds")
          for name, ratio in per_worker.items())
    )
    inside = reduce(
        Column.__and__,
        (F.coalesce(ratio.between(F.col(f"{name}_bounds")[0], F.col(f"{name}_bounds")[1]), F.lit(True))
         for name, ratio in per_worker.items()),
    )
    joined = inputs.join(F.broadcast(bounds), on=["industry_code", "year"], how="left")
    return joined.where(inside).select(*inputs.columns)


def add_productivity(inputs: DataFrame, technology: DataFrame) -> DataFrame:
    """Add ``ln_tfp``: log output less inputs times their coefficients, for industries that have them.

    Parameters
    ----------
    inputs : DataFrame
        From :func:`build_inputs`.
    technology : DataFrame
        One row per industry: ``industry_code, coef_labour, coef_capital, coef_inputs``; a null coefficient means that
        the input is not among the function's.
    """
    parts = [
        F.when(F.col(f"coef_{name}").isNull(), F.lit(0.0)).otherwise(F.col(f"coef_{name}") * F.col(LOG_OF[name]))
        for name in INPUTS
    ]
    coefs = technology.select("industry_code", *(f"coef_{name}" for name in INPUTS))
    joined = inputs.join(F.broadcast(coefs), on="industry_code", how="inner")
    tfp = F.col("ln_output") - reduce(Column.__add__, parts)
    return joined.withColumn("ln_tfp", tfp).where(F.col("ln_tfp").isNotNull()).select(*inputs.columns, "ln_tfp")


def add_index_productivity(inputs: DataFrame) -> DataFrame:
    """Add ``ln_tfp`` by the chained index number (Good, Nadiri and Sickles 1997); see estimation.production.

    Elasticities are the labour share and one minus it, averaged between the firm and the industry's year.
    """
    usable = inputs.where(
        F.col("labour_share").isNotNull() & F.col("ln_output").isNotNull() & F.col("ln_workers").isNotNull()
        & F.col("ln_capital").isNotNull()
    )
    yearly = usable.groupBy("industry_code", "year").agg(
        F.avg("ln_output").alias("mean_output"), F.avg("ln_workers").alias("mean_workers"),
        F.avg("ln_capital").alias("mean_capital"), F.avg("labour_share").alias("mean_share"),
    )
    order = Window.partitionBy("industry_code").orderBy("year")

    def change(name: str) -> Column:
        return F.col(name) - F.lag(name).over(order)

    share = (F.col("mean_share") + F.lag("mean_share").over(order)) / 2.0
    growth = change("mean_output") - share * change("mean_workers") - (1.0 - share) * change("mean_capital")
    so_far = order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    chained = yearly.withColumn("growth", F.coalesce(growth, F.lit(0.0))).withColumn(
        "chain", F.sum("growth").over(so_far)
    )
    firm_share = (F.col("labour_share") + F.col("mean_share")) / 2.0
    against_mean = firm_share * (F.col("ln_workers") - F.col("mean_workers")) + (1.0 - firm_share) * (
        F.col("ln_capital") - F.col("mean_capital")
    )
    tfp = F.col("ln_output") - F.col("mean_output") - against_mean + F.col("chain")
    joined = usable.join(F.broadcast(chained), on=["industry_code", "year"], how="inner")
    return joined.withColumn("ln_tfp", tfp).select(*inputs.columns, "ln_tfp")


def add_relative_productivity(firms: DataFrame) -> DataFrame:
    """Add ``ln_tfp_relative``: ``ln_tfp`` less its industry's mean over all firms and years."""
    means = firms.groupBy("industry_code").agg(F.avg("ln_tfp").alias("industry_mean"))
    joined = firms.join(F.broadcast(means), on="industry_code", how="inner")
    return joined.withColumn("ln_tfp_relative", F.col("ln_tfp") - F.col("industry_mean")).drop("industry_mean")


def average_by_city(firms: DataFrame, *, relative: str, weights: str, area: str) -> DataFrame:
    """Return city productivity, with three weightings and the chosen one as ``ln_pro``.

    Parameters
    ----------
    firms : DataFrame
        Columns of ``gold.firm_tfp``.
    relative : {"industry", "none"}
    weights : {"simple", "output", "employment"}
    area : {"whole_city", "districts"}
        Whether firms of counties and county-level cities count for their city.
    """
    value = F.col("ln_tfp_relative" if relative == "industry" else "ln_tfp")
    placed = firms.where(F.col("city_id").isNotNull())
    if area == "districts":
        placed = placed.where(F.col("unit_type").isin(*INSIDE_TYPES))
    cities = placed.groupBy("year", "city_id").agg(
        F.avg(value).alias("ln_tfp_simple"),
        _weighted(value, F.col("output_weight")).alias("ln_tfp_output"),
        _weighted(value, F.col("worker_weight")).alias("ln_tfp_employment"),
        F.count("*").alias("n_city_firms"),
        F.count_distinct("industry_code").alias("n_city_industries"),
        F.avg(F.col("is_imputed").cast("double")).alias("share_imputed"),
        F.first("tfp_source").alias("tfp_source"),
    )
    chosen = cities.withColumns(
        {"ln_pro": F.col(f"ln_tfp_{weights}"), "tfp_weights": F.lit(weights), "tfp_relative": F.lit(relative)}
    )
    return chosen.where(F.col("ln_pro").isNotNull())


def _weighted(value: Column, weight: Column) -> Column:
    positive = F.when(weight > 0, weight)
    return F.try_divide(F.sum(value * positive), F.sum(positive))


def _log(amount: Column) -> Column:
    return F.when(amount > 0, F.ln(amount))
