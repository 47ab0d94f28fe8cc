"""Where: boxes, meshes, their products, and the regions that conditions name."""

from pinnkit.geometry.box import Box as Box
from pinnkit.geometry.box import Interval as Interval
from pinnkit.geometry.csg import Difference as Difference
from pinnkit.geometry.csg import Disk as Disk
from pinnkit.geometry.csg import Ellipse as Ellipse
from pinnkit.geometry.csg import Intersection as Intersection
from pinnkit.geometry.csg import Polygon as Polygon
from pinnkit.geometry.csg import Union as Union
from pinnkit.geometry.domain import Domain as Domain
from pinnkit.geometry.domain import Region as Region
from pinnkit.geometry.domain import UnionRegion as UnionRegion
from pinnkit.geometry.library import find_mesh as find_mesh
from pinnkit.geometry.mesh_domain import MeshDomain as MeshDomain
from pinnkit.geometry.mesh_domain import outlined as outlined
from pinnkit.geometry.plane import PlaneDomain as PlaneDomain
from pinnkit.geometry.product import Product as Product
