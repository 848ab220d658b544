"""The codebook of a study (CSV and HTML) and its ``datapackage.json`` (Frictionless), from the schemas and the data."""

from __future__ import annotations

import datetime as dt
import hashlib
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from jobs.study.package_content import StudyPackage
from jobs.study.package_words import column_units, column_words
from schemas.fields import FIELDS

KEY = ("city", "year")
_MEDIA_TYPES = {
    ".csv": "text/csv", ".parquet": "application/vnd.apache.parquet", ".dta": "application/x-stata-dta",
    ".md": "text/markdown", ".html": "text/html",
     ".json": "application/json", ".do": "text/x-stata-do", ".R": "text/x-r", ".toml": "application/toml",
    ".cff": "application/yaml", ".txt": "text/plain", ".tex": "application/x-tex", ".xlsx":
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".docx":
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".sh": "application/x-sh",
}  # fmt: skip
#: Columns of ``numbers.csv``.
NUMBER_COLUMNS = {
    "profile": ("string", "Profile of the estimation options"),
    "result_table": ("string", "Result table"),
    "result_column": ("string", "Column of the table"),
    "term": ("string", "Term as printed"),
    "name": ("string", "Name of the term in the data and in the scripts"),
    "coefficient": ("number", "Coefficient, estimated on the data of this package"),
    "std_error": ("number", "Its standard error"),
    "pvalue": ("number", "Its p-value"),
    "lake_coefficient": ("number", "Coefficient on the whole panel, before cells of few firms were left out"),
    "lake_std_error": ("number", "Its standard error"),
}


def codebook(package: StudyPackage) -> pd.DataFrame:
    """Return a row for every column of the data: name, type, unit, meanings, counts and range."""
    words, units, frame = column_words(package.data), column_units(package.data), package.frame
    rows = []
    for name in map(str, frame.columns):
        values = frame[name]
        known = values.dropna()
        is_number = pd.api.types.is_numeric_dtype(values)
        rows.append({
            "name": name, "type": field_type(values), "unit": units.get(name, ""), "meaning": words[name].en,
            "meaning_zh": words[name].zh, "n": len(known), "n_missing": int(values.isna().sum()),
            "n_distinct": int(known.nunique()), "minimum": known.min() if is_number and len(known) else None,
            "mean": known.astype(float).mean() if is_number and len(known) else None,
            "maximum": known.max() if is_number and len(known) else None,
            "source": "this package" if name in package.data.labels else "gold.city_panel",
        })
    return pd.DataFrame(rows)


def codebook_html(package: StudyPackage, rows: pd.DataFrame) -> str:
    """Return the codebook as a page of its own, nothing loaded from elsewhere."""
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in rows.columns)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(_shown(value))}</td>" for value in row) + "</tr>"
        for row in rows.itertuples(index=False, name=None)
    )
    banner = f'<p class="banner">{html.escape(package.banner)}</p>' if package.banner else ""
    title = f"Codebook of {html.escape(package.name)}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>'
        "body{font:15px/1.4 sans-serif;margin:2rem}table{border-collapse:collapse}th,td{padding:.3rem .6rem;text-align:left;"
        "border-bottom:1px solid #ccc;vertical-align:top}th{position:sticky;top:0;background:#fff}.banner{background:#b00020;"
        f'color:#fff;padding:.6rem}}</style></head><body>{banner}<h1>{title}</h1><p>{len(package.frame):,} city-years,'
        f" {len(rows)} columns; key: {', '.join(KEY)}.</p><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody>"
        "</table></body></html>\n"
    )


def datapackage(package: StudyPackage, files: Sequence[Path], root: Path) -> dict[str, Any]:
    """Return the descriptor of the written files.

    Parameters
    ----------
    files : sequence of Path
        Below `root`.

    References
    ----------
    Frictionless Data Package and Table Schema, version 1.
    """
    return {
        "profile": "data-package",
        "name": package.name.lower(),
        "title": f"Replication package of {package.name}",
        "description": " ".join(filter(None, [
            package.banner, "City-year panel of exports of China's cities, its result tables and their scripts.",
        ])),
        "created": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "sources": [{"title": f"{name}, version {version} of the lake"} for name, version in package.handed.lineage.items()],
        "resources": [_resource(package, path, root) for path in sorted(files)],
    }


def _resource(package: StudyPackage, path: Path, root: Path) -> dict[str, Any]:
    relative = path.relative_to(root).as_posix()
    raw = path.read_bytes()
    found: dict[str, Any] = {
        "name": _resource_name(relative), "path": relative, "format": path.suffix.lstrip(".") or "txt",
        "mediatype": _MEDIA_TYPES.get(path.suffix, "application/octet-stream"), "bytes": len(raw),
        "hash": f"sha256:{hashlib.sha256(raw).hexdigest()}",
    }  # fmt: skip
    schema = _schemas(package).get(relative)
    # printed tables are for people: a validator does not read a workbook of them as data
    found["type"] = "file" if schema is None else "table"
    if schema is not None:
        found |= {"profile": "tabular-data-resource", "encoding": "utf-8", "dialect": {"delimiter": ","}, "schema": schema}
    return found


def _resource_name(relative: str) -> str:
    """A name of lower-case letters, digits and ``-_.``, as the standard asks."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in relative.lower())


def _schemas(package: StudyPackage) -> dict[str, dict[str, Any]]:
    words, units, frame = column_words(package.data), column_units(package.data), package.frame
    fields: list[dict[str, Any]] = []
    for name in map(str, frame.columns):
        described = {"name": name, "type": field_type(frame[name]), "title": words[name].en, "description": words[name].zh}
        constraints: dict[str, Any] = {"required": True} if name in KEY else {}
        allowed = FIELDS[name].allowed if name in FIELDS else ()
        constraints |= {"enum": list(allowed)} if allowed else {}
        fields.append(described | ({"unit": units[name]} if units.get(name) else {})
                      | ({"constraints": constraints} if constraints else {}))
    numbers = [{"name": name, "type": kind, "title": title} for name, (kind, title) in NUMBER_COLUMNS.items()]
    book = [
        {"name": name, "type": "integer" if name in ("n", "n_missing", "n_distinct")
         else "number" if name in ("minimum", "mean", "maximum") else "string"}
        for name in ("name", "type", "unit", "meaning", "meaning_zh", "n", "n_missing", "n_distinct", "minimum", "mean",
                     "maximum", "source")
    ]
    return {
        f"{package.name}.csv": {"fields": fields, "primaryKey": list(KEY), "missingValues": [""]},
        "numbers.csv": {"fields": numbers, "missingValues": [""]},
        "codebook.csv": {"fields": book, "missingValues": [""]},
    }


def field_type(values: pd.Series) -> str:
    """Type of a column in the words of Table Schema."""
    if pd.api.types.is_integer_dtype(values.dtype):
        return "integer"
    return "number" if pd.api.types.is_numeric_dtype(values.dtype) else "string"


def _shown(value: object) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def frozen_configuration(sections: Mapping[str, Mapping[str, Any]], comment: Sequence[str] = ()) -> str:
    """Write settings as TOML, a section a table; paths are kept by the name of their file."""
    lines = [f"# {line}" for line in comment]
    for section, values in sections.items():
        lines += ["", f"[{section}]"]
        for key, value in values.items():
            if isinstance(value, Mapping):
                # headings of the user's own stand in their section by themselves
                lines += [f"{_toml(name)} = {_toml(item)}" for name, item in value.items()]
            else:
                lines.append(f"{key} = {_toml(value)}")
    return "\n".join(lines).lstrip() + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    text = str(value)
    text = Path(text).name if Path(text).is_absolute() else text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
