"""Raw layouts and the writing of files: headings, encodings, separators and file names as the trade has them.

Headings change within the years, not with them: monthly tables with Chinese headings (2003-2004), with English ones
(2005 to November), a full Chinese list (December 2005), another Chinese one whose destination lost its heading (2006),
and yearly GB18030 text with underscored headings from 2007 on. Source: public programs that read the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.world import dirt
from jobs.world.records import FIRST_YEAR_OF_CODES, Records
from jobs.world.streams import generator
from jobs.world.texts import Column, YearTexts

#: Parts a yearly file is cut into.
YEARLY_PARTS = 2
#: Lots drawn at a time; the stream gives the same ones however they are grouped.
_LOTS = 1 << 20


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


def plan_files(seed: int, months: np.ndarray, year: int, *, without_postcode: bool) -> Iterator[RawFile]:
    """Share a year's records over its files: by month, or by lot into yearly parts; each file in an order of its own."""
    if year >= FIRST_YEAR_OF_CODES:
        share, parts = _lots(seed, year, len(months)), range(YEARLY_PARTS)
        named = [(f"{year}_{k + 1}.txt", YEARLY_2007, k) for k in parts]
    else:
        share = months
        named = [(*_monthly(year, month), month) for month in range(1, 13)]
    for name, layout, k in named:
        rows = generator(seed, "order", name).permutation(np.flatnonzero(share == k).astype(np.int32))
        if len(rows):
            yield RawFile(name, layout.without("postcode") if without_postcode else layout, rows)


def _lots(seed: int, year: int, n: int) -> np.ndarray:
    rng = generator(seed, "parts", year)
    sizes = [min(_LOTS, n - first) for first in range(0, n, _LOTS)]
    return np.concatenate([rng.integers(YEARLY_PARTS, size=size).astype(np.int8) for size in sizes])


def _monthly(year: int, month: int) -> tuple[str, RawLayout]:
    if year <= 2004:
        return f"data{year}{month:02d}.csv", MONTHLY_2003
    if year == 2005:
        return f"{year}{month:02d}.csv", DECEMBER_2005 if month == 12 else MONTHLY_2005
    return f"{year}{month:02d}cn.csv", MONTHLY_2006


@dataclass(frozen=True)
class LineWriter:
    """Blocks of records to the bytes of a file's lines, as Python's ``csv`` would quote them.

    Attributes
    ----------
    texts : YearTexts
        Texts of the year.
    layout : RawLayout
        Columns, encoding and delimiter.
    encoded : dict
        Lists of texts that are quoted and encoded already, by name; shared by files of one encoding and delimiter.
    """

    texts: YearTexts
    layout: RawLayout
    encoded: dict[str, pa.BinaryArray] = field(default_factory=dict)

    def heading(self) -> bytes:
        """The first line, after the mark of the encoding where it has one."""
        line = self.layout.delimiter.join(heading for heading, _ in self.layout.columns) + "\n"
        return line.encode(self.layout.encoding)

    def lines(self, rows: Records) -> memoryview:
        """Lines of a block; rows with a broken structure get too few or too many fields."""
        columns = [self._column(self.texts.column(name, rows)) for _, name in self.layout.columns]
        delimiter = self.layout.delimiter.encode()
        ended = pc.binary_join_element_wise(columns[-1], b"\n", b"")
        lines = pc.binary_join_element_wise(*columns[:-1], ended, delimiter)
        broken = np.flatnonzero(rows.defects & dirt.BIT["row_malformed"])
        spoilt = [
            delimiter.join(dirt.spoil([column[k].as_py() for column in columns], int(rows.style[k]))) + b"\n"
            for k in broken.tolist()
        ]
        return _bytes_of(_replace(lines, broken, spoilt))

    def _column(self, column: Column) -> pa.BinaryArray:
        if column.source:
            if column.source not in self.encoded:
                self.encoded[column.source] = self._encode(column.texts)
            fields = self.encoded[column.source].take(pa.array(column.positions))
        else:
            fields = column.texts.cast(pa.binary())  # numbers, each its own text
        chosen = sorted(column.edits)
        edited = self._encode(pa.array([column.edits[k] for k in chosen], pa.string()))
        return _replace(fields, np.array(chosen, dtype=np.int64), edited)

    def _encode(self, texts: pa.StringArray) -> pa.BinaryArray:
        """Quote the texts that need it, and encode all; none has a line break."""
        special = pc.match_substring_regex(texts, f'["{self.layout.delimiter}]')
        if pc.any(special).as_py():
            quoted = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
            texts = pc.if_else(special, quoted, texts)
        if self.layout.encoding.startswith("utf-8"):
            return texts.cast(pa.binary())
        joined = "\n".join(texts.to_pylist()).encode(self.layout.encoding)
        return pa.array(joined.split(b"\n") if len(texts) else [], pa.binary())


def _replace(fields: pa.BinaryArray, chosen: np.ndarray, others: Sequence[bytes] | pa.BinaryArray) -> pa.BinaryArray:
    """Put others in the place of the chosen ones."""
    if not len(chosen):
        return fields
    mask = np.zeros(len(fields), dtype=bool)
    mask[chosen] = True
    others = others if isinstance(others, pa.Array) else pa.array(others, pa.binary())
    return pc.replace_with_mask(fields, pa.array(mask), others)


def _bytes_of(lines: pa.BinaryArray) -> memoryview:
    """The bytes of all entries, which lie behind one another."""
    _, offsets, data = lines.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[lines.offset : lines.offset + len(lines) + 1]
    return memoryview(data)[ends[0] : ends[-1]]
