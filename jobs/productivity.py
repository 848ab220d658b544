"""Productivity: firm accounts to firm productivity, industry by industry, and to the city means of the model (lnPro).

In: ``raw/firms``, either survey files (``asif_YYYY.csv``) or productivity estimated elsewhere (``firm_tfp.csv``), with
the user's price series beside them. Out: ``silver.firm_account``, ``silver.firm_quarantine``,
``gold.production_function``, ``gold.firm_tfp``, ``gold.city_productivity``. All survey years are estimated together, so
a change of any file or choice rebuilds all. Choices: conf/productivity.py, docs/methodology/productivity.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.firms import load_industry_editions
from conf.productivity import Productivity
from conf.rules import load_rules
from jobs.core.errors import InputRefusedError
from jobs.core.frames import rows_to_spark
from jobs.core.lake import Written
from jobs.core.ledger import builds_of, fingerprint, package_hash, record_builds, years_text
from jobs.core.privacy import firm_protection_of, policy_of
from jobs.kernels.raw_folder import RawFolder
from jobs.readers.firm_files import (
    FOLDER,
    SERIES_FILES,
    FirmFile,
    find_given_file,
    find_survey_files,
    read_given,
    read_survey,
    refuse_changed,
)
from jobs.readers.firm_series import FirmSeries, load_series
from jobs.readers.local_copy import local_raw, raw_of_executors
from jobs.readers.raw_listing import refuse_links_out
from jobs.reference.firm_places import place_frame
from jobs.reference.place_book import configured_place_book, user_files_hash
from jobs.runtime.context import JobContext, Outcome, job_main
from jobs.runtime.executors import map_batches
from jobs.runtime.session import interpreted
from jobs.study.firm_technology import COEFFICIENTS, estimate_technology, known_technology
from jobs.transforms.firm_capital import add_real_capital, survey_growth
from jobs.transforms.firm_imputation import LAST_SOUND_YEAR, impute_value_added
from jobs.transforms.firms import parse_accounts, parse_given, resolve_firm_places
from jobs.transforms.productivity import (
    add_index_productivity,
    add_prices,
    add_productivity,
    add_relative_productivity,
    average_by_city,
    build_inputs,
    trim_tails,
)
from jobs.transforms.rules import apply_rules
from schemas import firms as tables

REFERENCES = ("schemas/reference/county_units.csv", "schemas/reference/prefectures.csv")
RULES = ("conf/rules/firm_account.toml", "conf/rules/firm_tfp_given.toml", "conf/industries.toml",
         "conf/investment_prices.csv", "conf/layouts/firms_chinese.toml", "conf/layouts/firms_pinyin.toml")
KEPT = "kept"
# of fewer rows Spark's generated code is slower to make than to do without; a year of the survey has 100 MB and more
SMALL_BYTES = 32_000_000
USABLE = ("estimated", "known")


@dataclass(frozen=True, slots=True)
class Sources:
    """What was found to work from: the kind, its files, and the series beside them."""

    kind: str
    files: list[FirmFile]
    series: FirmSeries

    @property
    def hashes(self) -> list[str]:
        """Hashes of everything delivered."""
        return [file.sha256 for file in self.files] + list(self.series.hashes)


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the firm-years and of the industries.

    Attributes
    ----------
    counts : dict
        Firm-years by the first rule that refused them; those kept under ``KEPT``.
    estimates : list of dict
        Rows of ``gold.production_function``.
    notes : tuple of str
        What the user's series leave open.
    years : tuple of int
        Years delivered.
    """

    counts: dict[str, int]
    estimates: list[dict]
    notes: tuple[str, ...] = ()
    years: tuple[int, ...] = ()

    @property
    def lost(self) -> list[dict]:
        """Industries without an estimate."""
        return [row for row in self.estimates if row["estimate_status"] not in USABLE]

    def sentence(self) -> str:
        """Counts for the log."""
        refused = sum(self.counts.values()) - self.counts.get(KEPT, 0)
        parts = [f"{refused:,} of {sum(self.counts.values()):,} delivered firm-years refused"]
        if self.estimates:
            parts.append(f"{len(self.lost)} of {len(self.estimates)} industries without estimate")
        return "; ".join([*parts, *self.notes])

    def __str__(self) -> str:
        refused = sorted(((n, name) for name, n in self.counts.items() if name != KEPT), reverse=True)
        lines = [f"firm-years {sum(self.counts.values()):,}, kept {self.counts.get(KEPT, 0):,}"]
        lines += [f"  refused {name:<40}{n:>12,}" for n, name in refused]
        lines += [f"industries {len(self.estimates)}, without estimate {len(self.lost)}"] if self.estimates else []
        lines += [f"  {row['industry_code']} {row['estimate_status']}: {row['estimate_reason']}" for row in self.lost]
        doubted = [(row["industry_code"], note) for row in self.estimates for note in row["notes"]]
        return "\n".join([*lines, *(f"  {code} note: {note}" for code, note in doubted), *self.notes])


