"""Progress in words."""

import io

from rich.console import Console

from pinnkit.methods.base import Progress
from pinnkit.report import live


def test_what_is_counted_is_named():
    def told(stage, step, of=None):
        return live.line(Progress(stage, step, of), None).split(", 0 s")[0]

    assert told("ssbfgs", 120, 4000) == "ssbfgs 120/4000"
    assert told("146 features per expert, t = 0.3705", 5).endswith("t = 0.3705, slab 5")
    assert told("146 features", 2) == "146 features, step 2"
    assert live.table(Progress("refinement", 3), None).title.plain == "refinement, step 3"


def test_a_log_gets_one_line_however_long(monkeypatch):
    monkeypatch.setattr(live, "QUIET_SECONDS", 0.0)
    log = io.StringIO()
    losses = {f"residual {i}": 10.0**-i for i in range(12)}
    with live.LiveReport(Console(file=log, width=80), None) as report:
        report(Progress("ssbfgs", 120, 4000, losses))
    assert log.getvalue().count("\n") == 1 and len(log.getvalue()) > 200
