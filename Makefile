# make demo      install into .venv, solve Burgers, compare with Cole-Hopf, draw the picture
# make test      all quick tests          make accuracy  errors after fixed numbers of iterations
# make results   full, timed tables       make lint      ruff and pyright
# make peers     environments of other packages for scripts/benchmarks/peers

PYTHON ?= python3
VENV ?= .venv
PIP_INSTALL = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
RUN = $(VENV)/bin/python
# Two test processes on two cores: each must keep to one thread.
ONE_THREAD = OPENBLAS_NUM_THREADS=1 XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

.PHONY: demo test accuracy results peers lint clean

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) -e '.[dev]'
	@touch $@ $(VENV)/installed

demo: $(VENV)/installed
	$(RUN) scripts/references/cole_hopf.py --out runs/demo/cole_hopf.h5
	$(VENV)/bin/pinnkit solve problems/burgers.py --out runs/demo/burgers.h5
	$(VENV)/bin/pinnkit compare runs/demo/burgers.h5 runs/demo/cole_hopf.h5 --plot runs/demo/burgers.png

# Quick tests spend most of their time in compilation, and hardly any in what was compiled. XLA's
# older emitters take half as long as its fusion emitters for the many small programs of tests.
QUICK = JAX_DISABLE_MOST_OPTIMIZATIONS=1 OPENBLAS_NUM_THREADS=1 \
	XLA_FLAGS="--xla_cpu_use_fusion_emitters=false --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

test: $(VENV)/installed-dev
	$(QUICK) $(RUN) -m pytest -n 2 --dist worksteal -m "not accuracy"

accuracy: $(VENV)/installed-dev
	$(ONE_THREAD) $(RUN) -m pytest -n 2 -m accuracy --durations=0

results: $(VENV)/installed-dev
	$(RUN) scripts/benchmarks/results.py --out docs/results

peers:
	PYTHON=$(PYTHON) scripts/benchmarks/peers/environments.sh

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(RUN)

clean:
	rm -rf $(VENV) runs
