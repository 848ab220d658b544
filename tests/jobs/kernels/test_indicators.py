"""Indicators of exporters against brute force on a small world, and against the identities of their definitions."""

from __future__ import annotations

import decimal
import math
import random
import statistics
from collections import defaultdict

import deltalake
import polars as pl
import pytest

from jobs.core.creation import first_entry
from jobs.core.direct import arrow_schema, write_rows
from jobs.kernels.indicators.batches import IndicatorPlan, aligned, indicator_batches, indicator_parts, table_rows
from jobs.kernels.indicators.cells import RECORD_INPUTS
from jobs.kernels.indicators.dynamics import constant_dynamics, dynamics
from jobs.kernels.indicators.margins import TERMS, hummels_klenow
from jobs.kernels.trade_codes import INTERMEDIARY_WORDS
from schemas.indicators import CITY_DIVERSITY, CITY_DYNAMICS, CITY_FIRM, CITY_MARGINS, TRADE_MIX
from tests.fixtures.trade_records import PLAN, POSSIBLE, REGIONS, YEARS, batches_of, trade_records

OUTSIDE_SCHEMA = {
    "city_id": pl.String, "year": pl.Int32, "firm_id": pl.String, "annexed_year": pl.Int32, "value_cents": pl.Int64,
    "is_intermediary_ahn": pl.Boolean,
}
# sums of doubles in another order
CLOSE = {"rel": 1e-12, "abs": 1e-12}


@pytest.fixture(scope="module")
def records() -> list[dict]:
    return trade_records()


@pytest.fixture(scope="module")
def parts(records) -> dict[str, pl.DataFrame]:
    return indicator_parts(batches_of(records), PLAN)


@pytest.fixture(scope="module")
def rows(parts) -> list[dict]:
    none = pl.DataFrame(schema=OUTSIDE_SCHEMA)
    return dynamics(parts["firms"], parts["diversity"], none, YEARS, known_years=YEARS).to_dicts()


def _values(records, city, year, *, of=lambda row: True):
    """Firm to cents."""
    found: dict[str, int] = defaultdict(int)
    for row in records:
        if row["city_id"] == city and row["year"] == year and row["firm_id"] and of(row):
            found[row["firm_id"]] += row["cents"]
    return dict(found)


def _held(records, city, year, thing):
    """Firm to what it exports of one kind of thing, with cents."""
    found: dict[str, dict] = defaultdict(lambda: defaultdict(int))
    for row in records:
        if row["city_id"] == city and row["year"] == year and row["firm_id"] and row[thing] is not None:
            found[row["firm_id"]][row[thing]] += row["cents"]
    return found


def _quantile(values, q):
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _described(values):
    if not values:
        return dict.fromkeys(("mean", "median", "sd", "p25", "p75"))
    return {
        "mean": statistics.fmean(values), "median": statistics.median(values),
        "sd": statistics.stdev(values) if len(values) > 1 else None, "p25": _quantile(values, 0.25),
        "p75": _quantile(values, 0.75),
    }


def _equal(found, wanted, what):
    assert found == (wanted if wanted is None else pytest.approx(wanted, **CLOSE)), what


