"""Sensitivity: cities, records and result tables under each treatment of doubtful places.

Ambiguous cities in, out, and all of each such city kept; and records whose postcode no source knows kept (``in``) or
refused (``unknown_refused``).

In: ``bronze.declaration`` and the yearbook and productivity of a built lake. Out: text and a frame; no table of the lake.
The records are placed and judged once, as with ``places.ambiguous = "in"`` and ``places.unknown_postcode = "keep"``: the
other treatments only leave out or take back whole records, so one pass serves all. Counts, panel, constants and
estimates are then made anew for each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from estimation.tables import PrintedTable, StudyPanel, estimate_tables, print_table
from estimation.tables.layout import three_digits
from estimation.tables.printed import COUNTS, STATISTICS, PrintedColumn
from jobs.cleaning.judging import judge_declarations
from jobs.core.errors import InputRefusedError
from jobs.core.frames import rows_to_spark
from jobs.core.ledger import files_in_force
from jobs.reference.frames import city_names
from jobs.reference.place_book import configured_place_book
from jobs.runtime.context import JobContext
from jobs.study.assembly import assemble_natural_panel, panel_years, refused_cells, scale_city_panel
from jobs.study.handoff import city_classes, result_tables, study_panel
from jobs.study.missing import explain_missing
from jobs.transforms.counts import build_cube, count_city_exports
from jobs.transforms.place_coverage import TREATMENTS, is_postcode_unknown, mark_treatments, only_place
from schemas import bronze

COUNTED = (
    "year", "city_id", "hs6_code", "partner_code", "hs_revision", "hs6_converted", "hs6_family", "country_iso3",
    "is_destination", "value_usd", "firm_id", "place_method", "is_place_ambiguous", "place_conflict",
    "unit_type",
)
TOTALS = {
    "n_cities": "Cities", "n_city_years": "City-years", "n_records": "Records", "value_usd_m": "Value, million US$",
}


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What the treatments give.

    Attributes
    ----------
    totals : DataFrame
        One row per treatment: ``ambiguous, n_cities, n_city_years, n_records, value_usd_m`` of the exports.
    tables : dict
        Treatment to the result tables, in the same order for each.
    n_ambiguous : int
        Ambiguous cities in the years of the panel.
    """

    totals: pd.DataFrame
    tables: Mapping[str, Sequence[PrintedTable]]
    n_ambiguous: int

    def to_frame(self) -> pd.DataFrame:
        """Every number in a row: ``result_table, result_column, dependent, term, quantity`` and a column per treatment."""
        rows: dict[tuple[str, ...], dict[str, float]] = {}
        for record in self.totals.to_dict("records"):
            for name in TOTALS:
                rows.setdefault(("exports", "", "", "", name), {})[record["ambiguous"]] = record[name]
        for treatment, tables in self.tables.items():
            for table in tables:
                for column in table.columns:
                    key = (table.table.name, column.name, column.fit.column.dependent)
                    for term, number in column.ours.items():
                        rows.setdefault((*key, term, "coefficient"), {})[treatment] = number.coefficient
                        rows.setdefault((*key, term, "std_error"), {})[treatment] = number.std_error
                    for name, value in column.statistics.items():
                        rows.setdefault((*key, "", name), {})[treatment] = value
        names = ["result_table", "result_column", "dependent", "term", "quantity"]
        return pd.DataFrame([dict(zip(names, key, strict=True)) | values for key, values in rows.items()])

    def __str__(self) -> str:
        return render_sensitivity(self)


def compare_treatments(context: JobContext, *, tables: str = "1", profile: str = "defensible") -> Sensitivity:
    """Count and estimate under each treatment of doubtful places.

    Parameters
    ----------
    tables : str
        Result tables, such as ``1`` or ``1,4``.
    profile : str
        Section of options to estimate under.

    Raises
    ------
    InputRefusedError
        If no delivered file of the years is in force.
    """
    years, specs = panel_years(context), result_tables(tables, profile)
    ambiguous = ambiguous_cities(context, years)
    exports = count_treatments(context, years)
    estimated = {}
    for name in TREATMENTS:
        panel = _panel(context, years, exports[name])
        fits = estimate_tables(specs, panel, city_classes(context.settings.places))
        estimated[name] = [print_table(spec, fits[spec.name]) for spec in specs]
    totals = pd.DataFrame([_totals(name, counted) for name, counted in exports.items()])
    return Sensitivity(totals, estimated, ambiguous["city_id"].nunique())


def ambiguous_cities(context: JobContext, years: Sequence[int]) -> pd.DataFrame:
    """Ambiguous cities in some of the years: ``city_id, valid_from, valid_to``, a user's postcodes considered."""
    spans = configured_place_book(context.settings.places).ambiguous
    spans = spans[(spans["valid_from"] <= max(years)) & (spans["valid_to"] > min(years))]
    return spans[["city_id", "valid_from", "valid_to"]]


