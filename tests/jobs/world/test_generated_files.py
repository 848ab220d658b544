"""The written files hold the truth: a slow reader of its own recomputes every city-year from bytes and ledger alone."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter, defaultdict
from pathlib import Path

import pandas as pd
import pytest

from jobs.generate import generate, usable_processes
from jobs.reference.place_book import load_place_book
from jobs.reference.place_lookups import build_lookups
from jobs.reference.place_texts import find_text
from jobs.world import dirt, truth, years
from jobs.world.errors import WorldOptionError
from jobs.world.firm_accounts import write_firm_accounts
from jobs.world.firms import build_roster
from jobs.world.latent import WorldModel
from jobs.world.place_texts import PlaceTexts
from jobs.world.reference import WorldReference, with_interval
from jobs.world.world import CLEAN_SHARE, LARGE_CITIES, MAX_FIRMS, World
from schemas.places import INSIDE_TYPES

ENCODING = {2003: "utf-8-sig", 2004: "utf-8-sig", 2005: "utf-8-sig", 2006: "gb18030", 2007: "gb18030", 2008: "gb18030"}
HEADINGS = {
    "flow": ("进口或出口", "exp_or_imp", "进出口", "_进口或出口"),
    "hs": ("税号编码", "hs_id", "HS编码", "商品代码", "_税号编码"),
    "value": ("金额", "value", "_金额"),
    "partner": ("起运国或目的国", "country", "var18", "_起运国或目的国"),
    "firm": ("企业编码", "party_id", "企业代码", "_企业编码"),
    "postcode": ("邮编", "zip", "_邮编"),
    "place": ("消费地或生产地", "city", "_消费地进口or生产地出口"),
}
#: Bytes of worlds of edition 5, customs files and counts of the truth: what was measured on them stays comparable.
DIGESTS = {
    "monthly and yearly": "b5e45a40c8cc7a20d545cc7dbd2ba05e13b430c0fcc8fac8be9e048a6a28f031",
    "without postcode": "bb93c65474dac64279076797380dc2a6d2bba8bf415aee790d43f28631e8ede3",
}
_SPACES = dict.fromkeys(map(ord, " \u3000\u00a0\t"))
_HALF = str.maketrans("０１２３４５６７８９，．", "0123456789,.")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("world")
    generate(out, seed=11, preset="small", records=20_000)
    return out


@pytest.fixture(scope="module")
def lines(world: Path) -> dict[tuple[str, int], dict[str, str]]:
    """Every data row by (file, row): canonical fields as delivered, or None where the structure is broken."""
    found = {}
    for path in sorted((world / "raw/customs").iterdir()):
        year = int("".join(character for character in path.name if character.isdigit())[:4])
        with path.open(encoding=ENCODING[year], newline="") as stream:
            reader = csv.reader(stream, delimiter="\t" if path.suffix == ".txt" else ",")
            headings = next(reader)
            at = {name: next(headings.index(one) for one in ones if one in headings) for name, ones in HEADINGS.items()}
            for number, row in enumerate(reader, start=1):
                sound = len(row) == len(headings)
                found[f"customs/{path.name}", number] = {k: row[i] for k, i in at.items()} | {"year": year} if sound else None
    return found


@pytest.fixture(scope="module")
def ledger(world: Path) -> pd.DataFrame:
    return pd.read_parquet(world / "truth/ledger.parquet")


def _squeeze(text: str) -> str:
    return text.translate(_SPACES).translate(_HALF)


def _hs6(text: str) -> str:
    text = _squeeze(text)
    digits = text.removesuffix(".0").replace(".", "")
    return digits.zfill(8)[:6]


def test_city_years_recomputed_from_the_files_equal_the_truth(world, lines, ledger):
    reference = WorldReference()
    partners = reference.table("partners").set_index("code")
    aliases = dict(reference.table("partner_aliases").itertuples(index=False))
    aliases = {row.name_zh: code for code, row in partners.iterrows()} | aliases
    cities = {
        (alias, year): code
        for (code, year), texts in reference.place_texts.items() for alias in texts
    }
    provinces = reference.prefectures.drop_duplicates("province_code").set_index("province_code")["province_name"]
    for row in with_interval(reference.table("customs_districts")).itertuples():
        for year in range(max(row.valid_from, 2003), min(row.valid_to, 2012)):
            for name in (row.name, row.name.replace("其他", "其它"), provinces[f"{row.code[:2]}0000"] + row.name):
                cities[name, year] = row.prefecture_code
    units = reference.table("county_units").set_index("unit_code")["prefecture_code"].to_dict()
    refused = set(zip(ledger["file"], ledger["source_row"], strict=True)) - set(
        ledger.loc[ledger["kind"] == "repair", ["file", "source_row"]].itertuples(index=False, name=None)
    )
    value, products, codes, isos, n_rows = Counter(), defaultdict(set), defaultdict(set), defaultdict(set), Counter()
    for key, row in lines.items():
        if key in refused:
            continue
        place = cities[_squeeze(row["place"]), row["year"]]
        place = place if place in reference.city_of_prefecture else units[place]
        city_year = reference.city_of_prefecture[place], row["year"]
        partner = _squeeze(row["partner"])
        code = partner if partner in partners.index else aliases[partner]
        value[city_year] += int(_squeeze(row["value"]).replace(",", ""))
        products[city_year].add(_hs6(row["hs"]))
        codes[city_year].add(code)
        if partners.at[code, "kind"] in ("normal", "territory") and code != "142":
            isos[city_year].add(partners.at[code, "iso3"])
        n_rows[city_year] += 1
    truth = pd.read_csv(world / "truth/city_year_truth.csv", dtype={"city_id": str})
    assert set(value) == set(zip(truth["city_id"], truth["year"], strict=True))
    for row in truth.itertuples():
        key = row.city_id, row.year
        expected = (row.value_usd, row.n_products, row.n_partner_codes, row.n_destinations, row.n_records)
        found = (value[key], len(products[key]), len(codes[key]), len(isos[key]), n_rows[key])
        assert found == expected, key


@pytest.mark.parametrize(
    ("prefecture", "unit", "share"),
    [("310000", "310115", 0.75), ("320500", "320506", 0.75), ("120000", "120107", 0.75), ("210200", "210213", 0.75),
     ("330200", "330206", 0.35), ("320500", "320583", 0.75), ("130200", "130203", 0.0)],
)
def test_most_places_of_some_cities_are_zones(prefecture, unit, share):
    """Shanghai, Suzhou, Tianjin and Dalian export from zones; elsewhere the rest of the city is what files carry."""
    reference = WorldReference()
    table = reference.table("customs_districts")
    zones = tuple(table.loc[table["zone_type"] != "other", "name"])
    texts = PlaceTexts(reference).slots(prefecture, unit, 2005, is_inside=unit != "320583")
    assert sum(text.endswith(zones) for text in texts) / len(texts) == pytest.approx(share)


def test_every_text_of_a_place_finds_its_city_and_side():
    """The texts are the list's and our own spellings, the resolver has tables of its own: no text may lead elsewhere."""
    reference = WorldReference()
    texts, rows = PlaceTexts(reference), {}
    for row in build_lookups(load_place_book()).texts:
        rows.setdefault(row["alias"], []).append(row)
    wrong = set()
    for year in (2003, 2011):
        places = {(p.prefectures[year], p.units[year], p.kinds[year]) for p in reference.postcodes if year in p.kinds}
        for prefecture, unit, kind in places:
            for text in set(texts.slots(prefecture, unit, year, is_inside=kind == "city")):
                found = find_text(rows, text, year * 12 + 11)
                place = found and found["place"]
                side = place and place["unit_type"] and ("city" if place["unit_type"] in INSIDE_TYPES else "outside")
                if not place or place["prefecture_code"] != prefecture or (side and (side == "city") != (kind == "city")):
                    wrong.add((year, text, prefecture, kind))
    assert wrong == set()


