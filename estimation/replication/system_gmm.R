# --- system GMM in base R: the formulas of Roodman (2009), Windmeijer (2005) ------------------------------------------------
# Rows of a city are its years; a variable is a matrix, cities by years. Missing instruments of gmm() count as zero.

matrix_of <- function(data, name) {
  m <- matrix(NA_real_, length(cities), length(years))
  m[cbind(match(data$city, cities), match(data$year, years))] <- as.numeric(data[[name]])
  m
}
lagged <- function(m, k) if (k == 0) m else cbind(matrix(NA_real_, nrow(m), k), m[, seq_len(ncol(m) - k), drop = FALSE])
change <- function(m) m - lagged(m, 1)

regressors_of <- function(spec, data) {
  x <- list()
  for (k in seq_len(spec$lags)) x[[paste0(if (k == 1) "L." else paste0("L", k, "."), spec$y)]] <- lagged(matrix_of(data, spec$y), k)
  for (name in spec$x) x[[name]] <- matrix_of(data, name)
  if (!is.null(spec$base)) for (year in setdiff(years, spec$base)) {
    x[[paste0(year, ".year")]] <- matrix(rep(as.numeric(years == year), each = length(cities)), length(cities))
  }
  if (spec$constant) x[["_cons"]] <- matrix(1, length(cities), length(years))
  x
}

# instruments: a list of (transformed rows, level rows), each a matrix, cities by years
instruments_of <- function(spec, data, x) {
  z <- list(); none <- matrix(0, length(cities), length(years))
  zero <- function(m) { m[is.na(m)] <- 0; m }
  only <- function(m, t) { out <- none; out[, t] <- m[, t]; out }
  add <- function(d, l, collapse) {
    if (collapse) { z[[length(z) + 1]] <<- list(d, l); return(invisible()) }
    for (t in seq_along(years)) z[[length(z) + 1]] <<- list(only(d, t), only(l, t))
  }
  for (group in spec$gmm) for (name in group$v) {
    m <- matrix_of(data, name)
    for (k in group$lags[1]:min(group$lags[2], length(years) - 1)) add(zero(lagged(m, k)), none, group$collapse)
    if (spec$system) add(none, zero(lagged(change(m), max(group$lags[1], 1) - 1)), group$collapse)
  }
  for (group in spec$iv) for (name in group$v) {
    m <- matrix_of(data, name)
    add(if (group$eq == "level") none else change(m), if (group$eq == "diff") none else m, TRUE)
  }
  dummies <- grep("^[0-9]+\\.year$", names(x), value = TRUE)
  for (name in dummies) add(
    if (spec$dummies == "level") none else change(x[[name]]), if (spec$dummies == "diff") none else x[[name]], TRUE
  )
  if (spec$constant) add(none, x[["_cons"]], TRUE)
  z
}

