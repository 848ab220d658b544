"""A lake held against published totals: every kind of loss and surplus is named; pure frames, no Spark."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conf.plausible import Plausible
from conf.settings import SettingsError
from jobs.cleaning.plausibility import AGREES, EXTRACT, OFF, found_figures, judge
from jobs.cleaning.plausible_reasons import explain, lost_chapters
from jobs.cleaning.plausible_text import table_text
from jobs.cleaning.published import TotalsFileError, read_totals, shipped_totals
from jobs.kernels.trade_codes import section_of

YEARS, MONTHS = (2004, 2005, 2006), range(1, 13)
PARTNERS = ("USA", "HKG", "JPN", "KAZ", "DEU")
CHAPTERS = tuple(f"{number:02d}" for number in (3, 7, 9, 27, 39, 61, 84, 85, 94))
DIMENSIONS = ("month", "file", "partner", "chapter", "regime", "ownership", "province", "regime_ownership")
BOUNDS = Plausible()
NAMES = {f"sha{year}{month:02d}": f"customs/{year}{month:02d}.csv" for year in (*YEARS, 2007) for month in MONTHS}


def make_records():
    """A record per year, month, partner and chapter; values lognormal, seeded."""
    rng = np.random.default_rng(5)
    rows = pd.MultiIndex.from_product(
        [YEARS, MONTHS, PARTNERS, CHAPTERS], names=["year", "number", "partner", "chapter"]
    ).to_frame(index=False)
    rows["value_usd"] = np.round(np.exp(rng.normal(10, 0.4, len(rows))), 2)
    rows["month"] = rows["number"].map("{:02d}".format)
    rows["file"] = "sha" + rows["year"].astype(str) + rows["month"]
    rows["regime"] = rng.choice(["ordinary", "processing"], len(rows))
    rows["ownership"] = rng.choice(["state", "foreign", "private"], len(rows))
    rows["province"] = "32"
    rows["regime_ownership"] = rows["regime"] + "/" + rows["ownership"]
    return rows.assign(flow="export")


def sums_of(records):
    """As the lake sums its records up, computed by pandas."""
    readable = records["value_usd"].notna()
    records = records.assign(all="", one=readable.astype(int), bad=(~readable).astype(int))
    parts = [
        records.groupby(["year", "flow", name], as_index=False)
        .agg(value_usd=("value_usd", "sum"), n_records=("one", "sum"), n_unreadable=("bad", "sum"))
        .rename(columns={name: "member"}).assign(dimension=name)
        for name in ("all", *DIMENSIONS)
    ]
    return pd.concat(parts, ignore_index=True)


def published_of(records, dimensions=("all", "partner", "chapter")):
    sums = sums_of(records)
    kept = sums[sums["dimension"].isin(dimensions)].rename(columns={"value_usd": "value"})
    return kept.assign(measure="value", precision=0.0, edition="own", source="own")


@pytest.fixture(scope="module")
def records():
    return make_records()


def compared(lake, truth, **kinds):
    sums = sums_of(lake)
    return explain(judge(found_figures(sums), published_of(truth, **kinds), BOUNDS), sums, NAMES, BOUNDS)


def total(figures, year=2005):
    (found,) = [item for item in figures if item.is_total and item.year == year]
    return found


def test_a_complete_lake_agrees_in_every_figure(records):
    figures = compared(records, records)
    assert len(figures) == 3 * (1 + len(PARTNERS) + len(CHAPTERS))
    assert {item.verdict for item in figures} == {AGREES}
    assert {item.ratio for item in figures} == {1.0}
    assert lost_chapters(sums_of(records)) == {}


@pytest.mark.parametrize("month", [1, 6, 12])
def test_a_missing_month_is_named(records, month):
    figures = compared(records[(records["year"] != 2005) | (records["number"] != month)], records)
    item = total(figures)
    assert (item.verdict, total(figures, 2004).verdict) == (OFF, AGREES)
    assert 0.88 < item.ratio < 0.95
    assert f"({month:02d}) missing" in item.reason and f"2005-{month:02d}" in item.reason
    # the parts lose what the total loses: at least most of them are not reasoned about on their own
    assert "code list" not in " ".join(other.reason for other in figures if abs(other.ratio - item.ratio) < 0.02)


def test_two_missing_months_and_a_thin_one_are_named(records):
    gone = (records["year"] == 2005) & records["number"].isin([2, 3])
    thin = (records["year"] == 2005) & (records["number"] == 8) & records["partner"].isin(PARTNERS[:4])
    reason = total(compared(records[~gone & ~thin], records)).reason
    assert "February (02), March (03) missing" in reason
    assert "August (08) is there in part only" in reason


def test_a_file_loaded_twice_is_named_with_its_twin(records):
    again = records[(records["year"] == 2005) & (records["number"] == 4)].assign(file="copy")
    item = total(explain(*_judged(pd.concat([records, again]), records), NAMES | {"copy": "customs/april_copy.csv"}, BOUNDS))
    assert item.verdict == OFF
    assert "loaded twice: customs/200504.csv and customs/april_copy.csv hold the same" in item.reason or (
        "loaded twice: customs/april_copy.csv and customs/200504.csv hold the same" in item.reason
    )


def _judged(lake, truth):
    sums = sums_of(lake)
    return judge(found_figures(sums), published_of(truth), BOUNDS), sums


def test_rows_twice_within_one_file_are_found(records):
    again = records[(records["year"] == 2005) & (records["number"] == 4)]
    reason = total(compared(pd.concat([records, again]), records)).reason
    assert "loaded twice" in reason and "customs/200504.csv" in reason


def test_a_whole_year_twice_without_twin_files(records):
    yearly = records[records["year"] == 2005].assign(file="yearly", month="")
    item = total(compared(pd.concat([records, yearly]), records))
    assert item.ratio == pytest.approx(2)
    assert "loaded twice" in item.reason


def test_lost_leading_zeros_are_named_with_and_without_published_chapters(records):
    lost = (records["year"] == 2005) & records["chapter"].str.startswith("0")
    figures = compared(records[~lost], records)
    assert "chapters 01-09 are near zero" in total(figures).reason
    near_zero = {item.member for item in figures if item.dimension == "chapter" and "near zero" in item.reason}
    assert near_zero == {"03", "07", "09"}
    # nothing but the lake itself is needed to see it
    assert list(lost_chapters(sums_of(records[~lost]))) == [2005]
    only_totals = compared(records[~lost], records, dimensions=("all",))
    assert "chapters 01-09 are near zero" in total(only_totals).reason


def test_a_partner_that_is_not_known_is_named(records):
    unknown = (records["year"] == 2005) & (records["partner"] == "KAZ")
    strange = records.assign(partner=records["partner"].where(~unknown, ""))
    figures = compared(strange, records)
    assert total(figures).verdict == AGREES
    (off,) = [item for item in figures if item.verdict == OFF]
    assert (off.year, off.member, off.ratio) == (2005, "KAZ", 0.0)
    assert "code list of another vintage" in off.reason and "a partner that is not known" in off.reason


@pytest.mark.parametrize(("factor", "words"), [(1e-3, "thousands of US dollars"), (1e-4, "ten thousands"), (100, "cents")])
def test_another_unit_is_no_extract(records, factor, words):
    figures = compared(records.assign(value_usd=records["value_usd"] * factor), records)
    assert {item.verdict for item in figures if item.is_total} == {OFF}
    assert all(words in item.reason for item in figures if item.is_total)


def test_an_extract_is_not_judged_but_one_poor_year_among_full_ones_is(records):
    one_city = compared(records[records["partner"].isin(["DEU"]) & (records["number"] < 7)], records)
    assert {item.verdict for item in one_city} == {EXTRACT}
    one_month = compared(records[(records["year"] != 2005) | (records["number"] == 1)], records)
    assert total(one_month).verdict == OFF
    assert "only January (01) is there" in total(one_month).reason


def test_imports_taken_for_exports_and_unmarked_records(records):
    imports = records.assign(value_usd=records["value_usd"] * 0.8)
    assert "imports are counted as exports" in total(compared(pd.concat([records, imports]), records)).reason
    unmarked = records["partner"].isin(["HKG"]) & (records["year"] == 2005)
    marked = records.assign(flow=records["flow"].where(~unmarked, "unknown"))
    assert "carry no mark of export or import" in total(compared(marked, records)).reason


def test_unreadable_values_are_the_last_resort(records):
    spoilt = (records["year"] == 2005) & (records["partner"] == "JPN") & (records["chapter"] == "84")
    values = records["value_usd"].where(~spoilt)
    reason = total(compared(records.assign(value_usd=values), records)).reason
    assert f"{spoilt.sum()} records have no readable value" in reason


def test_the_nearest_edition_counts_and_print_is_known_to_half_a_place(records):
    lake = found_figures(sums_of(records))
    value = float(records.loc[records["year"] == 2005, "value_usd"].sum())
    row = {"year": 2005, "flow": "export", "measure": "value", "dimension": "all", "member": "", "source": "s", "edition": "e"}
    far, near = row | {"value": value * 1.05, "precision": 0.0}, row | {"value": value * 1.0005, "precision": 0.0}
    (item,) = judge(lake, pd.DataFrame([far, near]), BOUNDS)
    assert item.verdict == AGREES
    (item,) = judge(lake, pd.DataFrame([far]), BOUNDS)
    assert item.verdict == OFF
    (item,) = judge(lake, pd.DataFrame([far | {"precision": value * 0.05}]), BOUNDS)
    assert item.verdict == AGREES


def test_bounds_are_settings():
    with pytest.raises(SettingsError, match=r"plausible\.tolerance_total"):
        Plausible(tolerance_total=1.5)


def test_shares_are_of_the_year_and_within_a_regime(records):
    found = found_figures(sums_of(records))
    shares = found[(found["measure"] == "share") & (found["year"] == 2005)]
    own = shares[shares["dimension"] == "ownership"]
    assert own["value"].sum() == pytest.approx(100)
    within = shares[(shares["dimension"] == "regime_ownership") & shares["member"].str.startswith("processing/")]
    assert within["value"].sum() == pytest.approx(100)


def test_sections_and_groups_are_sums_of_their_members(records):
    found = found_figures(sums_of(records))
    here = found[(found["year"] == 2005) & (found["measure"] == "value")].set_index(["dimension", "member"])["value"]
    assert here["section", "II"] == pytest.approx(here["chapter", "07"] + here["chapter", "09"])
    assert here["partner", "EU27"] == here["partner", "DEU"]
    assert [section_of(code) for code in ("01", "05", "06", "24", "84", "85", "97", "98", "")] == [
        "I", "I", "II", "IV", "XVI", "XVI", "XXI", "", "",
    ]


def test_the_shipped_table_reads_and_its_key_is_unique():
    table = shipped_totals()
    assert not table.duplicated(["year", "flow", "measure", "dimension", "member", "edition"]).any()
    exports = table[(table["dimension"] == "all") & (table["measure"] == "value") & (table["flow"] == "export")]
    assert set(exports["year"]) == set(range(2000, 2017))
    # the microdata's sums and the official totals are one number to four digits
    for year, editions in exports[exports["year"] <= 2006].groupby("year"):
        values = editions.set_index("edition")["value"]
        assert values["microdata"] == pytest.approx(values["as revised"], rel=1e-4), year
    # counts of firms add up as the source defines them: exporters of t = exiters of t + continuing firms
    firms = table[(table["dimension"] == "all")].pivot_table(index="year", columns="measure", values="value")
    known = firms.dropna(subset=["exiters", "continuing"])
    assert (known["exporters"] == known["exiters"] + known["continuing"]).all()
    assert table["source"].str.len().min() > 10


def test_the_text_names_the_year_the_ratio_and_the_reason(records):
    text = table_text(compared(records[(records["year"] != 2005) | (records["number"] != 3)], records), {})
    (line,) = [line for line in text.splitlines() if line.startswith("2005  export")]
    assert "off: March (03) missing" in line
    assert "agrees" in next(line for line in text.splitlines() if line.startswith("2004  export"))


# --- files of totals --------------------------------------------------------------------------------------------------


def written(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_own_totals_take_the_words_people_write(tmp_path):
    path = written(
        tmp_path, "own.csv",
        "Year,Flow,Dimension,Member,Value\n2005,出口,all,,1000\n2005,,partner,usa,10\n2005,Imports,section,16,20\n"
        "2005,export,chapter,1,5\n2005,export,province,32,7\n",
    )
    table = read_totals(path)
    assert table[["flow", "dimension", "member", "value"]].values.tolist() == [
        ["export", "all", "", 1000.0], ["export", "partner", "USA", 10.0], ["import", "section", "XVI", 20.0],
        ["export", "chapter", "01", 5.0], ["export", "province", "32", 7.0],
    ]
    assert set(table["source"]) == {"own.csv"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "missing year, value"),
        ("year,value\n2005,many\n", "line 2: value 'many'"),
        ("year,value\n2005,-3\n", "line 2: value '-3'"),
        ("year,value,dimension\n2005,3,all\n2005,3,planet\n", "line 3: dimension 'planet' is not known"),
        ("year,value,flow\n2005,3,transit\n", "flow 'transit' is not known"),
        ("year,value\n2005,3\n2005,4\n", "line 3: a second total"),
        ("year,value\n", "no total of China's trade"),
        ("", "expected a CSV file"),
    ],
)
def test_own_totals_that_cannot_be_used_are_explained(tmp_path, text, words):
    with pytest.raises(TotalsFileError, match=words):
        read_totals(written(tmp_path, "own.csv", text))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TotalsFileError, match="no such file"):
        read_totals(tmp_path / "absent.csv")


def test_baci_comes_in_thousands_with_its_own_list_of_countries(tmp_path):
    written(tmp_path, "country_codes_V202401b.csv", "country_code,country_name,country_iso2,country_iso3\n"
            "842,USA,US,USA\n490,Other Asia,,S19\n156,China,CN,CHN\n")
    path = written(
        tmp_path, "BACI_HS02_Y2005_V202401b.csv",
        "t,i,j,k,v,q\n2005,156,842,010121,   10.500,1\n2005,156,490,847130,2,NA\n2005,842,156,270900,4,1\n"
        "2005,842,490,10121,9,1\n",
    )
    table = read_totals(path).set_index(["flow", "dimension", "member"])["value"]
    assert table["export", "all", ""] == 12_500
    assert table["export", "partner", "USA"] == 10_500
    assert table["export", "partner", "TWN"] == 2_000
    assert table["export", "chapter", "01"] == 10_500
    assert table["import", "all", ""] == 4_000


def test_baci_without_its_list_still_gives_totals_and_chapters(tmp_path):
    path = written(tmp_path, "BACI.csv", "t,i,j,k,v,q\n2005,156,842,010121,1,1\n")
    assert set(read_totals(path)["dimension"]) == {"all", "chapter"}


def test_comtrade_of_today_and_of_former_days(tmp_path):
    today = written(
        tmp_path, "today.csv",
        "refYear,reporterISO,flowCode,partnerISO,cmdCode,customsCode,motCode,partner2Code,primaryValue\n"
        "2005,CHN,X,W00,TOTAL,C00,0,0,100\n2005,CHN,X,USA,TOTAL,C00,0,0,60\n2005,CHN,X,S19,TOTAL,C00,0,0,5\n"
        "2005,CHN,X,W00,84,C00,0,0,70\n2005,CHN,X,USA,TOTAL,C01,0,0,30\n2005,USA,X,W00,TOTAL,C00,0,0,9\n"
        "2005,CHN,M,W00,TOTAL,C00,0,0,80\n",
    )
    table = read_totals(today).set_index(["flow", "dimension", "member"])["value"].to_dict()
    assert table == {
        ("export", "all", ""): 100, ("export", "partner", "USA"): 60, ("export", "partner", "TWN"): 5,
        ("export", "chapter", "84"): 70, ("import", "all", ""): 80,
    }
    former = written(
        tmp_path, "former.csv",
        "Year,Trade Flow,Reporter ISO,Partner ISO,Commodity Code,Trade Value (US$)\n2005,Export,CHN,WLD,TOTAL,100\n",
    )
    assert read_totals(former)["value"].tolist() == [100.0]
    broken = written(tmp_path, "broken.csv", "refYear,flowCode,primaryValue\n2005,X,3\n")
    with pytest.raises(TotalsFileError, match="reporterISO"):
        read_totals(broken)
