"""``tables.R``: every column of a study in R, by the formulas themselves, by plm and by pdynmc, beside our numbers.

plm and pdynmc have no words for some of what a column asks (a variable that instruments the transformed equation only, another
weight of the first step); the script says which, and how far their numbers are from ours. The formulas themselves, in base R
at the top of the script, know all of it and give the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources

from estimation.dynamic_panel.spec import GMMStyle, IVStyle
from estimation.replication.blocks import Block, StudyData

_HEAD = """\
# tables.R: every column of the study {name}, estimated again from {name}.dta (or {name}.csv), beside our numbers
{banner}# Run it in this folder: Rscript tables.R. It changes no file.
# R alone is enough; with the packages haven, plm and pdynmc it reads the Stata file and compares with both programs:
#     install.packages(c("haven", "plm", "pdynmc"))

has <- function(package) requireNamespace(package, quietly = TRUE)
study <- if (has("haven") && file.exists("{name}.dta")) as.data.frame(haven::zap_labels(haven::read_dta("{name}.dta"))) else
  read.csv("{name}.csv", fileEncoding = "UTF-8", stringsAsFactors = FALSE)
for (column in names(study)) if (is.logical(study[[column]])) study[[column]] <- as.numeric(study[[column]])
cities <- sort(unique(study$city)); years <- min(study$year):max(study$year)
worst <- c()

"""
_FUNCTIONS = """
# --- by plm and pdynmc: what they can say of a column ------------------------------------------------------------------------

# pgmm finds its own helpers only where the package is attached
if (has("plm")) suppressPackageStartupMessages(library(plm))

by_plm <- function(spec, data) {
  if (spec$kept != "") data <- data[data[[spec$kept]] == 1, ]
  # pgmm leaves rows out before lags are taken
  if (spec$sample != "") data <- data[data[[spec$sample]] == 1, ]
  data <- plm::pdata.frame(data[c("city", "year", unique(unlist(c(spec$y, spec$x, lapply(spec$iv, `[[`, "v")))))],
                           index = c("city", "year"))
  lag_term <- function(v, from, to) if (from == to) sprintf("lag(%s, %d)", v, from) else sprintf("lag(%s, %d:%d)", v, from, to)
  gmm <- unlist(lapply(spec$gmm, function(g) lag_term(g$v, g$lags[1], min(g$lags[2], 99))))
  formula <- as.formula(sprintf(
    "%s ~ %s | %s | %s", spec$y, paste(c(if (spec$lags) lag_term(spec$y, 1, spec$lags), spec$x), collapse = " + "),
    paste(gmm, collapse = " + "), paste(unlist(lapply(spec$iv, `[[`, "v")), collapse = " + ")))
  fit <- plm::pgmm(formula, data = data, effect = if (is.null(spec$base)) "individual" else "twoways",
                   model = if (spec$steps == 2) "twosteps" else "onestep", transformation = if (spec$system) "ld" else "d",
                   collapse = all(sapply(spec$gmm, `[[`, "collapse")))
  b <- if (spec$steps == 2) fit$coefficients[[2]] else fit$coefficients
  table <- summary(fit, robust = TRUE)$coefficients
  names(b) <- sub("^lag\\\\((.*), 1(:1)?\\\\)$", "L.\\\\1", names(b))
  list(b = b, se = setNames(table[, 2], names(b)[seq_len(nrow(table))]))
}

