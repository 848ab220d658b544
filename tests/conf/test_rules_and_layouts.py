"""Rules and layouts are data: every file in conf parses, and a broken one is refused by name."""

from __future__ import annotations

import pytest

from conf.layouts import LayoutError, load_layouts, match_layout, nearest_layout, parse_layout
from conf.rules import RuleError, load_rules, parse_rules


def test_every_rule_has_its_sentence_and_the_list_ends_for_imports():
    rules = load_rules()
    assert len({rule.name for rule in rules}) == len(rules)
    assert [rule.name for rule in rules if rule.final] == ["row_malformed", "import"]
    assert all(len(rule.why) > 10 for rule in rules)


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


def test_every_layout_recognises_its_own_first_spellings_and_no_other_does():
    for layout in load_layouts():
        headings = [aliases[0] for aliases in layout.columns.values()]
        assert match_layout(headings) == layout
        assert [other.name for other in load_layouts() if other.fits(headings)] == [layout.name]


def test_two_spellings_of_one_heading_give_two_positions():
    layout = next(item for item in load_layouts() if item.name == "monthly_english")
    headings = [*(aliases[0] for aliases in layout.columns.values()), "companytype"]
    assert len(layout.assign(headings)["firm_type"]) == 2


def test_nearest_layout_names_what_is_missing():
    layout = next(item for item in load_layouts() if item.name == "yearly_underscore")
    headings = [aliases[0] for name, aliases in layout.columns.items() if name != "value"]
    assert match_layout(headings) is None
    assert nearest_layout(headings) == (layout, ["_金额"])


def test_layout_with_an_unknown_column_is_refused():
    entry = {
        "name": "x", "description": "x", "period": "month", "encodings": ["utf-8"], "required": ["flow"],
        "columns": {"flow": ["f"], "colour": ["c"]},
    }
    with pytest.raises(LayoutError, match=r"unknown columns \['colour'\]"):
        parse_layout(entry, "x.toml")
