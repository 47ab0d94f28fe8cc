"""Mixtures of experts: linear trial spaces on boxes, joined and solved by least squares or Ritz."""

from pinnkit.experts.bases import Basis as Basis
from pinnkit.experts.bases import ChebyshevTensor as ChebyshevTensor
from pinnkit.experts.bases import FourierChebyshev as FourierChebyshev
from pinnkit.experts.bases import RandomSine as RandomSine
from pinnkit.experts.bases import RandomTanh as RandomTanh
from pinnkit.experts.bases import Tensor as Tensor
from pinnkit.experts.bases import TrainedLayer as TrainedLayer
from pinnkit.experts.families import Chebyshev as Chebyshev
from pinnkit.experts.families import Sine as Sine
from pinnkit.experts.families import Tanh as Tanh
from pinnkit.experts.layout import Blocks as Blocks
from pinnkit.experts.layout import Graded as Graded
from pinnkit.experts.layout import Layout as Layout
from pinnkit.experts.layout import Single as Single
from pinnkit.experts.mixture import Mixture as Mixture
