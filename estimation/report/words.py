"""What the report calls things, in English and Chinese: variables, samples, columns of its lists, words in its plots."""

from __future__ import annotations

from typing import NamedTuple

from estimation.tables.columns import CONSTANT_TERM, LAG_TERM
from estimation.tables.study import PRODUCT


class Word(NamedTuple):
    """A word or sentence in both languages."""

    en: str
    zh: str


class Variable(NamedTuple):
    """A variable of the model: its name and definition in both languages."""

    name: Word
    definition: Word
    unit: Word


VARIABLES = {
    "lnvalue": Variable(
        Word("Export value", "出口额"),
        Word("Log of a year's export value of the city", "城市全年出口额的对数"),
        Word("log US dollars", "美元，对数"),
    ),
    "lnnum": Variable(
        Word("Number of products", "出口产品种类"),
        Word("Log of the number of HS six-digit products exported", "出口HS六位编码产品数的对数"),
        Word("log products", "种，对数"),
    ),
    "lnnumcou": Variable(
        Word("Number of destinations", "出口目的地数量"),
        Word("Log of the number of destinations", "出口目的地数量的对数"),
        Word("log economies", "个，对数"),
    ),
    "lnAgg": Variable(
        Word("Agglomeration", "集聚"),
        Word("Log of non-agricultural population", "非农业人口的对数"),
        Word("log 10,000 persons", "万人，对数"),
    ),
    "lnRes": Variable(
        Word("Resilience", "经济韧性"),
        Word("Log index of real growth over the growth of the base year", "实际增长相对基准年增长的指数的对数"),
        Word("log index", "指数，对数"),
    ),
    "lnRunepd": Variable(
        Word("Unemployment", "失业率"),
        Word(
            "Log of the registered unemployment rate: a high value means little resilience",
            "城镇登记失业率的对数：数值越高韧性越弱",
        ),
        Word("log share", "比例，对数"),
    ),
    "lnRunepd_flipped": Variable(
        Word("Unemployment, sign turned", "失业率（反向）"),
        Word("Minus the log of unemployment", "失业率对数的相反数"),
        Word("log share", "比例，对数"),
    ),
    "lnResc": Variable(
        Word("Resilience, moving average", "经济韧性（移动平均）"),
        Word("Resilience as an average over three years", "三年移动平均的经济韧性"),
        Word("log index", "指数，对数"),
    ),
    "lnGrowth": Variable(
        Word("Growth", "增长率"),
        Word("Log growth factor of real output, without a base year", "实际产出增长因子的对数，无基准年"),
        Word("log index", "指数，对数"),
    ),
    "lnPro": Variable(
        Word("Productivity", "生产率"),
        Word("City mean of firms' log total factor productivity", "城市内企业全要素生产率对数的均值"),
        Word("log", "对数"),
    ),
    "lnphumc": Variable(
        Word("Human capital", "人力资本"),
        Word("Log of 1 + students in higher education per 10,000 persons", "每万人高等学校在校学生数加一的对数"),
        Word("log persons", "人，对数"),
    ),
    "lnrd": Variable(
        Word("Science spending", "科技支出"),
        Word("Log of 1 + science spending of the city's budget", "地方财政科技支出加一的对数"),
        Word("log 10,000 yuan", "万元，对数"),
    ),
    "lnseadis": Variable(
        Word("Distance to the sea", "到海港距离"),
        Word("Log of 1 + distance to the nearest port", "到最近海港距离加一的对数"),
        Word("log km", "公里，对数"),
    ),
    "lnfdi": Variable(
        Word("Foreign capital", "外资"),
        Word(
            "Log of 1 + foreign capital actually used, at the year's exchange rate",
            "当年汇率折算的实际使用外资加一的对数",
        ),
        Word("log 10,000 yuan", "万元，对数"),
    ),
    "lnroadper": Variable(
        Word("Roads per head", "人均道路面积"),
        Word("Log of 1 + paved road area per head", "人均铺装道路面积加一的对数"),
        Word("log square metres", "平方米，对数"),
    ),
    "ETDZ": Variable(
        Word("Development zone", "国家级经开区"),
        Word(
            "1 when the city has a national economic and technological development zone",
            "城市设有国家级经济技术开发区时为1",
        ),
        Word("0/1", "0/1"),
    ),
    "land_area": Variable(
        Word("Land area", "土地面积"),
        Word("Land area of the municipal districts; instrument only", "市辖区土地面积；仅作工具变量"),
        Word("square kilometres", "平方公里"),
    ),
}
SAMPLES = {
    "full": Word("all cities", "全样本"),
    "large": Word("large cities", "大城市"),
    "medium": Word("medium cities", "中等城市"),
    "small": Word("small cities", "小城市"),
    "east": Word("east", "东部"),
    "central": Word("central", "中部"),
    "west": Word("west", "西部"),
}
CHANNELS = {
    "resilience": Word("Resilience channel", "韧性渠道"),
    "productivity": Word("Productivity channel", "生产率渠道"),
}
SIDES = {
    "ours": Word("ours", "本文估计"),
    "paper": Word("paper", "论文"),
    "truth": Word("truth", "真值"),
    "first": Word("defensible", "稳健设定"),
    "second": Word("paper's way", "论文设定"),
}
STATISTICS = {
    "n_raw": Word("City-years before lags", "原始样本量"),
    "n_level": Word("Observations, level equation", "水平方程样本量"),
    "n_transformed": Word("Observations, transformed", "变换方程样本量"),
    "n_cities": Word("Cities", "城市数"),
    "n_instruments": Word("Instruments", "工具变量数"),
    "ar1_p": Word("AR(1), p", "AR(1) p值"),
    "ar2_p": Word("AR(2), p", "AR(2) p值"),
    "hansen_p": Word("Hansen, p", "Hansen p值"),
}
VERDICTS = {
    "supported": Word("supported", "支持"),
    "contradicted": Word("contradicted", "不符"),
    "cannot tell": Word("cannot tell", "无法判断"),
    "not rejected": Word("not rejected", "未被拒绝"),
    "not tested": Word("not tested", "未检验"),
}
#: Heads of listed frames; one that is not here is shown by its own name.
COLUMNS = {
    "table": Word("table", "表"),
    "column": Word("column", "列"),
    "dependent": Word("outcome", "被解释变量"),
    "sample": Word("sample", "样本"),
    "resilience": Word("resilience measure", "韧性指标"),
    "variable": Word("variable", "变量"),
    "channel": Word("channel", "渠道"),
    "choice": Word("choice", "设定"),
    "term": Word("variable", "变量"),
    "resilience_channel": Word("resilience channel", "韧性渠道"),
    "productivity_channel": Word("productivity channel", "生产率渠道"),
    "difference": Word("difference", "差异"),
    "std_error": Word("std. error", "标准误"),
    "pvalue": Word("p", "p值"),
    "pvalue_larger": Word("p, one-sided", "单侧p值"),
    "natural_difference": Word("difference, natural units", "差异（原始单位）"),
    "natural_std_error": Word("std. error, natural units", "标准误（原始单位）"),
    "natural_pvalue": Word("p, natural units", "p值（原始单位）"),
    "holm": Word("p, Holm", "Holm p值"),
    "romano_wolf": Word("p, Romano-Wolf", "Romano-Wolf p值"),
    "n_obs": Word("observations", "样本量"),
    "n_cities": Word("cities", "城市数"),
    "n_instruments": Word("instruments", "工具变量数"),
    "lag": Word("lagged outcome", "滞后项"),
    "lnAgg": Word("agglomeration", "集聚"),
    "ar2_p": Word("AR(2), p", "AR(2) p值"),
    "hansen_p": Word("Hansen, p", "Hansen p值"),
    "hausman_p": Word("Hausman, p", "Hausman p值"),
    "left_out": Word("not estimated", "未估计"),
    "correlation": Word("correlation", "相关系数"),
    "z": Word("z", "z值"),
    "z_uncorrelated": Word("z if uncorrelated", "不相关时z值"),
    "correlation_needed": Word("correlation needed", "所需相关系数"),
    "reading": Word("reading", "解读"),
    "its_pvalue": Word("its p", "其p值"),
    "its_pvalue_": Word("its p", "其p值"),
    "without": Word("without", "剔除"),
    "without_": Word("without", "剔除"),
    "problem": Word("why empty", "缺失原因"),
    "provinces": Word("provinces", "省份数"),
    "smallest_difference": Word("smallest difference", "最小差异"),
    "largest_difference": Word("largest difference", "最大差异"),
    "sign_changes": Word("sign changes", "符号改变"),
    "natural_value": Word("natural value", "原始值"),
    "share_of_observations": Word("share of observations", "样本占比"),
    "share_above_zero": Word("share of draws above zero", "大于零的比例"),
    "fieller_lower": Word("Fieller, low", "Fieller下限"),
    "fieller_upper": Word("Fieller, high", "Fieller上限"),
    "fieller_kind": Word("Fieller set", "Fieller集合"),
    "short_run": Word("short run", "短期"),
    "long_run": Word("long run", "长期"),
    "lower": Word("95% low", "95%下限"),
    "upper": Word("95% high", "95%上限"),
    "compared": Word("compared", "比较"),
    "stat": Word("statistic", "统计量"),
    "df": Word("df", "自由度"),
    "test": Word("test", "检验"),
    "estimate": Word("estimate", "估计值"),
    "uncorrected": Word("std. error, uncorrected", "未修正标准误"),
    "significant": Word("significant", "显著区间"),
    "percentile": Word("percentile", "百分位"),
    "value": Word("value, SD", "取值（标准差）"),
    "effect": Word("effect", "效应"),
    "band_lower": Word("band, low", "联合下限"),
    "band_upper": Word("band, high", "联合上限"),
    "path": Word("path", "路径"),
    "first": Word("first step", "第一步"),
    "second": Word("second step", "第二步"),
    "indirect": Word("indirect effect", "间接效应"),
    "n_draws": Word("draws", "抽样次数"),
    "fixed_effects": Word("fixed effects", "固定效应"),
    "gmm": Word("GMM", "GMM"),
    "pooled_ols": Word("pooled OLS", "混合OLS"),
    "gmm_inside": Word("GMM between them", "GMM介于其间"),
    "cells": Word("coefficients", "系数个数"),
    "same_sign": Word("same sign as the paper", "与论文同号"),
    "same_stars": Word("same stars", "显著性相同"),
    "paper_in_interval": Word("paper's value in our 95% interval", "论文值在95%区间内"),
    "cells_with_truth": Word("with known truth", "有真值的系数"),
    "truth_in_interval": Word("truth in our 95% interval", "真值在95%区间内"),
    "ours": Word("ours", "本文估计"),
    "stars": Word("stars", "星号"),
    "ci_low": Word("95% low", "95%下限"),
    "ci_high": Word("95% high", "95%上限"),
    "paper": Word("paper", "论文"),
    "paper_std_error": Word("paper's std. error", "论文标准误"),
    "paper_stars": Word("paper's stars", "论文星号"),
    "difference_z": Word("difference, z", "差异z值"),
    "truth": Word("truth", "真值"),
    "n_left_out": Word("city-years left out", "剔除的城市-年份"),
    "year": Word("year", "年份"),
    "city_years": Word("city-years", "城市-年份"),
    "complete": Word("complete", "完整"),
    "share": Word("share", "占比"),
    "missing_reason": Word("reason", "原因"),
    "figure": Word("published figure", "公布指标"),
    "ratio": Word("lake / published", "数据湖 / 公布值"),
    "lowest": Word("lowest that agrees", "一致下限"),
    "highest": Word("highest that agrees", "一致上限"),
    "agrees": Word("agrees", "一致"),
    "productivity": Word("productivity", "生产率"),
    "code": Word("code", "代码"),
    "definition": Word("definition", "定义"),
    "unit": Word("unit", "单位"),
    "n": Word("observations", "样本量"),
    "mean": Word("mean", "均值"),
    "sd": Word("std. deviation", "标准差"),
    "min": Word("minimum", "最小值"),
    "max": Word("maximum", "最大值"),
}
STAGES = {
    "lines delivered": "交付行数",
    "records read": "读取记录",
    "records kept": "保留记录",
    "city-years with exports": "有出口的城市-年份",
    "city-years of the panel": "面板城市-年份",
    "with all variables": "变量齐全",
    "level equation": "水平方程",
    "transformed equation": "变换方程",
    "observations, Table 1 column 1": "表1第1列样本量",
}


