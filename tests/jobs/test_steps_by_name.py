"""Steps are found by their names: what a run, a repair and an erasure load, and what one submits for it."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from jobs import count, pipeline
from jobs.commands.main import run_command
from jobs.core.errors import EXIT_DONE, EXIT_REFUSED
from jobs.runtime.command_line.catalogue import commands, parse, work_of
from jobs.runtime.command_line.making import STEPS
from jobs.runtime.context import Outcome


@pytest.mark.parametrize("name", STEPS)
def test_every_step_of_a_run_is_a_command_with_a_run_of_its_own(name):
    assert callable(work_of(name).run) and work_of(name).__name__ == commands()[name].module


@pytest.mark.parametrize(
    ("options", "jobs"), [([], ["count"]), (["--indicators"], ["count", "indicators"])], ids=["counts", "both"]
)
def test_count_computes_the_indicators_where_they_are_asked_for(options, jobs, monkeypatch, tmp_path):
    found = []

    def record(name, run, context):
        assert run is work_of(name).run
        found.append(name)
        return Outcome(name)

    monkeypatch.setattr(count, "open_context", lambda arguments, **_: nullcontext())
    monkeypatch.setattr(count, "run_job", record)
    assert count.run_command(parse("count", [ "--lake", str(tmp_path), *options])) == EXIT_DONE
    assert found == jobs


@pytest.mark.parametrize("entry", [pipeline.main, lambda argv: run_command(["run", *argv])], ids=["submitted", "typed"])
def test_a_check_of_the_cluster_asks_for_all_at_once_and_builds_nothing(entry, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(pipeline, "examine_cluster", lambda arguments: asked.append(arguments) or EXIT_REFUSED)
    monkeypatch.setattr(pipeline, "_run", lambda *_: pytest.fail("a step was run"))
    line = ["--raw", str(tmp_path / "nothing"), "--lake", str(tmp_path / "lake"), "--check-cluster"]
    assert entry(line) == EXIT_REFUSED and len(asked) == 1
    assert not (tmp_path / "lake").exists()
    assert entry(line[:-1]) == EXIT_REFUSED and len(asked) == 1, "without the option the folder that is missing is refused"
