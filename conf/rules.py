"""Cleaning rules as data: read ``conf/rules/*.toml`` into an ordered, validated list."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib import resources

RULE_CLASSES = ("existence", "format", "reference", "consistency", "credibility", "scope")


class RuleError(ValueError):
    """Raised when a rule file repeats a name, misses a key or uses an unknown class."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One cleaning rule.

    Attributes
    ----------
    name : str
        Reason written to the quarantine.
    rule_class : str
        existence, format, reference, consistency, credibility or scope.
    when : str
        SQL condition, true for a record to refuse: Spark SQL for firms, and for declarations what Polars understands of it.
    why : str
        The sentence a reader of the quarantine needs.
    final : bool
        Later rules are not asked of records this one refuses.
    optional : bool
        The setting ``quality.rules_off`` may switch the rule off: what it refuses can be counted without it.
    """

    name: str
    rule_class: str
    when: str
    why: str
    final: bool = False
    optional: bool = False


@cache
def load_rules(source: str = "declaration") -> tuple[Rule, ...]:
    """Return the ordered rules of one source.

    Raises
    ------
    RuleError
        If a rule is incomplete, repeated or of an unknown class.
    """
    text = (resources.files("conf") / "rules" / f"{source}.toml").read_text("utf-8")
    return parse_rules(text, source)


def rules_in_force(rules_off: Collection[str]) -> tuple[Rule, ...]:
    """Return the rules for declarations without those that are switched off.

    Raises
    ------
    RuleError
        If a name is no rule, or that of a rule without which records could not be counted.
    """
    rules = load_rules()
    may_be_off = [rule.name for rule in rules if rule.optional]
    if wrong := [name for name in rules_off if name not in may_be_off]:
        raise RuleError(f"rules_off: expected some of {', '.join(may_be_off)}; found {', '.join(map(repr, wrong))}.")
    return tuple(rule for rule in rules if rule.name not in rules_off)


def parse_rules(text: str, source: str) -> tuple[Rule, ...]:
    """Parse the TOML text of a rule file; the errors name the rule."""
    rules: list[Rule] = []
    for number, entry in enumerate(tomllib.loads(text).get("rule", []), start=1):
        missing = {"name", "class", "when", "why"} - set(entry)
        unknown = set(entry) - {"name", "class", "when", "why", "final", "optional"}
        if missing or unknown:
            raise RuleError(f"{source} rule {number}: missing {sorted(missing)}, unknown {sorted(unknown)}.")
        if entry["class"] not in RULE_CLASSES:
            raise RuleError(f"{source} rule {entry['name']}: class must be one of {', '.join(RULE_CLASSES)}.")
        if entry["name"] in {rule.name for rule in rules}:
            raise RuleError(f"{source} rule {entry['name']}: the name is used twice.")
        marks = entry.get("final", False), entry.get("optional", False)
        rules.append(Rule(entry["name"], entry["class"], entry["when"], entry["why"], *marks))
    return tuple(rules)
