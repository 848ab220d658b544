"""How strong the tests are: plant one small fault at a time in a copy of the tree and see whether a test notices.

    python tests/tools/plant_faults.py --tests tests/estimation --modules estimation/dynamic_panel --number 60 --out FAULTS

A fault is an operator exchanged for its neighbour, a number moved by one, a condition negated, ``and`` for ``or``. Places
are drawn among the lines that the tests reach (what none reaches, coverage shows already), the same for the same seed.
Each fault meets the tests that reach its line, all that need no Java. FAULTS gets a line of JSON for each; one whose
``noticed`` is false survived. What is planted in an annotation, a message or an import would say nothing and is left out.
``--again FAULTS`` plants the survivors of a file again, and lets them meet all tests named: for tests written since, or of
another room.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from coverage import CoverageData

ROOT = Path(__file__).resolve().parents[2]
PURE = "not spark and not lake and not cluster"
EXCHANGED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In,  # codespell:ignore notin
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.MatMult: ast.Add,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.USub: ast.UAdd,
}
#: Whatever a test takes without the fault; a loop without end takes longer.
SECONDS = 300


@dataclass(frozen=True, slots=True)
class Fault:
    """One place in a module, and what is done to it.

    Attributes
    ----------
    module : str
        Path below the root.
    line, number : int
        Of the line, and of the node in the order in which ``ast.walk`` comes to it.
    before : str
        The expression without the fault.
    after : str
        With it.
    """

    module: str
    line: int
    number: int
    before: str
    after: str


def places(source: str) -> Iterator[tuple[int, ast.AST]]:
    """Nodes of a module in which a fault can be planted, with their number."""
    tree = ast.parse(source)
    spoken = {id(inner) for node in ast.walk(tree) for part in _without_effect(node) for inner in ast.walk(part)}
    for number, node in enumerate(ast.walk(tree)):
        if id(node) not in spoken and _can_be_changed(node):
            yield number, node


def _without_effect(node: ast.AST) -> list[ast.AST]:
    """Parts of a node in which a fault would change words or types only."""
    if isinstance(node, (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom)):
        return [node]
    if isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation is not None:
        return [node.annotation]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns is not None:
        return [node.returns]
    if isinstance(node, ast.If) and any(name in ast.dump(node.test) for name in ("TYPE_CHECKING", "__package__", "__name__")):
        return [node]
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("info", "warning", "debug"):
        return [node]
    # dataclass(frozen=True, slots=True) and keywords of that kind
    return [node.value] if isinstance(node, ast.keyword) and node.arg in ("frozen", "slots", "strict", "stacklevel") else []


def _can_be_changed(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        return len(node.ops) == 1 and type(node.ops[0]) in EXCHANGED
    if isinstance(node, ast.BinOp):
        is_text = isinstance(node.left, ast.Constant) and isinstance(node.left.value, str)
        return type(node.op) in EXCHANGED and not is_text
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float, bool)
    return isinstance(node, (ast.BoolOp, ast.If, ast.IfExp, ast.While)) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not))
    )


def changed(source: str, number: int) -> tuple[str, str, str]:
    """The module with the fault; the expression before and after."""
    tree = ast.parse(source)
    node = list(ast.walk(tree))[number]
    shown = getattr(node, "test", node)
    before = ast.unparse(shown)
    if isinstance(node, (ast.If, ast.IfExp, ast.While)):
        node.test = ast.UnaryOp(ast.Not(), node.test)
        shown = node.test
    elif isinstance(node, ast.Compare):
        node.ops = [EXCHANGED[type(node.ops[0])]()]  # type: ignore[list-item]  # an operator of the same kind
    elif isinstance(node, (ast.BinOp, ast.BoolOp)):
        node.op = EXCHANGED[type(node.op)]()  # type: ignore[assignment]  # as above
    elif isinstance(node, ast.UnaryOp):
        node.op, node.operand = (
            (ast.UAdd(), node.operand) if isinstance(node.op, ast.USub)
            else (ast.Not(), ast.UnaryOp(ast.Not(), node.operand))
        )
    elif isinstance(node, ast.Constant):
        node.value = not node.value if isinstance(node.value, bool) else node.value + 1  # type: ignore[operator]  # a number
    ast.fix_missing_locations(tree)
    return ast.unparse(tree), before, ast.unparse(shown)


class Copy:
    """A copy of the tree whose tests run with this interpreter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout
        for name in listed.splitlines():
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        if (ROOT / ".cache").is_dir():
            (folder / ".cache").symlink_to(ROOT / ".cache")

    def pytest(self, *arguments: str) -> tuple[int | None, str]:
        """Exit code and output of pytest; None after SECONDS without an end."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", PURE, *arguments]
        environment = os.environ | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                command, cwd=self.folder, env=environment, capture_output=True, text=True,
                timeout=None if "--cov" in arguments else SECONDS, check=False,
            )
        except subprocess.TimeoutExpired:
            return None, ""
        return done.returncode, done.stdout + done.stderr

    def reached(self, tests: Sequence[str]) -> CoverageData:
        """Lines that each test reaches.

        Raises
        ------
        SystemExit
            If a test fails without any fault.
        """
        code, printed = self.pytest("--cov", "--cov-context=test", "--cov-report=", "--cov-fail-under=0", *tests)
        if code:
            sys.exit(f"the tests fail without a fault:\n{printed[-2000:]}")
        data = CoverageData(str(self.folder / ".coverage"))
        data.read()
        return data


def reaching(data: CoverageData, path: Path) -> dict[int, set[str]]:
    """Tests that reach each line; for lines that run on import, all that reach the module."""
    by_line = data.contexts_by_lineno(str(path))
    named = {line: {one.split("|")[0] for one in found if one} for line, found in by_line.items()}
    everyone = set().union(*named.values()) if named else set()
    return {line: found or everyone for line, found in named.items() if found or everyone}


def drawn(copy: Copy, data: CoverageData, modules: Sequence[str], number: int, seed: int) -> list[tuple[Fault, set[str]]]:
    """Places drawn by chance, with the tests of each."""
    found = []
    for module in modules:
        root = copy.folder / module
        for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
            source, tests = path.read_text("utf-8"), reaching(data, path)
            for place, node in places(source):
                line = getattr(getattr(node, "test", node), "lineno", 0)
                if line in tests:
                    found.append((path, line, place, tests[line]))
    random.Random(seed).shuffle(found)
    result = []
    for path, line, place, tests in found[:number]:
        _, before, after = changed(path.read_text("utf-8"), place)
        result.append((Fault(path.relative_to(copy.folder).as_posix(), line, place, before, after), tests))
    return result


def survivors(copy: Copy, found: Path, tests: Sequence[str]) -> list[tuple[Fault, set[str]]]:
    """Faults of a file that no test noticed, wherever their lines are now, with the tests they are to meet.

    Raises
    ------
    SystemExit
        If a test fails without any fault.
    """
    code, output = copy.pytest(*tests)
    if code:
        sys.exit(f"the tests fail without a fault:\n{output[-2000:]}")
    result = []
    for row in map(json.loads, found.read_text("utf-8").splitlines()):
        if row["noticed"]:
            continue
        source = (copy.folder / row["module"]).read_text("utf-8")
        same = [
            (abs(getattr(node, "lineno", 0) - row["line"]), number)
            for number, node in places(source) if changed(source, number)[1:] == (row["before"], row["after"])
        ]
        if same:
            line = row["line"]
            result.append((Fault(row["module"], line, min(same)[1], row["before"], row["after"]), set(tests)))
    return result


def is_noticed(copy: Copy, fault: Fault, tests: set[str]) -> bool:
    """Whether a test fails, or never ends, with the fault planted."""
    path = copy.folder / fault.module
    source = path.read_text("utf-8")
    chosen = copy.folder / ".chosen"
    chosen.write_text("\n".join(sorted(tests)), "utf-8")
    try:
        path.write_text(changed(source, fault.number)[0], "utf-8")
        code, _ = copy.pytest("-x", f"@{chosen}")
    finally:
        path.write_text(source, "utf-8")
    return code != 0


def main() -> None:
    """Draw, plant, test, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", nargs="+", required=True, help="files or folders of tests")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--modules", nargs="+", help="files or folders in which faults are planted")
    what.add_argument("--again", type=Path, metavar="FAULTS", help="plant the survivors of this file again")
    parser.add_argument("--number", type=int, default=50, help="faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="a file of JSON lines, added to")
    arguments = parser.parse_args()
    counts: Counter[bool] = Counter()
    with tempfile.TemporaryDirectory(prefix="planted-") as folder, arguments.out.open("a", encoding="utf-8") as out:
        copy = Copy(Path(folder))
        if arguments.again:
            found = survivors(copy, arguments.again, arguments.tests)
        else:
            found = drawn(copy, copy.reached(arguments.tests), arguments.modules, arguments.number, arguments.seed)
        for fault, tests in found:
            start = time.monotonic()
            noticed = is_noticed(copy, fault, tests)
            counts[noticed] += 1
            row = asdict(fault) | {
                "noticed": noticed, "n_tests": len(tests), "seconds": round(time.monotonic() - start, 1),
                "seed": arguments.seed,
            }
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            out.flush()
    print(f"{sum(counts.values())} faults, {counts[True]} noticed, {counts[False]} survived: {arguments.out}")


if __name__ == "__main__":
    main()
