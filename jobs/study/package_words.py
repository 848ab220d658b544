"""What the columns of a study's data mean, in English and Chinese: labels of the Stata file, words of the codebook."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from estimation.replication import StudyData
from estimation.report.words import VARIABLES, Word, term_word
from jobs.core.errors import InputRefusedError
from schemas.fields import FIELDS
from schemas.panel import PRODUCTS, product_name
from schemas.reference.shipped import read_shipped

#: Columns beside the model's variables.
_ZH = {
    "city_id": "城市代码（六位）", "year": "年份", "city_name": "城市名称", "province_code": "省份代码",
    "is_complete": "基准模型变量齐全", "value_usd": "出口额（美元）", "n_products": "出口HS六位编码产品数",
    "n_destinations": "出口目的地数量", "growth_share": "实际产出比上年增长（比例）",
    "share_imputed": "补值的企业年份所占增加值份额",
    "res_sensitivity": "冲击期敏感度（Martin 2012）", "res_relative": "冲击期相对韧性（Lagravinese 2015）",
    "res_resistance": "冲击期抵抗力（Martin与Gardiner 2019）", "res_recovery": "恢复期恢复力（Martin与Gardiner 2019）",
    "lnnumcou_economies": "目的地数量的对数（按经济体）", "lnnumcou_codes": "目的地数量的对数（按海关代码）",
}  # fmt: skip
_EN = {
    "lnnumcou_economies": "Log number of destinations, counted as economies",
    "lnnumcou_codes": "Log number of destinations, counted as partner codes of customs",
}
YES_NO = (Word("no", "否"), Word("yes", "是"))


def column_words(data: StudyData) -> dict[str, Word]:
    """Label of every column of a study's data."""
    return {name: data.labels.get(name) or _word(name) for name in map(str, data.frame.columns)}


def column_units(data: StudyData) -> dict[str, str]:
    """Unit of every column that has one."""
    found = {}
    for name in map(str, data.frame.columns):
        if name.startswith("z_"):
            found[name] = "SD"
        elif name in FIELDS:
            found[name] = FIELDS[name].unit
    return found


def _word(name: str) -> Word:
    products = {product_name(*pair): "*".join(pair) for pair in PRODUCTS}
    if name.startswith("z_"):
        base = products.get(name[2:], name[2:])
        word = term_word(base)
        return Word(f"{word.en}, in SD", f"{word.zh}（标准化）")
    if name in products:
        word = term_word(products[name])
        return Word(f"{word.en}, of centred variables", f"{word.zh}（中心化变量之积）")
    if name in VARIABLES:
        return VARIABLES[name].definition
    meaning = _EN.get(name) or (FIELDS[name].meaning if name in FIELDS else name)
    return Word(meaning, _ZH.get(name, name))


def value_words(data: StudyData) -> dict[str, dict[int, Word]]:
    """What the values of cities, provinces and yes-or-no columns mean."""
    found: dict[str, dict[int, Word]] = {}
    frame = data.frame
    if "city_id" in frame:
        names = read_shipped("prefectures").drop_duplicates("city_id").set_index("city_id")
        pairs = frame.drop_duplicates("city_id")
        chinese = pairs["city_name"] if "city_name" in pairs else pairs["city_id"]
        found["city"] = {
            int(number): Word(str(names["name_en"].get(code, code)), str(name or code))
            for number, code, name in zip(pairs["city"], pairs["city_id"].astype(str), chinese, strict=True)
        }
    if "province" in frame:
        provinces = read_shipped("region_classes").set_index("province_code")["province_name"]
        pairs = frame.drop_duplicates("province_code")
        found["province"] = {
            int(number): Word(PROVINCES_EN.get(str(code), str(code)), str(provinces.get(str(code), code)))
            for number, code in zip(pairs["province"], pairs["province_code"], strict=True)
        }
    for name in frame.columns:
        if name in ("is_complete", "ETDZ") or str(name).startswith("s_"):
            values = pd.to_numeric(frame[name]).dropna()
            if (values % 1 == 0).all():
                found[str(name)] = dict(enumerate(YES_NO))
    return found


#: GB/T 2260, with the names in English that the provinces give themselves.
PROVINCES_EN = {
    "110000": "Beijing", "120000": "Tianjin", "130000": "Hebei", "140000": "Shanxi", "150000": "Inner Mongolia",
    "210000": "Liaoning", "220000": "Jilin", "230000": "Heilongjiang", "310000": "Shanghai", "320000": "Jiangsu",
    "330000": "Zhejiang", "340000": "Anhui", "350000": "Fujian", "360000": "Jiangxi", "370000": "Shandong", "410000": "Henan",
    "420000": "Hubei", "430000": "Hunan", "440000": "Guangdong", "450000": "Guangxi", "460000": "Hainan",
    "500000": "Chongqing",
    "510000": "Sichuan", "520000": "Guizhou", "530000": "Yunnan", "540000": "Tibet", "610000": "Shaanxi", "620000": "Gansu",
    "630000": "Qinghai", "640000": "Ningxia", "650000": "Xinjiang",
}  # fmt: skip


def refuse_names(data: StudyData, names: Mapping[str, str]) -> None:
    """Refuse columns that Stata would call otherwise, since the scripts name them.

    Parameters
    ----------
    names : dict
        Column to the name that Stata allows.

    Raises
    ------
    InputRefusedError
    """
    changed = {one: other for one, other in names.items() if one != other}
    if changed:
        raise InputRefusedError("\n".join(
            f"column {one!r}: Stata allows 32 letters, digits and _, not beginning with a digit, and no reserved word; it"
            f" would be {other!r} there. Give it another name." for one, other in changed.items()
        ))
