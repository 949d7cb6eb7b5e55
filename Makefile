# The commands people type. What each builds is in CMakePresets.json; what each installs is in tools/bootstrap.
.DEFAULT_GOAL := help
.PHONY: help demo test build bench test-asan test-tsan test-slow clean
.NOTPARALLEL:

export TRAINYARD_JOBS ?= $(shell nproc)
TIMED := tools/timed
CONFIGURE = $(TIMED) "configure" cmake --preset release --log-level=WARNING -DTRAINYARD_REQUIRE_ENGINES=ON

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: ## Install what is missing, build the programs and run the whole example on this machine
	@$(TIMED) --start
	@$(TIMED) "bootstrap" tools/bootstrap
	@$(CONFIGURE)
	@$(TIMED) "build" cmake --build --preset programs -j $(TRAINYARD_JOBS)
	@$(TIMED) --report
	@build/release/bin/trainyard demo

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
