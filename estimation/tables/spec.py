"""What a result table is: columns, each a sample, an outcome, a resilience measure, regressors, instruments, options.

Made from parsed TOML (conf/tables), so a table is data. The decision worth knowing: a fault of a whole file (unknown
key, impossible option) stops at reading with the allowed values, while a fault that only the data shows (a sample
that is empty, instruments that vanish) belongs to its column, which says so while the others are estimated. All faults of
all files are found together, one a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from estimation.dynamic_panel.spec import Distribution, check_option
from estimation.errors import SpecificationError
from estimation.stata.conditions import check_condition

Rule = Literal["all", "size", "region", "trim", "where"]
SizeClasses = Literal["base_year", "moving"]
Trim = Literal["first_year", "cities", "rows"]
Cut = Literal["row", "both_periods", "before_lags"]
Scaling = Literal["panel", "sample"]
Destinations = Literal["panel", "economies", "codes"]
TimeEffects = Literal["level", "difference", "both", "none"]
RESILIENCE = "@resilience"
Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
#: Words for columns of the panel in `where` and `cluster`.
PANEL_WORDS = {"city": "city_name", "province": "province_code"}
CITY_NAMES = ("", "city", "city_id", "city_name")
# the former name of what a restriction on the row itself is
Controls = Literal["exogenous", "exogenous_changes", "predetermined", "endogenous"]
_FORMER_CUTS = {"after_lags": "row"}


class TableSpecError(SpecificationError):
    """A result table's file contradicts itself, misses a key or holds one that is not known."""


@dataclass(frozen=True, slots=True)
class SampleRule:
    """Which city-years a column is about.

    Attributes
    ----------
    name : str
    rule : {'all', 'size', 'region', 'trim', 'where'}
    classes : tuple of str
        Size or region classes.
    by : str
        Variable of `trim` and `where`.
    below_percentile, above_percentile : float
        Cut off by `trim`, strictly below and above.
    at_least, at_most : float or None
        Bounds of rule `where`, both inclusive.
    where : str
        A condition in Stata's words that a row must meet as well: ``year >= 2004 & city_name != "北京市"``.
    title, title_zh : str
    """

    name: str
    rule: Rule = "all"
    classes: tuple[str, ...] = ()
    by: str = ""
    below_percentile: float = 0.0
    above_percentile: float = 100.0
    at_least: float | None = None
    at_most: float | None = None
    title: str = ""
    title_zh: str = ""
    where: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", _condition(self.where, f"sample {self.name}.where"))
        check_option(self.rule, Rule, f"sample {self.name}.rule")
        object.__setattr__(self, "classes", tuple(self.classes))
        if self.rule in ("size", "region") and not self.classes:
            raise TableSpecError(f"sample {self.name}: rule {self.rule!r} needs `classes`, such as [\"east\"].")
        if self.rule in ("trim", "where") and not self.by:
            raise TableSpecError(f"sample {self.name}: rule {self.rule!r} needs `by`, the variable that is judged.")
        if not 0 <= self.below_percentile < self.above_percentile <= 100:
            raise TableSpecError(
                f"sample {self.name}: expected 0 <= below_percentile < above_percentile <= 100, found "
                f"{self.below_percentile} and {self.above_percentile}."
            )