def test_counts_rates_survival_and_values_of_every_state_equal_brute_force(records, rows):
    for row in [row for row in rows if row["population"] == "all"]:
        city, year = row["city_id"], row["year"]
        now, before, after = (_values(records, city, year + step) for step in (0, -1, 1))
        has_before, has_after = year - 1 in YEARS, year + 1 in YEARS
        entrants, exiters = set(now) - set(before), set(before) - set(now)
        stay, surviving = set(now) & set(before), (set(now) - set(before)) & set(after)
        assert row["n_firms"] == len(now)
        wanted = {
            "n_entrants": len(entrants), "n_exiters": len(exiters), "n_incumbents": len(stay),
            "entry_rate": len(entrants) / len(now), "exit_rate": len(exiters) / len(before) if before else None,
            "share_value_entrants": sum(now[firm] for firm in entrants) / sum(now.values()),
        }
        for name, value in wanted.items():
            _equal(row[name], value if has_before else None, (city, year, name))
        _equal(row["n_surviving_entrants"], len(surviving) if has_before and has_after else None, (city, year))
        for ahead in (1, 2, 3):
            alive = entrants & set(_values(records, city, year + ahead))
            known = has_before and year + ahead in YEARS and entrants
            _equal(row[f"survival_{ahead}"], len(alive) / len(entrants) if known else None, (city, year, ahead))
        of_state = {
            "exporter": [now[firm] for firm in now], "entrant": [now[firm] for firm in entrants] if has_before else [],
            "exiter": [before[firm] for firm in exiters] if has_before else [],
            "incumbent": [now[firm] for firm in stay] if has_before else [],
            "surviving_entrant": [now[firm] for firm in surviving] if has_before and has_after else [],
        }
        for state, values in of_state.items():
            for statistic, value in _described([cents / 100 for cents in values]).items():
                _equal(row[f"value_{state}_{statistic}_usd"], value, (city, year, state, statistic))
        growth = {
            "incumbent": [math.log(now[firm] / before[firm]) for firm in stay] if has_before else [],
            "surviving_entrant": [math.log(after[f] / now[f]) for f in surviving] if has_before and has_after else [],
        }
        for state, values in growth.items():
            for statistic, value in _described(values).items():
                _equal(row[f"growth_{state}_{statistic}"], value, (city, year, state, statistic))
        shares = sorted((value / sum(now.values()) for value in now.values()), reverse=True)
        _equal(row["herfindahl_firms"], sum(share**2 for share in shares), (city, year))
        for percent in (1, 5, 25):
            _equal(row[f"share_value_top_{percent}pct"], sum(shares[: math.ceil(percent * len(shares) / 100)]), (city, year))


def test_products_and_destinations_that_firms_add_keep_and_drop_equal_brute_force(records, rows):
    compared = 0
    for row in [row for row in rows if row["population"] == "all"]:
        city, year = row["city_id"], row["year"]
        total, total_after = _values(records, city, year), _values(records, city, year + 1)
        before_any, here, after_any = set(_values(records, city, year - 1)), set(total), set(total_after)
        for thing, column in (("product", "hs6_family"), ("destination", "partner")):
            now, before, after = (_held(records, city, year + step, column) for step in (0, -1, 1))
            stay = here & before_any if year - 1 in YEARS else set()
            surviving = (here & after_any) - before_any if {year - 1, year + 1} <= set(YEARS) else set()
            three = stay & after_any if year + 1 in YEARS else set()
            new = {firm: set(now[firm]) - set(before[firm]) for firm in here}
            wanted = {
                f"{thing}_entry_incumbent": [len(new[f]) / len(now[f]) for f in stay if now[f]],
                f"share_value_new_{thing}s_incumbent": [sum(now[f][p] for p in new[f]) / total[f] for f in stay],
                f"{thing}_exit_incumbent": [len(set(before[f]) - set(now[f])) / len(before[f]) for f in stay if before[f]],
                f"{thing}_survival_incumbent": [len(new[f] & set(after[f])) / len(new[f]) for f in three if new[f]],
                f"{thing}_entry_surviving_entrant": [
                    len(set(after[f]) - set(now[f])) / len(after[f]) for f in surviving if after[f]
                ],
                f"share_value_new_{thing}s_surviving_entrant": [
                    sum(after[f][p] for p in set(after[f]) - set(now[f])) / total_after[f] for f in surviving
                ],
                f"{thing}s_per_firm": [len(now[firm]) for firm in here],
            }
            exporters: dict[str, set] = defaultdict(set)
            for firm, held in now.items():
                for member in held:
                    exporters[member].add(firm)
            wanted[f"firms_per_{thing}"] = [len(firms) for firms in exporters.values()]
            for name, values in wanted.items():
                found = _described(values)
                compared += bool(values)
                for statistic in ("mean", "median", "sd"):
                    _equal(row[f"{name}_{statistic}"], found[statistic], (city, year, name, statistic))
    # every measure was there in some years, not only null on both sides
    assert compared > 100


