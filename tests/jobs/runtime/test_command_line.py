"""The command line: every example parses, help is there at once, what was typed before still works, typos are understood."""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from conf.settings import load_settings
from jobs.commands.main import run_command
from jobs.core.errors import EXIT_DONE, EXIT_REFUSED
from jobs.runtime.command_line import making, options, trying
from jobs.runtime.command_line.catalogue import GROUPS, commands, parse, parser_of, whole_parser
from jobs.runtime.command_line.parser import Parser

ROOT = Path(__file__).resolve().parents[3]
START = "from jobs.commands.start import main; raise SystemExit(main())"
#: What every job took before it took only what it uses.
TOOK_ALL = (
    "land ingest references clean count yearbook productivity panel estimate report reconcile verify explain resolve describe"
    " plausible compare plan withdraw erase maintain fsck repair restore migrate"
).split()


def _parsers() -> dict[str, Parser]:
    """Every parser that prints a help of its own: commands, and their actions."""
    found: dict[str, Parser] = {}
    for name in commands():
        parser = found[name] = parser_of(name)
        found |= {f"{name} {inner}": sub for inner, sub in parser.actions().items()}
    return found


PARSERS = _parsers()


@pytest.mark.parametrize("name", PARSERS)
def test_every_help_has_examples_and_each_is_a_command_line_that_works(name):
    parser = PARSERS[name]
    assert parser.examples, f"{name} --help shows no example"
    for line, meaning in parser.examples:
        words = shlex.split(line.partition(" >")[0].partition(" <")[0])
        arguments = parser.parse_args(words)
        load_settings(overrides=getattr(arguments, "set", []), profile=getattr(arguments, "profile", None))
        assert meaning
        assert f"{parser.prog} {line}".strip() in parser.format_help(), "an example is copied: it stays on its line"


@pytest.mark.parametrize("name", PARSERS)
def test_every_option_says_what_it_does_and_what_it_is_by_default(name):
    for action in PARSERS[name]._actions:
        if action.help == argparse.SUPPRESS or isinstance(action, argparse._SubParsersAction):
            continue
        assert action.help or action.dest == "year", (name, action.dest)
        if action.option_strings and action.default not in (None, False, "", argparse.SUPPRESS) and action.default != []:
            shown = " ".join(re.sub(r"\x1b\[[\d;]*m", "", PARSERS[name].format_help()).split())
            assert "(default: " in shown, (name, action.dest)


