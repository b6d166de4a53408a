# storsync-init: `make` builds the static binary, `make help` lists everything else.
#
# There are five flavours of the same sources, each in build/FLAVOUR with its dependencies in build/deps-FLAVOUR:
#   musl     what is shipped: static-pie, small          -> build/storsync-init, build/storsync-init.debug
#   aarch64  the same for that CPU, cross-compiled       -> build/aarch64/storsync-init, and the unit tests again
#   test     as musl, with places to crash at (crash.h)  -> build/test/storsync-init
#   san      AddressSanitizer and UBSan, machine's libc  -> build/san/, and the unit tests
#   fuzz     the same with libFuzzer, always clang       -> build/fuzz/
# The first build takes the dependencies from Debian's source packages; see docs/DEPENDENCIES.md.

.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules

PREFIX = /usr/local
SECONDS = 60
SAGAS = 0-24
ROOTS = yes
HOSTCC = cc
CFLAGS = -Oz -g

VERSION = $(shell sed -n 's/^.define STORSYNC_VERSION "\(.*\)"/\1/p' include/version.h)
# A checkout's commit; a copy without .git has none.
REVISION = $(shell git rev-parse HEAD 2>/dev/null)
IMAGE = storsync-init:$(VERSION)
IMAGE_FLAGS =
# For `make dist`: a file with minisign's secret key, or a key of gpg's; the URI of who builds; whom packages name.
SIGN_KEY =
BUILDER =
MAINTAINER =
export SIGN_KEY BUILDER MAINTAINER
ENGINE = $(shell for engine in podman buildah docker; do command -v $$engine && break; done)

WARNINGS = -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
CPPFLAGS = -std=c11 -D_GNU_SOURCE -Iinclude -Ibuild/deps-src -Ibuild/roots -Ibuild/page
# The same bytes in whatever folder this is built.
REPRODUCIBLE = -ffile-prefix-map=$(CURDIR)=/storsync-init
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

# What dependencies and own sources of a flavour are compiled with; the machine's compiler unless said otherwise.
musl_CFLAGS = $(CFLAGS) -flto=auto -ffunction-sections -fdata-sections -fstack-protector-strong \
	-fstack-clash-protection -mstack-protector-guard=global -fno-optimize-sibling-calls \
	-fno-unwind-tables -fno-asynchronous-unwind-tables $(ALIGN)
# gcc puts every array of 32 bytes on such a border, for vector instructions that nothing here has: 2 KiB.
ALIGN := $(if $(filter %gcc cc,$(notdir $(firstword $(CC)))),$(if $(filter x86_64,$(shell uname -m)),-malign-data=abi))
# Own code guards the stack where a function has an array of characters, in a struct as well: strong would take 14 KB more.
OWN_CFLAGS = -fstack-protector --param=ssp-buffer-size=1
# With machine code beside what LTO needs: linking every test program with LTO would take minutes.
aarch64_CFLAGS = $(filter-out $(ALIGN),$(musl_CFLAGS)) -ffat-lto-objects
CMOCKA = -isystem build/deps-tests/cmocka/include -DHAVE_UINTPTR_T
test_CFLAGS = $(musl_CFLAGS) -DSTORSYNC_TEST
san_CFLAGS = -O1 -g $(SANITIZE)
fuzz_CFLAGS = -O1 -g $(SANITIZE) -fsanitize=fuzzer-no-link
musl_CC = build/deps-musl/bin/musl-cc $(CC)
aarch64_CC = build/deps-aarch64/bin/musl-cc aarch64-linux-gnu-gcc
test_CC = $(musl_CC)
san_CC = $(CC)
fuzz_CC = clang

LIBS = -lcurl -lbearssl -linih -lyyjson -lmicrohttpd
LDFLAGS = -Wl,--gc-sections,--build-id -Wl,-z,relro,-z,now,-z,noexecstack
# readonly.ld keeps code apart from data, so ld need not.
aarch64_LDFLAGS = -Wl,-T,deps/readonly.ld,-z,noseparate-code
# Seen as a whole, gcc makes it 1 KiB smaller; clang always looks at all.
musl_LDFLAGS = $(aarch64_LDFLAGS) -Wl,-z,pack-relative-relocs $(if $(filter %gcc cc,$(notdir $(firstword $(CC)))),-flto-partition=one)
test_LDFLAGS = $(musl_LDFLAGS)

