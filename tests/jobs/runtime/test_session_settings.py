"""Settings of a session that depend on where it runs, or hold for a while only."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from jobs.runtime import session


class _Conf(dict):
    def set(self, key, value):
        self[key] = value


def test_small_queries_are_interpreted_and_the_next_are_compiled_again():
    spark = SimpleNamespace(conf=_Conf({"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "FALLBACK"}))
    before = dict(spark.conf)
    with pytest.raises(KeyError), session.interpreted(spark):
        assert spark.conf == session.INTERPRETED_CONFS
        raise KeyError
    assert spark.conf == before


def test_executors_elsewhere_are_sent_the_jars_and_here_they_are_on_the_class_path(monkeypatch):
    monkeypatch.setattr(session, "jar_paths", lambda: ["/j/a.jar", "/j/b.jar"])
    assert session._delta_jars("local[2]") == {"spark.driver.extraClassPath": "/j/a.jar:/j/b.jar"}
    assert session._delta_jars("spark://h:7077") == {"spark.jars": "/j/a.jar,/j/b.jar"}