def test_firms_are_entrants_and_incumbents_and_former_firms_are_exiters_and_incumbents(rows):
    former = {(row["city_id"], row["year"], row["population"]): row["n_firms"] for row in rows}
    checked = 0
    for row in rows:
        if row["n_entrants"] is None:
            assert row["year"] - 1 not in YEARS
            continue
        assert row["n_firms"] == row["n_entrants"] + row["n_incumbents"]
        assert row["n_entrants"] == row["n_entrants_new"] + row["n_entrants_moved_in"] + row["n_entrants_annexed"]
        if row["population"] == "all":
            assert former[row["city_id"], row["year"] - 1, "all"] == row["n_exiters"] + row["n_incumbents"]
            checked += 1
    assert checked >= 8


def test_edges_of_the_sample_and_both_sides_of_a_gap_are_null_never_zero(rows, parts):
    for row in rows:
        if row["year"] in (2002, 2007):
            assert all(row[name] is None for name in ("n_entrants", "n_exiters", "entry_rate", "product_entry_incumbent_mean"))
        if row["year"] in (2005, 2009):
            assert row["n_surviving_entrants"] is None and row["survival_1"] is None
    for row in parts["firms"].to_dicts():
        assert (row["exports_before"] is None) == (row["year"] - 1 not in YEARS)
        assert (row["exports_after"] is None) == (row["year"] + 1 not in YEARS)
        assert (row["n_products_new"] is None) == (not row["exports_before"])
    for row in parts["margins"].to_dicts():
        assert (row["value_change_cents"] is None) == (row["year"] - 1 not in YEARS)


def test_level_and_growth_of_the_margins_add_up_to_the_cent(records, parts):
    found = {(row["city_id"], row["year"], row["destination"]): row for row in parts["margins"].to_dicts()}
    for (city, year, destination), row in found.items():
        inside = (lambda r: True) if destination == "ALL" else (lambda r, d=destination: r["partner"] == d)
        now, before = (sum(_values(records, city, year + step, of=inside).values()) for step in (0, -1))
        assert row["value_cents"] == now
        if row["n_firms"]:
            product = row["n_firms"] * row["n_products"] * row["density"] * row["value_per_cell_usd"]
            assert product == pytest.approx(now / 100, rel=1e-12)
        if year - 1 in YEARS:
            assert row["value_before_cents"] == before
            assert row["value_change_cents"] == now - before == sum(row[f"change_{term}_cents"] for term in TERMS)
            assert row["change_exiters_cents"] <= 0 <= row["change_entrants_cents"]
    entrants = {key: row["change_entrants_cents"] for key, row in found.items() if key[2] == "ALL"}
    for (city, year, _), cents in entrants.items():
        if cents is not None:
            new = set(_values(records, city, year)) - set(_values(records, city, year - 1))
            assert cents == sum(_values(records, city, year)[firm] for firm in new)


def test_hummels_klenow_margins_multiply_to_the_share_of_the_other_cities():
    cube = pl.DataFrame({
        "city_id": ["A", "A", "A", "B", "B", "B"], "year": [2003] * 6, "hs6_code": ["1", "2", "1", "1", "2", "3"],
        "partner": ["USA", "USA", "JPN", "USA", "USA", "USA"], "cents": [100, 50, 30, 40, 10, 150],
    })
    found = {(row["city_id"], row["destination"]): row for row in hummels_klenow(cube).to_dicts()}
    # in the United States B exports 200, of which 50 in the two products that A exports, of which A exports 150
    assert found["A", "USA"]["hk_extensive"] == pytest.approx(50 / 200)
    assert found["A", "USA"]["hk_intensive"] == pytest.approx(150 / 50)
    # nobody else exports to Japan
    assert found["A", "JPN"]["hk_extensive"] is None and found["A", "JPN"]["hk_intensive"] is None
    assert found["B", "USA"]["hk_extensive"] == pytest.approx(1.0)
    for city, own, others in (("A", 180, 200), ("B", 200, 180)):
        row = found[city, "ALL"]
        assert row["hk_extensive"] * row["hk_intensive"] == pytest.approx(own / others)