# The rooms of the house: docs/DESIGN.md has the map, tests/layers who may know whom.
ROOMS = $(patsubst %/,%,$(sort $(dir $(wildcard src/*/*.c src/*/*/*.c))))
SOURCES = src/main.c $(foreach room,$(ROOMS),$(wildcard $(room)/*.c))
HEADERS = $(wildcard include/*.h $(ROOMS:%=%/*.h))
objects = $(SOURCES:src/%.c=build/$(1)/%.o)
# All but the program itself: test programs take out of it what they need.
parts = build/$(1)/parts.a

UNIT_TESTS = $(patsubst tests/unit/%.c,build/san/unit/%,$(wildcard tests/unit/test_*.c))
FUZZERS = $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAYS = $(FUZZERS:%=build/san/fuzz/%)
LEAVES = build/san/fuzz/leaves
AARCH64_TESTS = build/aarch64/storsync-init $(UNIT_TESTS:build/san/%=build/aarch64/%) $(REPLAYS:build/san/%=build/aarch64/%)
C_FILES = $(SOURCES) $(HEADERS) $(wildcard tests/unit/*.[ch] tests/fuzz/*.[ch]) $(wildcard deps/*.c docs/*.c)
SCRIPTS = $(shell find .ci deps dist docs tests src/serve/dashboard -maxdepth 2 -type f -exec \
	awk 'FNR == 1 && /^.! ?\/(usr\/)?bin\/(env )?(ba)?sh/ { print FILENAME }' {} + | sort)

ifneq ($(words $(CURDIR)),1)
$(error The path of this folder has a space in it, which neither make nor musl can cope with)
endif

all: build/storsync-init ## build build/storsync-init, and .debug with its symbols (the default)

# A change of compiler or flags rebuilds everything, dependencies included.
ifneq ($(filter-out help clean distclean format image uninstall,$(or $(MAKECMDGOALS),all)),)
$(shell deps/need $(CC):$(CC:cc=gcc) >&2)
CONFIG := $(CC) $(shell $(CC) --version | head -n 1): $(aarch64_CFLAGS)
ifneq ($(CONFIG),$(file <build/config))
$(shell mkdir -p build)
$(file >build/config,$(CONFIG))
endif
endif

# So does a change of ROOTS with what has to do with them.
ifneq ($(ROOTS),$(file <build/roots/config))
$(shell mkdir -p build/roots)
$(file >build/roots/config,$(ROOTS))
endif

# --- dependencies ---

build/deps-src/done: deps/lock deps/fetch $(wildcard deps/patches/*/*.patch)
	@deps/fetch $(@D)
	@touch $@

build/deps-tests/done: deps/lock-tests deps/fetch
	@deps/fetch $(@D) $<
	@touch $@

build/deps-musl/done: DEPS_CC = $(CC)
build/deps-musl/done: deps/musl-cc
build/deps-aarch64/done: DEPS_CC = aarch64-linux-gnu-gcc
build/deps-aarch64/done: deps/musl-cc | need-aarch64
build/deps-san/done: DEPS_CC = $(san_CC)
build/deps-san/done: | need-san
build/deps-fuzz/done: DEPS_CC = $(fuzz_CC)
build/deps-fuzz/done: | need-fuzz
build/deps-%/done: build/deps-src/done deps/build $(wildcard deps/curl_* deps/mhd_*) build/config
	@CC='$(DEPS_CC)' CFLAGS='$($*_CFLAGS)' deps/build $(if $(filter musl aarch64,$*),musl,host) build/deps-src $(@D)
	@touch $@

# The roots built in, or none: make ROOTS=no. What makes them out of ca-certificates runs here, whatever is built for.
build/roots/generate: deps/roots.c src/tls/tls_cert.c src/tls/tls_der.c src/tls/tls_pem.c src/base/clock.c src/base/text.c src/base/utf8.c src/tls/tls_cert.h include/clock.h include/text.h build/roots/sha256.o | need-host
	$(call step,HOSTCC) $(HOSTCC) -std=c11 -D_GNU_SOURCE -Iinclude -Isrc/tls -isystem build/deps-src/bearssl/inc $(WARNINGS) -O1 -o $@ \
		$(filter %.c %.o,$^)
# BearSSL's, for the machine that builds.
build/roots/sha256.o: build/deps-src/done | need-host
	$(call step,HOSTCC) $(HOSTCC) -O1 -Ibuild/deps-src/bearssl/inc -Ibuild/deps-src/bearssl/src -r -nostdlib -o $@ \
		$(addprefix build/deps-src/bearssl/src/,hash/sha2small.c codec/dec32be.c codec/enc32be.c)
build/roots/tls_roots_data.h: build/roots/generate build/roots/config build/deps-src/done
ifeq ($(ROOTS),no)
	@printf '%s\n' '#define TLS_ROOTS_VERSION ""' 'static const unsigned char tls_roots_data[] = {0};' \
		'static const size_t tls_roots_records = 0;' >$@
else
	$(call step,ROOTS) $< build/deps-src/ca-certificates/mozilla \
		"$$(sed -n 's/^ca-certificates \([^ ]*\) .*/\1/p' build/deps-src/versions)" >$@
endif

# The dashboard, as it is sent.
build/page/admin_page.h: $(wildcard src/serve/dashboard/*)
	@deps/need gzip:gzip basenc:coreutils
	$(call step,PAGE) $(<D)/embed $(<D) $@

# What the documents say about the settings, out of their table.
build/docs/settings build/docs/completion: build/docs/%: docs/%.c $(patsubst %,src/settings/settings_%.c,help table value) $(patsubst %,src/base/%.c,address buf clock cron error shard text uri zone) \
		$(wildcard include/*.h src/settings/*.h) | need-host
	$(call step,HOSTCC) $(HOSTCC) -std=c11 -D_GNU_SOURCE -Iinclude -Isrc/settings $(WARNINGS) -O1 -o $@ $(filter %.c,$^)

# --- the flavours ---

# One line a step; `make V=1` shows the commands.
step = $(if $(V),,@echo "  $(1)  $@" &&) mkdir -p $(@D) &&
# deps FLAVOUR
deps = build/deps-$(if $(filter test,$(1)),musl,$(1))
# What tests see of a room: all of it.
TEST_CPPFLAGS = $(ROOMS:%=-I%)
# compile FLAVOUR, MORE FLAGS
compile = $(call step,CC) $($(1)_CC) $(CPPFLAGS) -isystem $(call deps,$(1))/include $($(1)_CFLAGS) \
	$(if $(filter musl aarch64 test,$(1)),$(OWN_CFLAGS)) $(REPRODUCIBLE) $(WARNINGS) $(2) -MMD -MP -c -o $@ $<
# link FLAVOUR,MORE
link = $(call step,LD) $($(1)_CC) $($(1)_CFLAGS) $(REPRODUCIBLE) $(LDFLAGS) $($(1)_LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) \
	-L$(call deps,$(1))/lib $(LIBS) $(2)
archive = $(call step,AR) rm -f $@ && ar rcs $@ $^

build/musl/%.o: src/%.c build/deps-musl/done build/config Makefile
	$(call compile,musl)
build/aarch64/%.o: src/%.c build/deps-aarch64/done build/config Makefile | need-aarch64
	$(call compile,aarch64)
# Behind all others the machine's, for linux/: musl has no headers of the kernel.
build/aarch64/%.o: tests/%.c build/deps-aarch64/done build/deps-tests/done build/config Makefile | need-aarch64
	$(call compile,aarch64,$(TEST_CPPFLAGS) $(CMOCKA) -idirafter /usr/include)
build/test/%.o: src/%.c build/deps-musl/done build/config Makefile
	$(call compile,test)
build/san/%.o: src/%.c build/deps-san/done build/config Makefile | need-san
	$(call compile,san)
build/fuzz/%.o: src/%.c build/deps-fuzz/done Makefile | need-fuzz
	$(call compile,fuzz)
build/san/%.o: tests/%.c build/deps-san/done build/config Makefile | need-san
	$(call compile,san,$(TEST_CPPFLAGS))
build/fuzz/%.o: tests/%.c build/deps-fuzz/done Makefile | need-fuzz
	$(call compile,fuzz,$(TEST_CPPFLAGS))

$(patsubst %,build/%/tls/tls_roots.o,musl aarch64 test san fuzz): build/roots/tls_roots_data.h
$(patsubst %,build/%/serve/admin.o,musl aarch64 test san fuzz): build/page/admin_page.h

build/storsync-init: build/storsync-init.debug
	$(call step,STRIP) strip -o $@ $<
build/storsync-init.debug: $(call objects,musl) deps/readonly.ld
	$(call link,musl)
build/test/storsync-init: $(call objects,test) deps/readonly.ld
	$(call link,test)
build/aarch64/storsync-init: build/aarch64/storsync-init.debug
	$(call step,STRIP) aarch64-linux-gnu-strip -o $@ $<
build/aarch64/storsync-init.debug: $(call objects,aarch64) deps/readonly.ld
	$(call link,aarch64)
build/aarch64/parts.a: $(filter-out %/main.o,$(call objects,aarch64))
	$(archive)
build/aarch64/unit/%: build/aarch64/unit/%.o build/aarch64/cmocka.o $(call parts,aarch64)
	$(call link,aarch64,-fno-lto)
build/aarch64/fuzz/%: build/aarch64/fuzz/fuzz_%.o build/aarch64/fuzz/replay.o $(call parts,aarch64)
	$(call link,aarch64,-fno-lto)
build/aarch64/cmocka.o: build/deps-aarch64/done build/deps-tests/done build/config
	$(call step,CC) $(aarch64_CC) $(aarch64_CFLAGS) $(CMOCKA) -DHAVE_INTTYPES_H -DHAVE_SIGNAL_H \
		-DHAVE_SIGLONGJMP -DHAVE_STRSIGNAL -c -o $@ build/deps-tests/cmocka/src/cmocka.c
build/san/storsync-init: $(call objects,san)
	$(call link,san)
build/san/parts.a: $(filter-out %/main.o,$(call objects,san))
	$(archive)
build/fuzz/parts.a: $(filter-out %/main.o,$(call objects,fuzz))
	$(archive)
build/san/unit/%: build/san/unit/%.o $(call parts,san)
	$(call link,san,-lcmocka)
build/san/fuzz/%: build/san/fuzz/fuzz_%.o build/san/fuzz/replay.o $(call parts,san)
	$(call link,san)
$(LEAVES): build/san/fuzz/leaves.o $(call parts,san)
	$(call link,san)
build/fuzz/%: build/fuzz/fuzz/fuzz_%.o $(call parts,fuzz)
	$(call link,fuzz,-fsanitize=fuzzer)


aarch64: build/aarch64/storsync-init ## build build/aarch64/storsync-init with Debian's cross compiler

san: build/san/storsync-init ## build build/san/storsync-init, the same with ASan and UBSan

fuzz: $(FUZZERS:%=build/fuzz/%) ## build the libFuzzer targets of tests/fuzz into build/fuzz (needs clang)

# --- using it ---

run: all ## show the main job on directories: first start, second start, a change
	tests/demo

fuzz-run: build/fuzz/$(FUZZ) ## fuzz one target: make fuzz-run FUZZ=xml SECONDS=60
	@mkdir -p build/fuzz/corpus/$(FUZZ)
	$< -max_total_time=$(SECONDS) -artifact_prefix=build/fuzz/ build/fuzz/corpus/$(FUZZ) $(wildcard tests/fuzz/corpus/$(FUZZ))

DOCUMENT_MAKERS = build/docs/settings build/docs/completion
docs: $(DOCUMENT_MAKERS) ## put the settings table into docs/, the man page, examples/storsync.ini and the shells' completions
	docs/update build/docs

install: all ## install into PREFIX (/usr/local), below DESTDIR: binary, manual, completions for bash, zsh and fish
	dist/install build/storsync-init $(DESTDIR)$(PREFIX)

uninstall: ## remove what `make install` has installed
	dist/install --remove $(DESTDIR)$(PREFIX)

image: ## build the container image: make image IMAGE=name:tag ENGINE=podman|buildah|docker IMAGE_FLAGS=...
	$(or $(ENGINE),$(error podman, buildah or docker is needed)) build -t $(IMAGE) --build-arg VERSION=$(VERSION) \
		--build-arg REVISION=$(REVISION) $(IMAGE_FLAGS) .

dist: all aarch64 build/deps-tests/done ## pack archives, packages, image, SBOM, provenance into build/dist: make dist SIGN_KEY=... BUILDER=... MAINTAINER=...
	@deps/need python3 gzip:gzip git:git dpkg-deb:dpkg
	CC='$(CC)' REVISION='$(REVISION)' dist/pack $(VERSION) build/dist \
		x86_64=build/storsync-init aarch64=build/aarch64/storsync-init

deps-bundle: build/deps-src/done build/deps-tests/done ## pack all dependencies into one file, for STORSYNC_DEPS=FILE make without a network
	deps/bundle build/storsync-init-$(VERSION)-deps.tar

# --- tests ---

TEST_PARTS = integration-a + integration-b model deps dist + unit fuzz-corpus expat layers docs aarch64 https gs
TEST_PROGRAMS = build/test/storsync-init $(DOCUMENT_MAKERS) build/san/main.o $(UNIT_TESTS) $(REPLAYS) $(LEAVES) $(AARCH64_TESTS)
# What is packed for the tests only may be of versions that no lock has.
test test-all test-dist test-reproducible: export STORSYNC_UNLOCKED = yes
test: all dist $(TEST_PROGRAMS) | need-integration need-observers need-model need-qemu need-docs need-dist ## run all tests; ends with "N passed, N failed"
	@tests/run $(TEST_PARTS)
test-all: all dist $(TEST_PROGRAMS) | need-integration need-observers need-model need-qemu need-docs need-dist need-containers need-compat need-browser ## the same, test-compat, test-browser and test-containers
	@tests/run $(TEST_PARTS) compat browser containers
test-unit: $(UNIT_TESTS) ## run the unit tests (ASan, UBSan)
	@tests/run unit
test-fuzz-corpus: $(REPLAYS) $(LEAVES) ## replay the corpora of the fuzz targets (ASan, UBSan); XML is compared with expat
	@tests/run fuzz-corpus expat
test-layers: $(call objects,san) ## check that a room knows only the rooms below it
	@tests/run layers
test-aarch64: $(AARCH64_TESTS) | need-qemu need-integration ## unit tests, corpora and some syncs of the other CPU, emulated
	@tests/run aarch64
test-deps: build/deps-src/done ## check what deps/fetch does when the archive has moved on, against small archives made for it
	@tests/run deps
test-dist: dist | need-dist ## look into what `make dist` packs: archives, packages, image, SBOM, provenance, hardening of the binaries
	@tests/run dist
test-reproducible: dist ## build it all once more in another folder, without the cache: the same bytes
	@tests/reproducible
test-docs: all $(DOCUMENT_MAKERS) | need-docs ## check that the documents show the settings as they are, and that links lead somewhere
	@tests/run docs
test-integration: all build/test/storsync-init | need-integration need-observers ## run the binary against a real S3 server
	@tests/run integration
test-tls: all build/test/storsync-init | need-integration ## the same with nginx and TLS before every S3 server
	@STORSYNC_TEST_TLS=1 tests/run integration
test-containers: all | need-integration need-observers need-containers ## run the image and all of examples/ in containers (podman, root)
	@tests/run containers
test-gs: all build/test/storsync-init | need-integration ## the main job's tests again, with a stand-in for Google Cloud Storage as one side or both
	@tests/run gs-all
test-sagas: all build/test/storsync-init | need-integration ## play 200 rounds of edits, syncs that die and rollbacks against a model
	@STORSYNC_TEST_BIN=build/test/storsync-init STORSYNC_MODEL_SAGAS=$(SAGAS) tests/integration/run test_model
test-compat: all | need-integration need-compat ## run the binary with servers of others and Google's own client (Go, pip, npm)
	@tests/run compat
test-browser: all | need-browser ## use the dashboard in chromium: states, keyboard, phone, dark and light, axe-core
	@tests/run browser
screenshots: all | need-browser ## take the pictures of the dashboard that the documents show
	@deps/need pngquant:pngquant
	tests/browser/screenshots docs
test-san: san | need-integration ## the same with the ASan and UBSan binary
	@STORSYNC_BIN=build/san/storsync-init tests/run integration
test-valgrind: all | need-integration ## the same under valgrind
	@deps/need valgrind:valgrind
	@STORSYNC_BIN=build/storsync-init.debug STORSYNC_WRAP='$(VALGRIND)' tests/run integration

# A static binary brings its own malloc: valgrind has to be told to replace that one.
VALGRIND = valgrind -q --error-exitcode=99 --leak-check=full --soname-synonyms=somalloc=NONE \
	--suppressions=$(CURDIR)/tests/integration/valgrind.supp

model: | need-model ## verify the protocols of the lease and of shards with spin
	tests/model/run

size: all ## show where the bytes of the binary come from, and the change against the last commit
	@deps/need python3 objdump:binutils git:git
	@CC='$(CC)' tests/size --save

bench: all | need-integration ## measure the budgets, and the same work by other clients; the latter goes into docs/PERFORMANCE.md
	tests/bench build/storsync-init --write

lint: build/roots/tls_roots_data.h build/page/admin_page.h build/deps-san/done | need-lint ## check format, static analysers, shell scripts
	clang-format --dry-run -Werror $(C_FILES)
	printf '%s\n' $(SOURCES) | xargs -n 1 -P "$$(nproc)" \
		sh -c 'clang-tidy --quiet "$$0" -- $(CPPFLAGS) -isystem build/deps-san/include $(WARNINGS)'
	printf '%s\n' $(SOURCES) | xargs -n 1 -P "$$(nproc)" \
		gcc $(CPPFLAGS) -isystem build/deps-san/include $(ANALYZER) -c -o /dev/null
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		-Iinclude --suppress=missingIncludeSystem $(SOURCES)
	shellcheck $(SCRIPTS)

# No reports of leaks: gcc 12 loses sight of what is kept in an array that realloc moved (upload_set_part, level_add).
# Finding leaks is the job of LeakSanitizer, under which all unit tests run.
ANALYZER = -O1 -fanalyzer -Wno-analyzer-malloc-leak $(WARNINGS)

format: | need-lint ## bring the C files into the project's format
	clang-format -i $(C_FILES)

need-aarch64:
	@deps/need aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu
need-qemu:
	@deps/need qemu-aarch64-static:qemu-user-static
need-host:
	@deps/need $(HOSTCC):gcc libc6-dev
need-san:
	@deps/need libc6-dev libcmocka-dev
need-fuzz:
	@deps/need clang:clang
	@deps/need "libclang-rt-$$(clang -dumpversion | cut -d . -f 1)-dev"
need-integration:
	@deps/need python3 python3-boto3 openssl:openssl ceph-mon ceph-osd radosgw nginx-light ip:iproute2 tini:tini
# Without them the tests say so in one line, and count as skipped.
need-observers:
	-@deps/need promtool:prometheus python3-aiosmtpd strace:strace
need-containers:
	-@deps/need podman:podman runc:runc catatonit:catatonit mmdebstrap:mmdebstrap podman-compose:podman-compose python3-yaml
need-compat:
	-@deps/need python3-venv
need-browser:
	-@deps/need chromium:chromium fonts-dejavu-core
need-dist:
	@deps/need minisign:minisign gpg:gpg gpg-agent:gpg-agent
need-docs:
	@deps/need python3 zsh:zsh fish:fish
need-model:
	@deps/need spin:spin cc:gcc
need-lint:
	@deps/need clang-format:clang-format clang-tidy:clang-tidy gcc:gcc cppcheck:cppcheck shellcheck:shellcheck

# --- the rest ---

refresh: ## ask Debian's archive again, for newer security patches to the dependencies
	deps/fetch --refresh build/deps-src
	touch build/deps-src/done

deps-update: ## take the newest dependencies that can be had into deps/lock, rebuild, and run the tests
	deps/fetch --update build/deps-src
	touch build/deps-src/done
	deps/fetch --update build/deps-tests deps/lock-tests
	touch build/deps-tests/done
	git --no-pager diff --stat deps/lock deps/lock-tests
	$(MAKE) test

clean: ## remove what was built from our own sources
	rm -rf build/musl build/test build/san build/fuzz build/aarch64 build/dist build/docs build/page build/storsync-init \
		build/storsync-init.debug

distclean: ## remove everything that was built (downloads stay in the cache)
	rm -rf build

help: ## list these targets
	@sed -n 's/^\([a-z0-9-]*\):.* ## \(.*\)/\1\t\2/p' Makefile | expand -t 20

.PHONY: all aarch64 san fuzz run fuzz-run docs install uninstall image dist deps-bundle deps-update test test-unit test-fuzz-corpus test-aarch64 test-dist \
	test-reproducible test-layers test-deps test-docs test-integration test-tls test-gs test-sagas test-compat test-browser test-containers test-all screenshots test-san test-valgrind \
	model bench lint format need-host need-aarch64 need-qemu need-san need-fuzz need-integration need-observers need-containers need-compat need-browser need-dist need-docs need-lint \
	need-model refresh clean distclean help

-include $(foreach depth,*/* */*/* */*/*/*,$(wildcard build/$(depth).d))
