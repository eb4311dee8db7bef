# SPDX-License-Identifier: BSD-3-Clause
# The verbs of this repository. `make help` lists them; meson and ninja do the work.
#
#   make check T=store/evict              one unit test (or a whole module: T=store)
#   make check T=e2e/test_x.py::test_y    one end to end test
#   make demo ONCE=1                      the demo without staying
MAKEFLAGS += --no-print-directory
PREFIX ?= /usr/local
T ?=

.NOTPARALLEL:
.PHONY: all setup debug demo run test check asan tsan fuzz lint fmt bench verify install clean help

all: build/release/build.ninja ## release build: build/release/freshet
	@ninja -C build/release freshet

setup: ## install the Debian packages that are missing
	@tools/setup

debug: build/debug/build.ninja ## debug build: build/debug/freshet
	@ninja -C build/debug

demo: setup all ## the example shop, live; ONCE=1 shows it and stops
	@tools/demo

run: setup debug ## the example shop on a debug build
	@FRESHET_BIN=build/debug/freshet QUIET=1 tools/demo

test: setup debug ## everything: unit, end to end, layers, style
	@tools/test

check: setup debug ## all of it, or one part: T=store, T=store/evict, T=e2e/test_x.py::test_y
	@tools/test $(T)

asan: setup build/asan/build.ninja ## the tests under AddressSanitizer and UBSan
	@ninja -C build/asan
	@tools/test --build asan $(T)

tsan: setup build/tsan/build.ninja ## the tests under ThreadSanitizer
	@ninja -C build/tsan
	@tools/test --build tsan $(T)

fuzz: ## look for inputs that break a parser: T=http, SECONDS=600
	@tools/setup fuzz
	@tools/fuzz "$(T)" "$(or $(SECONDS),60)"

lint: ## clang, gcc -fanalyzer, clang-tidy, cppcheck, format, layers, style
	@tools/setup lint
	@tools/lint

fmt: ## format every C file
	@tools/setup lint
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format-14 -i

bench: ## measure beside redis-server, nginx, haproxy and Varnish; writes bench/results; or T=http
	@tools/setup
	@tools/setup bench
	@$(MAKE) all
	@bench/run $(T)

verify: setup all ## the freshness checker: a million reads, none older than promised
	@tools/verify

install: all ## into DESTDIR and PREFIX
	@meson configure build/release --prefix=$(abspath $(PREFIX)) >/dev/null
	@meson install -C build/release

clean: ## remove build/
	@rm -rf build

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 18

# Build directories, side by side. The first configuration makes sure that the packages are there.
build/release/build.ninja: OPTIONS = --buildtype=release -Dtests=false
build/debug/build.ninja: OPTIONS = --buildtype=debug
build/asan/build.ninja: OPTIONS = --buildtype=debug -Db_sanitize=address,undefined
build/tsan/build.ninja: OPTIONS = --buildtype=debug -Db_sanitize=thread
build/%/build.ninja:
	@tools/setup
	@meson setup build/$* $(OPTIONS) >/dev/null
