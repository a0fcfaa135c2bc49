"""Power laws with an offset, L(x) = E + A x^-alpha, fitted to the logarithm of L, with bootstrap intervals."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

STARTS = [(offset, alpha) for offset in (0.0, 0.5, 0.9) for alpha in (0.1, 0.3, 0.6, 1.0)]
EXPONENT_BOUNDS = (1e-3, 5.0)


@dataclass
class PowerLaw:
    """The fitted law; x is divided by `scale` within, so that A is of the order of L."""
    offset: float
    amplitude: float
    exponent: float
    scale: float

    def __call__(self, x):
        return self.offset + self.amplitude * (np.asarray(x, float) / self.scale) ** -self.exponent

    def describe(self, symbol="x"):
        return f"{self.offset:.4g} + {self.amplitude:.3g} ({symbol} / {self.scale:.3g})^-{self.exponent:.3g}"


@dataclass
class ScalingFit:
    law: PowerLaw
    residuals: np.ndarray  # log L, observed minus fitted
    draws: list  # PowerLaw, one a bootstrap sample
    exponent_interval: tuple
    offset_interval: tuple

    def band(self, x, level=0.95):
        values = np.array([law(x) for law in self.draws])
        tail = 50 * (1 - level)
        return np.percentile(values, [tail, 100 - tail], axis=0)


def fit_law(x, loss, start=None):
    """Least squares of log L. E is bounded by 0 and the smallest L, A is positive."""
    x, loss = np.asarray(x, float), np.asarray(loss, float)
    if len(np.unique(x)) < 3 or np.any(x <= 0) or np.any(loss <= 0):
        raise ValueError("a power law with an offset needs positive values at three sizes or more")
    scale, low = float(np.exp(np.mean(np.log(x)))), loss.min()
    log_x, log_loss = np.log(x / scale), np.log(loss)

    # L = E + exp(a - alpha log x): the exponents are free of units, and A cannot become negative.
    def residuals(parameters):
        offset, log_amplitude, exponent = parameters
        return np.log(offset + np.exp(log_amplitude - exponent * log_x)) - log_loss

    def jacobian(parameters):
        offset, log_amplitude, exponent = parameters
        power = np.exp(log_amplitude - exponent * log_x)
        total = offset + power
        return np.stack([1 / total, power / total, -log_x * power / total], axis=1)

    bounds = ([0, -20, EXPONENT_BOUNDS[0]], [low * (1 - 1e-9), 20, EXPONENT_BOUNDS[1]])
    best = None
    for share, exponent in (STARTS if start is None else [start, (0.5, 0.3)]):
        offset = min(share * low, bounds[1][0] * 0.999)
        middle = max(float(np.median(loss)) - offset, 1e-6 * low)
        found = least_squares(residuals, [offset, np.log(middle), exponent], jac=jacobian, bounds=bounds,
                              x_scale=[low, 1, 0.3], max_nfev=200)
        if best is None or found.cost < best.cost:
            best = found
    offset, log_amplitude, exponent = best.x
    return PowerLaw(float(offset), float(np.exp(log_amplitude)), float(exponent), scale)


def fit_with_intervals(x, loss, samples=400, level=0.95, seed=0):
    """Parametric bootstrap: normal errors of log L, whose size allows for the three parameters, about the fit. The
    intervals are percentiles, widened by Student's quantile over the normal one for the few observations there are."""
    from scipy.stats import norm, t

    x, loss = np.asarray(x, float), np.asarray(loss, float)
    law = fit_law(x, loss)
    residuals = np.log(loss) - np.log(law(x))
    freedom = max(len(x) - 3, 1)
    sigma = float(np.sqrt(np.sum(residuals ** 2) / freedom))
    sigma *= t.ppf(0.5 + level / 2, freedom) / norm.ppf(0.5 + level / 2)
    generator = np.random.default_rng(seed)
    start = (law.offset / loss.min(), law.exponent)
    draws = []
    for _ in range(samples):
        drawn = np.exp(np.log(law(x)) + sigma * generator.standard_normal(len(x)))
        draws.append(fit_law(x, drawn, start))
    tail = 50 * (1 - level)

    def interval(values):
        return tuple(float(v) for v in np.percentile(values, [tail, 100 - tail]))
    return ScalingFit(law, residuals, draws, interval([d.exponent for d in draws]),
                      interval([d.offset for d in draws]))
