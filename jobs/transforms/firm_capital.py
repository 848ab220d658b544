"""Real capital by perpetual inventory on the whole survey at once, without a loop over firms.

The recursion of ``estimation.production.capital`` (its steps and source are described there) is linear: the stock of a
year is the sum of all purchases, each depreciated since. So each report needs only the one before it (a window) and the
stock is a running sum; the years before the first report and inside a gap are folded in native array functions.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

# before 1978 there is neither a price series nor a market for capital goods
FIRST_PRICE_YEAR = 1978
# nominal growth outside is a data error, not accumulation
GROWTH_RANGE = (0.0, 0.5)
# any year near the survey keeps powers of the survival share near one
REFERENCE_YEAR = 2000


def add_real_capital(
    accounts: DataFrame, growth: DataFrame, prices: Mapping[int, float], *, depreciation: float
) -> DataFrame:
    """Add ``real_capital``: the stock at the prices of the year whose index is 100.

    Parameters
    ----------
    accounts : DataFrame
        ``legal_person_code, year, prefecture_code, industry_code, founded_year, fixed_assets_original``.
    growth : DataFrame
        One row per province and industry: ``province2, industry_code, growth``; yearly, nominal. The row without
        codes is the national rate, for cells that have none.
    prices : mapping of int to float
        Investment price index, every year from 1978 to the last survey year.
    depreciation : float
        Share of the stock lost each year.
    """
    # firm-years without a usable value stand apart: they neither carry a stock nor interrupt the others'
    is_usable = F.coalesce(F.col("fixed_assets_original") > 0, F.lit(False))
    firm = Window.partitionBy("legal_person_code", "is_usable").orderBy("year")
    so_far = firm.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    price = F.create_map(*[F.lit(value) for pair in sorted(prices.items()) for value in pair])
    kept = 1.0 - depreciation
    cells = growth.where(F.col("province2").isNotNull())
    national = growth.where(F.col("province2").isNull()).agg(F.first("growth").alias("national_growth"))
    with_rate = (
        accounts.withColumns({"is_usable": is_usable, "province2": province2(F.col("prefecture_code"))})
        .join(F.broadcast(cells), on=["province2", "industry_code"], how="left")
        .crossJoin(F.broadcast(national))
    )
    rate = F.coalesce("growth", "national_growth", F.lit(0.0))
    reports = with_rate.withColumns(
        {
            "book": F.max("fixed_assets_original").over(so_far),
            "rate": F.least(F.greatest(F.first(rate).over(so_far), F.lit(GROWTH_RANGE[0])), F.lit(GROWTH_RANGE[1])),
            "founded": F.first("founded_year").over(so_far),
        }
    ).withColumns({"book_before": F.lag("book").over(firm), "year_before": F.lag("year").over(firm)})
    purchases = F.when(
        F.col("year_before").isNull(), _stock_at_first_report(F.col("book"), price, kept)
    ).otherwise(_purchases_since(F.col("book_before"), F.col("book"), price, kept))
    age = F.col("year") - F.lit(REFERENCE_YEAR)
    stock = F.sum("discounted").over(so_far) * F.pow(F.lit(kept), age)
    return (
        reports.withColumn("discounted", purchases / F.pow(F.lit(kept), age))
        .withColumn("real_capital", F.when(F.col("is_usable"), stock))
        .select(*accounts.columns, "real_capital")
    )


def survey_growth(accounts: DataFrame) -> DataFrame:
    """Return the yearly growth of mean book capital by province and industry between the survey's first and last year.

    Stands in for the growth since the 1993 census that the authors use and that is not public; only firms founded by
    1993 count, as there.
    """
    old = accounts.where((F.col("founded_year") <= 1993) & (F.col("fixed_assets_original") > 0)).withColumn(
        "province2", province2(F.col("prefecture_code"))
    )
    missing = F.lit(None).cast("string")
    national = _growth_of_mean(old).select(missing.alias("province2"), missing.alias("industry_code"), "growth")
    return _growth_of_mean(old, "province2", "industry_code").unionByName(national)


def province2(prefecture_code: Column) -> Column:
    """Return the two-digit province; Chongqing (50) counts as Sichuan (51), which it belonged to until 1997."""
    code = F.substring(prefecture_code, 1, 2)
    return F.when(code == "50", F.lit("51")).otherwise(code)


def _growth_of_mean(accounts: DataFrame, *keys: str) -> DataFrame:
    yearly = accounts.groupBy(*keys, "year").agg(F.avg("fixed_assets_original").alias("book"))
    ends = yearly.groupBy(*keys).agg(
        F.min_by("book", "year").alias("first_book"), F.max_by("book", "year").alias("last_book"),
        (F.max("year") - F.min("year")).alias("n_years"),
    )
    growth = F.when(
        F.col("n_years") > 0, F.pow(F.col("last_book") / F.col("first_book"), F.lit(1.0) / F.col("n_years")) - 1.0
    )
    return ends.select(*keys, growth.alias("growth"))


def _stock_at_first_report(book: Column, price: Column, kept: float) -> Column:
    """Back-cast to the birth at constant nominal growth, then forward at each year's prices."""
    year, rate = F.col("year"), F.col("rate")
    birth = F.least(F.greatest(F.coalesce(F.col("founded"), year), F.lit(FIRST_PRICE_YEAR)), year)
    nominal = book / F.pow(1.0 + rate, year - birth)
    start = F.struct((nominal * 100.0 / price[birth]).alias("stock"), nominal.alias("nominal"))
    return _fold(_years_after(birth, year), start, rate, price, kept)


def _purchases_since(book_before: Column, book: Column, price: Column, kept: float) -> Column:
    """What was bought since the last report, spread at constant growth and depreciated to this year."""
    year, before = F.col("year"), F.col("year_before")
    step = F.pow(book / book_before, 1.0 / (year - before)) - 1.0
    start = F.struct(F.lit(0.0).alias("stock"), book_before.alias("nominal"))
    return _fold(_years_after(before, year), start, step, price, kept)


def _fold(years: Column, start: Column, rate: Column, price: Column, kept: float) -> Column:
    def grow(state: Column, year: Column) -> Column:
        bought = state["nominal"] * rate * 100.0 / price[year]
        return F.struct((state["stock"] * kept + bought).alias("stock"),
                        (state["nominal"] * (1.0 + rate)).alias("nominal"))

    return F.aggregate(years, start, grow, lambda state: state["stock"])


def _years_after(first: Column, last: Column) -> Column:
    # sequence counts downwards when its end lies before its start
    return F.when(first < last, F.sequence(first + 1, last)).otherwise(F.array().cast("array<int>"))
