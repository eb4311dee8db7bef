# SPDX-License-Identifier: BSD-3-Clause
# Verbs. `make help` lists them; meson and ninja do the work.
all:
	@test -f build/release/build.ninja || meson setup build/release --buildtype=release
	@ninja -C build/release freshet
