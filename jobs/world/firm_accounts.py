"""Survey files of firms whose technology is known and whose mean productivity in a city and year is the latent one.

A firm's log productivity is its city's ``ln_pro`` plus a deviation that sums to zero over the firms of the city and year;
value added follows from workers, the real capital stock and the industry's elasticities, plus an error that sums to zero
too. So with the known technology the city mean comes back to the last bits, whatever the error, and with an estimated
one it is off by exactly the mean inputs times the error of the elasticities. Every city has the same number of firms in
every industry, so that productivity relative to the industry differs from the latent one by one constant only.
Files are in the layout of their year: the headings, the 6- or 12-digit place code, the industry edition, and no value
added in 2004 and after 2007.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from conf.firms import load_firm_layouts, load_industry_editions, load_investment_prices
from estimation.production import firm_stock
from jobs.reference.place_book import load_place_book
from jobs.world.errors import WorldOptionError
from jobs.world.streams import generator

#: Elasticities of labour and capital by two-digit industry (2002 edition); their sum differs on purpose.
TECHNOLOGY = {
    "13": (0.45, 0.40), "17": (0.55, 0.35), "26": (0.40, 0.50), "31": (0.50, 0.40), "35": (0.60, 0.30),
    "37": (0.50, 0.45), "40": (0.65, 0.25),
}
#: Yearly nominal growth of capital before the first report, given to the reader as capital_growth.csv.
BACKCAST_GROWTH = 0.08
#: Yearly growth of output and input prices, given to the reader as deflators.csv.
OUTPUT_INFLATION, INPUT_INFLATION = 0.02, 0.03
BASE_YEAR = 1998
VAT_RATE, WAGE_SHARE, WELFARE_SHARE = 0.06, 0.40, 0.05
#: Kinds of rows that must be refused, by the rule that refuses them.
DIRT = ("capital_nonpositive", "output_nonpositive", "workers_below_8", "fixed_assets_above_total", "place_unknown",
        "industry_unknown", "not_manufacturing", "number_malformed", "firm_code_missing")
#: Headings that differ from the layout's first one, by year (the survey's own changes).
HEADINGS = {
    1999: {"n_workers": "全部职工"},
    2000: {"output_current": "工业产值现", "n_workers": "全部职工", "fixed_assets_net": "固资净年余"},
    2001: {"n_workers": "从业人员", "fixed_assets_net": "固定资产净", "place_code": "省地代码"},
    2002: {"output_current": "产值现价", "n_workers": "全部职工数"},
    2003: {"output_current": "总产值现新", "n_workers": "从业人数", "fixed_assets_net": "固定资产年"},
    2004: {"output_current": "工业产值当", "n_workers": "全部从业人", "place_code": "行政区代码"},
    2005: {"n_workers": "从业人员总", "fixed_assets_net": "固定资产净", "place_code": "行政区代码"},
    2006: {
        "output_current": "工业总产值", "n_workers": "平均人数", "fixed_assets_net": "固定资产平", "place_code": "行政区码",
    },
    2007: {"n_workers": "全部人员平", "place_code": "行政区代码"},
}
WITHOUT_VALUE_ADDED = (2004, *range(2008, 2014))
FIRST_PINYIN_YEAR = 2008


@dataclass(frozen=True, slots=True)
class AccountsModel:
    """What can be varied.

    Attributes
    ----------
    technology : mapping
        Industry to elasticities of labour and capital.
    firms_per_industry : int
        Firms of every industry in every city.
    within_city_sd : float
        Standard deviation of firm productivity within a city and year.
    error_sd : float
        Measurement error of log value added; 0 for none.
    n_dirty : int
        Rows added per year and kind of :data:`DIRT`.
    """

    technology: Mapping[str, tuple[float, float]] = field(default_factory=lambda: dict(TECHNOLOGY))
    firms_per_industry: int = 2
    within_city_sd: float = 0.4
    error_sd: float = 0.0
    n_dirty: int = 0


@dataclass(frozen=True, slots=True)
class WrittenAccounts:
    """What was written.

    Attributes
    ----------
    files : tuple of Path
    n_rows : int
        All rows, dirty ones included.
    refused : dict
        Rule to rows it must refuse.
    firms : pandas.DataFrame
        The truth: firm_id, year, city_id, industry_code, omega, ln_workers, ln_capital, error.
    """

    files: tuple[Path, ...]
    n_rows: int
    refused: dict[str, int]
    firms: pd.DataFrame


def write_firm_accounts(
    city_productivity: pd.DataFrame, folder: Path, *, seed: int, model: AccountsModel | None = None
) -> WrittenAccounts:
    """Write ``asif_YYYY.csv``, ``deflators.csv``, ``capital_growth.csv`` and ``technology.csv``.

    Parameters
    ----------
    city_productivity : DataFrame
        ``city_id, year, ln_pro``; the years of a city follow one another.
    folder : Path
        Created if absent.
    seed : int
        Root of the random streams.
    model : AccountsModel, optional

    Raises
    ------
    WorldOptionError
        If a city misses a year that another has inside its own, or has no district in a year.
    """
    model = model or AccountsModel()
    latent = city_productivity.pivot(index="city_id", columns="year", values="ln_pro").sort_index()
    years = tuple(int(year) for year in latent.columns)
    paths = {city: latent.loc[city].dropna() for city in latent.index}
    gaps = [city for city, path in paths.items() if latent.loc[city, path.index[0] : path.index[-1]].isna().any()]
    if gaps:
        raise WorldOptionError(f"city_productivity: expected years without gaps in every city; found gaps in {gaps[:5]}.")
    places = _district_codes({(city, int(year)) for city, path in paths.items() for year in path.index})
    prices = load_investment_prices()
    firms = pd.concat(
        [
            _city(city, path.to_numpy(), tuple(int(year) for year in path.index), places, prices, seed, model)
            for city, path in paths.items()
        ],
        ignore_index=True,
    )
    folder.mkdir(parents=True, exist_ok=True)
    files, n_rows, refused = [], 0, dict.fromkeys(DIRT, 0)
    for year, rows in firms.groupby("year", sort=True):
        parts = [rows, *(_dirty_rows(rows, kind, model.n_dirty) for kind in DIRT if model.n_dirty)]
        for part in parts[1:]:
            refused[part["dirt"].iloc[0]] += len(part)
        files.append(_write_year(pd.concat(parts, ignore_index=True), int(year), folder))
        n_rows += sum(map(len, parts))
    _write_series(folder, years, model)
    truth = firms[["firm_id", "year", "city_id", "industry_code", "omega", "ln_workers", "ln_capital", "error"]]
    return WrittenAccounts(tuple(files), n_rows, refused, truth)


def _district_codes(city_years: set[tuple[str, int]]) -> dict[tuple[str, int], list[str]]:
    """Codes of the municipal districts (or of the undivided city) by city and year."""
    book = load_place_book()
    found: dict[tuple[str, int], list[str]] = {}
    for year in sorted({year for _, year in city_years}):
        at = max(year, 2000)
        prefectures = book.prefectures[(book.prefectures["valid_from"] <= at) & (at < book.prefectures["valid_to"])]
        city_of = dict(zip(prefectures["prefecture_code"], prefectures["city_id"], strict=True))
        units = book.units[
            (book.units["valid_from"] <= at) & (at < book.units["valid_to"])
            & book.units["unit_type"].isin(["district", "whole_city"])
        ]
        for code, prefecture in zip(units["unit_code"], units["prefecture_code"], strict=True):
            found.setdefault((city_of.get(prefecture, ""), year), []).append(code)
    missing = sorted(city_years - set(found))
    if missing:
        raise WorldOptionError(f"city_productivity: no municipal district for {missing[:5]} in the reference tables.")
    return found


def _city(
    city: str,
    ln_pro: np.ndarray,
    years: tuple[int, ...],
    places: Mapping[tuple[str, int], list[str]],
    prices: Mapping[int, float],
    seed: int,
    model: AccountsModel,
) -> pd.DataFrame:
    """Histories of a city's firms; arrays are (n_firms, n_years)."""
    rng = generator(seed, "accounts", city)
    industries = np.repeat(np.array(sorted(model.technology)), model.firms_per_industry)
    elasticity = np.array([model.technology[code] for code in industries])
    n, n_years = len(industries), len(years)
    omega = ln_pro + _less_mean(_persistent(rng, n, n_years, sd=model.within_city_sd, root=0.7))
    wage = _persistent(rng, n, n_years, sd=0.35, root=0.9)
    founded = rng.integers(1980, years[0] + 1, n)
    book = _book_values(rng, omega, n, n_years)
    stock = np.array(
        [
            firm_stock(np.array(years), book[i], birth_year=int(founded[i]), growth=BACKCAST_GROWTH, prices=prices)
            for i in range(n)
        ]
    )
    ln_capital = np.log(stock)
    workers = np.maximum(np.round(np.exp(-1.0 + 0.45 * ln_capital + 0.5 * (omega - 3.0) + wage + 1.5)), 10.0)
    error = _less_mean(model.error_sd * rng.standard_normal((n, n_years)))
    ln_value_added = elasticity[:, :1] * np.log(workers) + elasticity[:, 1:] * ln_capital + omega + error
    # the planned inputs know productivity and capital but not the error: the proxy assumption holds
    ln_inputs = 0.5 + 0.6 * ln_capital + 0.9 * omega
    shape = np.arange(n)[:, None] + np.zeros((1, n_years), dtype=int)
    year_grid = np.broadcast_to(np.array(years), (n, n_years))
    frame = pd.DataFrame(
        {
            "firm_id": [f"{city[:4]}{i:05d}" for i in shape.ravel()],
            "city_id": city, "year": year_grid.ravel(), "industry_code": industries[shape.ravel()],
            "place_code": [
                places[city, year][i % len(places[city, year])]
                for i, year in zip(shape.ravel(), year_grid.ravel(), strict=True)
            ],
            "founded_year": founded[shape.ravel()], "omega": omega.ravel(), "error": error.ravel(),
            "n_workers": workers.ravel(), "ln_workers": np.log(workers).ravel(), "ln_capital": ln_capital.ravel(),
            "fixed_assets_original": book.ravel(),
        }
    )
    return _add_accounts(frame, ln_value_added.ravel(), ln_inputs.ravel())


