# Every target sets up what it needs: see `make help`.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
CPU ?=
JOBS ?= 2
PORT ?= 8000

BIN := .venv/bin
SITE_READY := .venv/site
READY := .venv/installed
COLAB := .venv-colab
SITE := _build/html
NOTEBOOKS := $(BIN)/python -m tools.notebooks
PYTEST := $(BIN)/python -m pytest
NBVAL := $(PYTEST) -n $(JOBS) --dist loadfile --nbval --nbval-current-env \
	--nbval-cell-timeout 1800 --nbval-sanitize-with tests/nbval_sanitize.cfg
# Colab has neither what the site nor what a release needs.
NOT_IN_COLAB := browser $(addprefix test_,$(addsuffix .py,api boxes_coco formulas glossary lint \
	loading mutation narrow notebooks pages pictures plain_sphinx project release search speaking \
	wheel workflows))
WORKFLOWS := $(BIN)/uv run --quiet --no-project --with-requirements requirements/workflows.txt
NEED_CHAPTER = test -n "$(CHAPTER)" || { echo "Which chapter? make $@ CHAPTER=lenet" >&2; exit 2; }

# Compiled once and kept: else every process compiles torch again, for ten seconds.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
	@echo "Variables: PYTHON=python3.12 (for .venv), JOBS=2 (side by side), PORT=8000"

$(SITE_READY): requirements/site.lock
	@tools/install.sh site "$(PYTHON)"

$(READY): requirements/all.lock requirements/peer.lock
	@tools/install.sh all "$(PYTHON)" "$(CPU)"

.PHONY: book
book: $(SITE_READY) ## build the site from the stored outputs (trains nothing)
	$(BIN)/python -m tools.site
	@echo "The book is built: $(CURDIR)/$(SITE)/index.html (make serve shows it)"

.PHONY: install
install: $(READY) ## install all that the chapters need (CPU=INDEX: small PyTorch)

.PHONY: serve
serve: $(SITE_READY) ## serve the built site on http://localhost:8000
	@test -f $(SITE)/index.html || { echo "There is no site yet: make book" >&2; exit 2; }
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory $(SITE) $(PORT)

.PHONY: pdf
pdf: book $(READY) ## print the site as one PDF, _build/book.pdf (wants chromium)
	$(BIN)/python -m tools.pdf

.PHONY: speed
speed: book $(READY) ## time the pages on a slow phone (wants chromium, a quiet machine)
	$(BIN)/python -m tools.speed

.PHONY: test
test: $(READY) ## unit tests; chapters executed and compared (CHAPTER=lenet: one)
ifdef CHAPTER
	@tools/parts.sh "text" "$(NOTEBOOKS) lint $(CHAPTER)" \
		"agreement" "$(NOTEBOOKS) agree $(CHAPTER)" \
		"chapter" "$(NBVAL) chapters/$(CHAPTER).ipynb"
else
	@tools/parts.sh "texts" "$(NOTEBOOKS) lint" "agreement" "$(NOTEBOOKS) agree" \
		"unit tests" "$(PYTEST) -n $(JOBS) tests --ignore tests/browser --ignore tests/test_colab.py" \
		"chapters" "$(NBVAL) chapters tests/test_colab.py"
endif

.PHONY: test-site
test-site: book $(READY) ## build the site and try it in a browser (wants chromium)
	$(PYTEST) -n $(JOBS) tests/browser

.PHONY: test-pdf
test-pdf: book $(READY) ## print the whole book as one PDF and read it (wants chromium)
	$(PYTEST) -m weekly tests/browser/test_pdf.py

.PHONY: test-slow
test-slow: $(READY) ## the unit tests that `make test` leaves out, too slow for each push
	$(PYTEST) -n $(JOBS) -m weekly tests --ignore tests/browser

.PHONY: pretend-gpu
pretend-gpu: $(READY) ## all chapters on a GPU that is not there
	PYTHONSTARTUP=$(CURDIR)/tests/pretend_gpu_kernel.py $(NBVAL) chapters

.PHONY: on-gpu
on-gpu: $(READY) ## what only a real GPU shows, in nine minutes; stores the result
	$(BIN)/python -m tools.on_gpu