def count_treatments(context: JobContext, years: Sequence[int]) -> dict[str, pd.DataFrame]:
    """Treatment to the rows that ``gold.city_exports`` would have under it."""
    spans = list(ambiguous_cities(context, years).itertuples(index=False, name=None))
    shared = rows_to_spark(context.spark, spans, "city_id string, valid_from int, valid_to int")
    marked = mark_treatments(_judged(context, years), shared)
    marked = marked.where(" OR ".join(f"`{name}`" for name in TREATMENTS)).persist()
    try:
        return {name: _count(context, marked.where(F.col(name))) for name in TREATMENTS}
    finally:
        marked.unpersist()


def render_sensitivity(found: Sensitivity) -> str:
    """The numbers of the treatments side by side."""
    lines = [f"{found.n_ambiguous} cities share six digits with a unit outside their districts in some of the years."]
    totals = found.totals.set_index("ambiguous")
    lines += ["", f"{'Exports':<22}" + "".join(f"{name:>16}" for name in TREATMENTS)]
    for name, label in TOTALS.items():
        lines.append(f"{label:<22}" + "".join(f"{totals.loc[treatment, name]:>16,.0f}" for treatment in TREATMENTS))
    for position, table in enumerate(found.tables[TREATMENTS[0]]):
        for number, column in enumerate(table.columns):
            lines += ["", f"{table.title}, column {column.heading}"]
            lines.append(f"{'':<22}" + "".join(f"{name:>16}" for name in TREATMENTS))
            lines += _column_lines({name: found.tables[name][position].columns[number] for name in TREATMENTS})
    lines += ["", "Coefficients per standard deviation of each treatment's own panel; *** p<0.01, ** p<0.05, * p<0.1."]
    return "\n".join(lines)


def _judged(context: JobContext, years: Sequence[int]) -> DataFrame:
    """Records of the years with what they are counted by, and whether and why they are refused."""
    receipts = [row for row in files_in_force(context.lake) if row["source_year"] in years]
    if not receipts:
        raise InputRefusedError(f"{context.lake.root}: no files in force in {years[0]}-{years[-1]}; load some first.")
    usual = dataclasses.replace(context, settings=context.settings.replaced("places", ambiguous="in", unknown_postcode="keep"))
    in_force = [row["file_sha256"] for row in receipts]
    rows = context.lake.read(bronze.DECLARATION).where(
        F.col("source_year").isin(list(years)) & F.col("file_sha256").isin(in_force)
    )
    reasons = F.col("reasons")
    return judge_declarations(usual, rows, receipts, (*COUNTED, "reasons")).select(
        *COUNTED, (F.size(reasons) == 0).alias("was_kept"), only_place(reasons).alias("only_place"),
        is_postcode_unknown().alias("is_postcode_unknown"),
    )


def _count(context: JobContext, kept: DataFrame) -> pd.DataFrame:
    cities = city_names(context.spark, context.settings.places)
    return kept.transform(build_cube).transform(count_city_exports, kept, cities).toArrow().to_pandas()


def _panel(context: JobContext, years: list[int], exports: pd.DataFrame) -> StudyPanel:
    counted = ["city_id", "year", "value_usd", context.settings.count.product_column]
    columns = exports[[*counted, context.settings.count.destination_column]]
    frame = context.spark.createDataFrame(columns.astype({"value_usd": float}))
    options = context.settings.panel
    assembled = assemble_natural_panel(context, years, exports=frame)
    report = explain_missing(assembled, refused_cells(context), options)
    scaled, is_complete, _ = scale_city_panel(assembled, report, options)
    return study_panel(scaled.panel.assign(is_complete=is_complete), scaled.constants.to_dict("records"))


def _totals(treatment: str, exports: pd.DataFrame) -> dict:
    return {
        "ambiguous": treatment, "n_cities": exports["city_id"].nunique(), "n_city_years": len(exports),
        "n_records": int(exports["n_records"].sum()), "value_usd_m": float(exports["value_usd"].sum()) / 1e6,
    }


def _column_lines(columns: Mapping[str, PrintedColumn]) -> list[str]:
    """Coefficient with stars, error below it, statistics last."""
    if failures := [f"{name}: {column.fit.failure}" for name, column in columns.items() if column.fit.failure]:
        return [f"  could not be estimated with {failure}" for failure in failures]
    lines = []
    for term in next(iter(columns.values())).ours:
        numbers = [column.ours[term] for column in columns.values()]
        lines.append(f"{term:<22}" + "".join(f"{three_digits(n.coefficient) + n.stars:>16}" for n in numbers))
        errors = (f"({three_digits(n.std_error)})" for n in numbers)
        lines.append(f"{'':<22}" + "".join(f"{error:>16}" for error in errors))
    for name, label in STATISTICS.items():
        found = [column.statistics.get(name) for column in columns.values()]
        values = [value for value in found if value is not None]
        if len(values) == len(found):
            shown = (f"{value:,.0f}" if name in COUNTS else three_digits(value) for value in values)
            lines.append(f"{label:<22}" + "".join(f"{value:>16}" for value in shown))
    return lines