def _persistent(rng: np.random.Generator, n: int, n_years: int, *, sd: float, root: float) -> np.ndarray:
    """Stationary first-order processes, shape (n, n_years)."""
    path = np.empty((n, n_years))
    path[:, 0] = sd * rng.standard_normal(n)
    for t in range(1, n_years):
        path[:, t] = root * path[:, t - 1] + sd * np.sqrt(1 - root**2) * rng.standard_normal(n)
    return path


def _less_mean(values: np.ndarray) -> np.ndarray:
    """Deviations from the mean over firms; the rest of the rounding goes to the last firm."""
    values = values - values.mean(axis=0)
    values[-1] -= values.sum(axis=0)
    return values


def _book_values(rng: np.random.Generator, omega: np.ndarray, n: int, n_years: int) -> np.ndarray:
    """Original values that never fall and grow faster after a productive year."""
    book = np.empty((n, n_years))
    book[:, 0] = np.exp(rng.normal(9.0, 0.9, n))
    for t in range(1, n_years):
        pull = 0.10 + 0.15 * (omega[:, t - 1] - omega[:, t - 1].mean()) + 0.05 * rng.standard_normal(n)
        book[:, t] = book[:, t - 1] * (1.0 + np.clip(pull, 0.0, 0.6))
    return book


