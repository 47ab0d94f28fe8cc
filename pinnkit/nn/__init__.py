"""Networks that know nothing of differential equations."""

from pinnkit.nn.activations import ACTIVATIONS as ACTIVATIONS
from pinnkit.nn.activations import activation as activation
from pinnkit.nn.deeponet import Branch as Branch
from pinnkit.nn.deeponet import DeepONet as DeepONet
from pinnkit.nn.deeponet import ProperModes as ProperModes
from pinnkit.nn.dymix import DyMixOp as DyMixOp
from pinnkit.nn.fno import FNO as FNO
from pinnkit.nn.gated import ModifiedMLP as ModifiedMLP
from pinnkit.nn.gated import PirateNet as PirateNet
from pinnkit.nn.graph import MessagePassing as MessagePassing
from pinnkit.nn.head import begins_linear as begins_linear
from pinnkit.nn.head import head as head
from pinnkit.nn.kan import KAN as KAN
from pinnkit.nn.mgno import MgNO as MgNO
from pinnkit.nn.mixture import Mixture as Mixture
from pinnkit.nn.mlp import MLP as MLP
from pinnkit.nn.mlp import MLPNetwork as MLPNetwork
from pinnkit.nn.points import KernelOperator as KernelOperator
from pinnkit.nn.points import LatentGrid as LatentGrid
from pinnkit.nn.separable import Separable as Separable
from pinnkit.nn.stagger import NeuralStagger as NeuralStagger
from pinnkit.nn.transformer import Transformer as Transformer
from pinnkit.nn.uno import UNO as UNO
from pinnkit.nn.wrapped import Factorized as Factorized
from pinnkit.nn.wrapped import Fourier as Fourier
