"""Indicators: the firm cube, trade mix, exporter dynamics, margins and diversity of every city-year.

In: ``silver.declaration``, ``silver.quarantine`` (sound exports from outside the districts) and
``gold.city_product_destination``. Out: ``gold.city_firm``, ``gold.trade_mix``, ``gold.city_margins``,
``gold.city_diversity``, ``gold.city_dynamics``. Records are read once and summed in the kernel; a year is computed again when
its counts, or those of a year it is compared with, changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.cleaning.fingerprints import cube_fingerprints, dynamics_fingerprints, gold_fingerprints
from jobs.core.commits import Written
from jobs.core.data_files import DataFile, FileWriter
from jobs.core.file_tables import live_slices, replace_years_by_files, scan_years, takes_files, writing_files
from jobs.core.ledger import Builds, Fingerprint, build_metadata, builds_of, record_builds, years_text
from jobs.kernels.indicators import batches as kernel
from jobs.kernels.indicators import files as file_kernel
from jobs.kernels.indicators.cells import FIRM
from jobs.kernels.indicators.dynamics import CUBE_INPUTS, constant_dynamics, dynamics
from jobs.kernels.indicators.margins import hummels_klenow
from jobs.kernels.trade_codes import INTERMEDIARY_WORDS, regions_of
from jobs.reference.annexations import annexations_hash, annexed_units
from jobs.runtime.context import JobContext, Outcome
from jobs.runtime.executors import collect_tasks, explained_refusals, map_batches, spread
from jobs.transforms import indicators as transforms
from schemas import gold, silver
from schemas.fields import MONEY_TYPE
from schemas.indicators import CITY_DIVERSITY, CITY_DYNAMICS, CITY_FIRM, CITY_MARGINS, SERIES_BREAKS, TABLES, TRADE_MIX
from schemas.reference.shipped import read_shipped
from schemas.table import Table

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

#: A partition of records this large takes the kernel some hundred megabytes; that of the largest city may be larger.
RECORDS_OF_A_PARTITION = 1_000_000
CITY_YEAR = ["city_id", "year"]


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be computed.

    Attributes
    ----------
    known : tuple of int
        Years with declarations.
    cube, dynamics : dict
        Years to compute, with the fingerprint of each.
    n_records : int
        Declarations behind the cube's years and their neighbours.
    waiting : tuple of int
        Years asked for that are not counted yet, or are compared with such a year.
    """

    known: tuple[int, ...]
    cube: Mapping[int, Fingerprint] = field(default_factory=dict)
    dynamics: Mapping[int, Fingerprint] = field(default_factory=dict)
    n_records: int = 0
    waiting: tuple[int, ...] = ()

    @property
    def read(self) -> list[int]:
        """Years whose records are read: those of the cube and the years beside them."""
        return sorted({year + step for year in self.cube for step in (-1, 0, 1)} & set(self.known))


def run(context: JobContext) -> Outcome:
    """Compute the years that changed, or beside which a year changed."""
    work = planned(context)
    waiting = f"; {years_text(work.waiting)} wait for counts" * bool(work.waiting)
    if not work.cube and not work.dynamics:
        return Outcome(f"indicators are up to date{waiting}", changed=False)
    lake = context.lake
    with lake.lock(*TABLES):
        n_firms = _build_cube(context, work) if work.cube else 0
        n_cities = _build_dynamics(context, work) if work.dynamics else 0
    done = years_text({*work.cube, *work.dynamics})
    return Outcome(f"{done}: {n_firms:,} firm-years, dynamics of {n_cities:,} city-years{waiting}", n_rows=work.n_records)


def planned(context: JobContext) -> Work:
    """Compare the fingerprints wanted with those built; a year that is not counted yet, or beside such a year, waits."""
    lake = context.lake
    source, counted = builds_of(lake, silver.DECLARATION), builds_of(lake, gold.CITY_EXPORTS)
    of_counts = gold_fingerprints(context, source.fingerprints)
    waiting = set(counted.stale(of_counts))
    known = tuple(sorted(year for year, n_rows in source.n_rows.items() if n_rows))
    held = {year: of_counts[year] for year in known}
    asked = [year for year in of_counts if context.selects(year)]
    cube = cube_fingerprints(held, [year for year in asked if not waiting & {year - 1, year, year + 1}])
    ahead = dynamics_fingerprints(
        held, [year for year in asked if not waiting & set(range(year - 1, year + 4))],
        borders_year=context.settings.study.last_year, annexations=annexations_hash(),
    )
    work = Work(
        known, _stale(context, builds_of(lake, CITY_FIRM), cube), _stale(context, builds_of(lake, CITY_DYNAMICS), ahead),
        waiting=tuple(year for year in asked if year not in cube or year not in ahead),
    )
    return replace(work, n_records=sum(source.n_rows[year] for year in work.read))


