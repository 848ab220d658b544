"""Indicators of exporters and of the variety of exports: the firm cube, trade mix, dynamics, margins and diversity.

Names and formulas follow the World Bank's Exporter Dynamics Database [1]_, Bernard et al. (2009) for the margins [2]_,
Hummels and Klenow (2005) [3]_ and Cadot, Carrère and Strauss-Kahn (2011) for diversification [4]_. A value that needs a
year which the lake does not hold is null, never zero.

References
----------
.. [1] Cebeci, Fernandes, Freund and Pierola (2012), "Exporter Dynamics Database", World Bank.
.. [2] Bernard, Jensen, Redding and Schott (2009), "The Margins of US Trade", American Economic Review 99(2).
.. [3] Hummels and Klenow (2005), "The Variety and Quality of a Nation's Exports", American Economic Review 95(3).
.. [4] Cadot, Carrère and Strauss-Kahn (2011), "Export Diversification: What's behind the Hump?", REStat 93(2).
"""

from __future__ import annotations

from schemas.fields import MONEY_TYPE, define, fields
from schemas.table import Table

#: First year after which a series is not what it was before, and why.
SERIES_BREAKS = {
    2002: "hs_revision", 2004: "trading_rights", 2007: "hs_revision_and_yearly_rows", 2012: "hs_revision",
    2017: "hs_revision", 2022: "hs_revision",
}
POPULATIONS = ("all", "producers")
BORDERS = ("year", "constant")
DIMENSIONS = (
    "regime", "ownership", "intermediary_ahn", "intermediary_lu", "intermediary_crowley", "hs_section", "partner_region",
)
#: Why nobody can tell a trading company by its name.
NAME_REASONS = ("no_name_delivered", "names_left_out")
OVER = ("product", "destination", "firm", "pair")
#: Partner of the rows of ``gold.city_margins`` that are over all partners.
ALL_PARTNERS = "ALL"
STATES = {
    "exporter": "exporters", "entrant": "entrants (exports in the year, not in the one before)",
    "exiter": "exiters (exports in the year before, not in the year; their value is of the year before)",
    "surviving_entrant": "surviving entrants (entrants that export in the year after, too)",
    "incumbent": "incumbents (exports in the year and in the one before)",
}
STATISTICS = {"mean": "mean", "median": "median", "sd": "standard deviation", "p25": "lower quartile", "p75": "upper quartile"}
SHORT_STATISTICS = ("mean", "median", "sd")
MOVING = {"incumbent": "incumbents, from the year before", "surviving_entrant": "surviving entrants, to the year after"}
THINGS = {"product": "products (HS families)", "destination": "destinations"}

# --- the firm cube --------------------------------------------------------------------------------------------------
define("n_firm_pairs", "bigint", "Product (HS family) x destination pairs of the firm", unit="pairs")
for _name in ("ordinary", "processing"):
    define(f"share_{_name}", "double", f"Share of value under {_name} trade", unit="share")
for _name in ("state", "foreign", "collective", "private"):
    define(f"share_{_name}", "double", f"Share of value in records of {_name} firms", unit="share")
define(
    "firm_ownership", "string", "Ownership that most of the firm's value is under; by its code where records do not say",
    allowed=("foreign", "state", "collective", "private", "other", "unknown"),
)
for _name, _source in {
    "ahn": "Ahn, Khandelwal and Wei (2011)", "lu": "Lu (firm exports 2000-2011)", "crowley": "Crowley, Meng and Song (2018)"
}.items():
    define(
        f"is_intermediary_{_name}", "boolean",
        f"Trading company by the words of {_source} in most of its records' names; null without a name",
    )
