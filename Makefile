# Postern. `make demo` brings it up with a whole story around it, `make check` runs the tests.
# The rest is for people who work on it; `make help` lists it.

BUILD ?= build
BUILD_ASAN ?= build-asan
BUILD_FUZZ ?= build-fuzz
PYTHON ?= /usr/bin/python3
FUZZ_SECONDS ?= 5
MESON_FLAGS ?= -Dwerror=true
JOBS ?= $(shell nproc)

.PHONY: help all build demo demo-check check check-style check-unit check-asan check-fuzz \
	check-conformance check-e2e check-interop check-chaos check-fresh bench fuzz deb format tidy \
	install clean packages-build packages-demo packages-package packages-check packages-bench

help:
	@echo 'make build        compile into $(BUILD)/'
	@echo 'make demo         bring up two gateways, mailboxes and a DNS of their own; try it'
	@echo 'make demo-check   run the same story as a test'
	@echo 'make check        all tests'
	@echo 'make bench        speed, side by side with Postfix'
	@echo 'make fuzz         fuzz every parser, FUZZ_SECONDS=$(FUZZ_SECONDS) each'
	@echo 'make deb          build the Debian package into dist/'
	@echo 'make format tidy  clang-format in place; clang-tidy'
	@echo 'make install      install below DESTDIR'

all: build

# The build folder, and what is wanted of it; for `make build` all.
compile = packaging/configure $(BUILD) $(MESON_FLAGS) && ninja -C $(BUILD) -j $(JOBS) --quiet $(1)

build: packages-build
	@$(call compile)

# The program alone: neither the demonstration nor the package takes the tests, nor what they need.
demo: packages-demo
	@$(call compile,postern)
	$(PYTHON) demo/run --build $(BUILD)

demo-check: packages-demo
	@$(call compile,postern)
	$(PYTHON) demo/run --build $(BUILD) --check

packages-build:
	@packaging/install-packages build

packages-demo:
	@packaging/install-packages build demo

packages-package:
	@packaging/install-packages build package

packages-check:
	@packaging/install-packages build demo package check

packages-bench:
	@packaging/install-packages build demo package check bench

check: packages-check
	@PYTHON=$(PYTHON) BUILD=$(BUILD) BUILD_ASAN=$(BUILD_ASAN) BUILD_FUZZ=$(BUILD_FUZZ) \
		FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run

# The parts of `make check`, alone.
check-style check-unit check-asan check-fuzz check-conformance check-e2e check-interop \
		check-chaos check-fresh: packages-check
	@PYTHON=$(PYTHON) BUILD=$(BUILD) BUILD_ASAN=$(BUILD_ASAN) BUILD_FUZZ=$(BUILD_FUZZ) \
		FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run $(@:check-%=%)

bench: packages-bench
	@$(call compile)
	$(PYTHON) bench/run --build $(BUILD)

fuzz: packages-check
	@BUILD_FUZZ=$(BUILD_FUZZ) FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run fuzz

deb: packages-package
	packaging/build-deb dist

format:
	packaging/source-files '*.c' '*.h' | xargs -0 clang-format -i

tidy: packages-check
	tests/run tidy

install: build
	meson install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

clean:
	rm -rf $(BUILD) $(BUILD_ASAN) $(BUILD_FUZZ) dist
