"""Training: one compiled loop for all algorithms; knows objectives, no equations."""

from pinnkit.training.adam import Adam as Adam
from pinnkit.training.lbfgs import LBFGS as LBFGS
from pinnkit.training.loop import FitResult as FitResult
from pinnkit.training.loop import Report as Report
from pinnkit.training.loop import fit as fit
from pinnkit.training.objective import Objective as Objective
from pinnkit.training.quasi_newton import SSBFGS as SSBFGS
from pinnkit.training.stage import Stage as Stage