@dataclass(frozen=True, slots=True)
class Options:
    """How a column is estimated and its sample cut; conf/tables/model.toml says what each value means."""

    time_effects: TimeEffects = "level"
    lags: tuple[int, int | None] = (2, 4)
    core_lags: tuple[int, int | None] | None = None
    controls: Controls = "exogenous"
    collapse: bool = True
    transform: Literal["fd", "fod"] = "fd"
    steps: Literal[1, 2] = 2
    errors: Literal["windmeijer", "robust", "unadjusted"] = "windmeijer"
    size_standard: str = "1989"
    size_classes: SizeClasses = "base_year"
    size_measure: str = "lnAgg"
    region_classes: str = "region_11_8_12"
    trim: Trim = "first_year"
    cut: Cut = "row"
    scaling: Scaling = "panel"
    distribution: Distribution = "normal"
    destinations: Destinations = "panel"
    # column whose values group the cities for standard errors; empty: each city alone
    cluster: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "lags", _lag_range(self.lags, "options.lags"))
        if self.core_lags is not None:
            object.__setattr__(self, "core_lags", _lag_range(self.core_lags, "options.core_lags"))
        object.__setattr__(self, "cut", _FORMER_CUTS.get(str(self.cut), self.cut))
        for name, alias in (
            ("time_effects", TimeEffects), ("transform", Literal["fd", "fod"]), ("steps", Literal[1, 2]),
            ("errors", Literal["windmeijer", "robust", "unadjusted"]), ("size_classes", SizeClasses), ("trim", Trim),
            ("cut", Cut), ("controls", Controls), ("scaling", Scaling), ("distribution", Distribution),
            ("destinations", Destinations), ("collapse", Literal[True, False]),
        ):
            check_option(getattr(self, name), alias, f"options.{name}")
        if not isinstance(self.cluster, str):
            raise TableSpecError(f'options.cluster: expected a column such as "province_code", found {self.cluster!r}.')

    @property
    def lags_of_core(self) -> tuple[int, int | None]:
        """Lags of the core regressors used as instruments: ``core_lags``, or those of the outcome."""
        return self.lags if self.core_lags is None else self.core_lags


def _lag_range(given: Sequence[Any], where: str) -> tuple[int, int | None]:
    """Read ``[first, last]``, where the last may be "all"."""
    is_pair = isinstance(given, list | tuple) and len(given) == 2
    first, last = given if is_pair else (None, None)
    if not isinstance(first, int) or not (last in (0, "all", None) or isinstance(last, int)):
        raise TableSpecError(f'{where}: expected [first, last] or [first, "all"], found {given!r}.')
    return first, None if last in (0, "all") else last


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result table.

    Attributes
    ----------
    table : str
        Name of the table's file.
    position : int
        From 1.
    dependent, resilience : str
    sample : SampleRule
    endogenous, predetermined, exogenous, external_instruments : tuple of str
        Variables; products are written ``lnAgg*lnPro``.
    dependent_lags : int
    options : Options
    resilience_sign : int
        -1 when a high value of the measure means little resilience (unemployment).
    fixed_controls : tuple of str
        Those of ``exogenous`` that never change or change once (distance, zones): they instrument themselves under every
        choice of ``options.controls``.
    """

    table: str
    position: int
    dependent: str
    resilience: str
    sample: SampleRule
    endogenous: tuple[str, ...]
    predetermined: tuple[str, ...]
    exogenous: tuple[str, ...]
    external_instruments: tuple[str, ...]
    dependent_lags: int
    options: Options
    resilience_sign: int = 1
    fixed_controls: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``col1``."""
        return f"col{self.position}"

    @property
    def regressors(self) -> tuple[str, ...]:
        """Right-hand side without lags of the outcome, in the order of the paper."""
        return (*self.endogenous, *self.predetermined, *self.exogenous)

    @property
    def variables(self) -> tuple[str, ...]:
        """Every variable the column needs from the panel."""
        return (self.dependent, *self.regressors, *self.external_instruments)

    @property
    def cluster(self) -> str:
        """Column that groups the cities for standard errors, empty where each city stands alone."""
        return "" if self.options.cluster in CITY_NAMES else PANEL_WORDS.get(self.options.cluster, self.options.cluster)

    def replaced(self, **options: Any) -> Column:
        """Return the same column under other options."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        current = {item.name: getattr(self.options, item.name) for item in fields(self.options)}
        return Column(**values | {"options": Options(**current | options)})


@dataclass(frozen=True, slots=True)
class ResultTable:
    """A result table before any data.

    Attributes
    ----------
    name : str
        Name of its file, ``table1``.
    number : int
        Number in print; user tables may take any that is free.
    title, title_zh : str
    columns : tuple of Column
    profile : str
        Profile its options came from.
    labels : mapping
        Variable to its label in English and in Chinese.
    extra : str
        File with columns of the user's own (`estimation.tables.extra`), empty where there are none.
    """

    name: str
    number: int
    title: str
    title_zh: str
    columns: tuple[Column, ...]
    profile: str
    content: Mapping[str, Any] = field(default_factory=dict, compare=False)
    labels: Mapping[str, tuple[str, str]] = field(default_factory=dict, hash=False)
    extra: str = ""

    def label(self, term: str, language: Language = "en") -> str:
        """Return a term as printed, a product by the labels of its factors."""
        place = LANGUAGES.index(language)
        if term in self.labels:
            return self.labels[term][place]
        factors = term.split("*")
        if len(factors) == 1 or not set(factors) & set(self.labels):
            return term
        return " × ".join(self.label(factor, language) for factor in factors)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for hashes and JSON."""
        return {
            "name": self.name, "profile": self.profile, "columns": [asdict(column) for column in self.columns],
            "labels": dict(self.labels), "extra": Path(self.extra).name,
        }