def test_rows_and_dollars_are_clean_plus_refused_in_every_file(world, lines):
    totals = pd.read_csv(world / "truth/file_totals.csv")
    written = Counter(file for file, _ in lines)
    assert totals.groupby("file")["rows"].sum().to_dict() == dict(written)
    truth = pd.read_csv(world / "truth/city_year_truth.csv")
    clean = totals[totals["outcome"] == "clean"].groupby("year")[["rows", "value_usd"]].sum()
    assert clean["value_usd"].to_dict() == truth.groupby("year")["value_usd"].sum().to_dict()
    assert clean["rows"].to_dict() == truth.groupby("year")["n_records"].sum().to_dict()


def test_every_kind_of_defect_occurs_and_shows_in_its_row(lines, ledger):
    revisions = WorldReference().table("hs6_codes").set_index("hs6_code")
    seen = Counter()
    for row in ledger.itertuples():
        line = lines[row.file, row.source_row]
        for name in row.defects.split("|"):
            seen[name] += 1
            if name == "row_malformed":
                assert line is None
            elif name in ("hs_missing", "place_missing", "destination_missing", "value_missing", "postcode_missing"):
                field = {"hs": "hs", "place": "place", "destination": "partner"}.get(name.split("_")[0], name.split("_")[0])
                assert _squeeze(line[field]) == ""
            elif name == "hs_unknown":
                revision = "2007" if row.year >= 2007 else "2002"
                assert revisions.at[_hs6(line["hs"]), f"in_hs{revision}"] == "0"
            elif name == "value_nonpositive":
                assert int(line["value"]) <= 0
            elif name == "import":
                assert line["flow"] in ("进口", "1")
    assert set(seen) >= set(dirt.REJECTS)
    assert set(seen) >= set(dirt.REPAIRS)


