"""Networks that know nothing of differential equations."""

from pinnkit.nn.activations import ACTIVATIONS as ACTIVATIONS
from pinnkit.nn.activations import activation as activation
from pinnkit.nn.deeponet import DeepONet as DeepONet
from pinnkit.nn.mgno import MgNO as MgNO
from pinnkit.nn.mlp import MLP as MLP
from pinnkit.nn.mlp import MLPNetwork as MLPNetwork