define(
    "intermediary_reason", "string", "Why it is not known whether the firm is an intermediary; null where it is known",
    allowed=NAME_REASONS,
)
define("first_year", "int", "First year of the lake in which the firm exports from the city", unit="year")
define("last_year", "int", "Last year of the lake in which the firm exports from the city", unit="year")
define("exports_before", "boolean", "The firm exports from the city in the year before; null where the lake lacks that year")
define("exports_after", "boolean", "The firm exports from the city in the year after; null where the lake lacks that year")
for _thing, _plural in THINGS.items():
    for _suffix, _meaning in {
        "new": "that the firm did not export in the year before",
        "kept": "that are new, and that the firm exports in the year after, too",
        "dropped": "of the year before that the firm exports no more",
        "new_after": "of the year after that the firm does not export yet",
        "after": "of the year after",
    }.items():
        define(f"n_{_thing}s_{_suffix}", "bigint", f"{_plural.capitalize()} {_meaning}", unit=f"{_thing}s")
    define(f"value_new_{_thing}s_usd", MONEY_TYPE, f"Value of the new {_plural}", unit="US dollars")
    define(
        f"value_new_{_thing}s_after_usd", MONEY_TYPE, f"Value, in the year after, of {_plural} new then", unit="US dollars"
    )
define("value_before_usd", MONEY_TYPE, "Value of the year before, nominal", unit="US dollars")
define("value_after_usd", MONEY_TYPE, "Value of the year after, nominal", unit="US dollars")

_CHANGES = tuple(
    name
    for thing in THINGS
    for name in (
        f"n_{thing}s_new", f"n_{thing}s_kept", f"n_{thing}s_dropped", f"n_{thing}s_new_after", f"n_{thing}s_after",
        f"value_new_{thing}s_usd", f"value_new_{thing}s_after_usd",
    )
)
_LONG_MEMORY = {
    "delta.logRetentionDuration": "interval 3650 days", "delta.deletedFileRetentionDuration": "interval 365 days",
}
_NEIGHBOURS = "What compares years is null where the lake lacks the other year: the first and last year, and beside a gap."
_PART_YEARS = "Entrants' first and exiters' last year are part years."
CITY_FIRM = Table(
    name="gold.city_firm",
    made_by=("indicators",),
    made_from=("silver.declaration",),
    fields=fields(
        "year!", "city_id!", "firm_id!", "value_usd!", "n_records!", "n_products!", "n_products_family!", "n_destinations!",
        "n_firm_pairs!", "share_ordinary!", "share_processing!", "share_state!", "share_foreign!", "share_collective!",
        "share_private!", "firm_ownership!", "is_intermediary_ahn", "is_intermediary_lu", "is_intermediary_crowley",
        "intermediary_reason", "first_year!", "last_year!", "exports_before", "exports_after", "value_before_usd",
        "value_after_usd", *_CHANGES,
    ),
    key=("year", "city_id", "firm_id"),
    partition_by=("year",),
    description="One row per year, city and firm (its customs code): value, variety, ownership, and what it adds and drops.",
    checks={
        "value_usd_positive": "value_usd > 0", "n_records_positive": "n_records > 0",
        "span_holds_the_year": "first_year <= year AND year <= last_year",
    },
    caveats=(
        "A firm with a new customs code looks like an exit and an entry.",
        "Records without a firm's code are in no row.",
        "first_year and last_year are those of the lake: its own first and last year say nothing of entry and exit.",
        "Products that are new, kept or dropped are HS families, comparable over revisions; n_products are six-digit codes.",
        _NEIGHBOURS,
    ),
    properties={"delta.dataSkippingStatsColumns": "city_id,firm_id,value_usd"},
)

# --- trade mix ------------------------------------------------------------------------------------------------------
define("dimension", "string", "What the value is split by", allowed=DIMENSIONS)
define("member", "string", "Canonical code of the part, the same over all vintages; unknown where records do not say")
define("share_value", "double", "Share of the city's value in the year", unit="share")
define("member_reason", "string", "Why the member is unknown", allowed=(*NAME_REASONS, "not_readable"))
TRADE_MIX = Table(
    name="gold.trade_mix",
    made_by=("indicators",),
    made_from=("silver.declaration",),
    fields=fields("year!", "city_id!", "dimension!", "member!", "value_usd!", "n_firms!", "share_value!", "member_reason"),
    key=("year", "city_id", "dimension", "member"),
    partition_by=("year",),
    description="One row per year, city, dimension and member: value, firms, share; members sum to the city.",
    checks={"value_usd_positive": "value_usd > 0", "share_range": "share_value > 0 AND share_value <= 1.000001"},
    caveats=(
        "A firm counts in every member it exports under: firms of the members do not sum to the city's.",
        "intermediary members: producer, intermediary, unknown (a firm without a name, or without a code).",
        "Regions of partners are those of customs' partner codes; no_destination is China itself and unknown partners.",
    ),
    properties=_LONG_MEMORY,
)