def test_unknown_postcodes_have_no_prefix_in_any_year():
    known = WorldReference().known_prefixes
    assert not [code for code in dirt.UNKNOWN_POSTCODES for n in (4, 5, 6) if code[:n] in known]


def test_changzhou_goods_of_a_firm_registered_in_shanghai_are_in_the_files(world, lines):
    moved = pd.read_parquet(world / "truth/registered_elsewhere.parquet")
    example = moved[(moved["city_id"] == "320400") & (moved["registered_city_id"] == "310000")]
    assert len(example) > 0
    for row in example.itertuples():
        line = lines[row.file, row.source_row]
        assert line["firm"].startswith("3190")
        assert "常州" in _squeeze(line["place"]) or "CHANGZHOU" in _squeeze(line["place"])


def test_registered_place_would_give_other_answers(world):
    truth = pd.read_csv(world / "truth/city_year_truth.csv", dtype={"city_id": str})
    changzhou = truth[truth["city_id"] == "320400"]
    assert (changzhou["value_usd_registered"] < changzhou["value_usd"]).all()  # no firm of another city registers there
    assert (truth["value_usd_registered"] != truth["value_usd"]).mean() > 0.5
    assert truth["value_usd_registered"].sum() == truth["value_usd"].sum()  # moved, not lost: all offices are in this world


def test_same_seed_gives_the_same_bytes_and_a_smaller_choice_of_years_the_same_files(world, tmp_path):
    generate(tmp_path, seed=11, preset="small", records=20_000)
    for path in sorted((world / "raw").rglob("*")):
        if path.is_file() and path.suffix != ".xlsx":  # workbooks carry the time they were saved
            assert path.read_bytes() == (tmp_path / path.relative_to(world)).read_bytes(), path.name


def _digest(world: Path) -> str:
    """One hash of the customs files and of those tables of the truth that hold whole numbers only."""
    counts = [world / "truth" / f"{name}.csv" for name in ("city_year_truth", "file_totals", "trade_totals")]
    whole = hashlib.sha256()
    for path in [*sorted((world / "raw/customs").iterdir()), *counts]:
        whole.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def test_bytes_of_a_seed_are_those_of_earlier_versions(world):
    assert _digest(world) == DIGESTS["monthly and yearly"]


def test_bytes_depend_neither_on_processes_nor_on_what_is_written_at_a_time(tmp_path, monkeypatch):
    options = {"seed": 3, "preset": "small", "records": 3_000, "years": (2007, 2008), "n_cities": 20}
    monkeypatch.setattr(years, "BLOCK", 1000)  # of the first run only: another process has its own
    monkeypatch.setattr(truth, "ROW_GROUP", 100)
    for processes in (1, 2):
        out = tmp_path / str(processes)
        generate(out, **options, years_without_postcode=(2008,), processes=processes)
        assert _digest(out) == DIGESTS["without postcode"]
        assert not list((out / "truth").glob(".*"))
    first, second = (pd.read_parquet(tmp_path / one / "truth/ledger.parquet") for one in "12")
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize("records", [2_000, 9_000, 25_000])
def test_a_world_has_the_records_asked_for(tmp_path, records):
    printed: list[str] = []
    written = generate(tmp_path, seed=5, preset="small", records=records, years=(2004, 2006, 2010), progress=printed.append)
    assert written.n_rows == pytest.approx(records, rel=0.02)
    assert not [line for line in printed if line.startswith("records=")]


def test_a_world_that_needs_more_records_than_asked_for_says_so(tmp_path):
    printed: list[str] = []
    written = generate(
        tmp_path, seed=5, preset="small", records=2_000, years=(2004, 2005), n_cities=20, progress=printed.append
    )
    assert written.n_rows > 3_000
    assert printed[-1].startswith(f"records=2,000: {written.n_rows:,} were written, because each of the 40 city-years needs")