def parse_tables(
    shared: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]], *, profile: str = "defensible"
) -> tuple[ResultTable, ...]:
    """Return the tables of one profile in order of their numbers.

    Parameters
    ----------
    shared : mapping
        Parsed ``model.toml``.
    tables : mapping
        File name without ending to its parsed content.
    profile : str
        Section of ``[options]``.

    Raises
    ------
    TableSpecError
        With every fault of every file, one a line: the file, the key and what is allowed.
    """
    profiles = shared.get("options", {})
    if profile not in profiles:
        raise TableSpecError(f"profile: expected one of {', '.join(profiles)}; found {profile!r}.")
    faults: list[str] = []
    parsed = []
    for name, content in tables.items():
        with _gathered(faults):
            parsed.append(_table(name, content, shared, profile))
    _stop_at(faults)
    numbers = [table.number for table in parsed]
    repeated = sorted({number for number in numbers if numbers.count(number) > 1})
    if repeated:
        raise TableSpecError(f"result tables: the numbers {repeated} are used twice; give each table its own.")
    return tuple(sorted(parsed, key=lambda table: table.number))


def select_tables(tables: Sequence[ResultTable], wanted: str) -> tuple[ResultTable, ...]:
    """Return the tables named in ``all`` or ``1,4`` or ``table1,mine``."""
    if wanted.strip().lower() in ("", "all"):
        return tuple(tables)
    by_name = {table.name: table for table in tables} | {str(table.number): table for table in tables}
    parts = [part.strip() for part in wanted.split(",") if part.strip()]
    unknown = [part for part in parts if part not in by_name]
    if unknown:
        known = ", ".join(f"{table.number} ({table.name})" for table in tables)
        raise TableSpecError(f"tables: found {', '.join(unknown)}; expected all, or some of {known}.")
    return tuple(dict.fromkeys(by_name[part] for part in parts))


_MODEL_KEYS = (
    "dependent_lags", "resilience", "endogenous", "predetermined", "exogenous", "external_instruments",
    "reversed_measures", "fixed_controls",
)
_LISTS = ("endogenous", "predetermined", "exogenous", "external_instruments", "reversed_measures", "fixed_controls")
_TABLE_KEYS = (
    "number", "title", "title_zh", "where", "cluster", "model", "samples", "options", "panel", "labels", "column",
)
_COLUMN_KEYS = ("sample", "dependent", "where", "cluster", "options", *_MODEL_KEYS)
_PANEL_KEYS = ("extra",)