def run(context: JobContext) -> Outcome:
    """Rebuild firm and city productivity when a file or a choice changed."""
    choices = context.settings.productivity
    raw = raw_of_executors(context, FOLDER)
    beside = raw.path if raw.is_local else local_raw(context, FOLDER, only=SERIES_FILES)
    refuse_links_out(beside / FOLDER, beside, context.settings.privacy.allowed_links)
    sources = find_sources(raw, choices, beside=beside)
    if sources is None:
        return Outcome("no firm files in raw/firms: the panel will have no lnPro", changed=False)
    settings, places = context.settings.as_dict(), context.settings.places
    wanted = fingerprint(
        files=sources.hashes, kind=sources.kind, productivity=settings["productivity"],
        units=user_files_hash(places.user_units, places.user_cities), data=package_hash(*REFERENCES, *RULES),
        **_firms_part(context),
    )
    built = builds_of(context.lake, tables.CITY_PRODUCTIVITY).fingerprints
    if built and set(built.values()) == {wanted} and not context.rebuild:
        return Outcome("firm productivity is up to date", changed=False)
    is_small = sum(file.raw.size_of(file.source_file) or 0 for file in sources.files) < SMALL_BYTES
    with context.lake.lock(*tables.TABLES), interpreted(context.spark) if is_small else nullcontext():
        return _build(context, sources, wanted, sorted(built))


def _firms_part(context: JobContext) -> dict[str, object]:
    """What of the settings' and the lake's privacy changes the tables of firms; nothing where firms are as delivered."""
    protection = firm_protection_of(context.lake, context.settings)
    if not protection.changes_firms:
        return {}
    return {"firms": policy_of(context.settings)["key_check"], "erased": sorted(protection.erased_firms)}


def find_sources(raw: RawFolder, choices: Productivity, *, beside: Path) -> Sources | None:
    """Decide between given productivity and the survey; None when neither is there and none was asked for.

    Parameters
    ----------
    raw : RawFolder
        As executors see it.
    choices : Productivity
    beside : Path
        Where the small series beside the survey are read by the driver.

    Raises
    ------
    InputRefusedError
        If the kind asked for is not there, or a file cannot be used.
    """
    given = find_given_file(raw) if choices.source in ("auto", "given") else None
    if given is not None:
        return Sources("given", [given], FirmSeries())
    if choices.source == "given":
        raise InputRefusedError(f"productivity.source = 'given': no raw/firms/firm_tfp.csv below {raw.address}.")
    files = [file for file in find_survey_files(raw) if file.year not in choices.years_left_out]
    if files:
        return Sources("survey", files, load_series(beside, choices, last_year=max(file.survey_year for file in files)))
    if choices.source == "survey":
        raise InputRefusedError(
            f"productivity.source = 'survey': no survey files (asif_YYYY.csv) in raw/firms below {raw.address}."
        )
    return None


