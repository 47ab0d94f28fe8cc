"""Studies: many cases, each done once, in one tidy table."""

from pinnkit.study.case import Case as Case
from pinnkit.study.case import sweep as sweep
from pinnkit.study.pools import check_scheduler as check_scheduler
from pinnkit.study.runner import Study as Study
from pinnkit.study.runner import load_study as load_study
