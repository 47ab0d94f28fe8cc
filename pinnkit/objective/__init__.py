"""Objectives: residual norms, weights, scaling, sampling."""

from pinnkit.objective.batch import ResidualBatch as ResidualBatch
from pinnkit.objective.batch import Trial as Trial
from pinnkit.objective.build import residual_objective as residual_objective
from pinnkit.objective.causal import Causal as Causal
from pinnkit.objective.causal import TimeSlabs as TimeSlabs
from pinnkit.objective.causal import causal_weights as causal_weights
from pinnkit.objective.causal import slab_means as slab_means
from pinnkit.objective.pseudo_time import PseudoTime as PseudoTime
from pinnkit.objective.residuals import ResidualObjective as ResidualObjective
from pinnkit.objective.sampling import residual_adaptive as residual_adaptive
