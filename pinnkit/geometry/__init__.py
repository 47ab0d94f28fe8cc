"""Where: boxes, meshes, their products, and the regions that conditions name."""

from pinnkit.geometry.box import Box as Box
from pinnkit.geometry.box import Interval as Interval
from pinnkit.geometry.domain import Domain as Domain
from pinnkit.geometry.domain import Region as Region
from pinnkit.geometry.domain import UnionRegion as UnionRegion
from pinnkit.geometry.library import find_mesh as find_mesh
from pinnkit.geometry.mesh_domain import MeshDomain as MeshDomain
from pinnkit.geometry.product import Product as Product