.PHONY: mutants
mutants: $(READY) ## break the networks on purpose; a test must notice (ONLY=vgg: some)
	$(BIN)/python -m tools.mutants $(ONLY)

.PHONY: mutation
mutation: $(READY) ## try every small change of a module, for an hour (ONLY=data: one)
	$(BIN)/python -m tools.mutation $(ONLY)

.PHONY: lint
lint: $(READY) ## check style and common defects, notebooks included
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: lint-workflows
lint-workflows: $(SITE_READY) ## check the workflows that GitHub runs (wants a network)
	$(WORKFLOWS) zizmor --offline --quiet .github
	$(WORKFLOWS) check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(WORKFLOWS) check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

.PHONY: format
format: $(READY) ## format code and the cells of the chapters
	$(BIN)/ruff check --fix --exclude '*.ipynb' .
	$(BIN)/ruff format --exclude '*.ipynb' .
	$(NOTEBOOKS) format

.PHONY: chapters
chapters: $(READY) ## execute all chapters and store their outputs in chapters/
	$(NOTEBOOKS) execute --jobs $(JOBS)

.PHONY: chapter
chapter: $(READY) ## execute one chapter and store its outputs (CHAPTER=lenet)
	@$(NEED_CHAPTER)
	$(NOTEBOOKS) execute $(CHAPTER)

.PHONY: text
text: $(READY) ## bring a notebook's edits back into its text (CHAPTER=lenet)
	@$(NEED_CHAPTER)
	$(NOTEBOOKS) text $(CHAPTER)

.PHONY: refresh
refresh: $(READY) ## renew what is generated: set-up cells, addresses, counts
	$(NOTEBOOKS) refresh
	$(BIN)/python -m tools.count
	$(BIN)/python -m tools.addresses

.PHONY: experiments
experiments: $(READY) ## run or resume the long experiments (ONLY=name: one)
	$(BIN)/python -m cnnlib.experiments $(ONLY)

.PHONY: bench
bench: $(READY) ## measure the networks against d2l, for hours (ONLY=lenet: one)
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

.PHONY: lock
lock: $(SITE_READY) ## renew the locks (UPGRADE=1: the newest of what is not pinned)
	@tools/lock.sh $(if $(UPGRADE),--upgrade)

.PHONY: newest
newest: $(READY) ## put the newest of everything into .venv, to try it
	sed -E '/^-r/d; /^jupyter-book=/!s/==.*//' requirements.txt requirements/site.txt \
		| $(BIN)/uv pip install --python $(BIN)/python --upgrade \
		$(if $(CPU),--index $(CPU) --index-strategy unsafe-best-match) --requirement -

.PHONY: plain-sphinx
plain-sphinx: $(READY) ## build the site with Sphinx 9 alone and try it in a browser
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-sphinx
	$(BIN)/uv pip install --quiet --python .venv-sphinx/bin/python \
		--requirement requirements/plain-sphinx.txt
	$(BIN)/python -m tools.pages
	.venv-sphinx/bin/sphinx-build -W -n --keep-going -q -E -c tools/plain_sphinx . _build/plain
	BOOK_SITE=_build/plain $(PYTEST) -n $(JOBS) tests/browser

.PHONY: links
links: $(SITE_READY) ## ask every page that the book leads to (wants a network)
	$(BIN)/python -m tools.pages
	$(BIN)/sphinx-build -b linkcheck -q -E -c tools/plain_sphinx . _build/links

$(COLAB)/installed: .github/colab.txt
	$(PYTHON) -m venv --clear $(COLAB)
	$(COLAB)/bin/python -m pip install --quiet $(if $(CPU),--extra-index-url $(CPU)) \
		--requirement .github/colab.txt
	touch $@

.PHONY: colab
colab: $(COLAB)/installed ## unit tests with Colab's versions (CHAPTER=lenet: that chapter)
ifdef CHAPTER
	$(subst $(BIN),$(COLAB)/bin,$(NBVAL)) chapters/$(CHAPTER).ipynb
else
	$(COLAB)/bin/python -m pytest -W default -n $(JOBS) tests $(NOT_IN_COLAB:%=--ignore tests/%)
endif

.PHONY: clean
clean: ## remove the site and caches, not .venv
	rm -rf _build book/_generated .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