def _build(context: JobContext, sources: Sources, wanted: str, years_built: list[int]) -> Outcome:
    lake, choices = context.lake, context.settings.productivity
    write = {"given": _write_given, "survey": _write_survey}[sources.kind]
    written, report = write(context, sources, years_built)
    years = sorted({*years_built, *report.years})
    relative = {"given": "none", "survey": "industry"}[sources.kind] if choices.relative == "auto" else choices.relative
    firms = lake.read(tables.FIRM_TFP)
    cities = firms.transform(average_by_city, relative=relative, weights=choices.weights, area=choices.area)
    cities_written = lake.replace_years(tables.CITY_PRODUCTIVITY, cities, years, metadata={"run": context.run_id})
    per_year = lake.rows_by_year(tables.CITY_PRODUCTIVITY, cities_written)
    # before the manifest: what was written from other bytes than were hashed counts as not built
    refuse_changed(sources.files)
    fingerprints = dict.fromkeys(years, wanted)
    record_builds(lake, context.run_id, tables.CITY_PRODUCTIVITY, cities_written, fingerprints, per_year)
    return Outcome(
        f"{years_text(per_year)}: {cities_written.n_rows:,} city-years from {written.n_rows:,} firm-years "
        f"({sources.kind}, relative to {relative}, {choices.weights} weights); {report.sentence()}",
        detail=str(report), n_rows=written.n_rows,
    )


def _write_given(context: JobContext, sources: Sources, years_built: list[int]) -> tuple[Written, Report]:
    """Productivity estimated elsewhere: placed and checked, otherwise as it is."""
    judged = (
        read_given(context.spark, sources.files[0])
        .transform(_protected, context, "firm_id")
        .transform(parse_given)
        .transform(resolve_firm_places, _places(context))
        .transform(apply_rules, load_rules("firm_tfp_given"))
    )
    unknown = ("ln_output", "ln_workers", "ln_capital", "ln_inputs")
    labels = {"is_imputed": F.lit(False), "tfp_source": F.lit("given"), "tfp_method": F.lit("given"),
              "value_added_method": F.lit(None).cast("string")}
    with cached(judged):
        delivered = _years_of(judged)
        if not delivered:
            name = sources.files[0].source_file
            raise InputRefusedError(f"{name}: headings but no rows. Deliver it again, or move it away.")
        counts = _write_quarantine(context, judged, delivered)
        firms = judged.where(F.size("reasons") == 0).withColumns(
            labels | {name: F.lit(None).cast("double") for name in unknown}
        )
        # year 0 stands for a year that cannot be read: it exists in the quarantine only
        years = tuple(year for year in delivered if year)
        written = _write_firms(context, firms, {*years_built, *years})
    return written, Report(counts, [], years=years)


def _write_survey(context: JobContext, sources: Sources, years_built: list[int]) -> tuple[Written, Report]:
    """Survey accounts through filters, imputation, capital and estimation to firm productivity."""
    lake, choices = context.lake, context.settings.productivity
    rules = [rule for rule in load_rules("firm_account") if rule.name not in choices.filters_off]
    judged = (
        read_survey(context.spark, sources.files)
        .transform(_protected, context, "legal_person_code")
        .transform(parse_accounts, load_industry_editions())
        .transform(resolve_firm_places, _places(context))
        .transform(apply_rules, rules)
    )
    survey_years = [file.survey_year for file in sources.files]
    with cached(judged):
        counts = _write_quarantine(context, judged, survey_years)
        years = sorted({*survey_years, *_years_of(lake.read(tables.FIRM_ACCOUNT))})
        lake.replace_years(tables.FIRM_ACCOUNT, judged.where(F.size("reasons") == 0), years)
    inputs = build_firm_inputs(context, sources.series, survey_years)
    with cached(inputs):
        technology = _write_technology(context, inputs, sources.series)
        if choices.method == "index":
            firms = inputs.transform(add_index_productivity)
        else:
            firms = inputs.transform(add_productivity, technology.where(F.col("estimate_status").isin(*USABLE)))
        labels = {"tfp_source": F.lit("survey"), "tfp_method": F.lit(choices.method)}
        written = _write_firms(context, firms.withColumns(labels), {*years_built, *survey_years})
    estimates = [row.asDict() for row in technology.orderBy("industry_code").collect()]
    return written, Report(counts, estimates, sources.series.notes, tuple(survey_years))