def _add_accounts(frame: pd.DataFrame, ln_value_added: np.ndarray, ln_inputs: np.ndarray) -> pd.DataFrame:
    """The accounts of the survey at current prices, all identities kept."""
    since = frame["year"] - BASE_YEAR
    value_added = np.exp(ln_value_added) * (1 + OUTPUT_INFLATION) ** since
    inputs = np.exp(ln_inputs) * (1 + INPUT_INFLATION) ** since
    vat = VAT_RATE * value_added
    book = frame["fixed_assets_original"]
    wages, welfare, depreciation = WAGE_SHARE * value_added, WELFARE_SHARE * value_added, 0.05 * book
    output = value_added + inputs - vat
    return frame.assign(
        firm_name=("企业" + frame["firm_id"]), postcode="", ownership="110", output_current=output,
        value_added=value_added, intermediate_inputs=inputs, vat_payable=vat, fixed_assets_total=0.75 * book,
        fixed_assets_net=0.7 * book, accumulated_depreciation=0.3 * book, current_depreciation=depreciation,
        total_assets=1.5 * book + output, current_assets=0.5 * book, paid_in_capital=0.4 * book, wages=wages,
        welfare=welfare, export_value=0.1 * output, main_revenue=output, main_cost=inputs + wages,
        inventories=0.1 * output, finished_goods=0.05 * output,
        profit=value_added - wages - welfare - depreciation - vat, dirt="",
    )


