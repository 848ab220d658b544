"""Commands to try the product with, and to see whether a machine has what it needs."""

from __future__ import annotations

from pathlib import Path

from jobs.runtime.command_line import options
from jobs.runtime.command_line.catalogue import TRYING, command
from jobs.runtime.command_line.parser import Parser

# of the world and the estimator, which are not loaded for a help text; a test compares them
PRESETS = ("full", "small")
FIRM_TABLES = ("tfp", "survey")
OUTCOMES = ("lnvalue", "lnnum", "lnnumcou")
SHELLS = ("bash", "zsh", "fish")


@command(
    "demo", TRYING, "a generated world from raw files to Table 1, checked against its truth", module="jobs.commands.demo",
    is_long=True,
    examples=[("", "in build/demo"), ("--records 80000 --out build/small", "a smaller world is faster and shows the same")],
)
def _demo(parser: Parser) -> None:
    """Demo: a generated world from raw files to Table 1, checked against its truth, with one command."""
    parser.add_argument("--out", type=Path, default=Path("build/demo"), help="folder for raw files, lake and tables")
    parser.add_argument("--records", type=int, default=600_000, help="customs records, about; at least 279,000")
    parser.add_argument("--seed", type=int, default=20031, help="root of all random numbers")


@command(
    "generate", TRYING, "write a generated world: raw files and the truth beside them", is_long=True,
    examples=[
        ("--out WORLD --preset small", "20 cities, 2003-2008"),
        ("--out WORLD --firms survey --without-postcode 2007,2008", "accounts of firms, years without postcodes"),
    ],
)
def _generate(parser: Parser) -> None:
    """Generate: raw customs files, yearbook sheets and firm tables of a world whose truth is known."""
    parser.add_argument("--out", required=True, help="folder that receives raw/ and truth/")
    parser.add_argument("--seed", type=int, default=7, help="root of all random numbers")
    parser.add_argument("--preset", choices=PRESETS, default="full", help="sizes, where the next three are not given")
    parser.add_argument("--records", type=int, help="raw rows, within 2 %%; fewer than all cities need take fewer cities")
    parser.add_argument("--years", help="for example 2003-2008")
    parser.add_argument("--cities", type=int, help="cities with customs files")
    parser.add_argument("--without-postcode", default="", help="years whose files have no postcode column, e.g. 2007,2008")
    parser.add_argument("--firms", choices=FIRM_TABLES, default="tfp", help="table of productivity, or survey accounts")
    parser.add_argument(
        "--skew", type=float, default=0.0, help="times the real odds of Shenzhen, Shanghai and Dongguan; 0: by their products"
    )
    parser.add_argument("--year-effect", type=float, help="spread of common year effects in sd, 0 for none")
    parser.add_argument("--resilience", default="lnRes", help="measure the outcomes follow: lnRes, lnRunepd or lnResc")
    parser.add_argument("--sample", default="full", help="the paper's sample whose coefficients all cities obey")
    parser.add_argument("--reference", type=Path, help="folder with reference tables instead of the shipped ones")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier world")
    parser.add_argument("--processes", type=int, help="years written side by side (default: as many as there are cores)")


@command(
    "montecarlo", TRYING, "the estimator on data drawn from the model", is_long=True,
    writes_folder=True,
    examples=[
        ("--sizes 69 --replications 200 --lags-only --out STUDY", "a small one, a few minutes"),
        ("--first 2000 --replications 1000 --out STUDY", "add to a study that has been run"),
    ],
)
def _montecarlo(parser: Parser) -> None:
    """Monte Carlo: replications of the estimator study spread over the cluster, summarised on the driver."""
    parser.add_argument("--sizes", type=int, nargs="+", default=[286, 109, 69], help="numbers of cities")
    parser.add_argument("--replications", type=int, default=2000, help="of every size")
    parser.add_argument("--first", type=int, default=0, help="number of the first replication")
    parser.add_argument("--lags-only", action="store_true", help="only collapsed two-step with 1, 2 and 3 lags")
    parser.add_argument("--outcomes", nargs="+", default=list(OUTCOMES), choices=OUTCOMES, help="equations to estimate")
    parser.add_argument("--seed", type=int, default=2003, help="root of all random numbers")
    parser.add_argument("--parts", type=int, default=64, help="tasks per size")
    options.out(parser, "folder for the summary", required=True)
    options.settings(parser, config=False)


@command(
    "doctor", TRYING, "what is missing on this machine, or on the nodes of a cluster", module="jobs.commands.doctor",
    lake="any",
    examples=[
        ("", "each check with what was found and what to do"), ("--json", "for a program"),
        ("--cluster --raw RAW --lake LAKE --set spark.master=spark://HOST:7077", "ask the executors; writes a probe file"),
    ],
)
def _doctor(parser: Parser) -> None:
    """Doctor: what is missing on this machine; with --cluster, on its executors. Ends with 4 when something is."""
    parser.add_argument("--cluster", action="store_true", help="ask driver and executors: versions, time, raw folder, lake")
    parser.add_argument("--lake", help="with --cluster: root of the lake, there or to be, where a probe file is tried")
    options.raw(parser, "with --cluster: folder with the delivered files, or its address")
    options.wait_for_cluster(parser, "--cluster")
    options.as_json(parser)
    options.settings(parser)


@command(
    "completion", TRYING, "let bash, zsh or fish complete commands and options", module="jobs.commands.completion",
    examples=[
        ("bash >> ~/.bashrc", "for every new bash"),
        ("zsh >> ~/.zshrc", "for every new zsh, after compinit"),
        ("fish > ~/.config/fish/completions/customs-lake.fish", "for fish"),
    ],
)
def _completion(parser: Parser) -> None:
    """Completion: print what makes a shell complete commands, options, tables and settings on the Tab key."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that reads it")
