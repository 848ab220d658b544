"""Small deliveries made on the spot: a few dozen declarations a year, sound ones, imports and broken ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

HEADINGS = (
    "shipment_date", "exp_or_imp", "hs_id", "hs_name", "value", "quantity", "unit", "party_id", "company",
    "CompanyType", "zip", "city", "country", "port", "shipment",
)
# postcode and place as delivered; districts of three cities, and Liyang, a county-level city below Changzhou
PLACES = (("213000", "江苏省常州"), ("210000", "江苏省南京"), ("310000", "浙江省杭州"), ("213300", "江苏省常州"))
GOODS = ("84713010", "61091000", "85171100", "95030090", "42022200")
PARTNERS = ("美国", "日本", "德国", "英国")


def _number(*parts: object) -> int:
    """A number that depends on the parts only."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:6], "big")


def delivered_lines(year: int, month: int, n_lines: int, salt: str = "") -> list[str]:
    """Data lines of one monthly file: exports, every ninth an import, every eleventh with a value no number can be."""
    lines = []
    for row in range(n_lines):
        draw = _number(year, month, row, salt)
        postcode, place = PLACES[draw % len(PLACES)]
        value = "n/a" if row % 11 == 10 else f"{1 + draw % 500_000}.{draw % 100:02d}"
        lines.append(
            ",".join(
                (
                    f"{year}{month:02d}", "1" if row % 9 == 8 else "0", GOODS[draw // 7 % len(GOODS)], "goods", value,
                    str(1 + draw % 90), "千克", f"3204{910_000 + draw % 60}", f"公司{draw % 60}", "私营企业", postcode,
                    place, PARTNERS[draw // 11 % len(PARTNERS)], "上海海关", "一般贸易",
                )
            )
        )
    return lines


def write_delivery(raw: Path, years, *, months=(1, 2), n_lines: int = 40, salt: str = "") -> Path:
    """Write monthly files ``customs/dataYYYYMM.csv`` and return the raw folder."""
    folder = raw / "customs"
    folder.mkdir(parents=True, exist_ok=True)
    for year in years:
        for month in months:
            lines = delivered_lines(year, month, n_lines, salt)
            text = "\n".join((",".join(HEADINGS), *lines)) + "\n"
            (folder / f"data{year}{month:02d}.csv").write_text(text, encoding="utf-8")
    return raw


@pytest.fixture(scope="session", name="write_delivery")
def _write_delivery():
    """:func:`write_delivery`, for test modules (which cannot import this file)."""
    return write_delivery
