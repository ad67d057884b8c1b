PROMPT ?= a butterfly
SEED ?= 7
PYTHON ?= python3
WORKERS ?= auto
BIN := .venv/bin
# A module stays with one worker, so what its tests share is made once; tests/conftest.py counts the workers.
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test check test-older test-processor test-shuffled test-slow docs docs-pictures bench eval train-bundle clean

demo: .venv/demo  ## four pictures from a prompt: make demo PROMPT="a butterfly" SEED=7
	@$(BIN)/mezzotint generate "$(PROMPT)" --seed $(SEED) -n 4 --upscale 4 --grid --out out
	@echo "Four seeds side by side: out/grid.png"
	@echo "Next: $(BIN)/mezzotint generate \"a cat on the moon\" -n 4 --grid     (or: source $(BIN)/activate, then mezzotint)"

test: .venv/dev  ## the test suite; WORKERS=0 runs it in one process
	$(PYTEST)

check: .venv/dev  ## what CI runs: format, lint, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST)

# Imitates a processor with AVX2 and no bfloat16; conftest.py forces float32 in OpenVINO where the first is set.
OLDER := ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2

test-older: .venv/dev  ## the test suite as on an older processor
	$(OLDER) $(PYTEST)

test-processor: .venv/dev  ## as on an older processor, the tests that hang on it
	$(OLDER) $(PYTEST) -m "processor and not slow"

test-shuffled: .venv/dev  ## the test suite in another order: make test-shuffled SEED=7
	$(PYTEST) -p randomly --randomly-seed=$(SEED)

test-slow: .venv/dev  ## what takes minutes or the whole machine, in one process
	$(BIN)/pytest -m slow

docs: .venv/dev  ## the tutorial, into site/; open site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-pictures: .venv/dev  ## the tutorial's pictures again, by its own commands
	$(BIN)/python docs/make_pictures.py

bench: .venv/dev  ## against diffusers, interleaved, on this machine
	$(BIN)/mezzotint bench

eval: .venv/dev  ## how good the bundled model is
	$(BIN)/mezzotint eval

train-bundle: .venv/dev  ## train the denoiser of emoji, stage by stage; goes on where it stopped
	test -d data/emoji || $(BIN)/mezzotint data emoji data/emoji
	$(BIN)/mezzotint train bundle configs/bundle.yaml

.venv/demo: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e .
	touch $@

.venv/dev: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e ".[dev]"
	touch $@ .venv/demo

clean:
	rm -rf .venv out dist site
