"""Five records and ways to deliver them; the same records must come back whatever carries them."""

from __future__ import annotations

RECORDS = [
    {
        "period": "200506", "flow": flow, "hs_code": code, "value": value, "quantity": "10", "firm_id": firm,
        "firm_name": name, "firm_type": "私营企业", "postcode": postcode, "production_place": place, "partner": partner,
        "trade_regime": "一般贸易",
    }
    for flow, code, value, firm, name, postcode, place, partner in (
        ("出口", "85171100", "12345", "3204910001", "测试甲电子有限公司", "213000", "江苏省常州", "美国"),
        ("出口", "09024090", "2500", "3502910002", "测试乙茶叶有限公司", "361000", "福建省厦门", "日本"),
        ("出口", "62034290", "100000", "3301910003", "测试丙服装有限公司", "310011", "浙江省杭州", "德国"),
        ("进口", "84713000", "50000", "3104910004", "测试丁电脑有限公司", "200000", "上海市浦东", "韩国"),
        ("出口", "61091000", "777.5", "4403910005", "测试戊针织有限公司", "518001", "广东省深圳", "香港"),
    )
]
COLUMNS = {
    "日期": "period", "进口或出口": "flow", "税号编码": "hs_code", "企业编码": "firm_id", "经营单位": "firm_name",
    "邮编": "postcode", "消费地或生产地": "production_place", "企业性质": "firm_type", "起运国或目的国": "partner",
    "贸易方式": "trade_regime", "金额": "value", "数量": "quantity",
}
HEADINGS = list(COLUMNS)
ROWS = [[record[column] for column in COLUMNS.values()] for record in RECORDS]


def lines(rows=None, headings=None, delimiter=",", newline="\n") -> str:
    """The records as text."""
    every = [headings or HEADINGS, *(ROWS if rows is None else rows)]
    return "".join(delimiter.join(row) + newline for row in every)


def values(rows, *columns):
    """Some columns of the rows, all of the records' when none is named."""
    return [{column: row[column] for column in columns or RECORDS[0]} for row in rows]
