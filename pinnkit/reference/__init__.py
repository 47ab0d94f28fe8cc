"""Other people's results: files of many kinds under the names of a problem."""

from pinnkit.reference.model import Reference as Reference
from pinnkit.reference.pairs import read_pairs as read_pairs
from pinnkit.reference.read import read as read
from pinnkit.reference.registry import formats as formats
from pinnkit.reference.write import WRITABLE as WRITABLE
from pinnkit.reference.write import write_grid as write_grid
from pinnkit.reference.write import write_points as write_points
