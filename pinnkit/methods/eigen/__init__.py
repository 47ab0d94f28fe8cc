"""Eigenvalue problems."""

from pinnkit.methods.eigen.method import Eigen

__all__ = ["Eigen"]
