"""Commands that keep a lake: what a run would do, taking files back, looking after tables, mending."""

from __future__ import annotations

from pathlib import Path

from jobs.runtime.command_line import options
from jobs.runtime.command_line.catalogue import KEEPING, command
from jobs.runtime.command_line.parser import Parser

MAINTENANCE = ("health", "compact", "vacuum", "checkpoint")


@command(
    "plan", KEEPING, "what a run would load, rebuild and skip, and why; writes nothing", took_all=True,
    lake="new", reads_layouts=True,
    examples=[
        ("--raw RAW --lake LAKE", "files, years and sizes of what a run would do"),
        ("--lake LAKE --set places.ambiguous=out", "which years another setting would build again"),
        ("--raw RAW --lake LAKE --json", "as JSON: files by what they are to the lake, actions by year"),
    ],
)
def _plan(parser: Parser) -> None:
    """Plan: what the next run would load, rebuild and skip, and why. Reads everything, writes nothing."""
    options.lake(parser)
    options.raw(parser)
    options.years(parser)
    options.delivery(parser)
    options.as_json(parser)
    options.nothing_new(parser)
    options.settings(parser)


@command(
    "withdraw", KEEPING, "take a delivered file out of force, or back in", took_all=True, is_long=True,
    examples=[
        ("--lake LAKE --file 'customs/data2005*.csv' --reason 'sent twice'", "the next run builds their years without them"),
        ("--lake LAKE --file 'customs/data2005*.csv' --reason 'one was right' --undo", "put them in force again"),
    ],
)
def _withdraw(parser: Parser) -> None:
    """Withdraw: take delivered files back, or take the withdrawal back."""
    options.lake(parser)
    parser.add_argument("--file", action="append", default=[], required=True, help="name or pattern below the raw folder")
    parser.add_argument("--reason", required=True, help="why, in one sentence")
    parser.add_argument("--undo", action="store_true", help="put withdrawn files in force again")
    options.settings(parser)


@command(
    "erase", KEEPING, "take firms or files out of the lake and its history for good", took_all=True, is_long=True,
    examples=[
        ("--lake LAKE --firm 3204910001 --reason 'request of 3 May' --dry-run", "what would be touched, and what cannot be"),
        ("--lake LAKE --file customs/data200501.csv --reason 'delivered in error'", "erase a file"),
    ],
)
def _erase(parser: Parser) -> None:
    """Erase: take firms or delivered files out of the lake for good, at once, out of every table and every older version."""
    options.lake(parser)
    parser.add_argument("--firm", nargs="+", action="extend", default=[], metavar="CODE", help="codes of firms")
    parser.add_argument("--file", nargs="+", action="extend", default=[], metavar="NAME", help="delivered files")
    parser.add_argument("--reason", default="", help="why, in one sentence; it is kept")
    parser.add_argument("--dry-run", action="store_true", help="say what would be touched and what cannot be reached")
    options.nothing_new(parser)
    options.settings(parser)


@command(
    "maintain", KEEPING, "health, compact, checkpoint, vacuum, pin, release", took_all=True, is_long=True,
    examples=[
        ("health --lake LAKE", "small files, skew and log length of every table"),
        ("compact vacuum --lake LAKE --dry-run", "what would be done, one after the other"),
        ("pin --name paper-2015 --lake LAKE", "keep the present versions for a study"),
    ],
)
def _maintain(parser: Parser) -> None:
    """Maintain: compact, vacuum, checkpoint and look at the health of every table; each can be shown first with --dry-run."""
    parser.add_argument(
        "action", nargs="+", choices=(*MAINTENANCE, "pin", "release"), metavar="ACTION",
        help="health, compact, vacuum, checkpoint, pin or release; several are done in turn",
    )
    options.lake(parser)
    parser.add_argument("--table", action="append", default=[], help="only this table (repeat for more)")
    parser.add_argument("--name", default="", help="name of the study, for pin and release")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done")
    options.nothing_new(parser)
    options.settings(parser)


@command(
    "fsck", KEEPING, "check files, constraints, keys and balance of every table (--deep: every byte)", took_all=True,
    is_long=True,
    lake="any",
    examples=[
        ("--lake LAKE", "ends with 5 when something is damaged"),
        ("--lake LAKE --deep", "also every byte of every file"),
    ],
)
def _fsck(parser: Parser) -> None:
    """Fsck: does the lake still say of itself what is true? Reads everything, changes nothing, names the repair."""
    options.lake(parser)
    options.raw(parser, "folder with the delivered files, for the command that mends")
    parser.add_argument("--deep", action="store_true", help="verify the bytes of every live file; an interrupted one goes on")
    options.as_json(parser)
    options.settings(parser)


