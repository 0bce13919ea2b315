# The study's commands; each can be repeated and reuses what exists.
.POSIX:
.PHONY: help setup setup-dev demo rehearsal test test-cluster test-faults test-environments lint unit bench audit docs lock lock-environments clean

# Programs come from .venv; the recipes quote it, as the checkout's path may hold spaces.
IN_VENV = PATH="$$PWD/.venv/bin:$$PATH"
CORES = $$(nproc 2>/dev/null || echo 2)
# Tests of models gain nothing from more threads, and fight over cores.
TEST_ENV = OMP_NUM_THREADS=1

help:
	@echo 'make demo    set up .venv and run the whole study on a simulated genome (about 5 minutes on 2 cores after set-up)'
	@echo 'make rehearsal  the full study with one seed on a simulated genome of hg19 shape (REHEARSAL=... adds a config)'
	@echo 'make setup   set up .venv only (PYTHON=... picks the interpreter, TORCH=cpu|cu130|... the build of torch)'
	@echo 'make test    lint, types, import rules and tests'
	@echo 'make lint    the first three of these'
	@echo 'make test-cluster  a study through a real SLURM on this machine (as root; 10 to 20 minutes on 2 cores)'
	@echo 'make test-faults   kill a small study 20 times, fill its disk, damage its files, generate inputs ... (15 minutes)'
	@echo 'make test-environments  every stage in an environment of its own pins only (gigabytes, half an hour)'
	@echo 'make audit   list known vulnerabilities of the pinned packages (needs a network)'
	@echo 'make bench   measure speed and memory (benchmarks/)'
	@echo 'make docs    rewrite the tables of keys in config/README.md, and docs/reference.md, from the code'
	@echo 'make lock    pin the newest packages that pyproject.toml allows (requirements/)'
	@echo 'make lock-environments  record exactly what conda makes of envs/*.yaml (needs conda and a network)'
	@echo 'make clean   remove .venv and caches; results and downloads stay'

setup:
	@sh envs/setup.sh

setup-dev:
	@sh envs/setup.sh --dev

demo: setup
	@$(IN_VENV) snakemake --cores $(CORES) --configfile config/demo.yaml
	@echo
	@echo 'Look at the report first. Beside it: evaluation/metrics.tsv, statistics/, attributions/, figures/ and the trained models.'
	@echo 'Next: the study of the paper, snakemake --cores 2 --configfile config/paper.yaml (see README.md).'

# The full study except for its data. REHEARSAL=config/rehearsal_convnet.yaml: the paper's ConvNet alone.
rehearsal: setup
	@$(IN_VENV) snakemake --cores $(CORES) --configfile config/config.yaml config/rehearsal.yaml $(REHEARSAL) \
		--config 'replicates=[0]'

lint: setup-dev
	$(IN_VENV) ruff check .
	$(IN_VENV) ruff format --check .
	$(IN_VENV) snakefmt --check Snakefile workflow/rules
	$(IN_VENV) snakemake --lint --configfile config/demo.yaml
	$(IN_VENV) mypy
	$(IN_VENV) lint-imports

unit: setup-dev
	$(IN_VENV) $(TEST_ENV) pytest -n auto tests/unit

test: lint
	$(IN_VENV) $(TEST_ENV) pytest -n auto

# As root, where SLURM and munge are installed (Debian: slurmctld slurmd slurm-client munge); skips elsewhere.
test-cluster: setup-dev
	$(IN_VENV) $(TEST_ENV) pytest tests/cluster

# Apart from `make test`: it builds every environment from its pins, and runs a small study in them.
test-environments: setup-dev
	$(IN_VENV) $(TEST_ENV) pytest tests/environments

# One process at a time: the tests rely on the time that jobs take. Tests with a disk of their own need root. Generated
# inputs are new each time here; in `make test` they are always the same.
test-faults: setup-dev
	$(IN_VENV) $(TEST_ENV) pytest tests/faults
	$(IN_VENV) $(TEST_ENV) pytest -n auto --hypothesis-profile random -m hypothesis tests/unit

# uv runs the auditor in an environment of its own; dev.txt includes the other locks, except torch's build.
audit: setup
	$(IN_VENV) && export PATH && for name in dev torch; do \
		uvx pip-audit --strict --no-deps --disable-pip --requirement requirements/$$name.txt || exit 1; done

bench: setup-dev
	@$(IN_VENV) && export PATH && for name in extraction negatives audit training paper_experts bootstrap levels gates attribution predict plan summary; do \
		echo "== benchmarks/$$name.py"; $(TEST_ENV) python benchmarks/$$name.py || exit 1; done

# The tables of keys in config/README.md, from the schemas; the rehearsal's experiments, from the full study's.
docs: setup-dev
	$(IN_VENV) python docs/make_config_tables.py config/README.md
	$(IN_VENV) python docs/make_reference.py docs/reference.md
	$(IN_VENV) python docs/make_rehearsal_table.py config/rehearsal.tsv

# uv reads pyproject.toml for all supported versions of Python at once. torch and what only its CUDA
# builds need are left out: envs/setup.sh chooses the build, and the build pins those itself.
COMPILE = uv pip compile --quiet --universal --upgrade --no-annotate --no-header --python-version 3.11 pyproject.toml
NO_TORCH = grep -Ev '^(torch|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+)=='

lock: setup-dev
	$(IN_VENV) && export PATH && $(COMPILE) --constraint requirements/torch.txt --extra workflow \
		| $(NO_TORCH) > requirements/run.new
	$(IN_VENV) && export PATH && $(COMPILE) --constraint requirements/torch.txt --constraint requirements/run.new \
		--extra workflow --extra language-model | $(NO_TORCH) > requirements/model.new
	$(IN_VENV) && export PATH && $(COMPILE) --constraint requirements/torch.txt --constraint requirements/model.new \
		--extra workflow --extra language-model --extra dev | $(NO_TORCH) > requirements/all.new
	mv requirements/run.new requirements/run.txt
	{ echo '-r run.txt'; grep -vxFf requirements/run.txt requirements/model.new; } > requirements/language-model.txt
	{ echo '-r language-model.txt'; grep -vxFf requirements/model.new requirements/all.new; } > requirements/dev.txt
	rm requirements/model.new requirements/all.new

# Written beside envs/*.yaml; Snakemake then uses it in their place.
lock-environments:
	@sh envs/lock.sh

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache workflow/tfbs_moe.egg-info
	find workflow tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
