"""What comes after a solution: norms, comparison, figures, files for other programs."""

from pinnkit.report.compare import Comparison as Comparison
from pinnkit.report.compare import compare as compare
from pinnkit.report.export import export as export
from pinnkit.report.export import to_xarray as to_xarray
from pinnkit.report.history import plot_history as plot_history
from pinnkit.report.plots import plot as plot