def test_diversity_equals_its_formulas_and_theil_is_within_and_between(records, parts):
    columns = {"product": ["hs6_family"], "destination": ["partner"], "firm": ["firm_id"], "pair": ["hs6_family", "partner"]}
    for row in parts["diversity"].to_dicts():
        held: dict[tuple, int] = defaultdict(int)
        for record in records:
            key = tuple(record[name] for name in columns[row["over"]])
            if record["city_id"] == row["city_id"] and record["year"] == row["year"] and None not in key:
                held[key] += record["cents"]
        shares = sorted((value / sum(held.values()) for value in held.values()), reverse=True)
        n, possible = len(shares), POSSIBLE.get(row["over"])
        herfindahl = sum(share**2 for share in shares)
        entropy = -sum(share * math.log(share) for share in shares)
        within = sum(share * math.log(n * share) for share in shares)
        assert row["n_members"] == n and row["n_possible"] == possible
        assert row["herfindahl"] == pytest.approx(herfindahl, rel=1e-12)
        assert row["herfindahl_normalised"] == pytest.approx((herfindahl - 1 / n) / (1 - 1 / n), abs=1e-12)
        assert row["effective_number"] == pytest.approx(1 / herfindahl)
        assert row["entropy_number"] == pytest.approx(math.exp(entropy))
        assert row["theil_within"] == pytest.approx(within, abs=1e-12)
        if possible is None:
            assert row["theil_between"] is None and row["theil"] == row["theil_within"]
        else:
            lines = [*shares, *[0.0] * (possible - n)]
            mean = 1 / possible
            theil = sum(share / mean * math.log(share / mean) for share in lines if share) / possible
            assert row["theil"] == pytest.approx(theil, abs=1e-12)
            assert row["theil_between"] == pytest.approx(math.log(possible / n))
        for count in (1, 5, 10):
            assert row[f"share_value_largest_{count}"] == pytest.approx(sum(shares[:count]))


def test_members_of_every_dimension_sum_to_the_city_and_firms_are_counted_exactly(records, parts):
    mix = parts["mix"]
    totals = mix.group_by("city_id", "year", "dimension").agg(pl.col("value_cents").sum(), pl.col("share_value").sum())
    for row in totals.to_dicts():
        cents = sum(r["cents"] for r in records if (r["city_id"], r["year"]) == (row["city_id"], row["year"]))
        assert row["value_cents"] == cents and row["share_value"] == pytest.approx(1)
    processing = {"0615", "14", "来料加工装配贸易"}
    for row in mix.filter((pl.col("dimension") == "regime") & (pl.col("member") == "processing")).to_dicts():
        here = [r for r in records if (r["city_id"], r["year"]) == (row["city_id"], row["year"])]
        chosen = [r for r in here if r["trade_regime"] in processing]
        assert row["value_cents"] == sum(r["cents"] for r in chosen)
        assert row["n_firms"] == len({r["firm_id"] for r in chosen if r["firm_id"]})
    assert set(mix.filter(pl.col("dimension") == "partner_region")["member"]) == {*REGIONS.values(), "no_destination"}
    assert set(mix.filter(pl.col("dimension") == "hs_section")["member"]) == {"I", "V", "XI", "XVI", "XX"}


