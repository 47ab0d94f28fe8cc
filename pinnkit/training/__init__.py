"""Training: one compiled loop for all algorithms; knows objectives, no equations."""

from pinnkit.training.adam import Adam as Adam
from pinnkit.training.evaluation import Evaluation as Evaluation
from pinnkit.training.factored import FactoredSSBFGS as FactoredSSBFGS
from pinnkit.training.gauss_newton_cg import GaussNewtonCG as GaussNewtonCG
from pinnkit.training.jaxopt_stage import Jaxopt as Jaxopt
from pinnkit.training.last_layer import LastLayer as LastLayer
from pinnkit.training.lbfgs import LBFGS as LBFGS
from pinnkit.training.levenberg_marquardt import LevenbergMarquardt as LevenbergMarquardt
from pinnkit.training.loop import FitResult as FitResult
from pinnkit.training.loop import Look as Look
from pinnkit.training.loop import Report as Report
from pinnkit.training.loop import fit as fit
from pinnkit.training.loop import prepare as prepare
from pinnkit.training.loop import undecided as undecided
from pinnkit.training.objective import Objective as Objective
from pinnkit.training.objective import Rows as Rows
from pinnkit.training.optax_stage import Optax as Optax
from pinnkit.training.plan import default_stages as default_stages
from pinnkit.training.schedules import Cosine as Cosine
from pinnkit.training.schedules import OneCycle as OneCycle
from pinnkit.training.schedules import Schedule as Schedule
from pinnkit.training.soap import SOAP as SOAP
from pinnkit.training.ssbfgs import SSBFGS as SSBFGS
from pinnkit.training.ssbroyden import SSBroyden as SSBroyden
from pinnkit.training.stage import Stage as Stage
from pinnkit.training.variable_projection import VariableProjection as VariableProjection
