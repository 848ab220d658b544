"""Handoff: a study as a replication package, what a journal's data editor and a co-author with Stata or R need.

In: a lake whose study is estimated. Out: a new folder with the panel (.dta, .parquet, .csv), ``tables.do`` and ``tables.R``,
numbers, codebook, ``datapackage.json``, README, CITATION.cff, the frozen configuration and checksums. Nothing of a record, a
person or a firm leaves the lake; the folder is there whole or not at all. No Java.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from conf.tables import SHARED, STUDY_PROFILES
from estimation.errors import EstimationError
from estimation.replication import Check, check_script, r_script, stata_script
from jobs.commands.exported_files import write_file
from jobs.commands.stata_file import Language, stata_names, write_stata
from jobs.core.errors import EXIT_DONE, InputRefusedError, NotBalancedError
from jobs.core.ledger import files_in_force
from jobs.core.progress import advance, aside, moving
from jobs.runtime.context import JobContext, look_into
from jobs.study.handoff import check_tables
from jobs.study.package_codebook import codebook, codebook_html, datapackage, frozen_configuration
from jobs.study.package_content import StudyPackage, collect_package, numbers_frame, require_name
from jobs.study.package_readme import citation, environment, gather_facts, readme
from jobs.study.package_words import column_words, refuse_names, value_words
from jobs.study.result_tables import write_files

#: A command read back and estimated on the file must give our numbers to this, in standard deviations: what rounding in
#: another order of the same sums leaves.
SAME_NUMBERS = 1e-8
#: Records of the generated world beside a package, few enough to share.
WORLD_RECORDS, WORLD_SEED = 60_000, 20031
DESCRIPTOR, CHECKSUMS = "datapackage.json", "SHA256SUMS"
PREFLIGHT = (check_tables,)


def hand_off(
    context: JobContext, name: str, out: Path, *, tables: str = "all", profiles: Sequence[str] = STUDY_PROFILES,
    at: int | None = None, table_files: Path | None = None, accept_incomplete: bool = False, with_world: bool = False,
    authors: Sequence[str] = (), progress: Callable[[str], None] = lambda text: None,
) -> tuple[StudyPackage, list[Check]]:
    """Write the package of a study into a new folder.

    Parameters
    ----------
    name : str
        Of the study; its files are called so.
    out : Path
        A folder that is not there, or empty.
    with_world : bool
        Add a generated world small enough to share, on which everything can be run without the records.
    authors : sequence of str
        ``Family, Given``.
    progress : callable
        Receives one sentence a step.

    Raises
    ------
    InputRefusedError
        As :func:`collect_package`, and for a folder that holds something.
    NotBalancedError
        If a command of the script does not give our numbers; nothing is written then.
    """
    start = time.monotonic()
    require_name(name)
    _require_empty(out)
    package = collect_package(
        context, name, tables=tables, profiles=profiles, at=at, table_files=table_files, accept_incomplete=accept_incomplete
    )
    refuse_names(package.data, stata_names(list(map(str, package.frame.columns))))
    progress(f"{len(package.data.blocks)} columns of {len(package.printed)} tables on {len(package.frame):,} city-years")
    with _new_folder(out) as folder:
        checks = _write_data_and_scripts(package, folder)
        progress(f"tables.do read back: {len(checks)} commands give our numbers")
        _write_configuration(context, package, folder)
        chosen = f"--tables {shlex.quote(tables)} --study-profile {','.join(profiles)}"
        world = _write_world(folder / "world", name, chosen) if with_world else ""
        if world:
            progress("a generated world is beside it")
        facts = gather_facts(context, checks, seconds=time.monotonic() - start, chosen=chosen, world=world)
        texts = {
            "CITATION.cff": citation(package, authors), "environment.txt": environment(),
            "README.md": readme(package, facts, _described(package, with_world=with_world)),
        }
        for file_name, text in texts.items():
            (folder / file_name).write_text(text, encoding="utf-8")
        _write_descriptor_and_checksums(package, folder)
    return package, checks


class _new_folder:
    """A folder that takes its name when everything is in it; what fails half-way leaves nothing."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def __enter__(self) -> Path:
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self.partial = Path(tempfile.mkdtemp(prefix=f".{self.out.name}.partial-", dir=self.out.parent))
        return self.partial

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        try:
            if kind is None:
                if self.out.is_dir():
                    self.out.rmdir()
                os.replace(self.partial, self.out)
        finally:
            shutil.rmtree(self.partial, ignore_errors=True)