@command(
    "repair", KEEPING, "mend what fsck names: build the damaged part again from what is whole", took_all=True, is_long=True,
    lake="any",
    examples=[
        ("--lake LAKE --raw RAW --dry-run", "what is damaged and what would be done"),
        ("--lake LAKE --raw RAW", "mend it"),
    ],
)
def _repair(parser: Parser) -> None:
    """Repair: mend what `fsck` names, by building the smallest damaged part again from what is whole."""
    options.lake(parser)
    options.raw(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, change nothing")
    parser.add_argument(
        "--quick", action="store_true",
        help="believe the bytes of files whose size is right; all of them are verified without this",
    )
    options.nothing_new(parser)
    options.settings(parser)


@command(
    "restore", KEEPING, "a table or the whole lake at an earlier moment", took_all=True, is_long=True,
    lake="any",
    examples=[
        ("--lake LAKE --run RUN_ID --dry-run", "what would go back to the state after a run (ids: ops.run)"),
        ("--lake LAKE --at 2024-05-01T12:00:00", "the whole lake at a moment, UTC"),
        ("--lake LAKE --table gold.city_exports --version 7", "one table"),
    ],
)
def _restore(parser: Parser) -> None:
    """Restore: one table to a version, or the whole lake to the state after a run or at a moment."""
    options.lake(parser)
    parser.add_argument("--run", metavar="RUN_ID", help="back to the state after this run")
    parser.add_argument("--at", metavar="MOMENT", help="back to this moment, UTC, such as 2024-05-01T12:00:00")
    parser.add_argument("--table", help="one table only, with --version")
    parser.add_argument("--version", type=int, help="version of that table")
    parser.add_argument("--resume", action="store_true", help="finish an interrupted restore")
    parser.add_argument("--dry-run", action="store_true", help="show the versions, change nothing")
    options.settings(parser)


@command(
    "migrate", KEEPING, "bring an older lake to this product's format", took_all=True, is_long=True,
    lake="any",
    examples=[("--lake LAKE --dry-run", "the steps"), ("--lake LAKE", "take them")],
)
def _migrate(parser: Parser) -> None:
    """Migrate: bring a lake of an older format to the one this product writes. Forward only, safe to repeat."""
    options.lake(parser)
    parser.add_argument("--dry-run", action="store_true", help="show the steps, change nothing")
    options.nothing_new(parser)
    options.settings(parser)


@command(
    "manifests", KEEPING, "manifests of the Spark Operator: the pipeline on Kubernetes, once and at an hour",
    module="jobs.commands.manifests", lake="any", writes_folder=True,
    examples=[
        ("--out FOLDER", "as shipped"),
        ("--manifests MINE.toml --out FOLDER", "with your image, volumes, secrets and hour"),
    ],
)
def _manifests(parser: Parser) -> None:
    """Manifests: write what the Spark Operator needs to run the pipeline on Kubernetes. No cluster is asked.

    docs/operations/image_and_schedulers.md explains the file and the image.
    """
    options.out(parser, "folder for spark-application.yaml and scheduled-spark-application.yaml", required=True)
    parser.add_argument(
        "--manifests", type=Path, metavar="FILE", help="a TOML file; it names what differs from conf/kubernetes/manifests.toml"
    )


@command(
    "register", KEEPING, "enter the tables into a Hive metastore or Unity Catalog", is_long=True,
    examples=[
        ("--lake LAKE --schema customs", "into the session's own metastore"),
        ("--lake LAKE --catalog unity", "into the catalog of spark.sql.catalog.unity"),
    ],
)
def _register(parser: Parser) -> None:
    """Register: enter the lake's tables, with comments and keys, into a catalog; the lake itself is not written."""
    options.lake(parser)
    parser.add_argument("--catalog", default="spark_catalog", help="a catalog of the session (default: its own metastore)")
    parser.add_argument("--schema", default="customs", help="schema (database) for the tables; made when it is not there")
    parser.add_argument("--replace", action="store_true", help="point names that stand for another lake to this one")
    options.nothing_new(parser)
    options.settings(parser)
