# Every target does its own set-up: uv is brought into .tools/ when it is not on the PATH, and uv makes .venv.
UV ?= $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
RUN = $(UV) run --quiet
# Where it is set, every command and every test's subprocess compiles all it imports, each time anew.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help install demo test soak host-tests lint typecheck format docs bench all clean

help:  ## Show this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

install: $(UV)  ## Make .venv with everything needed to develop
	@[ -d .venv ] || echo "Making .venv: about 450 MB to fetch, this first time only."
	@$(UV) sync --quiet

demo: install  ## A tour on the embedded model: no key, no account
	@$(RUN) mamba-agents demo

test: install  ## Run the tests with branch coverage
	@./scripts/test.sh $(ARGS)

soak: install  ## Run the tests that take many minutes
	@./scripts/test.sh -m slow $(ARGS)

host-tests: install  ## pydantic-ai's own tests with our agent in place of theirs; PYDANTIC_AI_CHECKOUT is its repository
	@./scripts/host-tests.sh $(ARGS)

lint: install  ## Check style, imports between rooms, and the formatting
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) lint-imports

typecheck: install  ## pyright, strict
	@$(RUN) pyright

format: install  ## Format and mend what can be mended by itself
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

docs: install  ## Build the docs into site/
	@NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict

bench: install  ## Ratios against a bare pydantic-ai agent, in one run
	@$(RUN) python -m benchmarks $(ARGS)

all: lint typecheck test docs  ## Everything CI runs

clean:  ## Remove what the other targets made
	@rm -rf .venv .tools site .coverage .coverage.* .ruff_cache .pytest_cache .hypothesis

.tools/bin/uv:
	@./scripts/install-uv.sh .tools