#: Chinese of the words that stand in every specification.
COMMON_WORDS = {
    "coefficient per SD": "标准化系数",
    "productivity less resilience channel": "生产率渠道减韧性渠道",
    "standard deviations from the mean": "偏离均值的标准差",
    "effect per SD": "每标准差的效应",
    "fitted value, SD": "拟合值（标准差）",
    "residual, SD": "残差（标准差）",
    "normal quantile": "正态分位数",
    "residual quantile": "残差分位数",
    "products": "产品种类",
    "US dollars": "美元",
    "destinations": "目的地",
    "absolute residual": "残差绝对值",
    "count, logarithmic axis": "数量（对数轴）",
    "records": "记录数",
    "column": "列",
    "whose": "来源",
    "estimate": "估计值",
    "95% low": "95%下限",
    "95% high": "95%上限",
    "effect": "效应",
    "percentile": "百分位",
    "value, SD": "取值（标准差）",
    "city": "城市",
    "year": "年份",
    "year ": "年份 ",
    "stage": "阶段",
    "count": "数量",
    "reason": "原因",
    "median": "中位数",
    "fitted": "拟合值",
    "share": "份额",
    "normal": "正态",
    "residual": "残差",
    "other": "其他",
    "p, Romano-Wolf": "Romano-Wolf p值",
}


