"""What an expert would write in DuckDB for the same job: raw text to bronze, judged rows, cube and city-years.

    python tests/benchmarks/peer_duckdb.py RAW OUT

It takes headings, reference tables and reasons from the product and leaves away what makes the product slow and right: no
receipts, no names of repairs, no confidence, four digits of a postcode, one spelling of a place. Prints JSON with the rows
and seconds of each step. It reads delimited text only, which is what the generated world delivers.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from conf.layouts import load_layouts

COLUMNS = (
    "flow", "hs_code", "value", "quantity", "firm_id", "firm_name", "firm_address", "postcode", "production_place",
    "partner", "regime",
)
REFERENCE = Path(__file__).resolve().parents[2] / "schemas" / "reference"


def main() -> int:
    raw, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    connection.execute("SET memory_limit = '4GB'")
    steps = {}
    for name, step in (("recode", recode), ("bronze", bronze), ("clean", clean), ("count", count)):
        start = time.monotonic()
        step(connection, raw, out)
        steps[name] = round(time.monotonic() - start, 2)
    print(json.dumps({"seconds": steps} | results(connection, out)))
    return 0


def recode(connection: duckdb.DuckDBPyConnection, raw: Path, out: Path) -> None:
    """Write GB18030 files again as UTF-8, the only encoding the reader is fast in."""
    for path in sorted((raw / "customs").iterdir()):
        if encoding_of(path) != "utf-8":
            with path.open(encoding="gb18030", newline="") as source:
                with (out / f"utf8_{path.name}").open("w", encoding="utf-8", newline="") as target:
                    while text := source.read(1 << 22):
                        target.write(text)


def headings_of(readable: Path) -> tuple[str, list[str]]:
    """Separator and headings of a file in UTF-8."""
    with readable.open(encoding="utf-8-sig") as stream:
        first = stream.readline().rstrip("\r\n")
    separator = "\t" if "\t" in first else ","
    return separator, [name.strip('"') for name in first.split(separator)]


def bronze(connection: duckdb.DuckDBPyConnection, raw: Path, out: Path) -> None:
    """All columns as text, with file and year."""
    layouts = load_layouts()
    parts = []
    for path in sorted((raw / "customs").iterdir()):
        readable = path if encoding_of(path) == "utf-8" else out / f"utf8_{path.name}"
        separator, headings = headings_of(readable)
        assigned = max((layout.assign(headings) for layout in layouts), key=len)
        names = ", ".join(f"'{name}': 'VARCHAR'" for name in headings)
        chosen = ", ".join(
            f'"{headings[assigned[name][0]]}" AS {name}' if name in assigned else f"NULL::VARCHAR AS {name}"
            for name in COLUMNS
        )
        year = re.search(r"(?:19|20)\d\d", path.name)
        parts.append(
            f"SELECT {chosen}, {year.group()} AS year, '{path.name}' AS file FROM read_csv('{readable}', delim='{separator}',"
            f" header=true, columns={{{names}}}, auto_detect=false, null_padding=true, strict_mode=false)"
        )
    union = " UNION ALL ".join(parts)
    connection.execute(f"COPY ({union}) TO '{out / 'bronze.parquet'}' (COMPRESSION zstd)")


def clean(connection: duckdb.DuckDBPyConnection, raw: Path, out: Path) -> None:
    """Parse, place and judge."""
    for statement in references():
        connection.execute(statement)

    def text(name: str) -> str:
        plain = f"translate({name}, '０１２３４５６７８９．　\u00a0', '0123456789.  ')"
        return f"nullif(nullif(regexp_replace({plain}, '\\s', '', 'g'), ''), 'NULL') AS {name}_text"

    texts = ", ".join(text(name) for name in ("flow", "hs_code", "value", "postcode", "production_place", "partner"))
    connection.execute(f"""
        CREATE VIEW parsed AS SELECT *,
            CASE WHEN hs_code_text SIMILAR TO '[0-9]+\\.0+' THEN split_part(hs_code_text, '.', 1)
                 WHEN hs_code_text SIMILAR TO '[0-9]{{4}}\\.[0-9.]+' THEN replace(hs_code_text, '.', '')
                 WHEN hs_code_text SIMILAR TO '[0-9]+' THEN hs_code_text END AS digits,
            CASE WHEN value_text SIMILAR TO '-?[0-9]{{1,3}}(,[0-9]{{3}})+(\\.[0-9]+)?'
                 THEN try_cast(replace(value_text, ',', '') AS DECIMAL(20, 2))
                 ELSE try_cast(value_text AS DECIMAL(20, 2)) END AS value_usd,
            CASE WHEN regexp_replace(postcode_text, '\\.0+$', '') SIMILAR TO '[0-9]{{6}}' THEN postcode_text[1:6]
                 WHEN regexp_replace(postcode_text, '\\.0+$', '') SIMILAR TO '[1-7][0-9]{{4}}' THEN '0' || postcode_text[1:5]
            END AS code
        FROM (SELECT *, {texts} FROM '{out / 'bronze.parquet'}')""")
    connection.execute("""
        CREATE VIEW coded AS SELECT *, CASE length(digits) WHEN 8 THEN digits WHEN 7 THEN '0' || digits
            WHEN 6 THEN digits || '00' WHEN 5 THEN '0' || digits || '00' WHEN 10 THEN digits[1:8] END AS hs8 FROM parsed""")
    connection.execute("""
        CREATE VIEW judged AS SELECT c.*, a.code AS partner_code, coalesce(n.place, p.place) AS city, list_filter([
            CASE WHEN flow_text IS NULL THEN 'flow_missing' WHEN flow_text IN ('进口', '1', 'IMPORT') THEN 'import' END,
            CASE WHEN hs_code_text IS NULL THEN 'hs_missing' WHEN hs8 IS NULL THEN 'hs_malformed'
                 WHEN h.hs6_code IS NULL THEN 'hs_unknown' END,
            CASE WHEN partner_text IS NULL THEN 'destination_missing' WHEN a.code IS NULL THEN 'destination_unknown' END,
            CASE WHEN value_text IS NULL THEN 'value_missing' WHEN value_usd IS NULL THEN 'value_malformed'
                 WHEN value_usd <= 0 THEN 'value_nonpositive' END,
            CASE WHEN postcode_text IS NULL THEN 'postcode_missing' WHEN c.code IS NULL THEN 'postcode_malformed' END,
            CASE WHEN coalesce(n.place, p.place) IS NULL THEN 'place_unknown' END,
            CASE WHEN p.unit_type IN ('county', 'county_city') THEN p.unit_type END
        ], lambda x: x IS NOT NULL) AS reasons
        FROM coded c LEFT JOIN partners a ON a.alias = upper(partner_text)
        LEFT JOIN names n ON n.alias = upper(production_place_text)
        LEFT JOIN postcodes p ON p.prefix = c.code[1:4] AND p.year = c.year LEFT JOIN products h ON h.hs6_code = hs8[1:6]""")
    columns = "year, file, hs_code, value, firm_id, postcode, production_place, partner, hs8, value_usd, partner_code, city"
    connection.execute(f"COPY (SELECT {columns}, reasons FROM judged) TO '{out / 'silver.parquet'}' (COMPRESSION zstd)")


def references() -> Iterator[str]:
    """The product's own reference tables, as plain look-ups."""

    def table(name: str) -> str:
        return f"read_csv('{REFERENCE / name}.csv', all_varchar=true, header=true)"

    yield (
        f"CREATE TABLE names AS SELECT upper(alias) AS alias, min(prefecture_code) AS place FROM {table('place_names')}"
        " WHERE prefecture_code IS NOT NULL GROUP BY ALL HAVING count(DISTINCT prefecture_code) = 1"
    )
    aliases = table("partner_aliases")
    yield f"CREATE TABLE partners AS SELECT upper(alias) AS alias, min(code) AS code FROM {aliases} GROUP BY 1"
    yield f"CREATE TABLE products AS SELECT DISTINCT hs6_code FROM {table('hs6_codes')}"
    yield f"""CREATE TABLE postcodes AS SELECT p.prefix, y AS year, min(u.prefecture_code) AS place,
        max(u.unit_type) AS unit_type
        FROM {table("postcode_prefixes")} p JOIN {table("county_units")} u USING (unit_code),
        (SELECT unnest(range(2000, 2017)) AS y)
        WHERE length(p.prefix) = 4 AND y >= u.valid_from::INT
        AND (u.valid_to IS NULL OR y < u.valid_to::INT) GROUP BY 1, 2"""


