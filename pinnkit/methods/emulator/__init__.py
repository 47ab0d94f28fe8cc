"""Emulators: the step in time of a family, learned from trajectories and repeated."""

from pinnkit.methods.emulator.method import Emulator as Emulator
