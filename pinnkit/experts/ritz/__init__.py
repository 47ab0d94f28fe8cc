"""Rayleigh-Ritz on products of piecewise bases."""
