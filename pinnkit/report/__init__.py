"""What comes after a solution: norms, comparison, figures, films, files for other programs."""

from pinnkit.report.animate import animate as animate
from pinnkit.report.animate import animate_comparison as animate_comparison
from pinnkit.report.compare import Comparison as Comparison
from pinnkit.report.compare import compare as compare
from pinnkit.report.export import export as export
from pinnkit.report.export import to_xarray as to_xarray
from pinnkit.report.history import plot_history as plot_history
from pinnkit.report.integrals import drift as drift
from pinnkit.report.integrals import integrals as integrals
from pinnkit.report.integrals import means as means
from pinnkit.report.integrals import plot_integrals as plot_integrals
from pinnkit.report.over_time import normalised_error as normalised_error
from pinnkit.report.over_time import plot_over_time as plot_over_time
from pinnkit.report.over_time import valid_time as valid_time
from pinnkit.report.plots import plot as plot
from pinnkit.report.spectra import plot_spectrum as plot_spectrum
from pinnkit.report.spectra import power_spectrum as power_spectrum
from pinnkit.report.spectra import reference_spectrum as reference_spectrum
from pinnkit.report.spectra import spectrum as spectrum
