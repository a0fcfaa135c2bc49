"""Response surface over mixtures (Scheffe 1958): y = sum b_i x_i + sum b_ij x_i x_j, x_i the strategies' shares."""

import itertools
from dataclasses import dataclass

import numpy as np


@dataclass
class ResponseSurface:
    strategies: list
    quadratic: bool
    coefficients: np.ndarray
    draws: np.ndarray  # [samples, terms]
    residual_deviation: float
    points: int

    def predict(self, shares):
        """Mean, and a bootstrap interval, at shares [points, strategies]."""
        terms = design(np.atleast_2d(shares), self.quadratic)
        drawn = terms @ self.draws.T
        return terms @ self.coefficients, np.percentile(drawn, [2.5, 97.5], axis=1)

    def best(self, steps=10):
        """The lattice point with the largest prediction, and how often it (or one step beside it) is the largest in
        the bootstrap samples."""
        lattice = simplex(len(self.strategies), steps)
        mean, interval = self.predict(lattice)
        at = int(np.argmax(mean))
        winners = np.argmax(design(lattice, self.quadratic) @ self.draws.T, axis=0)
        near = np.abs(lattice[winners] - lattice[at]).sum(axis=1) <= 2 / steps + 1e-9
        return lattice[at], float(mean[at]), interval[:, at], float(np.mean(near))


def simplex(components, steps):
    """All shares in multiples of 1 / steps."""
    bars = itertools.combinations(range(steps + components - 1), components - 1)
    return np.array([np.diff([-1, *bar, steps + components - 1]) - 1 for bar in bars]) / steps


def design(shares, quadratic):
    shares = np.asarray(shares, float)
    if not quadratic:
        return shares
    pairs = [shares[:, i] * shares[:, j] for i, j in itertools.combinations(range(shares.shape[1]), 2)]
    return np.concatenate([shares, np.stack(pairs, axis=1)], axis=1) if pairs else shares


def fit_surface(strategies, shares, response, samples=1000, seed=0):
    """Quadratic where there are more observations than terms and two to spare, linear otherwise. Intervals by
    resampling residuals, scaled for the fitted terms. Raises ValueError with too few points for a line."""
    shares, response = np.asarray(shares, float), np.asarray(response, float)
    k = len(strategies)
    terms = k * (k + 1) // 2
    quadratic = len(response) >= terms + 2 and np.linalg.matrix_rank(design(shares, True)) == terms
    matrix = design(shares, quadratic)
    if np.linalg.matrix_rank(matrix) < matrix.shape[1] or len(response) <= matrix.shape[1]:
        raise ValueError(f"{len(response)} runs do not determine {matrix.shape[1]} coefficients")
    coefficients = np.linalg.lstsq(matrix, response, rcond=None)[0]
    residuals = response - matrix @ coefficients
    scaled = residuals * np.sqrt(len(response) / (len(response) - matrix.shape[1]))
    generator = np.random.default_rng(seed)
    drawn = [np.linalg.lstsq(matrix, matrix @ coefficients + generator.choice(scaled, len(response)),
                             rcond=None)[0] for _ in range(samples)]
    return ResponseSurface(list(strategies), quadratic, coefficients, np.array(drawn), float(np.std(scaled)),
                           len(response))


def surface_of(rows, metric):
    """From a sweep's rows. Where there are runs with proportions, those alone, for they are of equal size; otherwise
    every mix counts as equal shares of its strategies, and its size goes unseen. Returns the surface and which."""
    done = [row for row in rows if row["state"] == "done" and row.get(metric) is not None and row["draws"] == 1]
    names = list(dict.fromkeys(name for row in done for name in row["strategies"].split("+") if name))

    def proportions(row):
        given = [row.get(f"proportion/{name}") for name in names]
        return [value or 0.0 for value in given] if any(value is not None for value in given) else None
    lattice = [row for row in done if proportions(row)]
    if lattice:
        return fit_surface(names, [proportions(row) for row in lattice], [row[metric] for row in lattice]), True
    sizes = {row["instructions"] for row in done}
    largest = 0 if 0 in sizes else max(sizes, default=0)  # 0: all there are
    whole = [row for row in done if row["instructions"] == largest]
    shares = [[(name in row["strategies"].split("+")) / len(row["strategies"].split("+")) for name in names]
              for row in whole]
    return fit_surface(names, shares, [row[metric] for row in whole]), False
