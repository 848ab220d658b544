"""The first screen in words: what the data are, and the answer with its uncertainty, from recorded numbers only."""

from __future__ import annotations

import pandas as pd

from estimation.report.study_report import Origin, StudyReport
from estimation.report.words import Word

LEVEL = 0.05
QUESTION = Word(
    "Through which channel does agglomeration raise a city's exports: productivity or economic resilience?",
    "集聚通过何种渠道促进城市出口：生产率还是经济韧性？",
)
BANNERS: dict[Origin, Word] = {
    "generated": Word(
        "Generated data. Every number on this page comes from a made-up world with a known truth, not from China's customs"
        " records; it says nothing about the real world.",
        "模拟数据。本页所有数字均来自真值已知的模拟世界，并非中国海关记录，不能说明现实情况。",
    ),
    "mixed": Word(
        "Partly generated data. This lake holds generated files beside delivered ones; the numbers say nothing about the real"
        " world.",
        "部分为模拟数据。本数据湖同时含有模拟文件与实际文件，数字不能说明现实情况。",
    ),
    "delivered": Word("Delivered data: nothing on this page was generated.", "实际数据：本页数据均非模拟生成。"),
    "unknown": Word(
        "This lake does not record whether its data were generated or delivered.",
        "本数据湖未记录其数据是模拟还是实际数据。",
    ),
}


def answer(report: StudyReport) -> Word:
    """Return the answer to the question in two sentences, the uncertainty in words.

    Notes
    -----
    The first sentence is about Table 1 (both channels, adjusted p over all columns), the second about the difference of
    the channels over all columns.
    """
    coefficients = report.evidence.get("channel_coefficients", pd.DataFrame())
    tests = report.evidence.get("channel_tests", pd.DataFrame())
    if coefficients.empty or tests.empty:
        return Word(
            "The tests of the two channels are not recorded in this lake, so the page gives no answer. `customs-lake estimate`"
            " records them.",
            "本数据湖未记录两种渠道的检验结果，故无法作答；请运行 customs-lake estimate。",
        )
    return _joined(_each_channel(coefficients), _which_is_larger(tests))


def _each_channel(coefficients: pd.DataFrame) -> Word:
    baseline = coefficients[coefficients["table"] == 1]
    parts, parts_zh = [], []
    for channel, zh in (("productivity", "生产率"), ("resilience", "经济韧性")):
        rows = baseline[baseline["channel"] == channel]
        positive = int((rows["estimate"] > 0).sum())
        sure = int(((rows["estimate"] > 0) & (rows["romano_wolf"] < LEVEL)).sum())
        parts.append(
            f"where {channel} is higher in {_of(positive, len(rows))} outcomes ({sure} distinguishable from zero)"
        )
        parts_zh.append(f"{zh}渠道在{len(rows)}个被解释变量中有{positive}个为正（{sure}个显著异于零）")
    return Word(
        f"In the baseline agglomeration is estimated to raise exports more {' and '.join(parts)}, at 5% after adjusting for"
        " all columns.",
        f"基准回归中，{'，'.join(parts_zh)}（多重检验调整后，5%水平）。",
    )


def _which_is_larger(tests: pd.DataFrame) -> Word:
    n = len(tests)
    larger = int((tests["difference"] > 0).sum())
    sure = int(((tests["difference"] > 0) & (tests["romano_wolf"] < LEVEL)).sum())
    opposite = int(((tests["difference"] < 0) & (tests["romano_wolf"] < LEVEL)).sum())
    counted = "none" if sure == 0 else f"all {n}" if sure == n else f"only {sure}"
    beyond = f"{counted} of these differences {'is' if sure <= 1 else 'are'} beyond chance"
    against = f", and {opposite} of the opposite sign {'is' if opposite == 1 else 'are'}" if opposite else ""
    settled = sure == n and not opposite
    return Word(
        f"The productivity channel is estimated to be the larger one in {larger} of {n} columns, {'and' if settled else 'but'}"
        f" {beyond}{against} after the same adjustment: these data {'show' if settled else 'do not settle'} which channel is"
        " larger.",
        f"在{n}列中，生产率渠道的估计值在{larger}列大于韧性渠道，经同样调整后{sure}列差异显著"
        f"{f'，{opposite}列方向相反且显著' if opposite else ''}：现有数据"
        f"{'表明生产率渠道更大' if settled else '尚不能断定哪种渠道更大'}。",
    )


def _of(part: int, whole: int) -> str:
    return f"all {whole}" if part == whole else f"{part} of {whole}"


def _joined(*words: Word) -> Word:
    return Word(" ".join(word.en for word in words), "".join(word.zh for word in words))


def data_sentence(report: StudyReport) -> Word:
    """Return what data stand behind the page and how much of them."""
    panel, stages = report.panel, dict(report.provenance.funnel)
    years = sorted(panel["year"].dropna().unique())
    span = f"{years[0]:.0f}-{years[-1]:.0f}" if years else ""
    complete = int(panel["is_complete"].fillna(False).astype(bool).sum())
    cities = panel["city_id"].nunique()
    records = stages.get("records kept")
    read = stages.get("records read")
    raw, raw_zh = "", ""
    if records:
        raw = f"{records:,} customs records kept{f' of {read:,} read' if read else ''}; "
        raw_zh = f"{f'读取{read:,}条、' if read else ''}保留{records:,}条海关记录；"
    return Word(
        f"{raw}{cities} cities, {span}: {len(panel):,} city-years, {complete:,} of them with all variables.",
        f"{raw_zh}{cities}个城市，{span}年：{len(panel):,}个城市-年份，其中{complete:,}个变量齐全。",
    )