def _table(name: str, content: Mapping[str, Any], shared: Mapping[str, Any], profile: str) -> ResultTable:
    faults: list[str] = []
    with _gathered(faults):
        _known(content, _TABLE_KEYS, name)
    with _gathered(faults):
        _numbered(content, name)
    model = {**shared.get("model", {}), **_section(content, "model", name, faults)}
    with _gathered(faults):
        _known(model, _MODEL_KEYS, f"{name} [model]")
    samples = {}
    for key, value in {**shared.get("samples", {}), **_section(content, "samples", name, faults)}.items():
        with _gathered(faults):
            samples[key] = _dataclass(SampleRule, {"name": key, **value}, f"{name} sample {key}")
    own = _options_of(_section(content, "options", name, faults), profile)
    with _gathered(faults):
        _dataclass(Options, own, f"{name} options")
    # a fault of the table's options is one fault, not one of each column
    own = {} if faults else {**own, **_cluster_of(content)}
    columns = []
    for position, entry in enumerate(_listed_columns(content), start=1):
        with _gathered(faults):
            where = f"{name} column {position}"
            entry = {**entry, "where": _both(content.get("where", ""), entry.get("where", ""), where)}
            options = {**shared["options"][profile], **own}
            columns.append(_column(name, position, entry, model, samples, options, profile))
    labels: dict[str, tuple[str, str]] = {}
    with _gathered(faults):
        labels = _labels(_section(content, "labels", name, faults), name)
    panel = _section(content, "panel", name, faults)
    with _gathered(faults):
        _known(panel, _PANEL_KEYS, f"{name} [panel]")
    _stop_at(faults)
    title = content.get("title", name)
    return ResultTable(
        name, content["number"], title, content.get("title_zh", title), tuple(columns), profile, content, labels,
        str(panel.get("extra", "")),
    )


def _numbered(content: Mapping[str, Any], name: str) -> None:
    number = content.get("number")
    if not isinstance(number, int) or isinstance(number, bool) or not _listed_columns(content):
        raise TableSpecError(f"{name}: expected `number = N` and at least one [[column]].")


