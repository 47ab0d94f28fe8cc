"""Neural operators after fixed numbers of steps: at twice the resolution, from boundary values."""

from pathlib import Path

import pytest

import pinnkit as pk

pytestmark = pytest.mark.accuracy
PROBLEMS = Path(__file__).resolve().parents[2] / "problems"


@pytest.fixture(scope="module")
def burgers(tmp_path_factory):
    """Initial states to t = 1, nu = 0.01: the family, training data, test data on two grids."""
    problem = pk.load(PROBLEMS / "burgers_family.py", nu=0.01)
    folder = tmp_path_factory.mktemp("burgers")
    sets = [
        pk.dataset(problem, 660, resolution=n, frames=1, key=3, out=folder / f"{n}.h5")
        for n in (64, 128)
    ]
    train, test = sets[0].split(600, 60)
    return problem, train, test, sets[1].subset(slice(600, 660))


def error(solution, data):
    return solution.compare(data).table.loc["u", "rel_l2"]


@pytest.mark.parametrize(
    ("architecture", "steps", "bound"),
    [
        (pk.nn.FNO(width=24, modes=12, layers=3), 800, 0.02),
        (pk.nn.MgNO(channels=12, layers=3, levels=5), 800, 0.05),
    ],
    ids=["FNO", "MgNO"],
)
def test_errors_hold_at_twice_the_resolution(burgers, architecture, steps, bound):
    """An FNO works on the finer grid itself; MgNO's inputs and fields are interpolated."""
    problem, train, test, finer = burgers
    method = pk.Operator(architecture, train, steps=steps, batch=20, learning_rate=3e-3)
    solution = pk.solve(problem, method, quiet=True)
    own = error(solution, test)
    print(type(architecture).__name__, own, error(solution, finer))
    assert own < bound
    assert error(solution, finer) < 1.5 * own


@pytest.mark.parametrize("name", ["laplace_edge", "heated_rod"])
def test_solutions_follow_from_values_on_a_side(name):
    problem = pk.load(PROBLEMS / f"{name}_family.py")
    network = pk.nn.FNO(32, 12, 3)
    method = pk.Operator(network, samples=500, resolution=32, steps=1000, batch=16)
    solution = pk.solve(problem, method, quiet=True)
    print(name, solution.error_estimate)
    assert solution.error_estimate["u"] < 0.025
