"""The classes that a run file may hold: an explicit list, so that files stay data."""

import equinox as eqx

from pinnkit.ansatz.constrained import Ansatz, AxisGate, Constraint
from pinnkit.ansatz.embedding import AxisFeatures, Embedding
from pinnkit.ansatz.windows import Lift, Windows
from pinnkit.derivatives import ChebyshevAxis, FourierAxis, OpenAxis, UniformAxis
from pinnkit.experts.bases import RandomSine, RandomTanh, Tensor, TrainedLayer
from pinnkit.experts.enriched import Enriched
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.periodic import TensorMixture
from pinnkit.experts.polar import Polar
from pinnkit.geometry import (
    Box,
    Difference,
    Disk,
    Ellipse,
    Intersection,
    MeshDomain,
    Polygon,
    Product,
    Union,
)
from pinnkit.methods.constraint import (
    ConstraintLayer,
    HardConstraint,
    JaxoptLevenberg,
    OptimistixLevenberg,
    OwnLevenberg,
)
from pinnkit.methods.emulator.correction import Correction
from pinnkit.methods.emulator.field import EmulatorField
from pinnkit.methods.emulator.mesh_field import MeshField
from pinnkit.methods.emulator.mesh_stepper import MeshNetworks, MeshStepper
from pinnkit.methods.emulator.stepper import Interleaved, Scales, Stepper
from pinnkit.methods.evolving.field import EvolvingField
from pinnkit.methods.grid_residuals import GridResiduals
from pinnkit.methods.gridfield import ClosedForm, GridField
from pinnkit.methods.lagrangian.field import LabelledField
from pinnkit.methods.neural_operator.field import OperatorField
from pinnkit.methods.neural_operator.maps import GridMap, PointMap, SpaceTimeMap
from pinnkit.methods.neural_operator.point_field import CloudMap, PointField
from pinnkit.methods.rungs import Experts
from pinnkit.methods.triangles import Triangles
from pinnkit.nn.deeponet import BranchNetwork, DeepONetNetwork, LearnedModes, TabulatedModes
from pinnkit.nn.dymix import Differences, DyMixNetwork, MixLayer
from pinnkit.nn.fno import FNONetwork, FourierLayer
from pinnkit.nn.gated import Gates, ModifiedNetwork, PirateBlock, PirateNetwork
from pinnkit.nn.graph import (
    CorrectedLaplacian,
    Edges,
    Exchange,
    KernelIntegral,
    MessagePassingNetwork,
    Pairs,
)
from pinnkit.nn.kan import KANNetwork
from pinnkit.nn.mgno import (
    Level,
    MgNOLayer,
    MgNONetwork,
    Smoothing,
    Transfer,
    VCycle,
)
from pinnkit.nn.mixture import MixtureLevel, MixtureNetwork, WindowedAxis
from pinnkit.nn.mlp import MLPNetwork
from pinnkit.nn.points import Frame, KernelLayer, KernelNetwork, LatentNetwork, Ways
from pinnkit.nn.pointwise import ChannelMLP
from pinnkit.nn.separable import SeparableNetwork
from pinnkit.nn.spectral import SpectralConv
from pinnkit.nn.stagger import StaggeredNetwork
from pinnkit.nn.stencil import Prolongation, Stencil
from pinnkit.nn.transformer import Attention, Block, GridTransformer, TransformerNetwork
from pinnkit.nn.uno import UNONetwork
from pinnkit.nn.wrapped import FactorizedNetwork, FourierNetwork
from pinnkit.solution import Pointwise, Status
from pinnkit.spec.condition import Condition, Data
from pinnkit.spec.laws import LAWS
from pinnkit.spec.problem import Problem

SHAPES = (Disk, Ellipse, Polygon, Union, Intersection, Difference)
SPEC = (Problem, Condition, Data, Box, MeshDomain, Product, *SHAPES)
NETWORKS = (
    MLPNetwork,
    Gates,
    ModifiedNetwork,
    PirateBlock,
    PirateNetwork,
    KANNetwork,
    SeparableNetwork,
    MixtureNetwork,
    MixtureLevel,
    WindowedAxis,
    FourierNetwork,
    FactorizedNetwork,
)
ANSATZ = (Pointwise, Ansatz, AxisGate, Constraint, Lift, Windows, AxisFeatures, Embedding)
EVOLVING = (EvolvingField,)
MOVING = (LabelledField,)
EXPERTS = (
    Experts,
    Mixture,
    TensorMixture,
    Enriched,
    Polar,
    RandomSine,
    RandomTanh,
    Tensor,
    TrainedLayer,
)
GRIDS = (GridField, ClosedForm, ChebyshevAxis, FourierAxis, OpenAxis, UniformAxis)
OPERATORS = (
    OperatorField,
    GridMap,
    PointMap,
    SpaceTimeMap,
    ConstraintLayer,
    HardConstraint,
    OwnLevenberg,
    OptimistixLevenberg,
    JaxoptLevenberg,
    GridResiduals,
    DeepONetNetwork,
    BranchNetwork,
    LearnedModes,
    TabulatedModes,
    MgNONetwork,
    MgNOLayer,
    VCycle,
    Level,
    Smoothing,
    Prolongation,
    Stencil,
    Transfer,
    FNONetwork,
    FourierLayer,
    SpectralConv,
    ChannelMLP,
    UNONetwork,
    DyMixNetwork,
    MixLayer,
    Differences,
    GridTransformer,
    TransformerNetwork,
    Attention,
    Block,
)
EMULATORS = (EmulatorField, Stepper, Interleaved, Scales, Correction, StaggeredNetwork)
MESHES = (
    MeshField,
    MeshStepper,
    MeshNetworks,
    Triangles,
    Edges,
    MessagePassingNetwork,
    Exchange,
    CorrectedLaplacian,
    KernelIntegral,
    Pairs,
    PointField,
    CloudMap,
    KernelNetwork,
    KernelLayer,
    LatentNetwork,
    Ways,
    Frame,
)
LAYERS = (eqx.nn.Linear, eqx.nn.Conv, eqx.nn.ConvTranspose)

KNOWN: tuple[type, ...] = (
    Status,
    *SPEC,
    *LAWS,
    *ANSATZ,
    *NETWORKS,
    *EVOLVING,
    *MOVING,
    *EXPERTS,
    *GRIDS,
    *OPERATORS,
    *EMULATORS,
    *MESHES,
    *LAYERS,
)
