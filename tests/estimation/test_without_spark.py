"""What an installation without Spark can do, and how it says what it cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = "import sys; sys.modules.update(dict.fromkeys(['pyspark', 'delta', 'py4j', 'duckdb', 'deltalake']));"


def _run(code):
    return subprocess.run([sys.executable, "-c", WITHOUT + code], capture_output=True, text=True, cwd=ROOT, check=False)


def test_the_command_of_the_lake_says_what_to_install():
    start = "import sys; sys.argv = ['customs-lake', *{words}]; from jobs.commands.start import main; raise SystemExit(main())"
    done = _run(start.format(words=["clean", "--help"]))
    assert done.returncode == 0 and "usage: customs-lake clean" in done.stdout
    done = _run(start.format(words=["clean", "--lake", "LAKE"]))
    assert done.returncode == 3 and done.stdout == ""
    assert "pip install 'customs-lake[spark]'" in done.stderr and "Traceback" not in done.stderr

