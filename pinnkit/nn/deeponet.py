"""Deep operator networks: a branch for the input function, a trunk for the place of evaluation.

    G(a)(z)_c = sum_k b_kc(a) t_kc(z),      k = 1 .. modes, c = 1 .. output fields.

Source: Lu, Jin, Pang, Zhang and Karniadakis, "Learning nonlinear operators via DeepONet",
Nature Machine Intelligence 3 (2021), eq. 2, by default without its constant, as the caller centres
the outputs; so where all modes vanish, the sum is exactly zero. With modes computed from training
outputs in place of a trunk network it is the POD-DeepONet of Lu et al., CMAME 393 (2022) 114778,
section 3.1.6.
"""

from __future__ import annotations

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jax import Array

from pinnkit.errors import OptionError
from pinnkit.nn.activations import activation
from pinnkit.nn.boundary import require_boundary
from pinnkit.nn.gated import ModifiedMLP, ModifiedNetwork
from pinnkit.nn.mlp import MLP, MLPNetwork
from pinnkit.nn.stencil import Stencil


class BranchNetwork(eqx.Module):
    """Convolutions of stride 2, each halving the sensor grid, then a dense network."""

    stencils: tuple[Stencil, ...]
    biases: tuple[Array, ...]
    dense: MLPNetwork | ModifiedNetwork
    activation: str = eqx.field(static=True)

    def __call__(self, functions: Array) -> Array:
        """(in_channels, *sensors) -> (out_size,)."""
        sigma = activation(self.activation)
        h = jnp.moveaxis(functions, 0, -1)
        for stencil, bias in zip(self.stencils, self.biases, strict=True):
            h = stencil(h)
            h = sigma(h + jnp.broadcast_to(bias, h.shape))
        return self.dense(h.ravel())


@dataclasses.dataclass(frozen=True)
class Branch:
    """Architecture of a branch: `channels` of the strided convolutions (none for a purely dense
    branch), then `depth` dense layers of `width` units, which are those of a `ModifiedMLP` if
    `gated`.

    Raises OptionError for sizes below 1 or an unknown activation.
    """

    channels: tuple[int, ...] = ()
    width: int = 128
    depth: int = 2
    activation: str = "gelu"
    gated: bool = False

    def __post_init__(self) -> None:
        if any(c < 1 for c in self.channels):
            raise OptionError(f"Branch: channels {self.channels} must be positive; remove zeros.")
        self.dense()

    def dense(self) -> MLP | ModifiedMLP:
        """Architecture of the dense part."""
        if self.gated:
            return ModifiedMLP(self.width, self.depth, self.activation)
        # the inputs are values of functions or features of them, no coordinates
        return MLP(self.width, self.depth, self.activation, frequency=0)

    def build(
        self, in_channels: int, sensors: tuple[int, ...], out_size: int, *, key: Array
    ) -> BranchNetwork:
        """Random network (in_channels, *sensors) -> (out_size,)."""
        *stencil_keys, dense_key = jax.random.split(key, len(self.channels) + 1)
        widths = (in_channels, *self.channels)
        stencils = tuple(
            Stencil.create(k, pair, (("zero", "zero"),) * len(sensors), 2)
            for k, pair in zip(stencil_keys, itertools.pairwise(widths), strict=True)
        )
        biases = tuple(jnp.zeros(c) for c in self.channels)
        size = widths[-1]
        for n in sensors:
            size *= -(-n // 2 ** len(self.channels))
        dense = self.dense().build(size, out_size, key=dense_key)
        return BranchNetwork(stencils, biases, dense, self.activation)


class LearnedModes(eqx.Module):
    """Modes t(z) of a trunk network, whose coordinates are scaled from the box to [-1, 1]^d.

    Along axes with `harmonics` K > 0 the network sees cos k phi and sin k phi, k = 1 .. K, of the
    phase phi from 0 to 2 pi along the axis, so that modes are periodic there (Lu et al., CMAME
    393 (2022) 114778, section 3.1.3).
    """

    network: MLPNetwork | ModifiedNetwork
    lower: Array
    upper: Array
    outputs: int = eqx.field(static=True)
    harmonics: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, point: Array) -> Array:
        """(d,) -> (modes, outputs)."""
        lower, upper = jax.lax.stop_gradient((self.lower, self.upper))
        scaled = (2 * point - lower - upper) / (upper - lower)
        seen = []
        for s, count in zip(scaled, self.harmonics, strict=True):
            phase = jnp.pi * (s + 1) * jnp.arange(1, count + 1)
            seen += [jnp.cos(phase), jnp.sin(phase)] if count else [s[None]]
        return self.network(jnp.concatenate(seen)).reshape(-1, self.outputs)


class TabulatedModes(eqx.Module):
    """Modes given on a tensor grid, interpolated linearly along each axis; not trained.

    `nodes`: increasing coordinates per axis; `values`: (*grid, modes, outputs).
    """

    nodes: tuple[Array, ...]
    values: Array

    def __call__(self, point: Array) -> Array:
        """(d,) -> (modes, outputs); constant continuation outside the grid."""
        table = jax.lax.stop_gradient(self.values)
        for nodes, x in zip(jax.lax.stop_gradient(self.nodes), point, strict=True):
            cell = jnp.clip(jnp.searchsorted(nodes, x, side="right") - 1, 0, nodes.size - 2)
            weight = jnp.clip((x - nodes[cell]) / (nodes[cell + 1] - nodes[cell]), 0.0, 1.0)
            table = (1 - weight) * table[cell] + weight * table[cell + 1]
        return table


