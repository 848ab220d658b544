"""What the records of a lake sum up to, by year and direction: the side of the lake in a comparison with published totals.

All records count that have a positive, readable value, whether cleaning keeps or refuses them. The members of a
dimension are canonical: partners by ISO 3166, HS chapters by two digits, trade regimes in three groups, ownership in
five, provinces by the first two digits of the firm's customs code (the statistics' "location of the trader").
"""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.kernels.trade_codes import ORDINARY, OWNERSHIP_PATTERNS, PROCESSING

#: What is asked of a record.
RECORD_COLUMNS = (
    "year", "flow_kind", "value_usd", "month", "file_sha256", "country_iso3", "hs8_code", "firm_type", "trade_regime",
    "firm_id",
)
SUM_COLUMNS = ("year", "flow", "dimension", "member", "value_usd", "n_records")
#: Member of records whose dimension cannot be read.
UNREADABLE = ""


def trade_records(parsed: DataFrame) -> DataFrame:
    """Records with the members they count for; a record without a positive value has a null value.

    Parameters
    ----------
    parsed : DataFrame
        :data:`RECORD_COLUMNS`, as cleaning reads and repairs them.
    """
    text = F.trim(F.coalesce(F.col("firm_type"), F.lit("")))
    digit = F.when(F.length("firm_id") == 10, F.substring("firm_id", 6, 1)).otherwise("")
    return parsed.select(
        "year",
        F.coalesce(F.col("flow_kind"), F.lit("unknown")).alias("flow"),
        F.when(F.col("value_usd") > 0, F.col("value_usd").cast("decimal(38,2)")).alias("value_usd"),
        F.when(F.col("month").isNotNull(), F.lpad(F.col("month").cast("string"), 2, "0")).alias("month"),
        F.col("file_sha256").alias("file"),
        F.col("country_iso3").alias("partner"),
        F.substring("hs8_code", 1, 2).alias("chapter"),
        _regime().alias("regime"),
        F.when(text == "", _ownership(digit)).otherwise(_ownership(text)).alias("ownership"),
        F.when(F.col("firm_id").rlike("^[1-6][0-9]{9}$"), F.substring("firm_id", 1, 2)).alias("province"),
        "firm_id", "hs8_code",
    )


def trade_sums(records: DataFrame) -> DataFrame:
    """Value and records by year, direction, dimension and member, in one pass over the records.

    Returns
    -------
    DataFrame
        ``SUM_COLUMNS``; member of the dimension ``all`` is empty, and so is a member that cannot be read.
    """
    owned = F.concat_ws("/", "regime", "ownership")
    members = {
        "all": F.lit(""), "month": F.col("month"), "file": F.col("file"), "partner": F.col("partner"),
        "chapter": F.col("chapter"), "regime": F.col("regime"), "ownership": F.col("ownership"),
        "province": F.col("province"), "regime_ownership": owned,
    }
    pairs = F.array(
        *(
            F.struct(F.lit(name).alias("dimension"), F.coalesce(member, F.lit(UNREADABLE)).alias("member"))
            for name, member in members.items()
        )
    )
    return (
        records.select("year", "flow", "value_usd", F.explode(pairs).alias("_of"))
        .groupBy("year", "flow", F.col("_of.dimension").alias("dimension"), F.col("_of.member").alias("member"))
        .agg(F.sum("value_usd").alias("value_usd"), F.count("value_usd").alias("n_records"),
             F.count_if(F.col("value_usd").isNull()).alias("n_unreadable"))
    )


def exporter_statistics(records: DataFrame) -> DataFrame:
    """Descriptive statistics of exporters by year, as the literature prints them.

    Returns
    -------
    DataFrame
        ``year, dimension, member, measure, value``: exporters and HS8 codes per partner; exporters, and per exporter the
        mean value and mean and median HS8 codes and partners, of all; entrants (not in t-1), exiters of t (not in t+1),
        continuing firms (in t and t+1) and entrants that go on, null where the year before or after is not in the lake.
    """
    exports = records.where((F.col("flow") == "export") & F.col("value_usd").isNotNull() & F.col("firm_id").isNotNull())
    firms = exports.groupBy("year", "firm_id").agg(
        F.sum("value_usd").cast("double").alias("value"), F.size(F.collect_set("hs8_code")).alias("hs8"),
        F.size(F.collect_set("partner")).alias("destinations"),
    )
    of_all = _moving(firms).groupBy("year").agg(
        F.count("*").cast("double").alias("exporters"), F.avg("value").alias("value_per_exporter_mean"),
        F.avg("hs8").alias("hs8_per_exporter_mean"), F.percentile("hs8", 0.5).alias("hs8_per_exporter_median"),
        F.avg("destinations").alias("destinations_per_exporter_mean"),
        F.percentile("destinations", 0.5).alias("destinations_per_exporter_median"),
        *(F.sum(name).cast("double").alias(name) for name in ("entrants", "exiters", "continuing", "surviving_entrants")),
    )
    of_partner = exports.where(F.col("partner").isNotNull()).groupBy("year", F.col("partner").alias("member")).agg(
        F.countDistinct("firm_id").cast("double").alias("exporters"),
        F.countDistinct("hs8_code").cast("double").alias("hs8"),
    )
    return _long(of_all.withColumn("member", F.lit("")), "all").unionByName(_long(of_partner, "partner"))


def _moving(firms: DataFrame) -> DataFrame:
    """Firm-years with what became of the firm, as numbers: 1 or 0, null where a neighbouring year is absent."""
    years = firms.select("year").distinct()
    known = years.join(years.select((F.col("year") + 1).alias("year"), F.lit(True).alias("has_before")), "year", "left")
    known = known.join(years.select((F.col("year") - 1).alias("year"), F.lit(True).alias("has_after")), "year", "left")
    in_order = Window.partitionBy("firm_id").orderBy("year")
    enters = F.coalesce(F.lag("year").over(in_order) != F.col("year") - 1, F.lit(True))
    goes_on = F.coalesce(F.lead("year").over(in_order) == F.col("year") + 1, F.lit(False))
    marked = firms.withColumns({"_enters": enters, "_goes_on": goes_on}).join(F.broadcast(known), "year")
    before, after = F.col("has_before"), F.col("has_after")
    return marked.withColumns({
        "entrants": F.when(before, F.col("_enters").cast("int")),
        "exiters": F.when(after, (~F.col("_goes_on")).cast("int")),
        "continuing": F.when(after, F.col("_goes_on").cast("int")),
        "surviving_entrants": F.when(before & after, (F.col("_enters") & F.col("_goes_on")).cast("int")),
    })


def _long(wide: DataFrame, dimension: str) -> DataFrame:
    measures: list[Column | str] = [name for name in wide.columns if name not in ("year", "member")]
    return wide.unpivot(["year", "member"], measures, "measure", "value").withColumn("dimension", F.lit(dimension))


def _regime() -> Column:
    text = F.trim(F.coalesce(F.col("trade_regime"), F.lit("")))
    known = F.when(text == "", None).when(text.rlike(PROCESSING), "processing").when(text.rlike(ORDINARY), "ordinary")
    return known.otherwise("other")


def _ownership(text: Column) -> Column:
    chosen = reduce(
        lambda found, item: found.when(text.rlike(item[1]), item[0]), OWNERSHIP_PATTERNS.items(), F.when(text == "", None)
    )
    return chosen.otherwise("other")
