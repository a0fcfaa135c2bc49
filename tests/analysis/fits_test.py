"""The fits find the laws that made the data."""
import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("scipy")
import mixture  # noqa: E402
import parallel_model  # noqa: E402
import scaling_law  # noqa: E402

def test_the_scaling_law_that_made_the_data_is_found():
    x = np.geomspace(10, 1000, 6)
    law = scaling_law.fit_law(x, 0.4 + 2 * (x / 100) ** -0.5)
    assert abs(law.exponent - 0.5) < 1e-4 and abs(law.offset - 0.4) < 1e-4


def test_the_surface_over_mixtures_that_made_the_data_is_found():
    shares = mixture.simplex(3, 4)
    assert len(shares) == 15 and np.allclose(shares.sum(axis=1), 1) and len(np.unique(shares, axis=0)) == 15
    truth = np.array([0.5, 0.6, 0.7, 0.4, 0.0, -0.2])
    surface = mixture.fit_surface(["a", "b", "c"], shares, mixture.design(shares, True) @ truth)
    assert surface.quadratic and np.allclose(surface.coefficients, truth)
    _, value, _, often = surface.best()
    assert value >= max(truth[:3]) and often > 0.9


def test_latency_and_bandwidth_that_made_the_data_are_found():
    ranks, sizes = np.array([2, 4, 8, 2]), np.array([1e3, 1e6, 1e6, 1e8])
    assert np.allclose(parallel_model.fit_alpha_beta(ranks, sizes, 2 * (ranks - 1) * (1e-5 + 1e-9 * sizes / ranks)), (1e-5, 1e-9))
    assert np.allclose(parallel_model.fit_alpha_beta([2], [1e8], [0.1]), (0, 1e-9)), "one size: all is the bytes'"


def test_predicted_steps():
    machine = parallel_model.Machine(1e12, 1e-5, 1e-9, cores=2)
    assert parallel_model.step_seconds(machine, 1, 1e12, 1e6) == 1
    assert parallel_model.step_seconds(machine, 4, 1e12, 0) > 0.5, "four ranks on two cores compute no faster than two"
    predicted = parallel_model.predict(parallel_model.Machine(1e12, 1e-5, 1e-9), [1, 8, 64, 512], 1e12, 1e8)
    efficiencies = [row[2] for row in predicted]
    assert efficiencies[0] == 1 and all(a > b for a, b in zip(efficiencies, efficiencies[1:]))


# Offset, amplitude, exponent, deviation and sizes of known laws.
LAWS = [(0.5, 1.0, 0.35, 0.01, (16, 32, 64, 128, 256)), (1.8, 2.0, 0.3, 0.005, (100, 300, 1000, 3000, 10000, 30000)),
        (0.0, 1.0, 0.5, 0.02, (8, 16, 32, 64, 128))]


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_intervals_of_scaling_laws_cover_the_exponent():
    generator, draws = np.random.default_rng(1), 100
    for offset, amplitude, exponent, sigma, sizes in LAWS:
        covered = 0
        for draw in range(draws):
            x = np.repeat(sizes, 3)
            y = (offset + amplitude * (x / sizes[0]) ** -exponent) * np.exp(sigma * generator.standard_normal(len(x)))
            low, high = scaling_law.fit_with_intervals(x, y, samples=120, seed=draw).exponent_interval
            covered += low <= exponent <= high
        print(f"{offset} + {amplitude} x^-{exponent}, deviation {sigma}: {covered} of {draws} intervals cover the exponent")
        assert covered >= 0.9 * draws
