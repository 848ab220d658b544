"""What a result table is: columns, each a sample, an outcome, a resilience measure, regressors, instruments, options.

Made from parsed TOML (conf/tables), so a table is data. The decision worth knowing: a fault of a whole file (unknown
key, impossible option) stops at reading with the allowed values, while a fault that only the data shows (a variable that
is not in the panel, an empty sample) belongs to its column, which says so while the others are estimated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from estimation.dynamic_panel.spec import Distribution, check_option
from estimation.errors import SpecificationError

Rule = Literal["all", "size", "region", "trim", "where"]
SizeClasses = Literal["base_year", "moving"]
Trim = Literal["first_year", "cities", "rows"]
Cut = Literal["row", "both_periods", "before_lags"]
Scaling = Literal["panel", "sample"]
Destinations = Literal["panel", "economies", "codes"]
TimeEffects = Literal["level", "difference", "both", "none"]
RESILIENCE = "@resilience"
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
        Bounds of `where`, both inclusive.
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

    def __post_init__(self) -> None:
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

    @property
    def lags_of_core(self) -> tuple[int, int | None]:
        """Lags of the core regressors used as instruments: ``core_lags``, or those of the outcome."""
        return self.lags if self.core_lags is None else self.core_lags


def _lag_range(given: Sequence[Any], where: str) -> tuple[int, int | None]:
    """Read ``[first, last]``, where the last may be "all"."""
    first, last = given if len(given) == 2 else (None, None)
    if not isinstance(first, int) or not (last in (0, "all", None) or isinstance(last, int)):
        raise TableSpecError(f'{where}: expected [first, last] or [first, "all"], found {list(given)!r}.')
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
    """

    name: str
    number: int
    title: str
    title_zh: str
    columns: tuple[Column, ...]
    profile: str
    content: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for hashes and JSON."""
        return {"name": self.name, "profile": self.profile, "columns": [asdict(column) for column in self.columns]}


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
        With the file, the key and what is allowed.
    """
    profiles = shared.get("options", {})
    if profile not in profiles:
        raise TableSpecError(f"profile: expected one of {', '.join(profiles)}; found {profile!r}.")
    parsed = [_table(name, content, shared, profile) for name, content in tables.items()]
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
_TABLE_KEYS = ("number", "title", "title_zh", "model", "samples", "options", "column")
_COLUMN_KEYS = ("sample", "dependent", "resilience", "options", *_MODEL_KEYS)


def _table(name: str, content: Mapping[str, Any], shared: Mapping[str, Any], profile: str) -> ResultTable:
    _known(content, _TABLE_KEYS, name)
    if not isinstance(content.get("number"), int) or not content.get("column"):
        raise TableSpecError(f"{name}: expected `number = N` and at least one [[column]].")
    model = {**shared.get("model", {}), **content.get("model", {})}
    _known(model, _MODEL_KEYS, f"{name} [model]")
    samples = {
        key: _dataclass(SampleRule, {"name": key, **value}, f"{name} sample {key}")
        for key, value in {**shared.get("samples", {}), **content.get("samples", {})}.items()
    }
    options = {**shared["options"][profile], **_options_of(content.get("options", {}), profile)}
    columns = tuple(
        _column(name, position, entry, model, samples, options, profile)
        for position, entry in enumerate(content["column"], start=1)
    )
    title = content.get("title", name)
    return ResultTable(name, content["number"], title, content.get("title_zh", title), columns, profile, content)


def _options_of(section: Mapping[str, Any], profile: str) -> dict[str, Any]:
    """Options a file states for all profiles (plain keys) and for one (a sub-table of its name)."""
    plain = {key: value for key, value in section.items() if not isinstance(value, Mapping)}
    return {**plain, **section.get(profile, {})}


def _column(
    table: str, position: int, entry: Mapping[str, Any], model: Mapping[str, Any], samples: Mapping[str, SampleRule],
    options: Mapping[str, Any], profile: str,
) -> Column:
    where = f"{table} column {position}"
    _known(entry, _COLUMN_KEYS, where)
    if "dependent" not in entry:
        raise TableSpecError(f"{where}: expected `dependent = \"lnvalue\"` or another outcome of the panel.")
    sample = entry.get("sample", "full")
    if sample not in samples:
        raise TableSpecError(f"{where}: sample {sample!r} is not defined; there are {', '.join(samples)}.")
    merged = {**model, **{key: entry[key] for key in _MODEL_KEYS if key in entry}}
    resilience = merged.get("resilience", "lnRes")

    def listed(key: str) -> tuple[str, ...]:
        return tuple(item.replace(RESILIENCE, resilience) for item in merged.get(key, ()))

    own = _dataclass(Options, {**options, **_options_of(entry.get("options", {}), profile)}, f"{where} options")
    lags = merged.get("dependent_lags", 1)
    if not isinstance(lags, int) or lags < 0:
        raise TableSpecError(f"{where}: dependent_lags must be a whole number from 0 on, found {lags!r}.")
    return Column(
        table, position, entry["dependent"], resilience, samples[sample], listed("endogenous"),
        listed("predetermined"), listed("exogenous"), listed("external_instruments"), lags, own,
        -1 if resilience in merged.get("reversed_measures", ()) else 1, listed("fixed_controls"),
    )


def _known(section: Mapping[str, Any], allowed: Sequence[str], where: str) -> None:
    unknown = sorted(set(section) - set(allowed))
    if unknown:
        raise TableSpecError(f"{where}: unknown {', '.join(unknown)}; expected {', '.join(dict.fromkeys(allowed))}.")


def _dataclass(kind: type, values: Mapping[str, Any], where: str) -> Any:
    _known(values, [item.name for item in fields(kind)], where)
    try:
        return kind(**values)
    except SpecificationError as error:
        raise TableSpecError(f"{where}: {error}") from error
