"""Pairs of functions from which neural operators learn, in memory and in files."""

from pinnkit.data.checks import findings as findings
from pinnkit.data.checks import refuse_shared as refuse_shared
from pinnkit.data.dataset import Dataset as Dataset
