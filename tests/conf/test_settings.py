"""Settings: order of the sources, origins, and what is refused."""

from __future__ import annotations

import pytest

from conf.settings import SettingsError, load_settings


def test_later_sources_win_and_each_value_knows_its_origin(tmp_path):
    user = tmp_path / "mine.toml"
    user.write_text('[count]\nproducts = "family"\n[study]\nlast_year = 2009\n', encoding="utf-8")
    settings = load_settings(
        profile="paper",
        config_file=user,
        environment={"CUSTOMS_LAKE__STUDY__LAST_YEAR": "2010", "OTHER": "x"},
        overrides=["study.first_year=2004", "places.fallbacks=place_text,address"],
    )
    assert (settings.study.first_year, settings.study.last_year) == (2004, 2010)
    assert settings.count.products == "family"
    assert settings.count.destinations == "codes"
    assert settings.places.fallbacks == ("place_text", "address")
    assert settings.origins["count.products"] == str(user)
    assert settings.origins["count.destinations"] == "profile paper"
    assert settings.origins["study.last_year"] == "environment CUSTOMS_LAKE__STUDY__LAST_YEAR"
    assert settings.origins["study.first_year"] == "--set"
    assert settings.origins["count.base_revision"] == "conf/default.toml"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("study.frist_year=2003", "unknown key study.frist_year; expected one of first_year, last_year"),
        ("stduy.first_year=2003", r"unknown section \[stduy\]"),
        ("study.first_year=early", "expected int; found 'early'"),
        ("study.first_year=2015", "expected 2000 <= first_year <= last_year <= 2030; found 2015-2011"),
        ("count.products=hs8", "expected one of raw, converted, family; found 'hs8'"),
        ("places.evidence_order=guess", "found 'guess'"),
        ("study", "expected section.key=value; found 'study'"),
    ],
)
def test_wrong_override_is_refused_with_what_is_allowed(override, message):
    with pytest.raises(SettingsError, match=message):
        load_settings(overrides=[override], environment={})


def test_wrong_type_and_broken_file_are_refused(tmp_path):
    user = tmp_path / "mine.toml"
    user.write_text('[study]\nfirst_year = "2003"\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="study.first_year: expected int; found '2003'"):
        load_settings(config_file=user, environment={})
    user.write_text("[study\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="not valid TOML"):
        load_settings(config_file=user, environment={})
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(config_file=tmp_path / "none.toml", environment={})
    with pytest.raises(SettingsError, match="profile: expected one of"):
        load_settings(profile="fast", environment={})


def test_hash_follows_results_and_not_the_machine():
    base = load_settings(environment={}).sha256()
    assert load_settings(environment={}, overrides=["spark.driver_memory=8g"]).sha256() == base
    assert load_settings(environment={}, overrides=["count.products=family"]).sha256() != base


@pytest.mark.parametrize("name", ["spark.hadoop.fs.s3a.secret.key", "spark.hadoop.fs.s3a.access.key", "spark.ssl.keyPassword"])
def test_secret_among_the_settings_is_refused_and_not_repeated(name):
    with pytest.raises(SettingsError, match=f"spark.extra: {name} looks like a secret.*environment only") as caught:
        load_settings(environment={}, overrides=[f"spark.extra={name}:hunter2"])
    assert "hunter2" not in str(caught.value)
    provider = "spark.hadoop.fs.s3a.aws.credentials.provider:org.example.Provider"
    assert load_settings(environment={}, overrides=[f"spark.extra={provider}"]).spark.extra