# --- dynamics -------------------------------------------------------------------------------------------------------
define(
    "population", "string", "Firms counted: all, or producers (no trading companies by the words of Ahn et al.)",
    allowed=POPULATIONS,
)
define(
    "borders", "string", "Districts of each year, or constant: also what the city's districts have taken in by the last year",
    allowed=BORDERS,
)
define("borders_year", "int", "Year whose districts the constant borders are; null for borders of the year", unit="year")
define(
    "series_break", "string", "Why the year is not comparable with the one before",
    allowed=tuple(dict.fromkeys(SERIES_BREAKS.values())),
)
define("population_reason", "string", "Why the population is not known", allowed=NAME_REASONS)
define("n_entrants", "bigint", "Firms that export in the year and not in the one before", unit="firms")
define("n_exiters", "bigint", "Firms that export in the year before and not in the year", unit="firms")
define("n_surviving_entrants", "bigint", "Entrants that export in the year after, too", unit="firms")
define("n_incumbents", "bigint", "Firms that export in the year and in the one before", unit="firms")
define("n_entrants_new", "bigint", "Entrants that exported from nowhere in the year before", unit="firms")
define("n_entrants_moved_in", "bigint", "Entrants that exported from another place in the year before", unit="firms")
define(
    "n_entrants_annexed", "bigint",
    "Entrants that exported in the year before from a county or county-level city that has become a district", unit="firms",
)
for _name, _what in {
    "new": "new exporters", "moved_in": "firms that moved in", "annexed": "firms whose county became a district"
}.items():
    define(f"entry_rate_{_name}", "double", f"Entrants of the year that are {_what}, over its firms", unit="share")
define("entry_rate", "double", "Entrants over firms of the year (EDD 057)", unit="share")
define("exit_rate", "double", "Exiters over firms of the year before (EDD 058)", unit="share")
for _ahead in (1, 2, 3):
    define(
        f"survival_{_ahead}", "double",
        f"Share of the year's entrants that export {_ahead} year{'s' * (_ahead > 1)} later, whatever in between (EDD 059-062)",
        unit="share",
    )
define("share_value_entrants", "double", "Share of entrants in value (EDD 060)", unit="share")
for _state, _meaning in STATES.items():
    for _statistic, _word in STATISTICS.items():
        define(f"value_{_state}_{_statistic}_usd", "double", f"Export value of {_meaning}: {_word}", unit="US dollars")
for _state, _meaning in MOVING.items():
    for _statistic, _word in STATISTICS.items():
        define(f"growth_{_state}_{_statistic}", "double", f"Log growth of value of {_meaning}: {_word}", unit="log points")
define("herfindahl_firms", "double", "Herfindahl index of exporters (EDD 041)")
for _part in (1, 5, 25):
    define(
        f"share_value_top_{_part}pct", "double", f"Share in value of the largest {_part} % of firms, rounded up",
        unit="share",
    )
for _name, _meaning in {
    "products_per_firm": "HS families per firm", "destinations_per_firm": "Destinations per firm",
    "firms_per_product": "Firms per HS family that the city exports",
    "firms_per_destination": "Firms per destination of the city",
}.items():
    for _statistic in SHORT_STATISTICS:
        define(f"{_name}_{_statistic}", "double", f"{_meaning}: {STATISTICS[_statistic]}")
