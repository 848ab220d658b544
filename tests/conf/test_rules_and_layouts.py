"""Rules and layouts are data: every file in conf parses, and a broken one is refused by name."""

from __future__ import annotations

import pytest

from conf.layouts import LayoutError, load_layouts, match_layout, nearest_layout, parse_layout, with_aliases
from conf.rules import RuleError, load_rules, parse_rules, rules_in_force
from conf.settings import SettingsError, load_settings


def test_every_rule_has_its_sentence_and_the_list_ends_for_imports():
    rules = load_rules()
    assert len({rule.name for rule in rules}) == len(rules)
    assert [rule.name for rule in rules if rule.final] == ["erased", "row_malformed", "import"]
    assert all(len(rule.why) > 10 for rule in rules)


def test_rule_is_switched_off_by_configuration_unless_its_records_could_not_be_counted():
    off = load_settings(environment={}, overrides=["quality.rules_off=county,postcode_missing"]).quality.rules_off
    assert {rule.name for rule in load_rules()} - {rule.name for rule in rules_in_force(off)} == {"county", "postcode_missing"}
    for name in ("value_missing", "no_such_rule"):
        with pytest.raises(SettingsError, match=rf"quality\.rules_off: expected some of undecodable, .*; found '{name}'"):
            load_settings(environment={}, overrides=[f"quality.rules_off={name}"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[rule]]\nname = "a"\nclass = "format"\nwhen = "x"', r"rule 1: missing \['why'\]"),
        ('[[rule]]\nname = "a"\nclass = "taste"\nwhen = "x"\nwhy = "y"', "rule a: class must be one of"),
        ('[[rule]]\nname = "a"\nclass = "scope"\nwhen = "x"\nwhy = "y"\n' * 2, "rule a: the name is used twice"),
    ],
)
def test_broken_rule_file_is_refused_by_name(text, message):
    with pytest.raises(RuleError, match=message):
        parse_rules(text, "declaration")


def test_every_layout_recognises_its_own_first_spellings():
    for layout in load_layouts():
        headings = [aliases[0] for aliases in layout.columns.values()]
        path = next(iter(layout.form.names), "") and "hg2004.dta"
        assert match_layout(headings, path=path or "2004.csv") == layout


def test_two_spellings_of_one_heading_give_two_positions():
    layout = next(item for item in load_layouts() if item.name == "monthly_english")
    headings = [*(aliases[0] for aliases in layout.columns.values()), "companytype"]
    assert len(layout.assign(headings)["firm_type"]) == 2


def test_nearest_layout_names_what_is_missing():
    layout = next(item for item in load_layouts() if item.name == "yearly_underscore")
    headings = [aliases[0] for name, aliases in layout.columns.items() if name != "value"]
    assert match_layout(headings) is None
    assert nearest_layout(headings) == (layout, ["_金额"])


SOUND = """name = "mine"
period = "month"
required = ["flow", "value"]
[columns]
flow = ["进出口"]
value = "金额"
[values.flow]
"2" = "出口"
[units]
value = 1000
"""


def test_a_layout_needs_little_and_says_what_it_says():
    layout = parse_layout(SOUND, "mine.toml")
    assert (layout.columns["value"], layout.values["flow"], layout.units) == (("金额",), {"2": "出口"}, {"value": 1000.0})
    assert layout.fits(["进 出 口", "金额（美元）"]) and not layout.fits(["进出口", "金额（千美元）"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[columns]", "[columns]\ncolour = 1"), r"x.toml, line 5: \[columns\] names the unknown column 'colour'"),
        (('"month"', '"week"'), "x.toml, line 2: period must be month or year; found 'week'"),
        (('["flow", "value"]', '["flow", "partner"]'), "x.toml, line 3: required column 'partner' has no headings"),
        (("value = 1000", 'value = "k"'), "x.toml, line 6: the unit of value must be a positive number"),
        (('"month"', '"month'), "x.toml: not valid TOML: .*line 2"),
        (('name = "mine"', ""), "x.toml, line 1: name is missing"),
        (('["进出口"]', "[1]"), "x.toml, line 5: the headings of flow must be texts"),
        (('period = "month"', 'periods = "month"'), "x.toml, line 2: unknown key 'periods'"),
        (("[units]", '[file]\nencoding = "gbx"\n[units]'), "line 10: 'gbx' is not the name of an encoding"),
        (('period =', 'name_pattern = "(\\\\d+)"\nperiod ='), "x.toml, line 2: name_pattern needs the group"),
        (("[units]", "[file]\nskip_lines = -1\n[units]"), "line 10: skip_lines must be a number of lines from 0 to 100"),
        (("[units]", '[from_name.flow]\n"(exp" = "出口"\n[units]'), "line 10: .* is not a regular expression"),
    ],
)
def test_a_fault_in_a_layout_is_a_sentence_with_file_and_line(change, message):
    with pytest.raises(LayoutError, match=message):
        parse_layout(SOUND.replace(*change), "x.toml")


def test_a_layout_of_the_users_takes_the_place_of_the_shipped_one(tmp_path, monkeypatch):
    (tmp_path / "a.toml").write_text(SOUND.replace("mine", "monthly_english"), "utf-8")
    monkeypatch.setenv("CUSTOMS_LAKE_LAYOUTS", str(tmp_path))
    load_layouts.cache_clear()
    try:
        mine = {layout.name: layout for layout in load_layouts()}["monthly_english"]
        assert mine.required == ("flow", "value")
        (tmp_path / "b.toml").write_text(SOUND.replace("mine", "monthly_english"), "utf-8")
        load_layouts.cache_clear()
        with pytest.raises(LayoutError, match="b.toml: the name 'monthly_english' is used twice"):
            load_layouts()
    finally:
        monkeypatch.undo()
        load_layouts.cache_clear()


def test_one_renamed_heading_needs_an_alias_only():
    layout = next(item for item in load_layouts() if item.name == "monthly_english")
    headings = ["usd" if name == "value" else aliases[0] for name, aliases in layout.columns.items()]
    assert match_layout(headings) is None
    assert match_layout(headings, with_aliases(load_layouts(), {"usd": "value"})).name == "monthly_english"
    with pytest.raises(LayoutError, match="unknown column 'worth'"):
        with_aliases(load_layouts(), {"usd": "worth"})
