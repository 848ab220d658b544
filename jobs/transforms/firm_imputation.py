"""Value added and inputs of years that do not report them, by a chosen method, every imputed firm-year flagged.

2004 reports inputs and value-added tax, so value added follows from the accounts (output less inputs plus tax) and is no
imputation. After 2007 neither value added nor inputs are reported; what is seen in use is offered by name.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

LAST_SOUND_YEAR = 2007


def impute_value_added(accounts: DataFrame, *, method: str) -> DataFrame:
    """Add ``value_added_used``, ``inputs_used``, ``value_added_method`` and ``is_imputed``.

    Parameters
    ----------
    accounts : DataFrame
        Columns of ``silver.firm_account``.
    method : {"stop_2007", "va_ratio", "income_approach", "cost_accounts", "freeze_2007"}
        ``stop_2007`` imputes nothing. ``va_ratio``: the industry's value added over output up to 2007 times output
        (national ratio where the industry has none); ``freeze_2007`` uses the same values, and the technology is then
        estimated on the years up to 2007 only. ``income_approach``: wages, welfare, depreciation of the year,
        value-added tax and profit. ``cost_accounts``: inputs are the cost of the main business and the inventories
        without finished goods less wages and welfare.

    Returns
    -------
    DataFrame
        Amounts in thousand yuan at current prices; null where nothing can be said.
    """
    identity = F.col("output_current") - F.col("intermediate_inputs") + F.col("vat_payable")
    known = accounts.withColumns(
        {
            "known_value_added": F.coalesce(F.col("value_added"), identity),
            "known_method": F.when(F.col("value_added").isNotNull(), "reported").when(
                identity.isNotNull(), "accounting_identity"
            ),
        }
    )
    imputed, inputs = _imputed(known, method)
    filled = imputed.withColumns(
        {
            "value_added_used": F.coalesce("known_value_added", "imputed_value_added"),
            "value_added_method": F.coalesce(
                "known_method", F.when(F.col("imputed_value_added").isNotNull(), F.lit(_label(method)))
            ),
        }
    )
    return filled.withColumns(
        {
            "inputs_used": F.coalesce(F.col("intermediate_inputs"), inputs),
            "is_imputed": F.col("known_value_added").isNull() & F.col("imputed_value_added").isNotNull(),
        }
    ).drop("known_value_added", "known_method", "imputed_value_added", "ratio", "national_ratio")


def _label(method: str) -> str | None:
    return {"freeze_2007": "va_ratio", "stop_2007": None}.get(method, method)


def _imputed(known: DataFrame, method: str) -> tuple[DataFrame, Column]:
    """Return the accounts with ``imputed_value_added``, and the inputs that go with it."""
    tax = F.coalesce(F.col("vat_payable"), F.lit(0.0))
    balance = F.col("output_current") + tax - F.col("value_added_used")
    match method:
        case "va_ratio" | "freeze_2007":
            with_ratio = known.transform(_add_ratio)
            value = F.coalesce("ratio", "national_ratio") * F.col("output_current")
            return with_ratio.withColumn("imputed_value_added", F.when(_is_late(), value)), balance
        case "income_approach":
            value = sum(
                (F.col(name) for name in ("welfare", "current_depreciation", "vat_payable", "profit")), F.col("wages")
            )
            return known.withColumn("imputed_value_added", F.when(_is_late(), value)), balance
        case "cost_accounts":
            inputs = (
                F.col("main_cost") + F.col("inventories") - F.col("finished_goods") - F.col("wages") - F.col("welfare")
            )
            value = F.col("output_current") - inputs + tax
            return known.withColumn("imputed_value_added", F.when(_is_late(), value)), F.when(_is_late(), inputs)
        case _:
            nothing = F.lit(None).cast("double")
            return known.withColumn("imputed_value_added", nothing), nothing


def _is_late() -> Column:
    return F.col("year") > LAST_SOUND_YEAR


def _add_ratio(known: DataFrame) -> DataFrame:
    sound = known.where(~_is_late() & (F.col("known_value_added") > 0) & (F.col("output_current") > 0))
    ratio = F.sum("known_value_added") / F.sum("output_current")
    by_industry = sound.groupBy("industry_code").agg(ratio.alias("ratio"))
    national = sound.agg(ratio.alias("national_ratio"))
    return known.join(F.broadcast(by_industry), on="industry_code", how="left").crossJoin(F.broadcast(national))