def _stale(context: JobContext, built: Builds, wanted: Mapping[int, Fingerprint]) -> dict[int, Fingerprint]:
    years = sorted(wanted) if context.rebuild else built.stale(wanted)
    return {year: wanted[year] for year in years}


def _build_cube(context: JobContext, work: Work) -> int:
    """The firm cube, and what needs each firm's products and destinations; returns the rows of the cube."""
    lake, years = context.lake, sorted(work.cube)
    metadata = build_metadata(context.run_id, work.cube)
    build = _cube_by_files if takes_files(lake, silver.DECLARATION, CITY_FIRM) else _cube_by_frames
    cube, small = build(context, work, metadata)
    per_year = lake.rows_by_year(CITY_FIRM, cube)
    margins = _part(small, kernel.MARGINS).drop("hk_extensive", "hk_intensive")
    margins = margins.join(_hummels_klenow(context, years), on=[*CITY_YEAR, "destination"], how="left")
    for table, frame in (
        (TRADE_MIX, _part(small, kernel.MIX)), (CITY_MARGINS, margins), (CITY_DIVERSITY, _part(small, kernel.DIVERSITY)),
    ):
        _replace(context, table, frame, years, metadata)
    record_builds(lake, context.run_id, CITY_FIRM, cube, work.cube, per_year)
    _refresh_spans(context, work)
    return cube.n_rows


def _cube_by_files(context: JobContext, work: Work, metadata: dict[str, Any]) -> tuple[Written, pl.DataFrame]:
    """Write the firm cube and return the other parts; executors read the records and write the cube themselves."""
    lake, years, plan = context.lake, sorted(work.cube), _plan(context, work)
    others = sorted(set(work.known) - set(work.read))
    records = live_slices(lake, silver.DECLARATION, work.read)
    elsewhen = live_slices(lake, CITY_FIRM, others) if others else []
    partitions = _partitions(context, work)
    with writing_files(lake, (CITY_FIRM,), umask=context.settings.privacy.umask) as (target,), explained_refusals():
        if partitions <= file_kernel.MOST_SHARES:
            tasks = file_kernel.share_tasks(records, elsewhen, partitions)
            function = "jobs.kernels.indicators.files.indicators_of_share"
            found = collect_tasks(context.spark, tasks, function, (plan, target), file_kernel.PARTS_DDL)
        else:
            cells = _cells_by_city(context, file_kernel.cell_tasks(records, elsewhen), partitions)
            function = "jobs.kernels.indicators.files.indicators_of_groups"
            found = map_batches(cells, function, (plan, target), file_kernel.PARTS_DDL).collect()
        files = [DataFile(**item) for row in found for item in json.loads(row["files"])]
        cube = replace_years_by_files(lake, CITY_FIRM, files, years, metadata=metadata)
    parts = file_kernel.unpacked_parts(bytes(row["parts"]) for row in found)
    return cube, _concat([kernel.aligned(frame) for frame in parts]) if parts else kernel.no_parts()


def _cells_by_city(context: JobContext, tasks: Sequence[str], partitions: int) -> DataFrame:
    """Cells of all tasks, each group of cities in one partition."""
    groups = partitions * file_kernel.GROUPS_OF_A_PARTITION
    function = "jobs.kernels.indicators.files.grouped_cells"
    cells = spread(context.spark, tasks, function, (groups,), file_kernel.GROUPED_DDL)
    return cells.repartition(partitions, "city_group")


def _cube_by_frames(context: JobContext, work: Work, metadata: dict[str, Any]) -> tuple[Written, pl.DataFrame]:
    """The same through Spark, where executors cannot reach the lake's files."""
    parts = _computed(context, work).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        firms = transforms.table_rows(parts.where(F.col("part") == kernel.FIRMS), CITY_FIRM)
        cube = context.lake.replace_years(CITY_FIRM, firms, sorted(work.cube), metadata=metadata)
        rest = parts.where(F.col("part") != kernel.FIRMS).toArrow()
    finally:
        parts.unpersist()
    return cube, _polars(rest)


def _computed(context: JobContext, work: Work) -> DataFrame:
    """Rows of all parts, from the records of the years and those beside them, each city in one partition."""
    lake = context.lake
    declarations = lake.read(silver.DECLARATION).where(F.col("year").isin(work.read))
    records = transforms.indicator_records(declarations)
    others = sorted(set(work.known) - set(work.read))
    if others and lake.exists(CITY_FIRM):
        elsewhen = lake.read(CITY_FIRM).where(F.col("year").isin(others))
        records = records.unionByName(transforms.firms_elsewhen(elsewhen))
    by_city = records.repartition(_partitions(context, work), "city_id")
    function = "jobs.kernels.indicators.batches.indicator_batches"
    return map_batches(by_city, function, (_plan(context, work),), kernel.PART_DDL)


