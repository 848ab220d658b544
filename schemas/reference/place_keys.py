"""Spelling of a production place as the look-ups know it.

Files write one place in many ways: with 其它 or 其他, with brackets, in full-width letters, as the five digits of customs'
list with or without the name after them, and with a dozen words for one sort of zone. What carries no meaning is taken
away.
"""

from __future__ import annotations

import re
from typing import Any

WIDE = "".join(chr(code) for code in range(0xFF01, 0xFF5F)) + "它"
PLAIN = "".join(chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)) + "他"
"""Full-width forms and the half-width ones that stand for them; 其它 is 其他."""
HIGH_TECH_PATTERN = (
    "(?:国家级?)?(?:火炬)?(?:高新技术|高技术|高科技|新技术|新兴技术|高新|科技)"
    "(?:产业|工业|外向型)?(?:开发|实验|试验|产业)*(?:园区|园|区)$"
)
HIGH_TECH = "高新区"
"""The one word for all sorts of high-tech zones."""
NEEDLESS = (
    "^(?:中国|中华人民共和国)(?=.)"
    "|(?:国家级?)?(?:经济技术|经济|技术|经)(?=开发?区$)|(?<=开)发(?=区$)"
    "|(?<=综)合(?=保税区$)|(?<=综合?保)税(?=区$)"
    "|(?<=保税港)区$|保税(?=物流)|(?<=物流园)区$"
    "|出口(?=加工区$)|经济(?=特区$)"
)
"""What files write or leave out in the words for a sort of zone: 大连经济技术开发区, 大连开发区."""
ENDINGS = (
    "其他", "其余", "市辖区", "开区", "开发", "高新区", "保税区", "综保区", "保税港", "物流园", "物流中心", "加工区",
    "出口加工区", "出口加工", "工业园区", "工业园", "工业区", "[A-D]区", "台商投资区", "旅游度假区", "边境经济合作区",
    "经济合作区", "跨境工业区", "自由贸易试验区",
)
"""What stands after a place for its zones and its rest; the place stays the same."""
ENDINGS_PATTERN = f"(?:{'|'.join(sorted(ENDINGS, key=len, reverse=True))})+$"

PROVINCE_ENDINGS = ("维吾尔自治区", "壮族自治区", "回族自治区", "自治区", "省", "市")
WITH_HEADS = ("prefecture", "prefecture_short", "unit", "unit_with_place", "historic", "misspelt", "short", "zone", "user")
"""Kinds of spellings that are understood with the province in front, too."""

_WIDTH = str.maketrans(WIDE, PLAIN)
# what follows the five digits of customs' list: the entry's name, or the decimals a spreadsheet gave it
_NAME_AFTER_CODE = re.compile("^([0-9]{5})[^0-9].*$")
_MEANINGLESS, _HIGH_TECH = re.compile(r"[\W_]"), re.compile(HIGH_TECH_PATTERN)
# Python knows no look-behind of varying length
_NEEDLESS = re.compile(NEEDLESS.replace("(?<=综合?保)税", "(?:(?<=综合保)|(?<=综保))税"))


def place_key(text: str) -> str:
    """Key of a text: upper case, half width, letters and digits only, one word for each sort of zone.

    Examples
    --------
    >>> place_key("31224 上海外高桥保税区"), place_key("Xi'an"), place_key("江苏省其它"), place_key("两路寸滩保税港区（空港）")
    ('31224', 'XIAN', '江苏省其他', '两路寸滩保税港区空港')
    >>> place_key("大连经济技术开发区"), place_key("石家庄高新技术产业开发实验区"), place_key("宁波北仑港保税区")
    ('大连开区', '石家庄高新区', '宁波北仑港保税区')
    """
    plain = _NAME_AFTER_CODE.sub(r"\1", text.upper().translate(_WIDTH))
    return _NEEDLESS.sub("", _HIGH_TECH.sub(HIGH_TECH, _MEANINGLESS.sub("", plain)))


def without_ending(key: str) -> str:
    """Key without the words for zones and rests at its end; empty when it consists of them.

    Examples
    --------
    >>> without_ending("海淀区其他"), without_ending("常熟开区"), without_ending("昆山")
    ('海淀区', '常熟', '昆山')
    """
    return re.sub(ENDINGS_PATTERN, "", key)


def province_heads(prefectures: Any) -> dict[str, list[str]]:
    """Two digits of a province to the ways it is written before a place: 江苏, 江苏省; 新疆维吾尔 for files that cut it."""
    heads = {}
    for code, name in {row.province_code: row.province_name for row in prefectures.itertuples()}.items():
        stem = next((name.removesuffix(ending) for ending in PROVINCE_ENDINGS if name.endswith(ending)), name)
        ways = {name, stem, stem + "省", name.removesuffix("自治区")}
        heads[code[:2]] = sorted(ways, key=lambda way: (-len(way), way))
    return heads