def _protected(lines: DataFrame, context: JobContext, code: str) -> DataFrame:
    """Lines without erased firms, under pseudonyms if the settings say so; untouched otherwise."""
    protection = firm_protection_of(context.lake, context.settings)
    if not protection.changes_firms:
        return lines
    schema = ", ".join(f"{name} {kind}" for name, kind in lines.dtypes)
    return map_batches(lines, "jobs.kernels.protection.protect_firms", (protection, code), schema)


@contextmanager
def cached(frame: DataFrame) -> Iterator[None]:
    """Keep a frame for the block: it is written in parts and read more than once."""
    frame.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        yield
    finally:
        frame.unpersist()


def _write_firms(context: JobContext, firms: DataFrame, years: set[int]) -> Written:
    """Replace all years that are delivered or were built: an industry that fails may leave a year without a firm."""
    return context.lake.replace_years(
        tables.FIRM_TFP, firms.transform(add_relative_productivity), years, metadata={"run": context.run_id}
    )


def _places(context: JobContext) -> DataFrame:
    return place_frame(context.spark, configured_place_book(context.settings.places))


def build_firm_inputs(context: JobContext, series: FirmSeries, years: Sequence[int]) -> DataFrame:
    """Accounts of silver to the logs the production function needs."""
    choices = context.settings.productivity
    accounts = context.lake.read(tables.FIRM_ACCOUNT).transform(impute_value_added, method=choices.imputation)
    if choices.capital == "perpetual_inventory":
        growth = series.growth_frame(context.spark)
        capital = accounts.transform(
            add_real_capital, survey_growth(accounts) if growth is None else growth, series.investment_prices,
            depreciation=choices.depreciation,
        )
    else:
        price = F.create_map(*[F.lit(part) for pair in sorted(series.investment_prices.items()) for part in pair])
        capital = accounts.withColumn("real_capital", F.col(choices.capital) * 100.0 / price[F.col("year")])
    return (
        capital.transform(add_prices, series.price_frame(context.spark, years))
        .transform(build_inputs, measure=choices.measure, depreciation=choices.depreciation)
        .transform(trim_tails, share=choices.trim_share)
    )


def _write_technology(context: JobContext, inputs: DataFrame, series: FirmSeries) -> DataFrame:
    """Estimate, write and read back the coefficients of all industries."""
    lake, choices = context.lake, context.settings.productivity
    if choices.method == "known":
        found = rows_to_spark(context.spark, known_technology(series.technology), COEFFICIENTS)
    elif choices.method == "index":
        found = rows_to_spark(context.spark, [], COEFFICIENTS)
    else:
        sample = inputs
        if choices.imputation == "freeze_2007":
            sample = inputs.where(F.col("year") <= LAST_SOUND_YEAR)
        n_industries = lake.read(tables.FIRM_ACCOUNT).select("industry_code").distinct().count()
        found = estimate_technology(sample, choices, n_industries=n_industries)
    labelled = found.withColumns({"tfp_method": F.lit(choices.method), "run_id": F.lit(context.run_id)})
    lake.overwrite(tables.PRODUCTION_FUNCTION, labelled)
    return lake.read(tables.PRODUCTION_FUNCTION)


def _write_quarantine(context: JobContext, judged: DataFrame, delivered: Sequence[int]) -> dict[str, int]:
    """Write the refused rows; return rows kept and refused by primary reason."""
    refused = judged.where(F.size("reasons") > 0).withColumn("primary_reason", F.col("reasons")[0])
    absent = [name for name in tables.FIRM_QUARANTINE.columns if name not in refused.columns]
    types = {field.name: field.type for field in tables.FIRM_QUARANTINE.fields}
    refused = refused.withColumns({name: F.lit(None).cast(types[name]) for name in absent}) if absent else refused
    years = sorted({*delivered, *_years_of(context.lake.read(tables.FIRM_QUARANTINE))})
    context.lake.replace_years(tables.FIRM_QUARANTINE, refused, years)
    reason = F.when(F.size("reasons") > 0, F.element_at("reasons", 1)).otherwise(F.lit(KEPT))
    return dict(judged.groupBy(reason.alias("reason")).count().collect())


def _years_of(frame: DataFrame) -> list[int]:
    return [row["year"] for row in frame.select("year").distinct().collect()]


if __name__ == "__main__":
    sys.exit(job_main("productivity", run))