for _thing, _plural in THINGS.items():
    for _state, _meaning in MOVING.items():
        for _statistic in SHORT_STATISTICS:
            define(
                f"{_thing}_entry_{_state}_{_statistic}", "double",
                f"Share of {_plural} that are new, firm by firm, of {_meaning}: {STATISTICS[_statistic]}", unit="share",
            )
            define(
                f"share_value_new_{_thing}s_{_state}_{_statistic}", "double",
                f"Share of new {_plural} in the firm's value, of {_meaning}: {STATISTICS[_statistic]}", unit="share",
            )
    for _statistic in SHORT_STATISTICS:
        define(
            f"{_thing}_exit_incumbent_{_statistic}", "double",
            f"Share of the {_plural} of the year before that incumbents export no more: {STATISTICS[_statistic]}",
            unit="share",
        )
        define(
            f"{_thing}_survival_incumbent_{_statistic}", "double",
            f"Share of the new {_plural} that the firm exports in the year after, of firms that export in all three years:"
            f" {STATISTICS[_statistic]}", unit="share",
        )
#: Measures of dynamics that need firms and their value only: those of constant borders as well.
FIRM_MEASURES = (
    "n_firms", "n_entrants", "n_exiters", "n_surviving_entrants", "n_incumbents", "n_entrants_new", "n_entrants_moved_in",
    "n_entrants_annexed", "entry_rate", "exit_rate", "entry_rate_new", "entry_rate_moved_in", "entry_rate_annexed",
    "survival_1", "survival_2", "survival_3", "share_value_entrants",
    *(f"value_{state}_{statistic}_usd" for state in STATES for statistic in STATISTICS),
    *(f"growth_{state}_{statistic}" for state in MOVING for statistic in STATISTICS),
    "herfindahl_firms", "share_value_top_1pct", "share_value_top_5pct", "share_value_top_25pct",
)
#: Measures that need the products and destinations of each firm: of the borders of the year only.
VARIETY_MEASURES = (
    *(
        f"{name}_{statistic}"
        for name in ("products_per_firm", "destinations_per_firm", "firms_per_product", "firms_per_destination")
        for statistic in SHORT_STATISTICS
    ),
    *(
        f"{name}_{statistic}"
        for thing in THINGS
        for name in (
            *(f"{thing}_entry_{state}" for state in MOVING), *(f"share_value_new_{thing}s_{state}" for state in MOVING),
            f"{thing}_exit_incumbent", f"{thing}_survival_incumbent",
        )
        for statistic in SHORT_STATISTICS
    ),
)
CITY_DYNAMICS = Table(
    name="gold.city_dynamics",
    made_by=("indicators",),
    made_from=("gold.city_firm", "gold.city_diversity", "silver.quarantine"),
    fields=fields(
        "year!", "city_id!", "population!", "borders!", "borders_year", "series_break", "population_reason",
        *FIRM_MEASURES, *VARIETY_MEASURES,
    ),
    key=("year", "city_id", "population", "borders"),
    partition_by=("year",),
    description="One row per year, city, population of firms and borders: the indicators of the Exporter Dynamics Database.",
    checks={
        "entrants_and_incumbents": "n_firms IS NULL OR n_entrants IS NULL OR n_firms = n_entrants + n_incumbents",
        "causes_of_entry": "n_entrants_new IS NULL OR n_entrants = n_entrants_new + n_entrants_moved_in + n_entrants_annexed",
    },
    caveats=(
        _NEIGHBOURS, _PART_YEARS,
        "When a county becomes a district its old firms look like entrants: entry is split by cause, and borders = constant"
        " counts them in all years.",
        "Trading rights were freed in mid-2004: producers that exported through trading companies appear as entrants until"
        " then; population = producers leaves the trading companies out.",
        "From 2006 to 2007 records by month give way to yearly rows and HS 2002 to HS 2007 (series_break).",
        "population = producers is null, with the reason, where no firm of the year has a name.",
        "Growth is the difference of logs; survival does not ask for exports in the years in between.",
    ),
    properties=_LONG_MEMORY,
)

