"""Commands that look at a lake and change nothing."""

from __future__ import annotations

from pathlib import Path

from conf.tables import STUDY_PROFILES
from jobs.runtime.command_line import options
from jobs.runtime.command_line.catalogue import LOOKING, command
from jobs.runtime.command_line.parser import Example, Parser

_OF_GENERATED = "folder of the generated world's files; its truth lies beside it"


@command(
    "reconcile", LOOKING, "recount every file: lines and dollars in = kept + quarantined", took_all=True, is_long=True,
    examples=[("--lake LAKE", "every year"), ("--lake LAKE --years 2005-2007", "some years")],
)
def _reconcile(parser: Parser) -> None:
    """Reconcile: for every year and file, lines received = rows in bronze = kept + quarantined, and the same in dollars."""
    options.lake(parser)
    options.years(parser)
    options.settings(parser)


@command(
    "verify", LOOKING, "hold a generated world's lake against its truth", took_all=True, is_long=True,
    needs_raw=True,
    examples=[("--raw WORLD/raw --lake LAKE", "the lake built from WORLD against WORLD/truth")],
)
def _verify(parser: Parser) -> None:
    """Verify: compare the lake with the truth of a generated world, row by row and dollar by dollar, with zero tolerance."""
    options.lake(parser)
    options.raw(parser, _OF_GENERATED)
    options.years(parser)
    options.settings(parser)


@command(
    "explain", LOOKING, "walk a number back: explain table1.col1.lnAgg", took_all=True,
    reads_layouts=True,
    examples=[
        ("table1.col1.lnAgg --lake LAKE", "a coefficient back to its panel, tables and delivered files"),
        ("'customs/data2005.csv#17' --raw RAW --lake LAKE", "a record as it was delivered, and what became of it"),
    ],
)
def _explain(parser: Parser) -> None:
    """Explain: walk a number of a result table back to its panel, its tables and the delivered files."""
    parser.add_argument("name", help="table.column.term, such as table1.col1.lnAgg, or FILE#ROW of a record")
    options.lake(parser)
    options.raw(parser, "folder with the delivered files, to show a record as delivered")
    parser.add_argument("--study-profile", default="defensible", help="defensible or paper")
    parser.add_argument("--table-files", type=Path, metavar="FOLDER", help="folder with result tables of your own")
    options.settings(parser)


@command(
    "resolve", LOOKING, "how production sites resolve to prefectures under the present settings", took_all=True,
    is_long=True,
    writes_folder=True,
    examples=[
        ("--lake LAKE --years 2005", "one year"),
        ("--lake LAKE --set places.ambiguous=out --out FOLDER", "under another setting, also as a file"),
    ],
)
def _resolve(parser: Parser) -> None:
    """Resolve: how the production site of every export record is resolved to a prefecture, under the present settings."""
    options.lake(parser)
    options.years(parser)
    options.out(parser, "folder for places_resolved.csv")
    options.settings(parser)


_PLACES = {
    "coverage": (
        "share of records and value by match method, per city and year",
        [("--lake LAKE --city 330600", "one city"), ("--lake LAKE --years 2005-2007 --out FOLDER", "some years, to a file")],
    ),
    "conflicts": (
        "records and value per year and kind of disagreement",
        [("--lake LAKE", "where text, postcode and code of a record disagree"), ("--lake LAKE --json", "as JSON")],
    ),
    "ambiguity": (
        "cities, records and value with the ambiguous cities in, out and whole",
        [("--lake LAKE", "what each treatment of doubtful postcodes would keep")],
    ),
}
_PLACES_EXAMPLES: list[Example] = [
    ("explain 312000 2007", "what a postcode is in a year, and what else it could be"),
    ("coverage --lake LAKE", "how the records of a lake were placed"),
    ("sensitivity --lake LAKE --tables 1", "Table 1 with the ambiguous cities in, out and whole"),
]


