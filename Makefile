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
	check-conformance check-e2e check-interop check-chaos check-deb bench fuzz deb format tidy \
	install clean

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

$(BUILD)/build.ninja:
	@packaging/install-packages build
	@meson setup $(BUILD) $(MESON_FLAGS) >/dev/null

build: $(BUILD)/build.ninja
	@ninja -C $(BUILD) -j $(JOBS) --quiet

demo: packages-demo build
	$(PYTHON) demo/run --build $(BUILD)

demo-check: packages-demo build
	$(PYTHON) demo/run --build $(BUILD) --check

packages-demo:
	@packaging/install-packages build demo

packages-check:
	@packaging/install-packages build demo check

packages-bench:
	@packaging/install-packages build demo check bench

check: packages-check
	@PYTHON=$(PYTHON) BUILD=$(BUILD) BUILD_ASAN=$(BUILD_ASAN) BUILD_FUZZ=$(BUILD_FUZZ) \
		FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run

# The parts of `make check`, alone.
check-style check-unit check-asan check-fuzz check-conformance check-e2e check-interop \
		check-chaos check-deb: packages-check
	@PYTHON=$(PYTHON) BUILD=$(BUILD) BUILD_ASAN=$(BUILD_ASAN) BUILD_FUZZ=$(BUILD_FUZZ) \
		FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run $(@:check-%=%)

bench: packages-bench build
	$(PYTHON) bench/run --build $(BUILD)

fuzz: packages-check
	@BUILD_FUZZ=$(BUILD_FUZZ) FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run fuzz

deb: packages-check
	packaging/build-deb dist

format:
	git ls-files '*.c' '*.h' | xargs clang-format -i

tidy: build
	tests/run tidy

install: build
	meson install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

clean:
	rm -rf $(BUILD) $(BUILD_ASAN) $(BUILD_FUZZ) dist
