"""Channel propagation: all derivatives that a plan needs, in one pass through a network."""

from pinnkit.derivatives.channels.chunks import mapped as mapped
from pinnkit.derivatives.channels.chunks import summed as summed
from pinnkit.derivatives.channels.collapse import Scheme as Scheme
from pinnkit.derivatives.channels.collapse import Table as Table
from pinnkit.derivatives.channels.collapse import scheme as scheme
from pinnkit.derivatives.channels.engine import Account as Account
from pinnkit.derivatives.channels.engine import examine as examine
from pinnkit.derivatives.channels.engine import points_per_chunk as points_per_chunk
from pinnkit.derivatives.channels.engine import propagate as propagate
from pinnkit.derivatives.channels.indices import Collapsed as Collapsed
from pinnkit.derivatives.channels.indices import Orders as Orders