def test_every_command_has_its_work_where_the_list_says():
    for chosen in commands().values():
        tree = ast.parse((ROOT / f"{chosen.module.replace('.', '/')}.py").read_text("utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert functions & {"run_command", "run"}, chosen
        assert chosen.group in GROUPS


def test_every_file_of_jobs_reads_its_options_from_the_list():
    for path in sorted((ROOT / "jobs").glob("[a-z]*.py")):
        named = re.findall(r"\b(?:command_main|job_main|parse)\(\"(\w+)\"", path.read_text("utf-8"))
        assert named and set(named) == {"run" if path.stem == "pipeline" else path.stem}, path
        assert "add_argument(" not in path.read_text("utf-8"), f"{path}: options stand in jobs/runtime/command_line"


def test_words_repeated_here_are_those_of_the_estimator_and_the_world():
    from estimation.dynamic_panel.study import OUTCOMES, add_study_arguments
    from estimation.tables.layout import LAYOUTS
    from estimation.tables.spec import LANGUAGES
    from jobs.generate import FIRMS, PRESETS

    assert making.TABLE_LAYOUTS == tuple(LAYOUTS) and options.LANGUAGES == LANGUAGES
    assert trying.OUTCOMES == OUTCOMES and trying.FIRM_TABLES == FIRMS and trying.PRESETS == tuple(sorted(PRESETS))
    study = argparse.ArgumentParser()
    add_study_arguments(study, replications=2000)
    ours = vars(parse("montecarlo", ["--out", "x"]))
    assert {name: ours[name] for name in vars(study.parse_args([]))} == vars(study.parse_args([]))


def test_help_of_every_command_loads_neither_pandas_nor_spark_and_costs_less_than_half_a_second():
    code = """
import contextlib, io, sys, time
from jobs.commands.main import run_command
from jobs.runtime.command_line.catalogue import commands
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    run_command(["run", "--help"])
one = time.process_time()
for name in commands():
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        run_command([name, "--help"])
heavy = [name for name in ("pandas", "pyspark", "polars", "pyarrow", "numpy", "duckdb") if name in sys.modules]
print(one, heavy)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    seconds, _, heavy = done.stdout.strip().partition(" ")
    assert heavy == "[]"
    # processor seconds, which a busy machine does not lengthen; measured .13
    assert float(seconds) < 0.5


def test_no_command_says_it_needs_an_option_that_it_does_not_use():
    shown = {name: _options_in(parser) for name, parser in PARSERS.items()}
    assert [name for name, options in shown.items() if "--raw" in options] == [
        "run", "land", "ingest", "yearbook", "productivity", "estimate", "report", "verify", "explain", "plausible", "handoff",
        "plan", "fsck", "repair", "doctor",
    ]
    assert [name for name, options in shown.items() if "--years" in options and not name.startswith("places")] == [
        "run", "sniff", "land", "ingest", "clean", "count", "indicators", "reconcile", "verify", "resolve", "plausible",
        "plan", "generate",
    ]


def _options_in(parser):
    return {option for action in parser._actions if action.help != argparse.SUPPRESS for option in action.option_strings}


@pytest.mark.parametrize("name", [*TOOK_ALL, "places coverage"])
def test_options_that_every_job_once_took_are_still_taken(name, capsys):
    words = {
        "explain": ["table1.col1.lnAgg"], "maintain": ["health"], "withdraw": ["--file", "a.csv", "--reason", "why"],
    }.get(name, [])
    old = ["--lake", "L", "--raw", "R", "--years", "2005", "--out", "O", "--exit-code", "--profile", "paper", "--set", "a.b=c"]
    arguments = PARSERS[name].parse_args([*words, *old])
    assert arguments.lake == "L" and arguments.exit_code
    visible = _options_in(PARSERS[name])
    output = capsys.readouterr().err
    for option, value in (("--raw", "R"), ("--years", "2005"), ("--out", "O")):
        taken = getattr(arguments, option.removeprefix("--"))
        assert (str(taken) == value) if option in visible else (taken is None and f"{option} has no effect" in output)


@pytest.mark.parametrize(("words", "meant"), [
    (["estimat"], "Did you mean estimate?"),
    (["fcsk"], "Did you mean fsck?"),
    (["run", "--lkae", "L"], "Did you mean --lake for --lkae?"),
    (["run", "--lake", "L", "--trough", "count"], "Did you mean --through for --trough?"),
    (["run", "--lake", "L", "--through", "conut"], "Did you mean count?"),
    (["places", "ambiguty", "312000", "2007"], "Did you mean ambiguity?"),
    (["maintain", "helth", "--lake", "L"], "Did you mean health?"),
])  # fmt: skip
def test_what_was_meant_is_named(words, meant, capsys):
    try:
        code = run_command(words)
    except SystemExit as ended:
        code = ended.code
    assert code in (EXIT_REFUSED, 2)
    assert meant in capsys.readouterr().err


def test_unknown_words_without_a_likeness_are_given_no_advice(capsys):
    assert run_command(["xyzzyq"]) == EXIT_REFUSED
    assert "Did you mean" not in capsys.readouterr().err


def test_a_mistyped_word_cannot_write_to_the_terminal(capsys):
    assert run_command(["\x1b[2J"]) == EXIT_REFUSED
    with pytest.raises(SystemExit):
        run_command(["run", "--lake", "L", "--\x1b[2Jx"])
    assert "\x1b" not in capsys.readouterr().err


def test_version_and_help_in_every_way_they_are_asked_for(capsys):
    for words in (["--version"], ["-V"]):
        assert run_command(words) == EXIT_DONE
        assert re.fullmatch(r"customs-lake \S+\+build\d+\n", capsys.readouterr().out)
    for words in (["help", "fsck"], ["fsck", "-h"]):
        with pytest.raises(SystemExit):
            run_command(words)
        assert "usage: customs-lake fsck" in capsys.readouterr().out


def test_colour_is_off_in_a_pipe_and_under_no_color_and_on_when_forced():
    def shown(**environment):
        plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "TERM")}
        code = "from jobs.commands.main import main; main(['run', '--help'])"
        return subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, env=plain | environment,
        ).stdout

    assert "\x1b[" not in shown()
    assert "\x1b[" in shown(FORCE_COLOR="1", TERM="xterm-256color")
    assert not re.search(r"\x1b\[[\d;]*3\d", shown(FORCE_COLOR="1", NO_COLOR="1", TERM="xterm-256color"))


@pytest.mark.parametrize(("line", "expected"), [
    ("customs-lake ru", {"run"}),
    ("customs-lake re", {"references", "report", "reconcile", "resolve", "repair", "restore", "register"}),
    ("customs-lake run --lake L --thr", {"--through"}),
    ("customs-lake run --through cl", {"clean"}),
    ("customs-lake export gold.city_e", {"gold.city_exports"}),
    ("customs-lake clean --set places.amb", {"places.ambiguous="}),
    ("customs-lake places co", {"coverage", "conflicts"}),
    ("customs-lake clean --profile pa", {"paper"}),
])  # fmt: skip
def test_the_shell_is_given_what_may_follow(line, expected, tmp_path):
    answer = tmp_path / "answer"
    environment = os.environ | {
        "_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
    }
    subprocess.run([sys.executable, "-c", START], cwd=ROOT, env=environment, timeout=60, capture_output=True)
    assert {one.strip() for one in answer.read_text().split("\n") if one.strip()} == expected


@pytest.mark.parametrize("shell", trying.SHELLS)
def test_completion_prints_the_part_of_each_shell(shell, capsys):
    assert run_command(["completion", shell]) == EXIT_DONE
    printed = capsys.readouterr().out
    assert "customs-lake" in printed and {"bash": "complete", "zsh": "compdef", "fish": "complete --command"}[shell] in printed


def test_the_parser_of_the_completion_holds_every_command():
    assert list(whole_parser().actions()) == list(commands())


def test_settings_and_findings_are_there_for_programs(capsys):
    assert run_command(["config", "show", "--json", "--set", "study.last_year=2012"]) == EXIT_DONE
    shown = json.loads(capsys.readouterr().out)
    assert shown["study.last_year"] == {"value": 2012, "from": "--set"}
    run_command(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)
    assert {"Python", "Java", "Delta JARs"} <= {finding["name"] for finding in findings}


@pytest.mark.parametrize("last", making.STEPS)
def test_a_run_ends_with_a_next_step_that_exists(last):
    from jobs.pipeline import next_step

    output = next_step(parse("run", ["--lake", "my lakes/one", "--through", last]))
    assert output.startswith("Next: ")
    for line in re.findall(r"`customs-lake ([^`]*)`", output):
        words = shlex.split(line)
        assert parser_of(words[0]).parse_args(words[1:]).lake == "my lakes/one"
    assert ("report" in output) == (last == "estimate")


def _documented() -> list[tuple[str, str]]:
    """Every command line that stands on a line of its own in the documentation, as (page, line)."""
    found = []
    for page in sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]):
        for line in page.read_text("utf-8").splitlines():
            match = re.match(r"^(?: {4}|\$ |```\w* *)? *(?:\$ )?(?:\.venv/bin/)?customs-lake ([a-z].*)$", line)
            # prose that begins with a command's name goes on with words, not with options
            if match and (line.startswith(("    ", "$")) or " --" in line) and "`" not in line:
                found.append((page.relative_to(ROOT).as_posix(), match[1]))
    return found


@pytest.mark.parametrize(("page", "line"), sorted(set(_documented())))
def test_every_command_line_of_the_documentation_parses(page, line):
    # a remark follows after two blanks or a number sign; what is optional stands in brackets
    text = re.split(r" {2,}| # | > | < ", line)[0].replace("[", "").replace("]", "")
    words = shlex.split(text)
    assert words[0] in commands(), line
    parser_of(words[0]).parse_args(words[1:])


def test_what_libraries_do_while_the_process_ends_does_not_change_its_exit_code():
    crash = "import os\nclass Crash:\n    def __del__(self): os._exit(77)\nimport builtins\nbuiltins.crash = Crash()\n"
    given = [sys.executable, "-c", f"{crash}import sys\nsys.argv = ['customs-lake', 'fsckk']\n{START}"]
    done = subprocess.run(given, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 4 and "Did you mean fsck?" in done.stderr