def count(connection: duckdb.DuckDBPyConnection, raw: Path, out: Path) -> None:
    """Cube and city-years of what has no reason."""
    connection.execute(
        f"COPY (SELECT city, year, hs8[1:6] AS hs6, partner_code, sum(value_usd) AS value_usd, count(*) AS n_records"
        f" FROM '{out / 'silver.parquet'}' WHERE len(reasons) = 0 GROUP BY ALL) TO '{out / 'cube.parquet'}'"
    )
    connection.execute(
        f"COPY (SELECT city, year, sum(value_usd) AS value_usd, count(DISTINCT hs6) AS n_products,"
        f" count(DISTINCT partner_code) AS n_destinations, sum(n_records) AS n_records FROM '{out / 'cube.parquet'}'"
        f" GROUP BY ALL) TO '{out / 'gold.parquet'}'"
    )


def results(connection: duckdb.DuckDBPyConnection, out: Path) -> dict[str, object]:
    """What the run is compared by."""
    rows = connection.execute(f"SELECT count(*) FROM '{out / 'bronze.parquet'}'").fetchone()[0]
    kept = connection.execute(
        f"SELECT count(*), sum(n_records)::BIGINT, sum(value_usd)::DOUBLE FROM '{out / 'gold.parquet'}'"
    ).fetchone()
    return {"rows": rows, "city_years": kept[0], "records": kept[1], "dollars": kept[2]}


def encoding_of(path: Path) -> str:
    """UTF-8 when the first pieces are, else the national encoding."""
    with path.open("rb") as stream:
        piece = stream.read(400_000)
    try:
        piece[: piece.rfind(b"\n") + 1].decode("utf-8")
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8"


if __name__ == "__main__":
    sys.exit(main())