@command(
    "places", LOOKING, "explain POSTCODE YEAR | coverage | conflicts | ambiguity | sensitivity",
    module="jobs.commands.place_actions", writes_folder=True, examples=_PLACES_EXAMPLES,
)
def _places(parser: Parser) -> None:
    """Places: what a postcode is in a year, and how the records of a lake were placed."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=Parser)
    _explain_place(actions)
    for name, (text, examples) in _PLACES.items():
        sub = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", examples=examples)
        options.lake(sub)
        options.years(sub)
        sub.add_argument("--city", help="only this city_id")
        options.out(sub, f"folder for places_{name}.csv, with every row")
        options.as_json(sub, "print all rows as JSON, one object a line")
        options.settings(sub)
        options.accept_former(sub)
    text = "counts and Table 1 with the ambiguous cities in, out and whole"
    compared = actions.add_parser(
        "sensitivity", help=text, description=f"{text[0].upper()}{text[1:]}.",
        examples=[("--lake LAKE --tables 1,4 --study-profile paper", "two tables under the paper's options")],
    )
    options.lake(compared)
    compared.add_argument("--tables", default="1", help="result tables: 1 or 1,4")
    compared.add_argument("--study-profile", default="defensible", choices=STUDY_PROFILES, help="options to estimate under")
    options.out(compared, "folder for places_sensitivity.csv")
    options.settings(compared)
    options.accept_former(compared)


def _explain_place(actions: object) -> None:
    explain = actions.add_parser(  # type: ignore[attr-defined]  # the library's type has no public name
        "explain", help="what a postcode is in a year, or what is decided for a whole record",
        description="What a postcode is in a year, or what is decided for a whole record. No lake, no Spark.",
        examples=[
            ("312000 2007", "what the postcode is, by which lists, and what else it could be"),
            ("200131 2005 --text 上海外高桥保税区 --code 31224 --json", "what is decided for a record, as JSON"),
            ("--file spellings.csv", "many at once"),
        ],
    )
    explain.add_argument("postcode", nargs="?", help="six digits, or - for none")
    explain.add_argument("year", nargs="?")
    explain.add_argument("--text", default="", help="production place as delivered: what is decided for such a record")
    explain.add_argument("--code", default="", help="customs' district code, five digits")
    explain.add_argument(
        "--file", type=Path, help="many at once: CSV with postcode, year and, if you like, text, code, month"
    )
    options.as_json(explain, "decisions as JSON, one object a line for a file")
    options.settings(explain)


@command(
    "describe", LOOKING, "summary statistics, correlations and coverage of the panel", took_all=True,
    writes_folder=True,
    examples=[("--lake LAKE", "on the terminal"), ("--lake LAKE --out FOLDER", "also as files")],
)
def _describe(parser: Parser) -> None:
    """Describe: what is in the panel before anything is estimated."""
    options.lake(parser)
    options.out(parser, "folder for the same as CSV, and as tables for a paper (LaTeX, Word, Excel, HTML, Markdown)")
    parser.add_argument("--language", default="en", choices=options.LANGUAGES, help="of the tables for a paper")
    options.settings(parser)


@command(
    "plausible", LOOKING, "hold the lake against published totals, its world's, or your own", took_all=True, is_long=True,
    examples=[
        ("--lake LAKE", "against the official totals that are shipped"),
        ("--lake LAKE --years 2000-2006 --totals MINE.csv", "against totals of your own, BACI or Comtrade"),
    ],
)
def _plausible(parser: Parser) -> None:
    """Plausible: the value of all records against published totals, and what is likely wrong where they differ."""
    options.lake(parser)
    options.raw(parser, _OF_GENERATED)
    options.years(parser)
    parser.add_argument(
        "--totals", type=Path, metavar="FILE",
        help="CSV of your own totals, BACI or Comtrade (docs/methodology/plausibility.md)",
    )
    options.settings(parser)


@command(
    "compare", LOOKING, "hold the newest year against the years before, or two moments (--between)", took_all=True,
    examples=[
        ("--lake LAKE", "ends with 6 when something moved more than years usually do"),
        ("--lake LAKE --between 2024-05-01T12:00 now", "what changed since, and which file, rule or setting made it"),
        ("--lake LAKE --between now OTHER_LAKE --json", "two lakes, as JSON"),
    ],
)
def _compare(parser: Parser) -> None:
    """Compare: each year of the lake beside the year before, and what moved more than years usually do."""
    options.lake(parser)
    parser.add_argument(
        "--between", nargs=2, metavar=("A", "B"),
        help="two moments: now, 2024-05-01T12:00 (UTC), a run, a version of gold.city_panel, another lake or LAKE@MOMENT",
    )
    parser.add_argument("--limit", type=int, default=12, help="rows of each list with --between")
    options.as_json(parser, "all of it as JSON")
    options.settings(parser)


@command(
    "query", LOOKING, "SQL over the lake's tables in DuckDB; no Spark", module="jobs.commands.query",
    examples=[
        ('"SELECT year, sum(value_usd) FROM gold.city_exports GROUP BY year ORDER BY year" --lake LAKE', "a sum by year"),
        ('"SELECT * FROM ops.run ORDER BY started_at DESC" --lake LAKE --json', "the runs as JSON, one object a line"),
        ('"SELECT * FROM gold.city_panel" --lake LAKE --out panel.parquet', "all rows to a file"),
    ],
)
def _query(parser: Parser) -> None:
    """Query: SQL over the lake's tables by name, in DuckDB. The lake cannot be changed through it."""
    parser.add_argument("sql", help="one query; the tables are those that `customs-lake shell` lists")
    options.lake(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a .csv, .parquet or .xlsx file for all rows; else the first are printed"
    )
    options.as_json(parser, "print all rows as JSON, one object a line")
    options.settings(parser)