# --- margins --------------------------------------------------------------------------------------------------------
define("destination", "string", f"Destination economy, ISO 3166 alpha-3; {ALL_PARTNERS} for the city as a whole")
define("n_firm_products", "bigint", "Firm x HS six-digit product cells with trade (o)", unit="cells")
define("density", "double", "Firm x product cells with trade over all that could be: D = o / (F P)", unit="share")
define("value_per_cell_usd", "double", "Value per firm x product cell: the intensive margin", unit="US dollars")
define("value_change_usd", MONEY_TYPE, "Value less that of the year before; the sum of the six terms", unit="US dollars")
for _name, _meaning in {
    "entrants": "Value of firms that did not export there in the year before",
    "exiters": "Minus the former value of firms that export there no more",
    "added": "Value of product-destinations that continuing firms added",
    "dropped": "Minus the former value of product-destinations that continuing firms dropped",
    "grown": "Growth of the continuing cells that grew", "shrunk": "Change of the continuing cells that shrank",
}.items():
    define(f"change_{_name}_usd", MONEY_TYPE, _meaning, unit="US dollars")
define(
    "hk_extensive", "double",
    "Extensive margin of Hummels and Klenow: the weight of the city's products in exports of China's other cities",
    unit="share",
)
define(
    "hk_intensive", "double", "Intensive margin: the city's value over the other cities' in the products it exports",
    unit="ratio",
)
CITY_MARGINS = Table(
    name="gold.city_margins",
    made_by=("indicators",),
    made_from=("silver.declaration", "gold.city_product_destination"),
    fields=fields(
        "year!", "city_id!", "destination!", "series_break", "value_usd!", "n_firms!", "n_products!", "n_firm_products!",
        "density", "value_per_cell_usd", "n_entrants", "n_exiters", "value_before_usd",
        "value_change_usd", "change_entrants_usd", "change_exiters_usd",
        "change_added_usd", "change_dropped_usd", "change_grown_usd", "change_shrunk_usd", "hk_extensive", "hk_intensive",
    ),
    key=("year", "city_id", "destination"),
    partition_by=("year",),
    description="One row per year, city and destination, and one for the city as a whole: level and growth, exactly.",
    checks={
        "growth_adds_up": "value_change_usd IS NULL OR value_change_usd = change_entrants_usd + change_exiters_usd"
        " + change_added_usd + change_dropped_usd + change_grown_usd + change_shrunk_usd",
    },
    caveats=(
        "value_usd = n_firms x n_products x density x value_per_cell_usd; records without a firm's code are left out of both.",
        "A firm enters or exits a destination in the rows by destination, and the city in the row of the whole.",
        "Growth is over cells of firm, HS family and destination; a destination left altogether has a row with n_firms 0.",
        "The reference of Hummels and Klenow is China's other cities, product (HS six digits) by destination; hk_extensive x"
        " hk_intensive is the city's value over theirs.",
        _NEIGHBOURS, _PART_YEARS,
    ),
    properties=_LONG_MEMORY,
)

# --- diversity ------------------------------------------------------------------------------------------------------
define(
    "over", "string", "What the value is spread over: HS families, destinations, firms, families x destinations", allowed=OVER
)
define("n_members", "bigint", "Members with trade (n)", unit="members")
define(
    "n_possible", "bigint", "Members that could have trade (N): the list of families, the partner economies; null for firms",
    unit="members",
)
define("herfindahl", "double", "Sum of squared shares")
define("herfindahl_normalised", "double", "(H - 1/n) / (1 - 1/n): 0 where all are equal; null where n is 1")
define("effective_number", "double", "1 / Herfindahl", unit="members")
define("entropy_number", "double", "exp(-sum s ln s)", unit="members")
define("theil", "double", "Theil index over the N that could have trade: within + between")
define("theil_within", "double", "Theil index among the n members with trade: the intensive part")
define("theil_between", "double", "ln(N / n): the extensive part")
for _count, _word in {1: "largest member", 5: "five largest members", 10: "ten largest members"}.items():
    define(f"share_value_largest_{_count}", "double", f"Share of the {_word} in value", unit="share")
