"""The production function of one industry: data and options in, coefficients and firm productivity out.

``ProductionFunction(frame, output="ln_va", free=["ln_labour"], state="ln_capital", proxy="ln_inputs", entity="firm_id",
time="year").fit("lp")``. Everything is in logs. Productivity is output less inputs times coefficients, for every row
that has them, also where the proxy is missing (a firm without investment has no place in the Olley-Pakes estimate but
it has a productivity).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from estimation.production.acf import fit_acf
from estimation.production.bootstrap import BootstrapDraws, bootstrap
from estimation.production.errors import OptionError
from estimation.production.firm_panel import FirmPanel, read_firm_panel
from estimation.production.index_number import compute_index
from estimation.production.options import METHODS, PROXY_METHODS, Method, ProductionOptions, require_one_of
from estimation.production.proxy import fit_two_step
from estimation.production.results import Estimate, ProductionResults
from estimation.production.static import fit_fixed_effects, fit_ols
from estimation.production.wooldridge import fit_wooldridge


class ProductionFunction:
    """Log-linear production function of one industry.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per firm and year.
    output : str
        Log value added or log gross output.
    free, state, proxy : str or sequence of str
        Columns of log inputs chosen within the year, of log inputs given at its start, and of the proxies.
    shares : sequence of str
        Cost shares of the free inputs (and of the proxy with gross output); only for the index number.
    entity, time : str
        Firm and calendar year.
    options : ProductionOptions, optional

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> k, l = rng.normal(size=(2, 200))
    >>> frame = pd.DataFrame({"f": np.arange(200) // 4, "t": np.arange(200) % 4, "y": .3 * k + .6 * l, "l": l, "k": k})
    >>> fit = ProductionFunction(frame, output="y", free="l", state="k", entity="f", time="t").fit("ols")
    >>> fit.params.round(6).to_dict()
    {'l': 0.6, 'k': 0.3}
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        *,
        output: str,
        free: str | Sequence[str],
        state: str | Sequence[str],
        proxy: str | Sequence[str] = (),
        shares: str | Sequence[str] = (),
        entity: str,
        time: str,
        options: ProductionOptions | None = None,
    ) -> None:
        self.frame = frame
        self.options = options or ProductionOptions()
        self.output, self.entity, self.time = output, entity, time
        self.free, self.state, self.proxy, self.shares = map(_as_names, (free, state, proxy, shares))

    def fit(self, method: Method = "lp", *, n_bootstrap: int = 0) -> ProductionResults:
        """Estimate the coefficients and the productivity of every firm-year.

        Parameters
        ----------
        method : {"ols", "fe", "op", "lp", "acf", "wooldridge", "index"}
        n_bootstrap : int
            Draws of firms for the standard errors; 0 leaves the analytic ones, where the method has them.

        Raises
        ------
        FirmDataError, TooSmallError, SingularError, OptionError
        """
        options = self._options_for(method)
        panel = read_firm_panel(
            self.frame,
            output=self.output,
            free=self.free,
            state=self.state,
            proxy=self.proxy if method in PROXY_METHODS or options.measure == "gross_output" else (),
            shares=self.shares if method == "index" else (),
            entity=self.entity,
            time=self.time,
        )
        estimate = estimate_panel(panel, method, options)
        names = _input_names(panel, options)
        draws = self._bootstrap(panel, method, options, estimate, n_bootstrap)
        std_errors, kind = _std_errors(estimate, options, draws, len(names))
        return ProductionResults(
            method=method,
            params=pd.Series(estimate.params, index=list(names)),
            std_errors=pd.Series(std_errors, index=list(names)),
            omega=self._omega(panel, names, estimate, options),
            converged=estimate.is_converged,
            criterion=estimate.criterion,
            n_obs=panel.n_obs,
            n_pairs=estimate.n_pairs,
            n_entities=panel.n_entities,
            n_dropped=panel.n_dropped,
            std_error_kind=kind,
            n_bootstrap=len(draws.params) if draws else 0,
            n_bootstrap_failed=draws.n_failed if draws else 0,
            roots=estimate.roots,
            notes=estimate.notes + (draws.notes if draws else ()),
            options=options,
        )

    def _options_for(self, method: str) -> ProductionOptions:
        """Refuse clashes; Olley-Pakes' proxy is investment, never an input."""
        require_one_of("method", method, METHODS)
        options = self.options
        if method in PROXY_METHODS and not self.proxy:
            raise OptionError(f"method={method!r}: expected a proxy column; found none.")
        if options.measure == "gross_output" and method != "op" and not self.proxy:
            raise OptionError("measure='gross_output': expected intermediate inputs as proxy; found no proxy column.")
        if options.tfp == "planned" and method not in ("op", "lp", "acf"):
            raise OptionError(f"tfp='planned': {method!r} has no first stage; use tfp='residual'.")
        if options.exit != "none" and method not in ("op", "lp", "acf"):
            raise OptionError(f"exit={options.exit!r}: {method!r} has no exit correction; use op, lp or acf.")
        return replace(options, measure="value_added") if method == "op" else options

    def _bootstrap(
        self, panel: FirmPanel, method: str, options: ProductionOptions, estimate: Estimate, n_draws: int
    ) -> BootstrapDraws | None:
        if not n_draws or not estimate.is_converged or method == "index":
            return None
        again = partial(estimate_panel, panel, method, options, start=estimate.params)
        return bootstrap(again, panel, n_draws=n_draws, n_params=len(estimate.params), seed=options.seed)

    def _omega(
        self, panel: FirmPanel, names: tuple[str, ...], estimate: Estimate, options: ProductionOptions
    ) -> pd.Series:
        """Productivity on the frame's index; missing when the estimate failed."""
        omega = np.full(len(self.frame), np.nan)
        if estimate.tfp is not None:
            omega[panel.position] = estimate.tfp
        elif not estimate.is_converged:
            pass
        elif options.tfp == "planned":
            X = self.frame[list(names)].to_numpy(dtype=float, na_value=np.nan)[panel.position]
            omega[panel.position] = estimate.planned - X @ estimate.params
        else:
            X = self.frame[list(names)].to_numpy(dtype=float, na_value=np.nan)
            omega = self.frame[self.output].to_numpy(dtype=float, na_value=np.nan) - X @ estimate.params
            omega = np.where(np.isfinite(omega), omega, np.nan)
        return pd.Series(omega, index=self.frame.index, name="omega")


def estimate_panel(
    panel: FirmPanel,
    method: str,
    options: ProductionOptions,
    weights: np.ndarray | None = None,
    *,
    start: np.ndarray | None = None,
) -> Estimate:
    """Estimate one method on arrays; the door for callers without a frame.

    Parameters
    ----------
    weights : ndarray, shape (n,), optional
        Frequency weights of a bootstrap draw.
    start : ndarray, optional
        Estimate that a search may start from.
    """
    match method:
        case "ols":
            return fit_ols(panel, options, weights)
        case "fe":
            return fit_fixed_effects(panel, options, weights)
        case "op":
            return fit_two_step(panel, options, weights, start=start)
        case "lp":
            proxy_is_input = options.measure == "gross_output"
            return fit_two_step(panel, options, weights, start=start, proxy_is_input=proxy_is_input)
        case "acf":
            return fit_acf(panel, options, weights, start=start)
        case "wooldridge":
            return fit_wooldridge(panel, options, weights)
        case "index":
            return compute_index(panel, options)
    raise OptionError(f"method: expected one of {', '.join(METHODS)}; found {method!r}.")


def _as_names(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _input_names(panel: FirmPanel, options: ProductionOptions) -> tuple[str, ...]:
    names = panel.names["free"] + panel.names["state"]
    return names + panel.names["proxy"] if options.measure == "gross_output" else names


def _std_errors(
    estimate: Estimate, options: ProductionOptions, draws: BootstrapDraws | None, n_params: int
) -> tuple[np.ndarray, str]:
    if draws is not None:
        return draws.std_errors, "bootstrap"
    if estimate.cov is not None:
        return np.sqrt(np.diag(estimate.cov)), options.cov_type
    return np.full(n_params, np.nan), "none"
