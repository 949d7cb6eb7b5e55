# The commands people type. What each builds is in CMakePresets.json; what each installs is in tools/bootstrap.
.DEFAULT_GOAL := help
.PHONY: help demo test build bench test-asan test-tsan test-slow clean install infra infra-stop backend orchestrator trainer openapi
.NOTPARALLEL:

export TRAINYARD_JOBS ?= $(shell nproc)
TIMED := tools/timed
INFRA := $(or $(TRAINYARD_INFRA),$(CURDIR)/.infra)
CONFIGURE = $(TIMED) "configure" cmake --preset release --log-level=WARNING -DTRAINYARD_REQUIRE_ENGINES=ON

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 15

demo: ## Install what is missing, build the programs and run the whole example on this machine
	@$(TIMED) --start
	@$(TIMED) "bootstrap" tools/bootstrap
	@$(CONFIGURE)
	@$(TIMED) "build" cmake --build --preset programs -j $(TRAINYARD_JOBS)
	@$(TIMED) --report
	@build/release/bin/trainyard demo

install: ## Install what is missing and build the programs
	@$(TIMED) --start
	@$(TIMED) "bootstrap" tools/bootstrap
	@$(CONFIGURE)
	@$(TIMED) "build" cmake --build --preset programs -j $(TRAINYARD_JOBS)
	@$(TIMED) --report

infra: ## Start PostgreSQL and Redis for this checkout, on loopback
	@tools/bootstrap --only core infra
	@tools/infra start

infra-stop: ## Stop them
	@tools/infra stop

# USE_K8S=true applies the manifests of jobs; otherwise jobs run here and their logs show what would be applied.
backend: ## Serve the API on 127.0.0.1:8000 without a token: queue on Redis, everything else in PostgreSQL
	@eval "$$(tools/infra urls)" && exec build/release/bin/trainyard server --data "$(INFRA)/backend" --host 127.0.0.1 --port 8000 \
	  --auth none --state "$$TRAINYARD_STATE" --database "$$TRAINYARD_DATABASE" --datasets.synthetic-fallback \
	  --kubernetes $(if $(filter true,$(USE_K8S)),apply,preview)

orchestrator: ## Run the jobs of the backend on this machine, as a process of its own
	@exec build/release/bin/trainyard agent --join http://127.0.0.1:8000 --auth none --data "$(INFRA)/orchestrator"

trainer: ## Train a small model without a server
	@mkdir -p "$(INFRA)/trainer"
	@printf '%s\n' '{"model": {"name": "mlp", "width": 64}, "epochs": 2, "batch_size": 32}' > "$(INFRA)/trainer/config.json"
	@build/release/bin/trainyard-train local "$(INFRA)/trainer/config.json" "$(INFRA)/trainer/run" 3>/dev/null

build: ## Build everything, tests included
	@$(TIMED) --start
	@$(TIMED) "bootstrap" tools/bootstrap tests
	@$(CONFIGURE)
	@$(TIMED) "build" cmake --build --preset release -j $(TRAINYARD_JOBS)
	@$(TIMED) --report

test: build ## Build everything and run every test that is not labelled slow
	@ctest --preset release -j $(TRAINYARD_JOBS)

test-slow: build ## Build everything and run the tests labelled slow
	@ctest --preset slow

bench: build ## Run the benchmarks
	@for program in build/release/bench/*_bench; do echo "== $$program"; "$$program" || exit 1; done
	@echo "== bench/control_plane_bench.py" && python3 bench/control_plane_bench.py

openapi: ## Write docs/openapi.json from the served document
	@cmake --build --preset programs -j $(TRAINYARD_JOBS)
	@python3 tests/e2e/openapi_test.py --write

test-asan: ## Run the tests under the address and undefined-behaviour sanitizers
	@tools/bootstrap tests
	@cmake --preset asan-ubsan --log-level=WARNING
	@cmake --build --preset asan-ubsan -j $(TRAINYARD_JOBS)
	@ctest --preset asan-ubsan -j $(TRAINYARD_JOBS)

test-tsan: ## Run the tests under the thread sanitizer
	@tools/bootstrap tests
	@cmake --preset tsan --log-level=WARNING
	@cmake --build --preset tsan -j $(TRAINYARD_JOBS)
	@ctest --preset tsan -j $(TRAINYARD_JOBS)

clean: ## Remove what was built; .deps and the download cache stay
	@rm -rf build
