# TestKey from a fresh clone: `make run`. `make lab` is the same with recorded answers: nothing is sent.
# PORT and TESTKEY_DATA_DIR count, from the environment or after the target: make run PORT=8001

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
CODE := manage.py testkey probes tests benchmarks

.PHONY: run lab admin test check proof bench crawl clean chromium
.DEFAULT_GOAL := run

run: $(VENV)/.run
	@$(PY) manage.py dev

lab: $(VENV)/.run
	@$(PY) manage.py dev --lab

admin: $(VENV)/.run
	@$(PY) manage.py migrate --verbosity 0
	@$(PY) manage.py createsuperuser

test: $(VENV)/.dev chromium node_modules
	@$(PY) -m pytest

# Deploy checks judge the settings of a public machine, in a data folder of their own.
check: $(VENV)/.dev
	@$(PY) -m ruff check $(CODE)
	@$(PY) -m ruff format --check $(CODE)
	@$(PY) -m mypy $(CODE)
	@export TESTKEY_DATA_DIR=$(VENV)/check TESTKEY_LAB_URL= && \
	$(PY) manage.py makemigrations --check --dry-run && \
	TESTKEY_ALLOWED_HOSTS=testkey.example $(PY) manage.py check --deploy --fail-level WARNING

# A made-up key goes through, is burned, and is searched for.
proof: $(VENV)/.run
	@$(PY) manage.py proof

bench: $(VENV)/.dev
	@$(PY) -m benchmarks.one_key
	@$(PY) -m benchmarks.public_page
	@$(PY) -m benchmarks.market
	@$(PY) -m benchmarks.thousand_keys

# Every page of the sitemap, in every language: make crawl OPTIONS="--sample 5 --language ar"
crawl: $(VENV)/.dev chromium node_modules
	@$(PY) manage.py migrate --verbosity 0
	@$(PY) manage.py loadcatalogue --verbosity 0
	@$(PY) manage.py crawl $(OPTIONS)
	@EVERY_LANGUAGE=1 $(PY) -m pytest -n 0 tests/browser/test_public.py

# The data folder stays.
clean:
	@rm -rf $(VENV) node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Browser tests need Chromium: without windows it does with half the CPU. In CI they may not be skipped.
APT := DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends fonts-dejavu-core
chromium:
	@command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing Chromium for the browser tests" && \
	  apt-get update -qq && { $(APT) chromium-headless-shell || $(APT) chromium; } >/dev/null; } || \
	{ echo "No Chromium here: the browser tests are skipped."; [ "$${CI:-}" != true ]; }

# Stamps: dependencies are installed again when their list has changed.

$(VENV)/.run: requirements.txt | $(PY)
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run | $(PY)
	@$(PIP) -r requirements-dev.txt
	@touch $@

# What judges pages in the browser tests. In CI it may not be skipped.
node_modules: package-lock.json
	@{ command -v npm >/dev/null && npm ci --no-audit --no-fund --loglevel=error && touch $@; } || \
	{ rm -rf $@; echo "No npm here, or no registry: axe and the HTML validator are skipped."; [ "$${CI:-}" != true ]; }

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "TestKey needs Python 3.11 or newer. Name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	{ rm -rf $(VENV); echo "Python has no venv here. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