def test_a_trading_company_is_told_by_three_rules_and_a_firm_without_a_name_is_unknown_not_false(records, parts):
    names = {row["firm_id"]: row["firm_name"] for row in records if row["firm_id"]}
    told = set()
    for row in parts["firms"].to_dicts():
        name = names[row["firm_id"]]
        for rule, words in INTERMEDIARY_WORDS.items():
            wanted = None if name is None else any(word in name for word in words)
            assert row[f"is_intermediary_{rule}"] is wanted
            told.add((rule, wanted))
        assert row["intermediary_reason"] == ("no_name_delivered" if name is None else None)
    assert len(told) == 9
    left_out = indicator_parts(
        batches_of([record | {"firm_name": None} for record in records]),
        IndicatorPlan(YEARS, YEARS, REGIONS, POSSIBLE, names_left_out=True),
    )
    assert set(left_out["firms"]["intermediary_reason"]) == {"names_left_out"}
    assert left_out["firms"]["is_intermediary_ahn"].null_count() == len(left_out["firms"])
    none = pl.DataFrame(schema=OUTSIDE_SCHEMA)
    found = dynamics(left_out["firms"], left_out["diversity"], none, YEARS, known_years=YEARS)
    producers = found.filter(pl.col("population") == "producers")
    assert producers["n_firms"].null_count() == len(producers) > 0
    assert set(producers["population_reason"]) == {"names_left_out"}
    assert found.filter(pl.col("population") == "all")["n_firms"].null_count() == 0


def test_producers_are_firms_without_a_trading_name(records, rows):
    names = {row["firm_id"]: row["firm_name"] for row in records if row["firm_id"]}
    for row in [row for row in rows if row["population"] == "producers"]:
        firms = [f for f in _values(records, row["city_id"], row["year"]) if names[f]]
        assert row["n_firms"] == len([f for f in firms if not any(word in names[f] for word in INTERMEDIARY_WORDS["ahn"])])


def test_results_do_not_depend_on_how_the_records_are_cut_or_ordered(records, parts):
    shuffled = records[:]
    random.Random(1).shuffle(shuffled)
    other = indicator_parts(batches_of(shuffled, size=11), PLAN)
    for name, frame in parts.items():
        keys = [column for column in frame.columns if frame[column].dtype in (pl.String, pl.Int32)]
        assert frame.sort(keys).equals(other[name].select(frame.columns).sort(keys)), name


def test_years_computed_later_are_the_same_as_all_at_once(records, parts):
    """The years 2004 and 2005 alone: their records and their neighbours', of the other years only which firms there are."""
    wanted, read = (2004, 2005), (2003, 2004, 2005)
    others = parts["firms"].filter(~pl.col("year").is_in(list(read))).select("city_id", "year", "firm_id")
    given = pl.concat([pl.DataFrame([r for r in records if r["year"] in read], schema=RECORD_INPUTS), others], how="diagonal")
    batches = given.to_arrow().to_batches(max_chunksize=50)
    later = indicator_parts(batches, IndicatorPlan(wanted, YEARS, REGIONS, POSSIBLE))
    for name, frame in parts.items():
        keys = [column for column in frame.columns if frame[column].dtype in (pl.String, pl.Int32)]
        expected = frame.filter(pl.col("year").is_in(list(wanted))).sort(keys)
        assert expected.equals(later[name].select(frame.columns).sort(keys)), name


def test_batches_carry_every_part_under_one_schema_and_an_empty_partition_gives_none(records, parts):
    batches = list(indicator_batches(batches_of(records), PLAN))
    assert sum(map(len, batches)) == sum(map(len, parts.values()))
    assert {batch.schema for batch in batches} == {batches[0].schema}
    assert sum(map(len, indicator_batches([], PLAN))) == 0
    assert aligned(parts["mix"]).columns == batches[0].schema.names


def test_rows_of_every_table_keep_its_checks_and_are_written_by_the_tables_own_library(records, parts, rows, tmp_path):
    frames = {
        CITY_FIRM: parts["firms"], TRADE_MIX: parts["mix"], CITY_MARGINS: parts["margins"], CITY_DIVERSITY: parts["diversity"],
        CITY_DYNAMICS: pl.DataFrame(rows, infer_schema_length=None),
    }
    for table, frame in frames.items():
        found = table_rows(frame, table)
        assert found.schema.equals(arrow_schema(table)) and len(found) == len(frame) > 0
        table.assert_unique(zip(*(found[name].to_pylist() for name in table.key), strict=True))
        log = tmp_path / table.relative_path / "_delta_log"
        log.mkdir(parents=True)
        (log / f"{0:020}.json").write_text(first_entry(table, "{}"))
        condition = f"year IN ({', '.join(map(str, YEARS))})"
        write_rows(str(tmp_path), table, found, mark="{}", overwrite=True, condition=condition)
        written = deltalake.DeltaTable(str(tmp_path / table.relative_path)).to_pyarrow_table()
        assert len(written) == len(frame)
        if "value_usd" in table.columns:
            assert sum(written["value_usd"].to_pylist()) == decimal.Decimal(frame["value_cents"].sum()) / 100


