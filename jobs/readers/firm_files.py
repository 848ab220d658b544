"""Delivered firm files: looked at once on the driver (hash, strict decoding, headings), then read by Spark as strings.

The folder may lie anywhere that the raw folder may: the driver looks through it, Spark opens the files by their address.

In: ``raw/firms`` with one file per survey year (``asif_2005.csv``: the year is in the name) or ``firm_tfp.csv``,
productivity estimated elsewhere; beside them the user's price series, back-cast growth and known technology.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from conf.firms import DELIVERED_COLUMNS, FirmLayout, load_firm_layouts
from jobs.core.errors import InputRefusedError
from jobs.kernels.raw_folder import RawFolder
from jobs.kernels.sources import RawFile

FOLDER = "firms"
GIVEN_FILE = "firm_tfp.csv"
GIVEN_COLUMNS = ("firm_id", "year", "place_code", "industry", "ln_tfp", "output", "employment")
SERIES_FILES = ("deflators.csv", "capital_growth.csv", "technology.csv")
YEAR_IN_NAME = re.compile(r"(?<!\d)(199[89]|20[01]\d)(?!\d)")
CORRUPT = "_corrupt_record"
# Spark's increasing id holds the task above this bit and the row of the task below it
ROWS_OF_A_TASK = 1 << 33
_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class FirmFile:
    """One delivered file.

    Attributes
    ----------
    raw : RawFolder
        Where it lies.
    source_file : str
        Path below the raw folder.
    sha256 : str
        Hash of its bytes.
    encoding : str
        Decodes the whole file strictly.
    headings : tuple of str
    year : int or None
        From the name; None for the table of given productivity.
    layout : FirmLayout or None
        None for the table of given productivity.
    """

    raw: RawFolder
    source_file: str
    sha256: str
    encoding: str
    headings: tuple[str, ...]
    year: int | None
    layout: FirmLayout | None

    @property
    def survey_year(self) -> int:
        """Year of a survey file; the given table has none of its own."""
        assert self.year is not None, self.source_file
        return self.year


def find_survey_files(raw: RawFolder) -> list[FirmFile]:
    """Return the survey files of a raw folder, one per year, in order of years.

    Raises
    ------
    InputRefusedError
        If a file cannot be decoded, has unknown headings or no year in its name, or a year comes twice.
    """
    skipped = {GIVEN_FILE, *SERIES_FILES}
    files = [_look_at(name, raw) for name in raw.names_in(FOLDER) if name.endswith(".csv") and name not in skipped]
    by_year: dict[int | None, FirmFile] = {}
    for file in files:
        if file.year in by_year:
            raise InputRefusedError(
                f"{file.source_file}: {file.year} is delivered twice, also in {by_year[file.year].source_file}. "
                "Keep one file per survey year."
            )
        by_year[file.year] = file
    return sorted(files, key=lambda file: file.survey_year)


def find_given_file(raw: RawFolder) -> FirmFile | None:
    """Return the table of given productivity, or None when there is none.

    Raises
    ------
    InputRefusedError
        If it lacks a column.
    """
    name = f"{FOLDER}/{GIVEN_FILE}"
    if raw.size_of(name) is None:
        return None
    digest, encoding, headings = _read_through(raw.file(name), ("utf-8", "gb18030"))
    missing = [column for column in GIVEN_COLUMNS if column not in headings]
    if missing:
        raise InputRefusedError(
            f"{name}: expected columns {', '.join(GIVEN_COLUMNS)}; missing {', '.join(missing)}."
        )
    return FirmFile(raw, name, digest, encoding, headings, None, None)


def read_survey(spark: SparkSession, files: list[FirmFile]) -> DataFrame:
    """Return all survey files as strings under our column names, with file, hash and line.

    Columns: ``year``, those of :data:`conf.firms.DELIVERED_COLUMNS`, ``malformed_row``, ``source_file``,
    ``file_sha256``, ``source_row``.
    """
    frames = []
    for file in files:
        lines = _read_lines(spark, file)
        assert file.layout is not None  # only the given table has none
        assigned = file.layout.assign(file.headings)
        delivered = [
            (F.col(f"c{assigned[name]}") if name in assigned else F.lit(None).cast("string")).alias(name)
            for name in DELIVERED_COLUMNS
        ]
        frames.append(lines.select(F.lit(file.year).alias("year"), *delivered, *_lineage(file)))
    return _numbered(reduce(DataFrame.unionByName, frames))


def read_given(spark: SparkSession, file: FirmFile) -> DataFrame:
    """Return the table of given productivity as strings, with file, hash and line."""
    place = {name: file.headings.index(name) for name in GIVEN_COLUMNS}
    lines = _read_lines(spark, file)
    chosen = (F.col(f"c{place[name]}").alias(name) for name in GIVEN_COLUMNS)
    return _numbered(lines.select(*chosen, *_lineage(file)))


def refuse_changed(files: Iterable[FirmFile]) -> None:
    """Refuse files that are not those that were looked at: their bytes are hashed once more after they were read.

    Raises
    ------
    InputRefusedError
        With the names.
    """
    changed = []
    for file in files:
        try:
            digest = _hash(file.raw.file(file.source_file))
        except OSError:
            digest = "gone"
        if digest != file.sha256:
            changed.append(file.source_file)
    if changed:
        raise InputRefusedError(
            f"{', '.join(changed[:5])}: changed while it was read. What was written from it does not count as built; run again"
            " when the file is complete."
        )


def series_path(raw: Path, given: str, name: str) -> Path | None:
    """Return the file the settings name, else the one of that name beside the survey, else None.

    Raises
    ------
    InputRefusedError
        If the settings name a file that is not there.
    """
    if given:
        path = Path(given)
        if not path.is_file():
            raise InputRefusedError(f"{given}: no such file (named in the settings for {name}).")
        return path
    path = raw / FOLDER / name
    return path if path.is_file() else None


def _look_at(file_name: str, raw: RawFolder) -> FirmFile:
    name = f"{FOLDER}/{file_name}"
    found = YEAR_IN_NAME.search(Path(file_name).stem)
    if found is None:
        raise InputRefusedError(f"{name}: no survey year in the file's name. Expected e.g. asif_2005.csv; rename the file.")
    layouts = load_firm_layouts()
    digest, encoding, headings = _read_through(raw.file(name), ("utf-8", "gb18030"))
    layout = min(layouts, key=lambda item: (len(item.missing(headings)), -len(item.assign(headings))))
    if layout.missing(headings):
        raise InputRefusedError(
            # of the others not a word: without a heading line they are the first firm's cells
            f"{name}: its headings match none of the {len(layouts)} survey layouts. Of its {len(headings)} headings known:"
            f" {', '.join(headings[index] for index in sorted(layout.assign(headings).values())[:12]) or 'not one'}. "
            f"The nearest, {layout.name}, also needs: {', '.join(layout.missing(headings))}. "
            "Add the year's headings to conf/layouts."
        )
    return FirmFile(raw, name, digest, encoding, headings, int(found.group(1)), layout)


def _hash(file: RawFile) -> str:
    digest = hashlib.sha256()
    with file.open() as stream:
        while block := stream.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def _read_through(file: RawFile, encodings: tuple[str, ...]) -> tuple[str, str, tuple[str, ...]]:
    """Hash the file and find the first encoding that decodes all of it; Spark would replace broken bytes in silence."""
    digest = _hash(file)
    for encoding in encodings:
        try:
            with io.TextIOWrapper(file.open(), encoding=encoding, newline="") as stream:
                headings = next(csv.reader([stream.readline()]), [])
                while stream.read(_CHUNK):
                    pass
        except UnicodeDecodeError:
            continue
        cleaned = tuple(heading.strip().strip("\ufeff") for heading in headings)
        if not any(cleaned):
            raise InputRefusedError(f"{file.source_file}: the file has no heading line. Deliver it again, or move it away.")
        return digest, encoding, cleaned
    raise InputRefusedError(
        f"{file.source_file}: neither valid {' nor '.join(encodings)}. Convert it, or deliver it again whole."
    )


def _read_lines(spark: SparkSession, file: FirmFile) -> DataFrame:
    positions = [StructField(f"c{index}", StringType()) for index in range(len(file.headings))]
    return (
        spark.read.schema(StructType([*positions, StructField(CORRUPT, StringType())]))
        .option("header", True)
        .option("mode", "PERMISSIVE")
        .option("columnNameOfCorruptRecord", CORRUPT)
        .option("encoding", file.encoding)
        .option("quote", '"')
        .option("escape", '"')
        # the headings are known and repeated names are allowed: do not compare them with c0, c1, ...
        .option("enforceSchema", True)
        # with pruning, a line is flagged as malformed only when the pruned columns are
        .option("columnPruning", False)
        # one task reads one file from its first line to its last, so that lines can be numbered
        .option("multiLine", True)
        .csv(file.raw.spark_path(file.source_file))
    )


def _numbered(lines: DataFrame) -> DataFrame:
    """Add ``source_row``: the increasing id without its task, counted from 1.

    Made above the union of the files on purpose: a column that is not deterministic keeps the optimiser from copying
    everything that follows into each file's branch, which would compile the whole of parsing once per survey year.
    """
    return lines.withColumn("source_row", F.monotonically_increasing_id().bitwiseAND(F.lit(ROWS_OF_A_TASK - 1)) + 1)


def _lineage(file: FirmFile) -> list:
    return [
        F.col(CORRUPT).alias("malformed_row"),
        F.lit(file.source_file).alias("source_file"),
        F.lit(file.sha256).alias("file_sha256"),
    ]
