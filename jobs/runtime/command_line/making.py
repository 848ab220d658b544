"""Commands from raw files to tables, in the order the data flows."""

from __future__ import annotations

from pathlib import Path

from conf.tables import STUDY_PROFILES
from jobs.runtime.command_line import options
from jobs.runtime.command_line.catalogue import MAKING, command
from jobs.runtime.command_line.parser import Parser

#: Steps of a run, in order.
STEPS = (
    "land", "ingest", "references", "clean", "count", "indicators", "plausible", "yearbook", "productivity", "panel",
    "estimate",
)
# of the estimator, as options.LANGUAGES
TABLE_LAYOUTS = ("beside_paper", "plain")


@command(
    "run", MAKING, "all steps in order on a folder of your own (--through STEP)", module="jobs.pipeline", is_long=True,
    lake="new", reads_layouts=True, writes_folder=True,
    examples=[
        ("--raw RAW --lake LAKE", "everything new in RAW, up to the result tables"),
        ("--raw RAW --lake LAKE --years 2003-2008 --through count", "some years, as far as the counts of products"),
        ("--lake LAKE --rebuild --through panel", "build again from what the lake holds, whatever is recorded"),
        ("--raw RAW --lake LAKE --set count.products=converted", "with another setting"),
        ("--raw RAW --lake LAKE --check-cluster", "see whether the nodes have what it needs; nothing is built"),
    ],
)
def _run(parser: Parser) -> None:
    """Run: all steps in order, from delivered files to the result tables; only what is new or changed is built.

    The steps are land, ingest, references, clean, count, indicators, plausible, yearbook, productivity, panel and estimate.
    A lake that holds records goes on without --raw from what it holds.
    """
    options.lake(parser)
    options.raw(parser, "folder with the delivered files, or an address such as hdfs:// or s3a://; a new lake needs it")
    options.years(parser)
    parser.add_argument("--through", choices=STEPS, default=STEPS[-1], help="last step to run")
    parser.add_argument("--rebuild", action="store_true", help="build the chosen years again, whatever is recorded")
    parser.add_argument(
        "--check-cluster", action="store_true",
        help="ask driver and executors what `customs-lake doctor --cluster` asks, with this very line, and end",
    )
    options.wait_for_cluster(parser, "--check-cluster")
    options.out(parser, "folder for the result tables (default: LAKE-results, beside the lake)")
    options.delivery(parser)
    options.nothing_new(parser)
    options.settings(parser)


@command(
    "sniff", MAKING, "what a folder of customs files holds and what landing it would do; no Spark",
    reads_layouts=True, writes_folder=True,
    examples=[
        ("RAW", "every file with its layout, year, lines and what speaks against it"),
        ("RAW --years 2003-2011 --json", "as JSON, judged for some years"),
        ("RAW --propose customs/data2012.csv", "a layout to edit, for a file of no known layout"),
    ],
)
def _sniff(parser: Parser) -> None:
    """Sniff: what a folder of customs files holds and what landing it would do. No Spark, no lake; nothing is written."""
    parser.add_argument("folder", nargs="?", help="folder with delivered files, or an address such as s3a://bucket/raw")
    options.years(parser, "judge as if only these years were asked for, such as 2003-2011")
    options.as_json(parser, "print the whole report as JSON")
    options.out(parser, "folder for sniff.json, files.csv and years.csv")
    parser.add_argument(
        "--propose", metavar="FILE", help="print a layout to edit for this file, a path or one below FOLDER, and end"
    )
    options.settings(parser)


@command(
    "land", MAKING, "give every delivered file a receipt: hash, strict decoding, layout", is_long=True, took_all=True,
    lake="new", needs_raw=True, reads_layouts=True,
    examples=[
        ("--raw RAW --lake LAKE", "look at every file of the folder once"),
        ("--raw RAW --lake LAKE --accept customs/data2005.csv", "take a file although it lost records"),
    ],
)
def _land(parser: Parser) -> None:
    """Land: look at every delivered file once and give it a receipt; what is not taken is named with its reason."""
    options.lake(parser)
    options.raw(parser)
    options.years(parser)
    options.delivery(parser)
    options.nothing_new(parser)
    options.settings(parser)


@command(
    "ingest", MAKING, "append delivered lines to bronze, as they are", is_long=True, took_all=True,
    lake="new", needs_raw=True, reads_layouts=True,
    examples=[("--raw RAW --lake LAKE", "load every file with a receipt that is not in bronze yet")],
)
def _ingest(parser: Parser) -> None:
    """Ingest: append the delivered lines to bronze as they are, every column a string, with file, row number and load id."""
    options.lake(parser)
    options.raw(parser)
    options.years(parser)
    options.nothing_new(parser)
    options.settings(parser)


@command(
    "references", MAKING, "write the look-up tables to the lake", is_long=True, took_all=True,
    lake="new",
    examples=[("--lake LAKE", "write those that are new or changed")],
)
def _references(parser: Parser) -> None:
    """References: the look-up tables written to the lake, and handed to the jobs as frames."""
    options.lake(parser)
    options.nothing_new(parser)
    options.settings(parser)


@command(
    "clean", MAKING, "parse, repair, place and judge: silver and quarantine", is_long=True, took_all=True,
    examples=[
        ("--lake LAKE", "the years whose files, rules or settings changed"),
        ("--lake LAKE --years 2005 --set places.ambiguous=out", "one year under another setting"),
    ],
)
def _clean(parser: Parser) -> None:
    """Clean: parse, repair, place and judge every declaration.

    Silver gets the accepted ones, quarantine the rest, each with its reasons.
    """
    options.lake(parser)
    options.years(parser)
    options.nothing_new(parser)
    options.settings(parser)


