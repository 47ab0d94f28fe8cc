"""Diffusion coefficient and rate of Fisher's equation from noisy densities: table and picture.

    python scripts/inverse/reaction_diffusion.py --seed 0 --out docs/images/inverse.png

The data come from the method of lines, so that they share nothing with the experts that fit them.
"""

import argparse
from pathlib import Path

import numpy as np

import pinnkit as pk
from pinnkit.report.style import FIELD, LINES, figure, save, style

UNKNOWN = {"D": (0.005, 0.02, 0.5), "k": (0.2, 1.0, 10.0)}
NAME = "density"


def observed(problem: pk.Problem, count: int, noise: float, seed: int) -> pk.Problem:
    """The problem with `count` random values, `noise` relative to their root mean square."""
    rng = np.random.default_rng(seed)
    t, x = rng.uniform(0, 1, (2, count))
    u = pk.solve(problem, pk.Lines(), quiet=True)(t=t, x=x)["u"]
    values = u + noise * np.sqrt(np.mean(u**2)) * rng.normal(size=count)
    data = pk.Observed(problem.fields[0], at={"t": t, "x": x}, values=values, name=NAME)
    return problem.replace(conditions=[*problem.conditions, data])


def table(found, truth: dict[str, float]) -> str:
    """Estimates against the truth, as Markdown."""
    lines = ["| parameter | guess | estimate | standard error | truth | deviation |"]
    lines.append("|---|---|---|---|---|---|")
    for name, value in found.parameters.items():
        off = 100 * (value / truth[name] - 1)
        lines.append(
            f"| {name} | {UNKNOWN[name][1]:g} | {value:.5f} | {found.standard_errors[name]:.5f} "
            f"| {truth[name]:g} | {off:+.2f} % |"
        )
    return "\n".join(lines)


def draw(found, data, truth: dict[str, float], path: Path) -> None:
    """Data on the fitted field, both sensitivities, and the path of the estimates."""
    t, x = np.linspace(0, 1, 121), np.linspace(0, 1, 121)
    fields = {"$u$": found.solution(t=t[:, None], x=x[None, :])["u"]}
    slopes = pk.sensitivity(found.solution, "D", "k")(t=t[:, None], x=x[None, :])
    fields |= {r"$D\ \partial u/\partial D$": found.parameters["D"] * slopes["du_dD"]}
    fields |= {r"$k\ \partial u/\partial k$": found.parameters["k"] * slopes["du_dk"]}
    with style():
        drawn = figure(9.6, 2.5)
        axes = drawn.subplots(1, 4)
        for axis, (title, values) in zip(axes, fields.items(), strict=False):
            image = axis.pcolormesh(x, t, values, cmap=FIELD, shading="gouraud", rasterized=True)
            drawn.colorbar(image, ax=axis, pad=0.02)
            axis.set(title=title, xlabel="$x$", ylabel="$t$")
        colours = {
            "c": data.values,
            "cmap": FIELD,
            "clim": (fields["$u$"].min(), fields["$u$"].max()),
        }
        axes[0].scatter(data.at["x"], data.at["t"], s=14, edgecolors="w", linewidths=0.6, **colours)
        for name, colour in zip(found.parameters, LINES, strict=False):
            ratio = found.history[name] / truth[name]
            axes[3].plot(found.history["step"], ratio, "o-", ms=3, color=colour, label=f"${name}$")
        axes[3].axhline(1.0, color="0.6", lw=0.7, zorder=0)
        axes[3].set(title="estimate / truth", xlabel="accepted step", xticks=found.history["step"])
        axes[3].legend()
        save(drawn, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--noise", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/inverse.png"))
    given = parser.parse_args()
    root = Path(__file__).resolve().parents[2]
    problem = pk.load(root / "problems" / "reaction_diffusion.py")
    truth = problem.parameter_values
    posed = observed(problem, given.points, given.noise, given.seed)
    found = pk.infer(posed, UNKNOWN)
    print(found)
    print(f"  correlation of D and k {found.correlation[0, 1]:+.2f}")
    print(f"  {found.history['wall_s'][-1]:.1f} s\n")
    print(table(found, truth))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    draw(found, posed.conditions[-1].data, truth, given.out)
    print(f"\nwrote {given.out}")


if __name__ == "__main__":
    main()