by_pdynmc <- function(spec, data) {
  if (spec$kept != "") data <- data[data[[spec$kept]] == 1, ]
  if (spec$sample != "") data <- data[data[[spec$sample]] == 1, ]
  endogenous <- setdiff(unlist(lapply(spec$gmm, `[[`, "v")), spec$y)
  controls <- intersect(spec$x, unlist(lapply(spec$iv, `[[`, "v")))
  last <- min(max(sapply(spec$gmm, function(g) g$lags[2])), length(years) - 1)
  fit <- pdynmc::pdynmc(
    dat = data[c("city", "year", spec$y, spec$x)], varname.i = "city", varname.t = "year", use.mc.diff = TRUE,
    use.mc.lev = spec$system, use.mc.nonlin = FALSE, inst.collapse = all(sapply(spec$gmm, `[[`, "collapse")),
    inst.stata = TRUE, include.y = TRUE, varname.y = spec$y, lagTerms.y = spec$lags, maxLags.y = last,
    include.x = length(endogenous) > 0, varname.reg.end = endogenous, lagTerms.reg.end = rep(0, length(endogenous)),
    maxLags.reg.end = rep(last, length(endogenous)), fur.con = length(controls) > 0, fur.con.diff = TRUE,
    fur.con.lev = spec$system, varname.reg.fur = controls, lagTerms.reg.fur = rep(0, length(controls)),
    include.dum = !is.null(spec$base), dum.diff = FALSE, dum.lev = TRUE, varname.dum = "year", col_tol = 0.999,
    w.mat = "iid.err", w.mat.stata = TRUE, std.err = "corrected",
    estimation = if (spec$steps == 2) "twostep" else "onestep", opt.meth = "none")
  b <- pdynmc:::coef.pdynmc(fit); se <- fit$stderr[[length(fit$stderr)]]
  names(b) <- sub("^L1\\\\.", "L.", sub("^L0\\\\.", "", names(b)))
  list(b = b, se = setNames(se[seq_along(b)], names(b)))
}

beside <- function(program, found, ours) {
  if (inherits(found, "error")) { cat(sprintf("  %-10s no estimates: %s\\n", program, conditionMessage(found))); return(NA) }
  here <- found$b[ours$term]; here_se <- found$se[ours$term]
  gap <- here - ours$b; gap_se <- here_se - ours$se
  for (i in seq_along(ours$term)) {
    cat(sprintf("  %-10s %-30s %12.7f %12.7f %9.1e   %11.7f %11.7f %9.1e\\n", program, ours$term[i], here[i], ours$b[i],
                gap[i], here_se[i], ours$se[i], gap_se[i]))
  }
  max(abs(c(gap, gap_se)), na.rm = TRUE)
}

column <- function(key, title, spec, ours, notes = character()) {
  cat(sprintf("\\n%s: %s\\n  %-10s %-30s %12s %12s %9s   %11s %11s %9s\\n", key, title, "by", "term", "here", "ours",
              "gap", "SE here", "SE ours", "gap"))
  run <- function(f) tryCatch(suppressWarnings(f(spec, study)), error = function(e) e)
  worst[paste(key, "formulas")] <<- beside("formulas", run(system_gmm), ours)
  if (has("plm")) worst[paste(key, "plm")] <<- beside("plm", run(by_plm), ours)
  if (has("pdynmc")) worst[paste(key, "pdynmc")] <<- beside("pdynmc", run(by_pdynmc), ours)
  if (length(notes) && (has("plm") || has("pdynmc"))) cat(paste0("  plm and pdynmc: ", notes, "\\n"), sep = "")
}

