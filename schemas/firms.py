"""Firm accounts and what is learned from them: silver accounts, firm productivity, city productivity.

Accounts come from the Annual Survey of Industrial Firms (silver keeps them as reported: thousand yuan, current prices);
deflating, imputing and capital by perpetual inventory happen on the way to gold. A table of firm productivity estimated
elsewhere enters at ``gold.firm_tfp`` with the source ``given``.
"""

from __future__ import annotations

from schemas.fields import define, fields
from schemas.table import Table

# thousand yuan with two decimals in some years' deliveries; double because every use of them is a logarithm
ACCOUNT_TYPE = "double"
_THOUSAND_YUAN = "thousand yuan, current prices"

define("legal_person_code", "string", "Code of the legal person in the survey; not the customs code (firm_id)")
define("place_code", "string", "Administrative place code of the year as delivered, 6 or 12 digits")
define("cic_code", "string", "Industry code (GB/T 4754) as delivered, of the year's edition")
define("industry_code", "string", "Two-digit industry in the 2002 edition of GB/T 4754")
define("founded_year", "int", "Year of foundation as reported")
define("ownership", "string", "Registered ownership type as delivered")
define("n_workers", ACCOUNT_TYPE, "Workers, yearly average where the year reports it", unit="persons")
for _name, _meaning in {
    "output_current": "Gross industrial output",
    "value_added": "Industrial value added as reported; null in years that do not report it",
    "intermediate_inputs": "Intermediate inputs as reported; null in years that do not report it",
    "vat_payable": "Value-added tax payable",
    "fixed_assets_total": "Fixed assets, total",
    "fixed_assets_original": "Fixed assets at original purchase prices",
    "fixed_assets_net": "Fixed assets, net of depreciation",
    "accumulated_depreciation": "Accumulated depreciation",
    "current_depreciation": "Depreciation of the year",
    "total_assets": "Total assets",
    "current_assets": "Current assets",
    "paid_in_capital": "Paid-in capital",
    "wages": "Wages payable",
    "welfare": "Welfare payable",
    "export_value": "Export delivery value",
    "main_revenue": "Revenue of the main business",
    "main_cost": "Cost of the main business",
    "inventories": "Inventories",
    "finished_goods": "Finished goods in the inventories",
    "profit": "Total profit",
}.items():
    define(_name, ACCOUNT_TYPE, _meaning, unit=_THOUSAND_YUAN)
define(
    "firm_place_method", "string", "How the place code was matched to a unit",
    allowed=("unit_of_year", "unit_of_year_before", "prefecture_prefix"),
)
define(
    "value_added_method", "string", "Where value added comes from",
    allowed=("reported", "accounting_identity", "va_ratio", "income_approach", "cost_accounts"),
)
define("is_imputed", "boolean", "Value added or inputs are imputed, not reported or an accounting identity of reports")
define("tfp_source", "string", "Estimated here from the survey, or given by the user", allowed=("survey", "given"))
define("tfp_method", "string", "Estimator of the production function")
define("ln_tfp", "double", "Log total factor productivity: output less inputs times coefficients", unit="log")
define("ln_tfp_relative", "double", "ln_tfp less the mean of its industry over all firms and years", unit="log")
define("ln_output", "double", "Log of what is explained: real value added or real gross output", unit="log thousand yuan")
define("ln_workers", "double", "Log workers", unit="log persons")
define("ln_capital", "double", "Log real capital stock", unit="log thousand yuan")
define("ln_inputs", "double", "Log real intermediate inputs", unit="log thousand yuan")
define("output_weight", "double", "Output used as weight of the firm in its city", unit=_THOUSAND_YUAN)
define("worker_weight", "double", "Workers used as weight of the firm in its city", unit="persons")
define("estimate_status", "string", "What became of the industry",
       allowed=("estimated", "known", "too_small", "singular", "not_converged", "refused"))
define("estimate_reason", "string", "Why an industry has no estimate; null when it has one")
for _input in ("labour", "capital", "inputs"):
    define(f"coef_{_input}", "double", f"Output elasticity of {_input}")
    define(f"se_{_input}", "double", f"Standard error of coef_{_input}")
define("std_error_kind", "string", "How standard errors were made",
       allowed=("bootstrap", "cluster", "homoskedastic", "none"))
define("criterion", "double", "Sum of squares (OP, LP), or squared norm of the moments where a root is solved for")
define("is_converged", "boolean", "The search ended at an estimate")
define("n_firm_years", "bigint", "Firm-years used", unit="firm-years")
define("n_firm_years_dropped", "bigint", "Firm-years without a usable variable", unit="firm-years")
define("n_pairs_used", "bigint", "Firm-years in the last step: with the year before, unless the method is static",
       unit="firm-years")