# --- entry by cause and constant borders --------------------------------------------------------------------------------


def test_entry_is_split_by_cause_and_constant_borders_know_no_annexation():
    """武进 became a district of Changzhou in 2002: its firms exported before, from outside the districts."""
    records = [
        {"city_id": city, "year": year, "firm_id": firm, "firm_name": "厂", "firm_type": None, "trade_regime": None,
         "hs6_code": "850000", "hs6_family": "f", "partner": "USA", "cents": cents}
        for city, year, firm, cents in [
            ("320400", 2001, "old", 100), ("320400", 2002, "old", 110), ("320400", 2002, "annexed", 50),
            ("320400", 2002, "mover", 20), ("320400", 2002, "new", 5), ("310000", 2001, "mover", 30),
            ("310000", 2001, "stays", 9), ("310000", 2002, "stays", 9), ("320400", 2002, "from_county", 7),
        ]
    ]
    years = (2001, 2002)
    found = indicator_parts(batches_of(records), IndicatorPlan(years, years, REGIONS, POSSIBLE))
    outside = pl.DataFrame(
        [
            ("320400", 2001, "annexed", 2002, 40, False),
            # a county that is none of the city's districts, and one that becomes one later
            ("320400", 2001, "from_county", None, 3, False),
            ("320400", 2002, "later", 2005, 8, False),
        ],
        schema=OUTSIDE_SCHEMA, orient="row",
    )
    of_year = dynamics(found["firms"], found["diversity"], outside, years, known_years=years)
    in_changzhou = (pl.col("city_id") == "320400") & (pl.col("population") == "all")
    row = of_year.filter(in_changzhou & (pl.col("year") == 2002)).row(0, named=True)
    assert (row["n_entrants"], row["n_entrants_annexed"], row["n_entrants_moved_in"], row["n_entrants_new"]) == (4, 1, 2, 1)
    constant = constant_dynamics(found["firms"], outside, years, known_years=years, borders_year=2004)
    before, now = (constant.filter(in_changzhou & (pl.col("year") == year)).row(0, named=True) for year in years)
    assert before["n_firms"] == 2 and now["n_firms"] == 5
    assert (now["n_entrants"], now["n_entrants_annexed"], now["n_incumbents"]) == (3, 0, 2)
    assert now["value_incumbent_mean_usd"] == pytest.approx((110 + 50) / 200)
    # under the borders of 2005 the county that became a district then belongs to the city in all years
    wider = constant_dynamics(found["firms"], outside, years, known_years=years, borders_year=2005)
    assert wider.filter(in_changzhou & (pl.col("year") == 2002))["n_firms"].item() == 6
    # a district of later whose city is not known: its exports are nobody's within constant borders
    nowhere = outside.with_columns(pl.lit(None, pl.String).alias("city_id"), pl.lit(2002, pl.Int32).alias("annexed_year"))
    with_it = constant_dynamics(found["firms"], pl.concat([outside, nowhere]), years, known_years=years, borders_year=2004)
    assert with_it["city_id"].null_count() == 0
    firms = [rows.filter(in_changzhou).sort("year")["n_firms"].to_list() for rows in (constant, with_it)]
    assert firms[0] == firms[1]
    # years after the borders' own have no rows under them
    assert constant_dynamics(found["firms"], outside, years, known_years=years, borders_year=2001)["year"].max() == 2001