@command(
    "shell", LOOKING, "the same, query by query", module="jobs.commands.shell",
    examples=[("--lake LAKE", "type SQL ending in ; or `tables`"), ("--lake LAKE < queries.sql", "queries from a file")],
)
def _shell(parser: Parser) -> None:
    """Shell: SQL over the lake's tables, query by query, in DuckDB."""
    options.lake(parser)
    options.settings(parser)


@command(
    "export", LOOKING, "hand a table out as .csv, .parquet, .xlsx or .dta", module="jobs.commands.export",
    examples=[
        ("gold.city_exports --lake LAKE --out exports.xlsx", "for Excel"),
        ("gold.city_panel --lake LAKE --out panel.dta", "for Stata, with labels"),
        ("gold.city_panel --lake LAKE --out panel.csv --version 7", "as it was at an older version"),
    ],
)
def _export(parser: Parser) -> None:
    """Export: hand a table out as CSV, Parquet, Excel or Stata file."""
    options.table_name(parser)
    options.lake(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="a file ending in .csv, .parquet, .xlsx or .dta"
    )
    parser.add_argument("--version", type=int, help="version of the table (default: the latest)")
    parser.add_argument(
        "--raw-text", action="store_true",
        help="leave texts of a .csv as they are; else those that a spreadsheet takes for formulas begin with an apostrophe",
    )
    options.settings(parser)


@command(
    "contracts", LOOKING, "every table as a data contract (ODCS 3.1); --compare OLD: what a newer version takes away",
    module="jobs.commands.contracts", lake="any",
    examples=[
        ("--out FOLDER", "a document for each table"),
        ("--out lake.odcs.yaml --lake LAKE --set operations.owner=TEAM", "all tables in one, of this lake and its owner"),
        ("--compare old.odcs.yaml", "ends with 6 when readers lose what no migration covers"),
    ],
)
def _contracts(parser: Parser) -> None:
    """Contracts: every table as a document of the Open Data Contract Standard. No lake is read, no Spark is started."""
    parser.add_argument("--out", type=Path, metavar="PLACE", help="a folder, or a file ending in .yaml for one document")
    parser.add_argument("--compare", type=Path, metavar="OLD", help="an older document, or a folder of them")
    parser.add_argument("--lake", help="root of the lake that the documents name as the place of the tables")
    options.settings(parser)


@command(
    "handoff", LOOKING, "a study as a replication package: data, tables.do, tables.R, README", module="jobs.commands.handoff",
    is_long=True, writes_folder=True,
    examples=[
        ("--study paper2015 --lake LAKE --out PACKAGE", "all tables, under both profiles"),
        ("--study paper2015 --lake LAKE --out PACKAGE --tables 1,4 --author 'Li, Wei'", "two tables, with an author"),
        ("--study paper2015 --lake LAKE --out PACKAGE --with-world", "with generated data that may be passed on"),
    ],
)
def _handoff(parser: Parser) -> None:
    """Handoff: a study as a replication package: data, scripts for Stata and R, README, checksums."""
    options.lake(parser)
    parser.add_argument("--study", required=True, help="name of the study and of its files; versions pinned under it are used")
    options.out(parser, "a new or empty folder for the package", required=True)
    options.raw(parser, "folder of the delivered files, to tell generated ones")
    parser.add_argument("--tables", default="all", help="all, or some: 1,4")
    parser.add_argument("--study-profile", default=",".join(STUDY_PROFILES), help="defensible, paper or both")
    parser.add_argument("--at", type=int, metavar="VERSION", help="version of gold.city_panel")
    parser.add_argument("--table-files", type=Path, metavar="FOLDER", help="folder with result tables of your own")
    parser.add_argument(
        "--accept-incomplete", action="store_true", help="hand over a study of which years or columns are missing"
    )
    parser.add_argument("--with-world", action="store_true", help="add a generated world on which everything can be run")
    parser.add_argument(
        "--author", action="append", default=[], metavar="FAMILY, GIVEN", help="for CITATION.cff; repeat for more"
    )
    options.settings(parser)


@command(
    "config", LOOKING, "show: every setting and where its value comes from", module="jobs.commands.config",
    examples=[
        ("show", "the defaults and what the environment sets"),
        ("show --profile paper --config MINE.toml --json", "with a profile and a file, as JSON"),
    ],
)
def _config(parser: Parser) -> None:
    """Config: every setting and where its value comes from."""
    parser.add_argument("action", choices=["show"], help="print them")
    options.as_json(parser)
    options.settings(parser)