system_gmm <- function(spec, data) {
  if (spec$kept != "") data <- data[data[[spec$kept]] == 1, ]
  y <- matrix_of(data, spec$y); x <- regressors_of(spec, data); z <- instruments_of(spec, data, x)
  known <- !is.na(y)
  for (m in x) known <- known & !is.na(m)
  for (group in spec$iv) for (name in group$v) known <- known & !is.na(matrix_of(data, name))
  inside <- if (spec$sample == "") known | TRUE else { m <- matrix_of(data, spec$sample) == 1; m[is.na(m)] <- FALSE; m }
  level <- known & inside
  former <- lagged(known * 1, 1) == 1; former[is.na(former)] <- FALSE
  moved <- known & former & inside
  if (spec$rule == "both_periods") moved <- moved & lagged(inside * 1, 1) %in% 1
  group <- if (spec$cluster == "") seq_along(cities) else {
    m <- matrix_of(data, spec$cluster); apply(m, 1, function(row) row[!is.na(row)][1])
  }
  # rows of a city: the transformed ones, then those in levels
  parts <- list()
  for (i in seq_along(cities)) {
    d <- which(moved[i, ]); l <- if (spec$system) which(level[i, ]) else integer(0)
    if (length(d) + length(l) == 0) next
    at <- function(m, dm) c(dm[i, d], m[i, l])
    X <- sapply(x, function(m) at(m, change(m))); X <- matrix(X, ncol = length(x))
    Z <- sapply(z, function(pair) c(pair[[1]][i, d], pair[[2]][i, l])); Z <- matrix(Z, ncol = length(z))
    # the transform of independent errors: differences, and the errors themselves
    M <- rbind(outer(d, seq_along(years), function(a, b) (a == b) - (a == b + 1)), outer(l, seq_along(years), "==") * 1)
    parts[[length(parts) + 1]] <- list(y = at(y, change(y)), X = X, Z = Z, H = M %*% t(M), group = group[i])
  }
  X <- do.call(rbind, lapply(parts, `[[`, "X")); Z <- do.call(rbind, lapply(parts, `[[`, "Z"))
  keep_x <- independent(X, keep_last = spec$constant); keep_z <- independent(Z)
  parts <- lapply(parts, function(p) { p$X <- p$X[, keep_x, drop = FALSE]; p$Z <- p$Z[, keep_z, drop = FALSE]; p })
  names_x <- names(x)[keep_x]
  add_up <- function(f) Reduce(`+`, lapply(parts, f))
  ZX <- add_up(function(p) crossprod(p$Z, p$X)); Zy <- add_up(function(p) crossprod(p$Z, p$y))
  A <- inverse(add_up(function(p) crossprod(p$Z, p$H %*% p$Z)))
  solved <- function(A) { B <- inverse(crossprod(ZX, A %*% ZX)); list(b = B %*% crossprod(ZX, A %*% Zy), B = B) }
  first <- solved(A); residual <- function(b) lapply(parts, function(p) p$y - p$X %*% b)
  sums <- function(u) {
    g <- mapply(function(p, e) crossprod(p$Z, e), parts, u); g <- matrix(g, nrow = sum(keep_z))
    t(rowsum(t(g), sapply(parts, `[[`, "group")))
  }
  u1 <- residual(first$b); g1 <- sums(u1); S <- tcrossprod(g1)
  V1 <- first$B %*% crossprod(ZX, A %*% S %*% A %*% ZX) %*% first$B
  if (spec$steps == 1) return(list(b = named(first$b, names_x), se = named(sqrt(diag(V1)), names_x), n_z = sum(keep_z)))
  A2 <- inverse(S); second <- solved(A2); V2 <- second$B; Ze2 <- Zy - ZX %*% second$b
  D <- sapply(seq_along(names_x), function(j) {
    gx <- sums(lapply(parts, function(p) p$X[, j, drop = FALSE]))
    V2 %*% crossprod(ZX, A2 %*% ((tcrossprod(gx, g1) + tcrossprod(g1, gx)) %*% (A2 %*% Ze2)))
  })
  V <- if (spec$errors == "windmeijer") V2 + D %*% V2 + V2 %*% t(D) + D %*% V1 %*% t(D) else V2
  list(b = named(second$b, names_x), se = named(sqrt(diag(V)), names_x), n_z = sum(keep_z))
}

named <- function(values, names) setNames(as.numeric(values), names)
# with fewer clusters than moments a weight is singular: as Stata does, the moment with the most left goes first, and one of which
# the others leave nothing is left out
inverse <- function(A) {
  first <- diag(A); left <- A; open <- first > 0; kept <- c()
  while (any(open)) {
    p <- which(open)[which.max(diag(left)[open])]; open[p] <- FALSE
    if (left[p, p] <= 1e-10 * first[p]) next
    kept <- c(kept, p); left <- left - tcrossprod(left[, p]) / left[p, p]
  }
  s <- 1 / sqrt(first[kept]); out <- A * 0
  out[kept, kept] <- chol2inv(chol(A[kept, kept] * tcrossprod(s))) * tcrossprod(s)
  out
}
# columns that earlier ones do not make up; the constant goes before dummies
independent <- function(X, keep_last = FALSE) {
  order <- if (keep_last) c(ncol(X), seq_len(ncol(X) - 1)) else seq_len(ncol(X))
  size <- sqrt(colSums(X^2)); size[size == 0] <- 1
  q <- qr(sweep(X, 2, size, "/")[, order, drop = FALSE], tol = 1e-9)
  seq_len(ncol(X)) %in% order[q$pivot[seq_len(q$rank)]]
}