def test_a_skewed_world_has_ten_times_the_odds_of_the_three_largest_cities():
    def share(skew):
        world = World(WorldModel(), WorldReference(), (2005, 2006), records=1_000_000, skew=skew)
        rows = {city: sum(plan.n_rows for plan in world.plans if plan.city_id == city) for city in world.city_ids}
        # met whatever the skew
        assert sum(rows.values()) == pytest.approx(1_000_000 * CLEAN_SHARE, rel=0.03)
        return [rows[city] / sum(rows.values()) for city in LARGE_CITIES]

    real = list(LARGE_CITIES.values())
    # rows that every product and destination needs take a little from the shares
    assert share(1) == pytest.approx(real, rel=0.05)
    odds = 10 * sum(real) / (10 * sum(real) + 1 - sum(real))
    assert sum(share(10)) == pytest.approx(odds, rel=0.05)


def test_customs_codes_of_the_largest_roster_have_ten_digits():
    reference = WorldReference()
    codes = build_roster(7, reference, ("320400", "310000"), MAX_FIRMS).texts["firm_id"].to_pylist()
    assert len(codes) > MAX_FIRMS
    assert {len(code) for code in codes} == {10}


def test_small_worlds_are_written_in_one_process():
    assert usable_processes(100_000) == 1


def test_world_of_the_same_recipe_is_used_again_and_another_refused(world):
    before = (world / "truth/world.json").stat().st_mtime_ns
    again = generate(world, seed=11, preset="small", records=20_000)
    assert again.n_rows == json.loads((world / "truth/world.json").read_text())["written"]["n_rows"]
    assert (world / "truth/world.json").stat().st_mtime_ns == before
    with pytest.raises(WorldOptionError, match="another world"):
        generate(world, seed=12, preset="small", records=20_000)


def test_years_without_postcode_have_no_such_column(tmp_path):
    generate(tmp_path, seed=3, preset="small", records=3_000, years=(2007, 2008), years_without_postcode=(2008,))
    first = {path.name: path.open(encoding="gb18030").readline() for path in (tmp_path / "raw/customs").iterdir()}
    assert ["_邮编" in first[name] for name in ("2007_1.txt", "2008_1.txt")] == [True, False]


def test_survey_accounts_stand_in_for_the_table_of_productivity(tmp_path):
    generate(tmp_path, seed=3, preset="small", records=3_000, years=(2007,), firms="survey")
    names = {path.name for path in (tmp_path / "raw/firms").iterdir()}
    assert names == {f"asif_{year}.csv" for year in range(2003, 2012)} | {
        "capital_growth.csv", "deflators.csv", "technology.csv"
    }
    truth = pd.read_parquet(tmp_path / "truth/firm_accounts.parquet")
    latent = pd.read_csv(tmp_path / "truth/latent_panel.csv", dtype={"city_id": str}).set_index(["city_id", "year"])["lnPro"]
    means = truth.groupby(["city_id", "year"])["omega"].mean()
    assert len(means) == 20 * 9
    # sums of 21 numbers of order one
    assert (means - latent.loc[means.index]).abs().max() < 1e-12
    with pytest.raises(WorldOptionError, match="another world"):
        generate(tmp_path, seed=3, preset="small", records=3_000, years=(2007,))


def test_survey_follows_a_city_as_long_as_it_exists(tmp_path):
    panel = [("341400", year, 3.0) for year in range(2008, 2011)] + [("320400", year, 3.1) for year in range(2008, 2012)]
    frame = pd.DataFrame(panel, columns=["city_id", "year", "ln_pro"])
    written = write_firm_accounts(frame, tmp_path, seed=1)
    last = written.firms.groupby("city_id")["year"].max()
    assert last.to_dict() == {"341400": 2010, "320400": 2011}
    with pytest.raises(WorldOptionError, match="years without gaps.*320400"):
        write_firm_accounts(frame.drop(index=frame.query("city_id == '320400' and year == 2009").index), tmp_path, seed=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"firms": "none"}, "firms"), ({"years": (1999,)}, "years"), ({"preset": "huge"}, "preset"),
        ({"n_cities": 999}, "cities"), ({"records": 5}, "records"),
    ],
)
def test_impossible_options_are_refused_with_what_is_possible(tmp_path, options, message):
    with pytest.raises(WorldOptionError, match=f"{message}.*expected"):
        generate(tmp_path / "world", **options)
    assert not (tmp_path / "world").exists()


def test_a_process_that_is_ended_is_an_error_and_no_endless_wait(tmp_path, monkeypatch):
    from jobs.world import years

    def start(world, n_processes, begin=years._start):
        workers = begin(world, n_processes)
        next(iter(workers)).kill()
        return workers

    monkeypatch.setattr(years, "_start", start)
    with pytest.raises(RuntimeError, match="was ended"):
        generate(tmp_path / "w", preset="small", records=5_000, n_cities=4, years=(2003, 2004, 2005), processes=2)
    assert list((tmp_path / "w").iterdir()) == []