@command(
    "count", MAKING, "value, products and destinations of every city-year", is_long=True, took_all=True,
    examples=[
        ("--lake LAKE", "count the years that were cleaned anew"),
        ("--lake LAKE --indicators", "and compute their indicators, as `customs-lake indicators` does"),
    ],
)
def _count(parser: Parser) -> None:
    """Count: declarations to the city x product x destination cube, then export value, products and destinations."""
    options.lake(parser)
    options.years(parser)
    parser.add_argument("--indicators", action="store_true", help="then also what `customs-lake indicators` computes")
    options.nothing_new(parser)
    options.settings(parser)


@command(
    "indicators", MAKING, "firm cube, exporter dynamics, margins, trade mix and diversity of every city-year", is_long=True,
    module="jobs.counting.indicators",
    examples=[("--lake LAKE", "compute the years that were counted anew, and those beside them")],
)
def _indicators(parser: Parser) -> None:
    """Indicators: the firm cube, trade mix, exporter dynamics, margins and diversity of every city-year."""
    options.lake(parser)
    options.years(parser)
    options.nothing_new(parser)
    options.settings(parser)


@command(
    "yearbook", MAKING, "read the sheets of the city yearbook", is_long=True, took_all=True,
    lake="new", needs_raw=True,
    examples=[("--raw RAW --lake LAKE", "read RAW/yearbook")],
)
def _yearbook(parser: Parser) -> None:
    """Yearbook: sheets of the city yearbook to one row per city, year, indicator and area."""
    options.lake(parser)
    options.raw(parser)
    options.nothing_new(parser)
    options.settings(parser)


@command(
    "productivity", MAKING, "firm productivity and its city means", is_long=True, took_all=True,
    lake="new", needs_raw=True,
    examples=[
        ("--raw RAW --lake LAKE", "from RAW/firms: productivity as delivered, or accounts to estimate it from"),
    ],
)
def _productivity(parser: Parser) -> None:
    """Productivity: firm accounts to firm productivity, industry by industry, and to the city means of the model (lnPro)."""
    options.lake(parser)
    options.raw(parser)
    options.nothing_new(parser)
    options.settings(parser)


@command(
    "panel", MAKING, "join exports, yearbook and productivity to the city panel", is_long=True, took_all=True,
    examples=[("--lake LAKE", "build gold.city_panel if anything under it changed")],
)
def _panel(parser: Parser) -> None:
    """Panel: exports, yearbook, productivity, ports and zones joined to the model's variables, natural and standardised."""
    options.lake(parser)
    options.nothing_new(parser)
    options.settings(parser)


@command(
    "estimate", MAKING, "estimate the result tables on the panel", is_long=True, took_all=True,
    writes_folder=True,
    examples=[
        ("--lake LAKE", "all tables, under both profiles"),
        ("--lake LAKE --tables 1,4 --study-profile paper", "two tables with the paper's options"),
        ("--lake LAKE --tables 9 --table-files MINE --layout plain", "a table of your own, ours alone"),
        ("--lake LAKE --robustness", "also the baseline under other choices, for the report"),
    ],
)
def _estimate(parser: Parser) -> None:
    """Estimate: the result tables of conf/tables on the city panel, printed beside the paper and the known truth."""
    options.lake(parser)
    result_tables(parser)
    parser.add_argument(
        "--layout", default="beside_paper", choices=TABLE_LAYOUTS,
        help="beside_paper: ours, the paper's and the truth; plain: ours alone, for a paper of your own",
    )
    parser.add_argument("--language", default="en", choices=options.LANGUAGES, help="of titles and labels in the files")
    parser.add_argument(
        "--robustness", action="store_true",
        help="also estimate the baseline under other choices (instruments, estimators, provinces, counts) for the report",
    )
    options.out(parser, "folder for the result tables (default: LAKE-results, beside the lake)")
    options.raw(parser, "folder of delivered files; of a generated world, whose truth stands beside the estimates")
    options.nothing_new(parser)
    options.settings(parser)


def result_tables(parser: Parser) -> None:
    """Options of commands that print result tables."""
    parser.add_argument("--tables", default="all", help="all, or some: 1,4")
    parser.add_argument("--study-profile", default=",".join(STUDY_PROFILES), help="defensible, paper or both")
    parser.add_argument("--at", type=int, metavar="VERSION", help="version of gold.city_panel to estimate on")
    parser.add_argument("--table-files", type=Path, metavar="FOLDER", help="folder with result tables of your own")


@command(
    "report", MAKING, "the study as one HTML file", took_all=True, is_long=True,
    writes_folder=True,
    examples=[
        ("--lake LAKE", "report.html in the folder LAKE-results, beside the lake"),
        ("--lake LAKE --out REPORT --geojson provinces.geojson", "with boundaries of your own under the maps"),
    ],
)
def _report(parser: Parser) -> None:
    """Report: the whole study as one HTML file, with where every number came from; nothing is estimated here."""
    options.lake(parser)
    result_tables(parser)
    parser.add_argument("--geojson", type=Path, metavar="FILE", help="boundaries of your own for the maps")
    options.out(parser, "folder for report.html and the data behind it (default: LAKE-results, beside the lake)")
    options.raw(parser, "folder of delivered files; a generated world's is known by the truth beside it")
    options.settings(parser)