"""
_TAIL = """
cat("\\nlargest difference from our numbers\\n")
for (program in c("formulas", "plm", "pdynmc")) {
  found <- worst[grepl(paste0(" ", program, "$"), names(worst))]
  if (any(!is.na(found))) cat(sprintf("  %-10s %9.1e in %d of %d columns\\n", program, max(found, na.rm = TRUE),
                                      sum(!is.na(found)), length(found)))
}
"""
_EQUATIONS = {"both": "both", "difference": "diff", "level": "level"}


def r_script(name: str, data: StudyData, *, banner: str = "") -> str:
    """Return the R script of a study.

    Parameters
    ----------
    name : str
        Of the study, ``NAME.dta`` and ``NAME.csv`` beside the script.
    data : StudyData
    banner : str
        A sentence on top, such as that the data are generated.
    """
    functions = (resources.files("estimation") / "replication" / "system_gmm.R").read_text("utf-8")
    head = _HEAD.format(name=name, banner=f"# {banner}\n" if banner else "")
    return head + functions + _FUNCTIONS + "\n".join(_column(block) for block in data.blocks) + _TAIL


def _column(block: Block) -> str:
    key = f"{block.table}.col{block.position}.{block.profile}"
    if block.command is None:
        return f"# {key}: not estimated: {' '.join(block.failure.split())}\ncat({_text(key + ': not estimated')}, \"\\n\")\n"
    if block.command.spec.transform != "fd":
        # deviations have no formula at the top of the script; Stata's commands have words for them
        return f"cat({_text(f'{key}: in deviations, which tables.R does not know; see tables.do')}, \"\\n\")\n"
    ours = [(block.names[term], number.coefficient, number.std_error) for term, number in block.numbers.items()]
    terms, coefficients, errors = zip(*ours, strict=True)
    return (
        f"# {' '.join(f'{block.heading.en} · {block.heading.zh}'.split())}\n"
        f"column({_text(key)}, {_text(block.heading.en)},\n"
        f"  list({_spec(block)}),\n"
        f"  list(term = {_texts(terms)},\n"
        f"       b = {_vector(map(repr, coefficients))},\n"
        f"       se = {_vector(map(repr, errors))}),\n"
        f"  {_texts(_notes(block))})\n"
    )


def _spec(block: Block) -> str:
    """Write the specification of a column as elements of an R list."""
    assert block.command is not None
    spec, options = block.command.spec, block.command.options
    plain = [name for name in spec.regressors if "." not in name and "(" not in name]
    dummies = next((name for name in spec.regressors if name.startswith("C(")), "")
    gmm = [group for group in spec.instruments if isinstance(group, GMMStyle)]
    iv = [group for group in spec.instruments if isinstance(group, IVStyle)]
    of_dummies = next((_EQUATIONS[group.equation] for group in iv if group.variables[0].startswith("C(")), "")
    parts = {
        "y": _text(spec.dependent), "lags": str(block.column.dependent_lags), "x": _texts(plain),
        "base": dummies.rpartition("base=")[2].rstrip(")") if dummies else "NULL", "dummies": _text(of_dummies),
        "gmm": _groups(
            f"list(v = {_texts(one.variables)}, lags = c({one.lags[0]}, {'Inf' if one.lags[1] is None else one.lags[1]}),"
            f" collapse = {_truth(one.collapse)})" for one in gmm
        ),
        "iv": _groups(
            f"list(v = {_texts(one.variables)}, eq = {_text(_EQUATIONS[one.equation])})"
            for one in iv if not one.variables[0].startswith("C(")
        ),
        "constant": _truth(spec.has_constant), "system": _truth(spec.system), "steps": str(options.steps),
        "errors": _text(options.covariance), "kept": _text(block.kept),
        "sample": _text("" if block.kept else block.sample), "rule": _text(spec.sample_rule),
        "cluster": _text(spec.cluster or ""),
    }  # fmt: skip
    return ",\n       ".join(f"{key} = {value}" for key, value in parts.items())


def _notes(block: Block) -> list[str]:
    """What plm and pdynmc cannot say of a column."""
    assert block.command is not None
    spec, notes = block.command.spec, ["another weight in the first step, and no constant"]
    if any(isinstance(group, IVStyle) and group.equation == "difference" for group in spec.instruments):
        notes.append("controls that instrument the transformed equation only instrument both there")
    if block.sample and not block.kept:
        notes.append("rows outside the sample are no source of lags there")
    if spec.cluster is not None:
        notes.append("standard errors are by city there")
    return notes


def _groups(items: Iterable[str]) -> str:
    return f"list({', '.join(items)})"


def _truth(value: bool) -> str:
    return "TRUE" if value else "FALSE"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ").replace("\r", " ")
    return f'"{escaped}"'


def _texts(values: Iterable[str]) -> str:
    return _vector(map(_text, values)) if (values := list(values)) else "character()"


def _vector(items: Iterable[str]) -> str:
    """Write ``c(...)``, a few items a line."""
    items = list(items)
    rows = [", ".join(items[at : at + 6]) for at in range(0, len(items), 6)]
    return "c(" + ",\n         ".join(rows) + ")"