class DeepONetNetwork(eqx.Module):
    """sum_k b_k(functions) t_k(point) + bias; see `DeepONet`."""

    branch: BranchNetwork
    trunk: LearnedModes | TabulatedModes
    bias: Array | None
    outputs: int = eqx.field(static=True)

    def coefficients(self, functions: Array) -> Array:
        """Branch values: (in_channels, *sensors) -> (modes, outputs)."""
        return self.branch(functions).reshape(-1, self.outputs)

    def __call__(self, functions: Array, point: Array) -> Array:
        """(in_channels, *sensors) and (d,) -> (outputs,)."""
        found = jnp.sum(self.coefficients(functions) * self.trunk(point), axis=0)
        return found if self.bias is None else found + self.bias

    def at(self, functions: Array, points: Array) -> Array:
        """(in_channels, *sensors) and (N, d) -> (N, outputs); the branch is evaluated once.

        Under `vmap` over functions only, the trunk is evaluated once for the whole batch.
        """
        modes = jax.vmap(self.trunk)(points)
        found = jnp.einsum("kc,nkc->nc", self.coefficients(functions), modes)
        return found if self.bias is None else found + self.bias[None]


@dataclasses.dataclass(frozen=True)
class ProperModes:
    """Trunk without training: the leading proper orthogonal modes of the training outputs."""

    def build(self, nodes: tuple[np.ndarray, ...], snapshots: np.ndarray, modes: int):
        """Tabulated modes scaled by their standard deviations over the snapshots.

        nodes: coordinates per axis; snapshots: (samples, *grid, outputs), centred by the caller.
        Every output has its own decomposition. Where all snapshots vanish, the modes do exactly.

        Raises OptionError for more modes than snapshots.
        """
        count, *grid, outputs = snapshots.shape
        if modes > count:
            raise OptionError(
                f"DeepONet: {modes} proper modes cannot be found from {count} samples; "
                "ask for fewer modes or more samples."
            )
        columns = []
        for c in range(outputs):
            flat = snapshots[..., c].reshape(count, -1)
            last = (count - modes, count - 1)
            _, leading = scipy.linalg.eigh(flat @ flat.T, subset_by_index=last)
            columns.append(flat.T @ leading[:, ::-1] / np.sqrt(count))
        table = np.stack(columns, axis=-1).reshape(*grid, -1, outputs)
        return TabulatedModes(tuple(map(jnp.asarray, nodes)), jnp.asarray(table))


@dataclasses.dataclass(frozen=True)
class DeepONet:
    """Architecture of a deep operator network.

    modes: terms of the sum; branch: network of the sensor values; trunk: an `MLP` or `ModifiedMLP`
    that learns the modes as functions of position, or `ProperModes()`, which takes them from
    training outputs; bias: whether a constant per output is added and learned, with which the sum
    no longer vanishes where the modes do; harmonics: of the features that a learned trunk sees
    along periodic axes, 0 for the plain coordinate, which knows nothing of the period.

    Raises OptionError for fewer than one mode or negative harmonics.
    """

    modes: int = 64
    branch: Branch = Branch(width=256)
    trunk: MLP | ModifiedMLP | ProperModes = ProperModes()
    bias: bool = False
    harmonics: int = 0

    def __post_init__(self) -> None:
        if self.harmonics < 0:
            raise OptionError(f"DeepONet: {self.harmonics} harmonics; give 0 or more.")
        if self.modes < 1:
            raise OptionError(f"DeepONet: {self.modes} modes; give a positive number.")

    def build(
        self,
        in_channels: int,
        sensors: tuple[int, ...],
        nodes: tuple[np.ndarray, ...],
        snapshots: np.ndarray,
        boundary: tuple[str, ...] = (),
        *,
        key: Array,
    ) -> DeepONetNetwork:
        """Random network from functions on the sensor grid to fields on the box of `nodes`.

        nodes: output coordinates per axis; snapshots: training outputs (samples, *grid, outputs),
        of which a learned trunk needs only the number of outputs; boundary: "periodic" or another
        word for each axis of `nodes`, none for no periodic axes. Nodes along periodic axes are
        uniform and leave out the upper end.
        """
        outputs = snapshots.shape[-1]
        branch_key, trunk_key = jax.random.split(key)
        if isinstance(self.trunk, ProperModes):
            trunk = self.trunk.build(nodes, snapshots, self.modes)
        else:
            words = boundary or ("free",) * len(nodes)
            require_boundary("DeepONet", words, len(nodes))
            periodic = [word == "periodic" for word in words]
            harmonics = tuple(self.harmonics * wraps for wraps in periodic)
            seen = sum(2 * count or 1 for count in harmonics)
            network = self.trunk.build(seen, self.modes * outputs, key=trunk_key)
            last = [x[-1] + wraps * (x[1] - x[0]) for x, wraps in zip(nodes, periodic, strict=True)]
            lower, upper = jnp.asarray([x[0] for x in nodes]), jnp.asarray(last)
            trunk = LearnedModes(network, lower, upper, outputs, harmonics)
        branch = self.branch.build(in_channels, sensors, self.modes * outputs, key=branch_key)
        bias = jnp.zeros(outputs) if self.bias else None
        return DeepONetNetwork(branch, trunk, bias, outputs)