for _name, _meaning in {
    "firms": "Firms", "producers": "Firms that are no trading companies by the words of Ahn et al.,"
}.items():
    for _statistic in SHORT_STATISTICS:
        define(
            f"{_name}_per_member_{_statistic}", "double",
            f"{_meaning} per product or destination that any of them exports: {STATISTICS[_statistic]}", unit="firms",
        )
DIVERSITY_MEASURES = (
    "n_members", "herfindahl", "herfindahl_normalised", "effective_number", "entropy_number", "theil", "theil_within",
    "theil_between", "share_value_largest_1", "share_value_largest_5", "share_value_largest_10",
)
CITY_DIVERSITY = Table(
    name="gold.city_diversity",
    made_by=("indicators",),
    made_from=("silver.declaration",),
    fields=fields(
        "year!", "city_id!", "over!", "series_break", "n_firms!", "n_possible", *DIVERSITY_MEASURES,
        *(f"{name}_per_member_{statistic}" for name in ("firms", "producers") for statistic in SHORT_STATISTICS),
    ),
    key=("year", "city_id", "over"),
    partition_by=("year",),
    description="One row per year, city and what value is spread over: concentration and diversification.",
    checks={
        "herfindahl_range": "herfindahl > 0 AND herfindahl <= 1.000001",
        "members_within_lines": "n_possible IS NULL OR n_members <= n_possible",
    },
    caveats=(
        "Products are HS families, so that n changes little with the revision; destinations leave China itself and unknown"
        " partners out.",
        "Among firms there is no list of those that could export: theil is within only.",
    ),
    properties=_LONG_MEMORY,
)

# --- by name in a result table ----------------------------------------------------------------------------------------
#: Suffix of a measure of dynamics in the panel, by population and borders.
DYNAMICS_SUFFIXES = {("all", "year"): "", ("producers", "year"): "_producers", ("all", "constant"): "_constant"}
#: Members of trade mix whose share of value is a variable: ``share_processing``, ``share_hs_section_XVI``.
MIX_MEMBERS = {
    "regime": ("ordinary", "processing"), "ownership": ("foreign", "state", "collective", "private"),
    "intermediary_ahn": ("intermediary",), "intermediary_lu": ("intermediary",), "intermediary_crowley": ("intermediary",),
    "hs_section": (
        "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV", "XV", "XVI", "XVII", "XVIII",
        "XIX", "XX", "XXI",
    ),
    "partner_region": ("asia", "africa", "europe", "latin_america", "north_america", "oceania"),
}
#: Margins of the city as a whole in logs: ``lnX = lnF + lnP + lnD + lnx``.
LOG_MARGINS = {
    "ln_margin_firms": "n_firms", "ln_margin_products": "n_products", "ln_margin_density": "density",
    "ln_margin_value": "value_per_cell_usd",
}


def mix_variable(dimension: str, member: str) -> str:
    """Name of a share of trade mix as a variable."""
    if dimension.startswith("intermediary"):
        return f"share_{dimension}"
    return f"share_{member}" if dimension in ("regime", "ownership") else f"share_{dimension}_{member}"


def measure_names() -> tuple[str, ...]:
    """Every measure of a city and year that a result table may name."""
    dynamics = [
        f"{name}{suffix}"
        for (_, borders), suffix in DYNAMICS_SUFFIXES.items()
        for name in (*FIRM_MEASURES, *(VARIETY_MEASURES if borders == "year" else ()))
    ]
    spread = [f"{name}_{over}" for over in OVER for name in DIVERSITY_MEASURES]
    mix = [mix_variable(dimension, member) for dimension, members in MIX_MEMBERS.items() for member in members]
    return (*dynamics, *spread, *mix, *LOG_MARGINS, "hk_extensive", "hk_intensive", *GROWTH_SHARES)


#: Terms of growth over the value of the year before.
GROWTH_SHARES = tuple(
    f"growth_from_{name}" for name in ("entrants", "exiters", "added", "dropped", "grown", "shrunk")
)
TABLES = (CITY_FIRM, TRADE_MIX, CITY_DYNAMICS, CITY_MARGINS, CITY_DIVERSITY)