def _dirty_rows(rows: pd.DataFrame, kind: str, n_dirty: int) -> pd.DataFrame:
    """Rows that one rule must refuse, made from sound ones under new firm codes."""
    part = rows.iloc[:n_dirty].astype({"n_workers": object})
    part["firm_id"] = [f"D{DIRT.index(kind):02d}{i:05d}" for i in range(len(part))]
    part["dirt"] = kind
    match kind:
        case "capital_nonpositive":
            part["fixed_assets_original"] = np.where(np.arange(len(part)) % 2, 0.0, -5.0)
        case "output_nonpositive":
            part["output_current"] = 0.0
        case "workers_below_8":
            part["n_workers"] = 3.0
        case "fixed_assets_above_total":
            part["fixed_assets_total"] = part["total_assets"] + 1.0
        case "place_unknown":
            part["place_code"] = "990000"
        case "industry_unknown":
            part["industry_code"] = ""
        case "not_manufacturing":
            part["industry_code"] = "44"
        case "number_malformed":
            part["n_workers"] = "12x"
        case "firm_code_missing":
            part["firm_id"] = ""
    return part


def _write_year(rows: pd.DataFrame, year: int, folder: Path) -> Path:
    name = "firms_pinyin" if year >= FIRST_PINYIN_YEAR else "firms_chinese"
    layout = next(layout for layout in load_firm_layouts() if layout.name == name)
    without = {"value_added"} if year in WITHOUT_VALUE_ADDED else set()
    if year >= FIRST_PINYIN_YEAR:
        without |= {"intermediate_inputs"}
    columns = [column for column in layout.columns if column not in without]
    headings = [HEADINGS.get(year, {}).get(column, layout.columns[column][0]) for column in columns]
    delivered = rows.assign(
        legal_person_code=rows["firm_id"],
        place_code=rows["place_code"] + ("001002" if year >= 2004 else ""),
        cic_code=[f"{_of_edition(code, year)}10" if code else "" for code in rows["industry_code"]],
    )
    path = folder / f"asif_{year}.csv"
    encoding = "utf-8" if year >= FIRST_PINYIN_YEAR else "gb18030"
    with path.open("w", encoding=encoding, newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(headings)
        # repr keeps every bit of a float, so that logarithms come back exactly
        writer.writerows(
            [repr(float(value)) if isinstance(value, float) else value for value in row]
            for row in delivered[columns].itertuples(index=False)
        )
    return path


def _of_edition(industry: str, year: int) -> str:
    """Two digits of the year's edition for an industry of the 2002 edition."""
    edition = next(item for item in load_industry_editions() if item.first_year <= year <= item.last_year)
    back = {new: old for old, new in reversed(edition.recode.items())}
    return back.get(industry, industry)[:2]


def _write_series(folder: Path, years: tuple[int, ...], model: AccountsModel) -> None:
    prices = [
        (series, "", year, repr(100.0 * (1 + rate) ** (year - BASE_YEAR)))
        for series, rate in (("output", OUTPUT_INFLATION), ("input", INPUT_INFLATION))
        for year in range(min(years), max(years) + 1)
    ]
    tables: dict[str, tuple[tuple[str, ...], Sequence[tuple]]] = {
        "deflators.csv": (("series", "industry_code", "year", "price_index"), prices),
        "capital_growth.csv": (("province2", "industry_code", "growth"), [("", "", BACKCAST_GROWTH)]),
        "technology.csv": (
            ("industry_code", "coef_labour", "coef_capital"),
            [(code, *pair) for code, pair in sorted(model.technology.items())],
        ),
    }
    for name, (headings, rows) in tables.items():
        with (folder / name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([headings, *rows])
