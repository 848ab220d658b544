"""One Spark session for the whole suite; pure tests run first, processes of their own last."""

from __future__ import annotations

import pytest

import jobs  # noqa: F401  (sets one BLAS thread before NumPy loads: small matrices on a busy machine are seven times faster)
from conf.settings import load_settings

# panels with known truth that tests of several rooms share
pytest_plugins = [
    f"tests.fixtures.{name}" for name in ("firms", "lakes", "studies", "standalone", "hadoop")
]

_ORDER = {"spark": 1, "lake": 2, "cluster": 3}


@pytest.hookimpl(tryfirst=True)  # before -m deselects
def pytest_collection_modifyitems(items):
    """Cheap evidence first: no JVM, then frames, then Delta tables, then processes; whoever asks for a session is marked."""
    for item in items:
        if {"spark", "lake"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("spark")

    def rank(item):
        return max((_ORDER.get(mark.name, 0) for mark in item.iter_markers()), default=0)

    items.sort(key=rank)


@pytest.fixture(scope="session")
def settings():
    """The settings of the test profile, without the developer's environment."""
    return load_settings(profile="test", environment={})


@pytest.fixture(scope="session")
def spark(settings):
    """The suite's one session (two cores, two shuffle partitions; jobs/runtime/session.py says why for each setting)."""
    from jobs.runtime.session import build_session

    session = build_session(settings, app="customs-lake-tests")
    yield session
    session.stop()
