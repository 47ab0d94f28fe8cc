"""Emulators: the step in time of a family, learned from trajectories and repeated."""

from pinnkit.methods.emulator.mesh import MeshEmulator as MeshEmulator
from pinnkit.methods.emulator.method import Emulator as Emulator
from pinnkit.methods.emulator.noda import NODA as NODA
from pinnkit.methods.emulator.observations import Observations as Observations