define("n_industry_firms", "bigint", "Distinct firms of the industry", unit="firms")
define("n_roots", "int", "Roots found; more than one means the moments alone do not decide")
define("notes", "array<string>", "What to doubt about the estimate")
define("estimate_seconds", "double", "Time the estimate took", unit="seconds")
define("ln_pro", "double", "City productivity by the configured weights and reference: the model's lnPro", unit="log")
define("ln_tfp_simple", "double", "Unweighted city mean of firm productivity", unit="log")
define("ln_tfp_output", "double", "City mean weighted by output", unit="log")
define("ln_tfp_employment", "double", "City mean weighted by workers", unit="log")
define("tfp_weights", "string", "Weights of ln_pro", allowed=("simple", "output", "employment"))
define("tfp_relative", "string", "Reference of ln_pro: the industry's pooled mean taken off, or nothing",
       allowed=("industry", "none"))
define("n_city_firms", "bigint", "Firm-years with productivity behind the city mean", unit="firms")
define("n_city_industries", "bigint", "Industries behind the city mean", unit="industries")
define("share_imputed", "double", "Share of the city's firm-years with imputed value added or inputs", unit="share")

_ACCOUNTS = (
    "n_workers", "output_current", "value_added", "intermediate_inputs", "vat_payable", "fixed_assets_total",
    "fixed_assets_original", "fixed_assets_net", "accumulated_depreciation", "current_depreciation", "total_assets",
    "current_assets", "paid_in_capital", "wages", "welfare", "export_value", "main_revenue", "main_cost",
    "inventories", "finished_goods", "profit",
)
FIRM_ACCOUNT = Table(
    name="silver.firm_account",
    made_by=("productivity",),
    fields=fields(
        "year!", "legal_person_code!", "firm_name", "city_id", "prefecture_code!", "unit_code", "unit_type",
        "firm_place_method!", "place_code!", "postcode", "industry_code!", "cic_code!", "founded_year", "ownership",
        *_ACCOUNTS, "source_file!", "file_sha256!", "source_row!",
    ),
    key=("year", "legal_person_code"),
    partition_by=("year",),
    description="One row per firm and year of the industrial survey that passes the filters, as reported.",
    caveats=(
        "city_id is null for firms outside prefecture-level cities: they count for the technology, not for a city.",
        "Value added is not reported in 2004 and after 2007; intermediate inputs not after 2007.",
    ),
)
FIRM_QUARANTINE = Table(
    name="silver.firm_quarantine",
    made_by=("productivity",),
    fields=fields(
        "year!", "primary_reason!", "reasons!", "legal_person_code", "firm_name", "place_code", "cic_code",
        "founded_year", *_ACCOUNTS, "source_file!", "file_sha256!", "source_row!",
    ),
    key=("file_sha256", "source_row"),
    partition_by=("year",),
    description="One row per refused firm-year of the survey: all reasons, the first as primary.",
    checks={"has_a_reason": "primary_reason <> ''"},
)
PRODUCTION_FUNCTION = Table(
    name="gold.production_function",
    made_by=("productivity",),
    made_from=("silver.firm_account",),
    fields=fields(
        "industry_code!", "tfp_method!", "estimate_status!", "estimate_reason", "coef_labour", "coef_capital",
        "coef_inputs", "se_labour", "se_capital", "se_inputs", "std_error_kind!", "is_converged!", "criterion",
        "n_roots!", "n_firm_years!", "n_firm_years_dropped!", "n_pairs_used!", "n_industry_firms!", "notes!",
        "estimate_seconds!", "run_id!",
    ),
    key=("industry_code",),
    description="One row per industry: coefficients of its production function, or why it has none.",
    caveats=("An industry without an estimate has no productivity; its firm-years are missing from city means.",),
)
FIRM_TFP = Table(
    name="gold.firm_tfp",
    made_by=("productivity",),
    made_from=("silver.firm_account", "gold.production_function"),
    fields=fields(
        "year!", "legal_person_code!", "city_id", "unit_type", "industry_code!", "ln_tfp!", "ln_tfp_relative!",
        "ln_output", "ln_workers", "ln_capital", "ln_inputs", "output_weight", "worker_weight", "value_added_method",
        "is_imputed!", "tfp_source!", "tfp_method!",
    ),
    key=("year", "legal_person_code"),
    partition_by=("year",),
    description="One row per firm and year: log total factor productivity.",
    caveats=(
        "ln_tfp depends on the unit of capital, differently by industry; compare ln_tfp_relative across industries.",
    ),
)
CITY_PRODUCTIVITY = Table(
    name="gold.city_productivity",
    made_by=("productivity",),
    made_from=("gold.firm_tfp",),
    fields=fields(
        "year!", "city_id!", "ln_pro!", "tfp_weights!", "tfp_relative!", "ln_tfp_simple", "ln_tfp_output",
        "ln_tfp_employment", "n_city_firms!", "n_city_industries!", "share_imputed!", "tfp_source!",
    ),
    key=("year", "city_id"),
    partition_by=("year",),
    description="One row per city and year: mean log productivity of its firms, the model's lnPro.",
    checks={"share_imputed_range": "share_imputed BETWEEN 0 AND 1"},
)
TABLES = (FIRM_ACCOUNT, FIRM_QUARANTINE, PRODUCTION_FUNCTION, FIRM_TFP, CITY_PRODUCTIVITY)