def _require_empty(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise InputRefusedError(f"--out {out}: expected a folder, found a file or a link.")
    if out.is_dir() and (there := sorted(path.name for path in out.iterdir())):
        raise InputRefusedError(
            f"--out {out}: expected a new or an empty folder; found {', '.join(there[:3])}{' ...' if len(there) > 3 else ''}."
            " Name another one: a package is never mixed with what was there."
        )


def plain_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """A study's data in types that every program reads: whole numbers, doubles, texts.

    Money becomes the nearest double, a truth value 0 or 1.
    """
    columns = {}
    for name, values in frame.items():
        known = values.dropna()
        if pd.api.types.is_bool_dtype(values.dtype) or (len(known) and known.map(lambda one: isinstance(one, bool)).all()):
            columns[name] = values.astype(np.int8) if len(known) == len(values) else values.astype(float)
        elif pd.api.types.is_integer_dtype(values.dtype) and len(known) == len(values):
            columns[name] = values.astype(np.int64)
        elif len(known) and known.map(lambda one: isinstance(one, str)).all():
            columns[name] = values.where(values.notna(), "").astype(object)
        else:
            columns[name] = pd.to_numeric(values.map(lambda one: None if pd.isna(one) else float(one)), errors="raise")
    return pd.DataFrame(columns, index=frame.index)


def _write_data_and_scripts(package: StudyPackage, folder: Path) -> list[Check]:
    """Write data, numbers, codebook and scripts; returns what reading the Stata script back on the Stata file gave."""
    package.data.frame = plain_frame(package.frame)
    name, frame = package.name, package.frame
    pq.write_table(_arrow(package), folder / f"{name}.parquet")
    frame.to_csv(folder / f"{name}.csv", index=False)
    _write_stata_file(package, folder / f"{name}.dta")
    numbers_frame(package).to_csv(folder / "numbers.csv", index=False)
    rows = codebook(package)
    rows.to_csv(folder / "codebook.csv", index=False)
    (folder / "codebook.html").write_text(codebook_html(package, rows), encoding="utf-8")
    script = stata_script(name, package.data, banner=package.banner)
    (folder / "tables.do").write_text(script, encoding="utf-8")
    (folder / "tables.R").write_text(r_script(name, package.data, banner=package.banner), encoding="utf-8")
    write_files(package.printed, folder / "results")
    return _checked(script, folder / f"{name}.dta")


def _arrow(package: StudyPackage) -> pa.Table:
    words = column_words(package.data)
    table = pa.Table.from_pandas(package.frame, preserve_index=False)
    described = [
        field.with_metadata({"label_en": words[field.name].en, "label_zh": words[field.name].zh}) for field in table.schema
    ]
    notes = {f"note{number}": note for number, note in enumerate(_notes(package), start=1)}
    return table.cast(pa.schema(described)).replace_schema_metadata(notes)


def _write_stata_file(package: StudyPackage, path: Path) -> None:
    words, values = column_words(package.data), value_words(package.data)
    origin = f" ({package.banner.partition(':')[0]})" if package.banner else ""
    chinese = Language(
        "zh", {name: word.zh for name, word in words.items()},
        {name: {value: word.zh for value, word in texts.items()} for name, texts in values.items()},
    )
    write_stata(
        package.frame, path, labels={name: word.en for name, word in words.items()},
        title=f"{package.name}: city-year panel{origin}",
        values={name: {value: word.en for value, word in texts.items()} for name, texts in values.items()},
        other=chinese, notes=_notes(package),
    )


def _notes(package: StudyPackage) -> list[str]:
    handed = package.handed
    return [
        *([package.banner] if package.banner else []),
        f"gold.city_panel version {handed.panel_version}, gold.panel_constants version {handed.constants_version}",
        f"SHA-256 of the panel's numbers in the lake: {handed.sha256}",
        "Tables behind it: " + ", ".join(f"{name} {version}" for name, version in handed.lineage.items()),
        *(
            [f"City-years of fewer than {package.fewest_firms} firms, without exports here: {package.n_suppressed}"]
            if package.fewest_firms else []
        ),
    ]


def _checked(script: str, data: Path) -> list[Check]:
    """Estimate the script's commands on the Stata file.

    Raises
    ------
    NotBalancedError
    """
    from pandas.io.stata import StataReader

    with StataReader(data, convert_categoricals=False) as reader:
        frame = reader.read()
    try:
        checks = check_script(script, frame)
    except EstimationError as error:
        raise NotBalancedError(f"tables.do, read back, cannot be estimated: {error}") from error
    off = [check for check in checks if check.worst > SAME_NUMBERS and not check.is_singular]
    if off:
        shown = ", ".join(f"{check.block} ({check.worst:.1e})" for check in off[:5])
        raise NotBalancedError(
            f"tables.do, read back and estimated on {data.name}, does not give our numbers in {len(off)} of {len(checks)}"
            f" commands: {shown}. Was the study estimated by another version of customs-lake? Run `customs-lake estimate`"
            " again."
        )
    return checks


def _write_configuration(context: JobContext, package: StudyPackage, folder: Path) -> None:
    settings = context.settings
    comment = [
        f"Configuration of {package.name}: every setting that can change a number, sha256 {settings.sha256()}",
        "Paths of files of your own are kept by name; use it with --config configuration.toml.",
    ]
    text = frozen_configuration(settings.results_sections(), comment)
    (folder / "configuration.toml").write_text(text, encoding="utf-8")
    specifications = folder / "table_files"
    specifications.mkdir()
    shipped = resources.files("conf") / "tables"
    for file_name in (SHARED, *sorted({f"{table.table.name}.toml" for table in package.printed})):
        own = package.table_files / file_name if package.table_files is not None else None
        source = own if own is not None and own.is_file() else shipped / file_name
        (specifications / file_name).write_bytes(source.read_bytes())
    for extra in sorted({table.table.extra for table in package.printed if table.table.extra}):
        shutil.copyfile(extra, specifications / Path(extra).name)
    receipts = [
        {name: row[name] for name in ("source_file", "file_sha256", "bytes", "source_year", "n_lines", "layout")}
        for row in files_in_force(context.lake)
    ]
    write_file(pd.DataFrame(receipts), folder / "inputs.csv")


def _write_world(folder: Path, name: str, chosen: str) -> str:
    """Generate a small world into the package; returns how to run everything on it."""
    from jobs.generate import generate

    folder.mkdir()
    chosen = f"--config ../configuration.toml --table-files ../table_files {chosen}"
    written = generate(folder, seed=WORLD_SEED, records=WORLD_RECORDS, progress=lambda text: None)
    (folder / "run.sh").write_text(
        "#!/bin/sh\n# GENERATED DATA: from raw files to the same package, without any confidential record.\nset -e\n"
        'cd "$(dirname "$0")"\n'
        "customs-lake run --raw raw --lake lake --config ../configuration.toml\n"
        # a column that too few generated cities have is no reason to stop
        f"customs-lake estimate --lake lake {chosen} || true\n"
        f"customs-lake handoff --lake lake --raw raw {chosen} --study {name}-generated --out package --accept-incomplete\n",
        encoding="utf-8",
    )
    (folder / "run.sh").chmod(0o755)
    return (
        f"`sh world/run.sh` runs everything on a generated world in `world/` ({written}): the lake, the tables and this same"
        f" package, `world/package`, with generated numbers."
    )


def _described(package: StudyPackage, *, with_world: bool) -> dict[str, str]:
    name = package.name
    return {
        f"{name}.dta": "the panel for Stata (format 118): labels in English and Chinese (`label language zh`), notes",
        f"{name}.parquet": "the same", f"{name}.csv": "the same, UTF-8",
        "numbers.csv": "every coefficient, standard error and p-value of every column",
        "codebook.html, codebook.csv": "every column of the data: meaning in English and Chinese, unit, counts, range",
        "datapackage.json": "the files, their types and columns (Frictionless Data Package)",
        "tables.do, tables.R": "the scripts", "results/": "the tables as printed: text, Markdown, LaTeX, HTML, Word, Excel",
        "configuration.toml, table_files/": "the frozen configuration", "inputs.csv": "delivered files by name and SHA-256",
        "environment.txt": "versions of the programs", "CITATION.cff": "how to cite", "SHA256SUMS": "checksums",
        **({"world/": "a generated world: everything can be run without the confidential records"} if with_world else {}),
    }


def _write_descriptor_and_checksums(package: StudyPackage, folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    descriptor = datapackage(package, files, folder)
    (folder / DESCRIPTOR).write_text(json.dumps(descriptor, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}"
        for path in sorted([*files, folder / DESCRIPTOR])
    ]
    (folder / CHECKSUMS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def run_command(arguments: argparse.Namespace) -> int:
    """Write the package, say what is in it, and return the exit code."""
    with moving("handoff"), look_into(arguments) as context:
        package, checks = hand_off(
            context, arguments.study, arguments.out, tables=arguments.tables,
            profiles=[part for part in arguments.study_profile.split(",") if part], at=arguments.at,
            table_files=arguments.table_files, accept_incomplete=arguments.accept_incomplete, with_world=arguments.with_world,
            authors=arguments.author, progress=_show,
        )
    print(_summary(package, checks, arguments.out))
    return EXIT_DONE


def _show(text: str) -> None:
    advance(0, note=text)
    with aside():
        print(text, file=sys.stderr)


def _summary(package: StudyPackage, checks: Sequence[Check], out: Path) -> str:
    worst = max((check.worst for check in checks), default=0.0)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    lines = [
        f"{package.name}: {len(package.frame):,} city-years, {len(package.data.blocks)} columns of {len(package.printed)}"
        f" tables, {size / 2**20:.1f} MB in {out}",
        f"tables.do read back on the data: {len(checks)} commands, largest difference {worst:.1g}",
    ]
    if package.n_suppressed:
        lines.append(f"{package.n_suppressed:,} city-years of fewer than {package.fewest_firms} firms are without exports")
    lines += [f"missing: {sentence}" for sentence in package.without]
    return "\n".join([*([package.banner] if package.banner else []), *lines])
