"""Raw layouts and the writing of files: headings, encodings, separators and file names as the trade has them.

Headings change within the years, not with them: monthly tables with Chinese headings (2003-2004), with English ones
(2005 to November), a full Chinese list (December 2005), another Chinese one whose destination lost its heading (2006),
and yearly GB18030 text with underscored headings from 2007 on. Source: public programs that read the files.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jobs.world import dirt
from jobs.world.records import FIRST_YEAR_OF_CODES, Records
from jobs.world.streams import generator

#: Parts a yearly file is cut into.
YEARLY_PARTS = 2


@dataclass(frozen=True, slots=True)
class RawLayout:
    """Headings in order with the canonical column under each, and how the bytes are written."""

    columns: tuple[tuple[str, str], ...]
    encoding: str
    delimiter: str = ","

    def without(self, column: str) -> RawLayout:
        """Same layout with one column left out."""
        return RawLayout(tuple(pair for pair in self.columns if pair[1] != column), self.encoding, self.delimiter)


@dataclass(frozen=True, slots=True)
class RawFile:
    """One file to write: name, layout and which of the year's records it holds."""

    name: str
    layout: RawLayout
    rows: np.ndarray


def _layout(text: str, encoding: str, delimiter: str = ",") -> RawLayout:
    pairs = (item.split("=") for item in text.split())
    return RawLayout(tuple((column, heading) for column, heading in pairs), encoding, delimiter)


MONTHLY_2003 = _layout(
    "日期=period 进口或出口=flow 税号编码=hs_code 企业编码=firm_id 经营单位=firm_name 单位地址=firm_address 电话=phone "
    "传真=fax 邮编=postcode 电子邮件=email 联系人=contact_person 消费地或生产地=production_place 企业性质=firm_type "
    "起运国或目的国=partner 口岸海关=customs_port 贸易方式=trade_regime 运输方式=transport 中转国=transit_country "
    "金额=value 数量=quantity 数量单位=quantity_unit",
    "utf-8-sig",
)
MONTHLY_2005 = _layout(
    "shipment_date=period exp_or_imp=flow hs_id=hs_code value=value quantity=quantity unit=quantity_unit party_id=firm_id "
    "company=firm_name paddr=firm_address tel=phone fax=fax zip=postcode email=email pperson=contact_person "
    "city=production_place CompanyType=firm_type country=partner port=customs_port shipment=trade_regime "
    "transportation=transport routing=transit_country",
    "utf-8",
)
DECEMBER_2005 = _layout(
    "日期=period 进口或出口=flow HS编码=hs_code HS中文=hs_name 金额=value 数量=quantity 价格=unit_price "
    "数量单位=quantity_unit 企业编码=firm_id 经营单位=firm_name 单位地址=firm_address 电话=phone 传真=fax 邮编=postcode "
    "电子邮件=email 联系人=contact_person 消费地或生产地=production_place 企业性质=firm_type 起运国或目的国=partner "
    "口岸海关=customs_port 贸易方式=trade_regime 运输方式=transport 中转国=transit_country",
    "utf-8-sig",
)
MONTHLY_2006 = _layout(
    "月度=period 进出口=flow 企业代码=firm_id 企业名称=firm_name 企业类型=firm_type 单位地址=firm_address 电话=phone "
    "传真=fax 邮编=postcode 电子邮件=email 联系人=contact_person 消费地或生产地=production_place 商品代码=hs_code "
    "var18=partner 口岸海关=customs_port 金额=value 数量=quantity 数量单位=quantity_unit 贸易方式=trade_regime "
    "运输方式=transport 中转国=transit_country",
    "gb18030",
)
YEARLY_2007 = _layout(
    "_日期=period _进口或出口=flow _税号编码=hs_code _企业编码=firm_id _经营单位=firm_name _单位地址=firm_address "
    "_邮编=postcode _消费地进口or生产地出口=production_place _企业性质=firm_type _起运国或目的国=partner "
    "_海关口岸=customs_port _贸易方式=trade_regime _中转国=transit_country _金额=value _数量=quantity",
    "gb18030", "\t",
)


def plan_files(seed: int, records: Records, year: int, *, without_postcode: bool) -> list[RawFile]:
    """Share a year's records over its files: by month, or by lot into yearly parts; each file in an order of its own."""
    if year >= FIRST_YEAR_OF_CODES:
        part = generator(seed, "parts", year).integers(YEARLY_PARTS, size=len(records))
        named = [(f"{year}_{k + 1}.txt", YEARLY_2007, part == k) for k in range(YEARLY_PARTS)]
    else:
        named = [(*_monthly(year, month), records.month == month) for month in range(1, 13)]
    files = []
    for name, layout, chosen in named:
        rows = generator(seed, "order", name).permutation(np.flatnonzero(chosen))
        if len(rows):
            files.append(RawFile(name, layout.without("postcode") if without_postcode else layout, rows))
    return files


def _monthly(year: int, month: int) -> tuple[str, RawLayout]:
    if year <= 2004:
        return f"data{year}{month:02d}.csv", MONTHLY_2003
    if year == 2005:
        return f"{year}{month:02d}.csv", DECEMBER_2005 if month == 12 else MONTHLY_2005
    return f"{year}{month:02d}cn.csv", MONTHLY_2006


def write_file(folder: Path, file: RawFile, texts: dict[str, np.ndarray], records: Records) -> None:
    """Write one file; rows with a broken structure get too few or too many fields."""
    columns = [texts[column][file.rows] for _, column in file.layout.columns]
    lines: list[Sequence[str]] = list(zip(*columns, strict=True))
    defects, style = records.defects[file.rows], records.style[file.rows]
    for k in np.flatnonzero(defects & dirt.BIT["row_malformed"]):
        lines[k] = dirt.spoil(list(lines[k]), int(style[k]))
    with (folder / file.name).open("w", encoding=file.layout.encoding, newline="") as stream:
        writer = csv.writer(stream, delimiter=file.layout.delimiter, lineterminator="\n")
        writer.writerow([heading for heading, _ in file.layout.columns])
        writer.writerows(lines)