def _partitions(context: JobContext, work: Work) -> int:
    return max(context.settings.spark.shuffle_partitions, -(-work.n_records // RECORDS_OF_A_PARTITION))


def _plan(context: JobContext, work: Work) -> kernel.IndicatorPlan:
    return kernel.IndicatorPlan(
        tuple(sorted(set(work.cube) & set(work.known))), work.known, _regions(), _possible(),
        names_left_out=context.settings.privacy.firm_codes == "pseudonymise",
    )


def _build_dynamics(context: JobContext, work: Work) -> int:
    """Dynamics from the firm cube, under both borders; returns the city-years."""
    import polars as pl

    lake, years = context.lake, sorted(work.dynamics)
    asked = sorted(set(years) & set(work.known))
    window = sorted({year + step for year in asked for step in (-1, 0, 1, 2, 3)} & set(work.known))
    if takes_files(lake, CITY_FIRM):
        cube = scan_years(lake, CITY_FIRM, window).select(file_kernel.in_cents_of(CITY_FIRM, CUBE_INPUTS)).collect()
    else:
        firms = lake.read(CITY_FIRM).where(F.col("year").isin(window))
        cube = _polars(firms.select(*_in_cents(CITY_FIRM, CUBE_INPUTS)).toArrow())
    spread = _polars(lake.arrow(CITY_DIVERSITY)).filter(pl.col("year").is_in(asked))
    outside = _outside(context, window)
    borders_year = context.settings.study.last_year
    found = _concat([
        dynamics(cube, spread, outside, asked, known_years=work.known),
        constant_dynamics(cube, outside, asked, known_years=work.known, borders_year=borders_year),
    ])
    metadata = build_metadata(context.run_id, work.dynamics)
    written = _replace(context, CITY_DYNAMICS, found, years, metadata)
    per_year = lake.rows_by_year(CITY_DYNAMICS, written)
    record_builds(lake, context.run_id, CITY_DYNAMICS, written, work.dynamics, per_year)
    return found.select(CITY_YEAR).n_unique()


def _outside(context: JobContext, years: Sequence[int]) -> pl.DataFrame:
    """Exports from outside the districts, with the year in which their place became a district of the city."""
    import polars as pl

    lake = context.lake
    if takes_files(lake, silver.QUARANTINE):
        quarantine = scan_years(lake, silver.QUARANTINE, years)
        rows = file_kernel.outside_exports(quarantine).collect(engine="streaming")
    else:
        refused = lake.read(silver.QUARANTINE).where(F.col("year").isin(list(years)))
        rows = _polars(transforms.outside_exports(refused).toArrow())
    annexed = pl.DataFrame(
        {"unit_code": list(annexed_units()), "annexed_year": list(annexed_units().values())},
        schema={"unit_code": pl.String, "annexed_year": pl.Int32},
    )
    return rows.join(annexed, on="unit_code", how="left").with_columns(
        pl.col("firm_name").str.contains_any(list(INTERMEDIARY_WORDS["ahn"])).alias("is_intermediary_ahn")
    )


def _hummels_klenow(context: JobContext, years: Sequence[int]) -> pl.DataFrame:
    """Both margins, a year at a time: the products and destinations of all cities of a year fit into the driver."""
    lake, table = context.lake, gold.CITY_PRODUCT_DESTINATION
    if takes_files(lake, table):
        cubes = (scan_years(lake, table, [year]) for year in years)
        return _concat([hummels_klenow(file_kernel.city_products(cube).collect()) for cube in cubes])
    cube = lake.read(table)
    return _concat([
        hummels_klenow(_polars(transforms.city_products(cube.where(F.col("year") == year)).toArrow())) for year in years
    ])


def _refresh_spans(context: JobContext, work: Work) -> None:
    """Bring first and last year up to date in the years that were not computed, where a firm's span changed."""
    lake = context.lake
    others = sorted(set(work.known) - set(work.cube))
    if not others:
        return
    built = builds_of(lake, CITY_FIRM)
    write = _write_spans_by_files if takes_files(lake, CITY_FIRM) else _write_spans_by_frames
    # the fingerprints stay: nothing that these years are computed from changed
    kept = {year: _again(built, year) for year in others if year in built.fingerprints}
    written, years = write(context, kept)
    if written is not None:
        per_year = lake.rows_by_year(CITY_FIRM, written)
        record_builds(lake, context.run_id, CITY_FIRM, written, {year: kept[year] for year in years}, per_year)


def _write_spans_by_files(context: JobContext, kept: Mapping[int, Fingerprint]) -> tuple[Written | None, list[int]]:
    """Write the years anew in which a span changed; returns them."""
    import polars as pl

    lake, firm = context.lake, ["city_id", "firm_id"]
    known = _polars(lake.arrow(CITY_FIRM, columns=(*FIRM, "first_year", "last_year")))
    spans = known.group_by(firm).agg(pl.col("year").min().alias("first"), pl.col("year").max().alias("last"))
    is_other = (pl.col("first") != pl.col("first_year")) | (pl.col("last") != pl.col("last_year"))
    changed = known.filter(pl.col("year").is_in(list(kept))).join(spans, on=firm).filter(is_other)
    years = sorted(changed["year"].unique())
    if not years:
        return None, []
    metadata = build_metadata(context.run_id, {year: kept[year] for year in years})
    current = {"first_year": pl.col("first"), "last_year": pl.col("last")}
    with writing_files(lake, (CITY_FIRM,), umask=context.settings.privacy.umask) as (target,):
        with FileWriter(target) as writer:
            for year in years:
                rows = scan_years(lake, CITY_FIRM, [year]).collect()
                writer.write(rows.join(spans, on=firm).with_columns(**current))
        return replace_years_by_files(lake, CITY_FIRM, writer.files, years, metadata=metadata), years


def _write_spans_by_frames(context: JobContext, kept: Mapping[int, Fingerprint]) -> tuple[Written | None, list[int]]:
    """The same through Spark."""
    lake = context.lake
    cube = lake.read(CITY_FIRM)
    spans = cube.groupBy("city_id", "firm_id").agg(F.min("year").alias("first"), F.max("year").alias("last"))
    joined = cube.where(F.col("year").isin(list(kept))).join(spans, ["city_id", "firm_id"])
    changed = joined.where((F.col("first") != F.col("first_year")) | (F.col("last") != F.col("last_year")))
    years = sorted(row["year"] for row in changed.select("year").distinct().collect())
    if not years:
        return None, []
    metadata = build_metadata(context.run_id, {year: kept[year] for year in years})
    current = {"first_year": F.col("first"), "last_year": F.col("last")}
    rows = joined.where(F.col("year").isin(years)).withColumns(current)
    return lake.replace_years(CITY_FIRM, rows, years, metadata=metadata), years


def _again(built: Builds, year: int) -> Fingerprint:
    value = Fingerprint(built.fingerprints[year])
    value.parts = built.inputs.get(year, {})
    return value


def _replace(
    context: JobContext, table: Table, frame: pl.DataFrame, years: Sequence[int], metadata: dict[str, Any]
) -> Written:
    """Replace years of a small table with rows made on the driver, in one file a year."""
    import polars as pl

    if "series_break" in table.columns:
        breaks = pl.col("year").replace_strict(SERIES_BREAKS, default=None, return_dtype=pl.String)
        frame = frame.with_columns(breaks.alias("series_break"))
    return context.lake.replace_years(table, kernel.table_rows(frame, table), years, metadata=metadata)


def _in_cents(table: Table, names: Sequence[str]) -> list[Column]:
    """Columns of a table by the names they have in kernels: dollars in cents."""
    in_dollars = {kernel.cents_name(column.name): column.name for column in table.fields if column.type == MONEY_TYPE}
    return [
        transforms.in_cents(in_dollars[name]).alias(name) if name in in_dollars else F.col(name) for name in names
    ]


def _part(rows: pl.DataFrame, part: str) -> pl.DataFrame:
    import polars as pl

    return rows.filter(pl.col("part") == part)


def _polars(table: pa.Table) -> pl.DataFrame:
    import polars as pl

    return cast(pl.DataFrame, pl.from_arrow(table))


def _concat(frames: list[pl.DataFrame]) -> pl.DataFrame:
    import polars as pl

    return pl.concat(frames, how="diagonal_relaxed")


def _regions() -> dict[str, str]:
    partners = read_shipped("partners")
    codes = zip(partners["code"], partners["iso3"], partners["kind"], strict=True)
    return regions_of({code: (iso3, kind) for code, iso3, kind in codes})


def _possible() -> dict[str, int]:
    """Things that could have trade: HS families of all revisions, and partner economies of customs' list."""
    partners = read_shipped("partners")
    economies = partners.loc[partners["kind"].isin(["normal", "territory"]) & (partners["iso3"] != ""), "iso3"]
    families = read_shipped("hs6_families")["family"]
    return {
        "product": int(families.nunique()), "destination": int(economies.nunique()),
        "pair": int(families.nunique()) * int(economies.nunique()),
    }

