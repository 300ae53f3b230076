# make demo and make test do everything from a bare checkout: Python 3.11, pip and make are enough.
SHELL := /bin/sh
PYTHON ?= python3.11
BIN := .venv/bin
# Where the demo's data are kept: a folder, or a URL that all machines see.
ROOT := $(or $(GLM_DATA_ROOT),data)
ON_STORE := $(findstring ://,$(ROOT))
# What the demo needs besides, on other engines: make demo EXTRAS=ray
EXTRAS ?= $(if $(findstring s3://,$(ROOT)),s3)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Evo-1's code asks for flash-attn, which compiles on CUDA hosts alone; without it attention is torch's.
EVO1 := --no-deps stripedhyena evo-model
PYTEST := $(BIN)/python -m pytest --durations=10
MODULE := -m glm_assets.definitions
, := ,
# What is made of each chromosome, and what is trained on all of them.
CHROMOSOME := clinvar_variants,variant_windows,variant_embeddings,variant_likelihoods,covariance_embeddings
TRAINED := split_audit,mutation_ladders,head_v0,head_v1,head_v2,head_v3,linear_probe,covariance_probe
IMPACT := impact/individual_alignments,impact/individual_variants,impact/read_examples,impact/read_embeddings
IMPACT_TRAINED := impact/training_set,impact/head,impact/report,impact/predictions
PLANT := plant/genome,plant/tokens
PLANT_TRAINED := plant/lm,plant/evaluation,plant/generations,plant/phenotypes,plant/phenotype_head,plant/report

TRACKING := from glm_assets.settings import Settings; print(Settings.from_environment().tracking_uri)

.DEFAULT_GOAL := help
.PHONY: help demo demo-studies test test-system check audit docs format clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.venv/.pip: constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) --upgrade pip
	@touch $@

.venv/.demo: .venv/.pip pyproject.toml
	$(INSTALL) --editable '.[evo2,tracking,search]'
	@touch $@

.venv/.demo-%: .venv/.demo
	$(INSTALL) --editable '.[evo2,tracking,search,$(EXTRAS)]'
	@touch $@

.venv/.studies: .venv/.demo
	$(INSTALL) --editable '.[evo2,tracking,search,studies]'
	$(INSTALL) $(EVO1)
	@touch $@

.venv/.dev: .venv/.pip pyproject.toml
	$(INSTALL) --editable '.[evo2,tracking,search,hf,studies,dev]'
	$(INSTALL) $(EVO1)
	@touch $@ .venv/.demo .venv/.studies

.venv/.system: .venv/.dev
	$(INSTALL) --editable '.[evo2,tracking,search,hf,studies,dev,ray,postgres,k8s,docs]'
	@touch $@

# $(call stage,name,arguments): show a dagster command, run it, and note its seconds.
define stage
	@echo; echo "$$ dagster asset materialize $(MODULE) $(2)"
	@begin=$$(date +%s); PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONWARNINGS=ignore dagster asset materialize $(MODULE) $(2) || exit 1; \
	echo "  $(1) $$(( $$(date +%s) - begin )) s" >> .dagster/demo_seconds
endef

demo: .venv/.demo$(if $(EXTRAS),-$(subst $(,),-,$(EXTRAS)))  ## run the main lineage offline on the CPU, by plain dagster commands
	@mkdir -p .dagster && rm -f .dagster/demo_seconds
	$(call stage,sources,--select 'group:sources')
	$(call stage,embed chromosome 21,--select '$(CHROMOSOME)' --partition 21)
	$(call stage,embed chromosome 22,--select '$(CHROMOSOME)' --partition 22)
	$(call stage,embed chromosome MT,--select '$(CHROMOSOME)' --partition MT)
	$(call stage,train and submit,--select '$(TRAINED)$(,)group:submission')
	$(call stage,compare and score,--select 'head_comparison$(,)submission_score')
	@echo; echo "Seconds of each stage:"; cat .dagster/demo_seconds
	@echo
	@echo "Report      $(ROOT)/tables/head_comparison/report.html"
	@echo "Submission  $(ROOT)/submission/submission.csv"
	@echo "DuckDB      $(if $(ON_STORE),in Python: glm_assets.open_warehouse(),$(ROOT)/warehouse.duckdb)"
	@echo "Heads       $(ROOT)/heads/"
	@echo "MLflow      $(BIN)/mlflow ui --backend-store-uri $(if $(ON_STORE),$$($(BIN)/python -c '$(TRACKING)'),sqlite:///$(ROOT)/mlflow/mlflow.db)   then http://127.0.0.1:5000"
	@echo "Dagster UI  $(BIN)/dagster dev                                                  then http://127.0.0.1:3000"

demo-studies: .venv/.studies  ## run the four studies on generated data, offline on the CPU
	@mkdir -p .dagster && rm -f .dagster/demo_seconds
	$(call stage,sources,--select 'group:sources')
	$(call stage,impact chromosome 21,--select '$(IMPACT)' --partition 21)
	$(call stage,impact chromosome 22,--select '$(IMPACT)' --partition 22)
	$(call stage,impact,--select '$(IMPACT_TRAINED)')
	$(call stage,metagenome,--select 'group:metagenome')
	$(call stage,sugarcane variety SYN22,--select 'group:sugarcane' --partition SYN22)
	$(call stage,plant species fictaria,--select '$(PLANT)' --partition fictaria)
	$(call stage,plant species mockoryza,--select '$(PLANT)' --partition mockoryza)
	$(call stage,plant species phantobrassica,--select '$(PLANT)' --partition phantobrassica)
	$(call stage,plant,--select '$(PLANT_TRAINED)')
	@echo; echo "Seconds of each stage:"; cat .dagster/demo_seconds
	@echo
	@echo "Impact      $(ROOT)/studies/impact/ and $(ROOT)/tables/impact_*"
	@echo "Metagenome  $(ROOT)/studies/metagenome/ and $(ROOT)/tables/metagenome_*"
	@echo "Sugarcane   $(ROOT)/tables/sugarcane_report/variety=SYN22/report.html"
	@echo "Plant       $(ROOT)/tables/plant_report/report.html"
	@echo "Dagster UI  $(BIN)/dagster dev   then http://127.0.0.1:3000, with the figures of every asset"

test: .venv/.dev  ## run the tests (below 10 minutes)
	$(PYTEST) -n 2 --dist loadfile -m "not system"

test-system: .venv/.system  ## run the slow tests: servers, killed processes, the whole demo (below 35 minutes)
	$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder -m system

check: .venv/.system audit  ## lint, format, types, definitions and known vulnerabilities
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	PATH="$(CURDIR)/$(BIN):$$PATH" dg check defs

docs: .venv/.system  ## write the data dictionary and build the documentation into build/docs
	$(BIN)/python -m glm_assets.storage.dictionary > docs/tables.md
	$(BIN)/mkdocs build --strict --quiet
	@echo "Documentation  build/docs/index.html"

audit: .venv/.system  ## look for known vulnerabilities in the pinned packages
	$(BIN)/python .ci/audit.py constraints.txt

format: .venv/.dev  ## format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:  ## remove the environment, the demo's data and Dagster's history
	rm -rf .venv data .dagster