def plain_words(code: str) -> str:
    """A code as words: ``hs_missing`` is "HS missing"."""
    words = code.replace("_", " ")
    return f"HS{words[2:]}" if words.startswith("hs ") else words


def term_word(term: str) -> Word:
    """Name of a right-hand side term as printed: ``lnAgg*lnPro``, ``L.y``, ``Constant``."""
    if term == CONSTANT_TERM:
        return Word("Constant", "常数项")
    if term == LAG_TERM or (term.startswith("L") and term.endswith(".y")):
        order = term[1:-2] or "1"
        return Word("Lagged outcome" if order == "1" else f"Outcome, lag {order}", f"被解释变量滞后{order}期")
    words = [VARIABLES[part].name if part in VARIABLES else Word(part, part) for part in term.split(PRODUCT)]
    first, *others = (word.en for word in words)
    return Word(
        " × ".join([first, *(f"{other[0].lower()}{other[1:]}" for other in others)]), "×".join(w.zh for w in words)
    )


def variable_word(name: str) -> Word:
    """Name of a variable; an unknown one keeps its code."""
    return VARIABLES[name].name if name in VARIABLES else Word(name, name)


def sample_word(name: str, title: str = "", title_zh: str = "") -> Word:
    """Name of a sample: the one its file gives, else the one known here."""
    if title:
        return Word(title, title_zh or title)
    return SAMPLES.get(name, Word(name.replace("_", " "), name))


def column_label(position: int, dependent: str, sample: str, title: str = "", title_zh: str = "") -> Word:
    """``(1) Export value, large cities``; the full sample is not named."""
    outcome = variable_word(dependent)
    if sample == "full":
        return Word(f"({position}) {outcome.en}", f"({position}) {outcome.zh}")
    where = sample_word(sample, title, title_zh)
    return Word(f"({position}) {outcome.en}, {where.en}", f"({position}) {outcome.zh}，{where.zh}")


def lower_first(text: str) -> str:
    return f"{text[0].lower()}{text[1:]}" if text else text