def _listed_columns(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the columns of a file; none where ``column`` is no list of sections."""
    found = content.get("column", [])
    return found if isinstance(found, list) and all(isinstance(one, Mapping) for one in found) else []


def _section(content: Mapping[str, Any], key: str, name: str, faults: list[str]) -> Mapping[str, Any]:
    found = content.get(key, {})
    if isinstance(found, Mapping):
        return found
    faults.append(f"{name}: expected a section [{key}], found {key} = {found!r}.")
    return {}


def _cluster_of(section: Mapping[str, Any]) -> dict[str, Any]:
    return {"cluster": section["cluster"]} if "cluster" in section else {}


def _condition(text: Any, where: str) -> str:
    """Return a condition with text in double quotes, which TOML users write in either.

    Raises
    ------
    TableSpecError
    """
    if not isinstance(text, str):
        raise TableSpecError(f"{where}: expected a condition such as 'year >= 2004', found {text!r}.")
    quoted = text if '"' in text else text.replace("'", '"')
    try:
        check_condition(quoted)
    except SpecificationError as error:
        raise TableSpecError(f"{where}: {error}") from error
    return quoted.strip()


def _both(first: Any, second: Any, where: str) -> str:
    """Return the condition that both conditions hold."""
    parts = [part for part in (_condition(first, f"{where} where"), _condition(second, f"{where} where")) if part]
    return parts[0] if len(parts) == 1 else " & ".join(f"({part})" for part in parts)


def _labels(section: Mapping[str, Any], name: str) -> dict[str, tuple[str, str]]:
    """Read ``x = "English"``, ``x = ["English", "中文"]`` or ``x = { en = "English", zh = "中文" }``."""
    labels = {}
    for term, given in section.items():
        pair = [given.get("en", term), given.get("zh", given.get("en", term))] if isinstance(given, Mapping) else given
        pair = [pair, pair] if isinstance(pair, str) else pair
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(one, str) and one for one in pair):
            raise TableSpecError(f'{name} [labels] {term}: expected "text" or ["English", "中文"], found {given!r}.')
        labels[term] = (pair[0], pair[1])
    return labels


def _options_of(section: Mapping[str, Any], profile: str) -> dict[str, Any]:
    """Options a file states for all profiles (plain keys) and for one (a sub-table of its name)."""
    plain = {key: value for key, value in section.items() if not isinstance(value, Mapping)}
    return {**plain, **section.get(profile, {})}


def _column(
    table: str, position: int, entry: Mapping[str, Any], model: Mapping[str, Any], samples: Mapping[str, SampleRule],
    options: Mapping[str, Any], profile: str,
) -> Column:
    where = f"{table} column {position}"
    faults: list[str] = []
    with _gathered(faults):
        _known(entry, _COLUMN_KEYS, where)
    if not isinstance(entry.get("dependent"), str):
        faults.append(f"{where}: expected `dependent = \"lnvalue\"` or another outcome of the panel.")
    sample = entry.get("sample", "full")
    if sample not in samples:
        faults.append(f"{where}: sample {sample!r} is not defined; there are {', '.join(samples)}.")
    merged = {**model, **{key: entry[key] for key in _MODEL_KEYS if key in entry}}
    resilience = merged.get("resilience", "lnRes")
    faults += [
        f'{where}: {key}: expected a list such as ["lnfdi", "lnrd"], found {merged[key]!r}.'
        for key in _LISTS if key in merged and not _is_list_of_text(merged[key])
    ]
    if not isinstance(resilience, str):
        faults.append(f"{where}: resilience: expected a variable of the panel, found {resilience!r}.")
    own = None
    with _gathered(faults):
        stated = {**_options_of(entry.get("options", {}), profile), **_cluster_of(entry)}
        own = _dataclass(Options, {**options, **stated}, f"{where} options")
    lags = merged.get("dependent_lags", 1)
    if not isinstance(lags, int) or lags < 0:
        faults.append(f"{where}: dependent_lags must be a whole number from 0 on, found {lags!r}.")
    _stop_at(faults)
    assert own is not None  # a fault of the options has stopped above

    def listed(key: str) -> tuple[str, ...]:
        return tuple(item.replace(RESILIENCE, resilience) for item in merged.get(key, ()))

    rule = samples[sample]
    return Column(
        table, position, entry["dependent"], resilience, replace(rule, where=_both(rule.where, entry["where"], where)),
        listed("endogenous"), listed("predetermined"), listed("exogenous"), listed("external_instruments"), lags, own,
        -1 if resilience in merged.get("reversed_measures", ()) else 1, listed("fixed_controls"),
    )


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _known(section: Mapping[str, Any], allowed: Sequence[str], where: str) -> None:
    unknown = sorted(set(section) - set(allowed))
    if unknown:
        raise TableSpecError(f"{where}: unknown {', '.join(unknown)}; expected {', '.join(dict.fromkeys(allowed))}.")


def _dataclass(kind: type, values: Mapping[str, Any], where: str) -> Any:
    _known(values, [item.name for item in fields(kind)], where)
    faults: list[str] = []
    if kind is Options:
        # each value by itself, so that two wrong ones are two faults
        for key, value in values.items():
            with _gathered(faults, where):
                kind(**{key: value})
    _stop_at(faults)
    made = None
    with _gathered(faults, where):
        made = kind(**values)
    _stop_at(faults)
    return made


@contextmanager
def _gathered(faults: list[str], where: str = "") -> Iterator[None]:
    """Add the faults that are found inside to a list, one a line."""
    try:
        yield
    except (SpecificationError, TypeError) as error:
        faults += [f"{where}: {line}" if where else line for line in str(error).splitlines()]


def _stop_at(faults: Sequence[str]) -> None:
    """Raise the gathered faults, each once."""
    if faults:
        raise TableSpecError("\n".join(dict.fromkeys(faults)))
