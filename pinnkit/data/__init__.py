"""Pairs of functions from which neural operators learn, in memory and in files."""

from pinnkit.data.checks import findings as findings
from pinnkit.data.checks import marks as marks
from pinnkit.data.checks import shared as shared
from pinnkit.data.dataset import Dataset as Dataset
from pinnkit.data.scattered import Scattered as Scattered
from pinnkit.data.trajectories import Trajectories as Trajectories
