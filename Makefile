# sitewarden. `make demo` and `make test` install what they need and say so; see README.md.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
APT := $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get
SAY := @printf '\n== %s\n'
CACHE := .cache
ARCH := $(shell uname -m)
# Labelled data and clips for the checks of the model; not part of the product.
DATA ?= ../shared/data
OUT ?= demo-out
# for a target folder elsewhere (CARGO_TARGET_DIR): the program looks for it in the checkout only
export SITEWARDEN_ORT_LIB ?= $(abspath $(CACHE)/onnxruntime/libonnxruntime.so)
PROGRAM := $(or $(CARGO_TARGET_DIR),target)/release/sitewarden

ORT_VERSION := 1.31.1
RUNTIME := $(CACHE)/onnxruntime/libonnxruntime.so
# A wheel is only unpacked here, never installed: the Python version in its name does not matter.
WHEEL := python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
	--python-version 3.12 --implementation cp \
	$(foreach v,28 27 24 17,--platform manylinux_2_$(v)_$(ARCH))

.PHONY: help build runtime tools demo demo-pictures test check-models bench-models check-eval bench bench-ledger bench-peers bench-bank bench-bank-many bank-chaos few-shot bench-idle camera-faults rtsp-server bench-cost test-postgres lint chaos full-disk bench-serve fuzz fuzz-api ci clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

comma := ,

# --- what is needed -------------------------------------------------------------------------

# $(call install,NAME,test command,packages): apt packages only where the test says they are missing
define install
	@if ! { $(2); } >/dev/null 2>&1; then \
	  printf '\n== installing %s (Debian packages: %s)\n' "$(1)" "$(3)"; \
	  $(APT) update -qq && $(APT) install -y -qq --no-install-recommends $(3) >/dev/null; \
	fi
endef

tools: ## Debian packages for the build
	$(call install,the build tools,command -v cc && command -v cmake && command -v nasm,gcc libc6-dev cmake nasm)

$(CACHE)/pip:
	$(call install,pip,python3 -m pip --version,python3-pip)
	@mkdir -p $(CACHE) && touch $@

$(RUNTIME): | $(CACHE)/pip
	$(SAY) "fetching ONNX Runtime $(ORT_VERSION) out of its PyPI wheel (24 MB)"
	@mkdir -p $(@D)
	@$(WHEEL) -d $(@D) onnxruntime==$(ORT_VERSION)
	@cd $(@D) && python3 -c "import glob, zipfile; \
	  z = zipfile.ZipFile(glob.glob('onnxruntime-$(ORT_VERSION)-*.whl')[0]); \
	  lib, = [n for n in z.namelist() if n.startswith('onnxruntime/capi/libonnxruntime.so.')]; \
	  open('libonnxruntime.so.part', 'wb').write(z.read(lib)); \
	  [open(n.split('/')[-1], 'wb').write(z.read(n)) for n in z.namelist() if n in ('onnxruntime/LICENSE', 'onnxruntime/ThirdPartyNotices.txt')]"
	@rm $(@D)/*.whl && mv $(@D)/libonnxruntime.so.part $@

runtime: $(RUNTIME) ## the ONNX Runtime library, into .cache/

build: tools runtime ## target/release/sitewarden, and the ONNX Runtime library that it loads
	$(SAY) "building sitewarden (the first time takes some minutes)"
	cargo build --release --locked

# --- the demonstration ----------------------------------------------------------------------

CLIP := $(CACHE)/demo/vtest.avi
ASTRONAUT := $(CACHE)/demo/photos/astronaut.png
FRAMES := $(CACHE)/demo/photos/vtest-005.png
PHOTOS ?= $(CACHE)/demo/photos

$(CLIP):
	$(SAY) "fetching the CCTV clip vtest.avi out of Debian's package opencv-doc (96 MB)"
	@mkdir -p $(@D)/deb
	@# unpacked, not installed: small Debian images leave /usr/share/doc out
	@$(APT) update -qq
	@cd $(@D)/deb && apt-get -o APT::Sandbox::User=root download -qq opencv-doc
	@dpkg-deb --fsys-tarfile $(@D)/deb/opencv-doc_*.deb \
	  | tar -xO ./usr/share/doc/opencv-doc/examples/data/vtest.avi >$@.part
	@rm -r $(@D)/deb && mv $@.part $@

$(FRAMES): $(CLIP)
	$(call install,ffmpeg,command -v ffmpeg,ffmpeg)
	$(SAY) "taking five frames out of the clip"
	@mkdir -p $(@D)
	@ffmpeg -nostdin -v error -y -i $< -vf fps=1/16 -frames:v 5 $(@D)/vtest-%03d.png

$(ASTRONAUT): | $(CACHE)/pip
	$(SAY) "fetching a photo of a person out of the PyPI wheel of scikit-image (14 MB)"
	@mkdir -p $(@D)
	@$(WHEEL) -d $(CACHE)/demo scikit-image==0.26.0
	@python3 -c "import glob, zipfile; \
	  open('$@.part', 'wb').write(zipfile.ZipFile(glob.glob('$(CACHE)/demo/scikit_image-*.whl')[0]).read('skimage/data/astronaut.png'))"
	@rm $(CACHE)/demo/scikit_image-*.whl && mv $@.part $@

ifeq ($(origin PHOTOS),file)
demo-pictures: $(FRAMES) $(ASTRONAUT)
else
demo-pictures:
endif

demo: build runtime demo-pictures ## scan real pictures (PHOTOS=dir for your own), watch a clip; results in demo-out/
	@[ -e "$(PHOTOS)" ] || { echo "there is no $(PHOTOS): give PHOTOS a folder or a photo"; exit 1; }
	$(SAY) "scanning $(PHOTOS)"
	@mkdir -p $(OUT)
	@rc=0; $(PROGRAM) scan "$(PHOTOS)" --annotate $(OUT)/annotated --report $(OUT)/report.html || rc=$$?; \
	  if [ $$rc -gt 1 ]; then exit $$rc; fi
	@printf '\nannotated pictures: %s\nreport:             %s\n' "$(OUT)/annotated/" "$(OUT)/report.html"
ifeq ($(origin PHOTOS),file)
	$(SAY) "watching $(CLIP) with the zones of tests/data/vtest-zones.toml"
	@$(PROGRAM) watch $(CLIP) --zones tests/data/vtest-zones.toml --evidence $(OUT)/evidence
	@printf '\nbest frames and clips of the findings: %s\n' "$(OUT)/evidence/"
endif

# --- checks ---------------------------------------------------------------------------------

rtsp-server: # and what makes clips for it
	$(call install,ffmpeg,command -v ffmpeg,ffmpeg)
	$(call install,an RTSP server,/usr/bin/python3 -c "import gi; gi.require_version('GstRtspServer'$(comma) '1.0')" && test -e "$$(echo /usr/lib/*/gstreamer-1.0/libgstvideoparsersbad.so)",python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad)

test: tools runtime rtsp-server $(CLIP) ## all tests
	$(call install,the HEIC converter,command -v heif-convert && command -v heif-enc,libheif-examples)
	$(SAY) "building and running the tests (the first time takes some minutes)"
	cargo test --locked

test-postgres: tools ## the tests of ledger and API on a PostgreSQL of their own
	$(call install,PostgreSQL,ls /usr/lib/postgresql/*/bin/initdb && command -v setpriv,postgresql util-linux)
	tests/postgres.sh

lint: tools ## format, clippy, documentation
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

$(CACHE)/venv-%/ready: benches/peers/requirements-%.txt
	$(call install,the venv module of Python,python3 -c 'import ensurepip' && python3 -c 'import venv',python3-venv)
	@rm -rf $(@D) && python3 -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

check-models: build runtime $(CACHE)/venv-check/ready ## floors of site-nano on the labelled val sets in DATA
	$(SAY) "judging site-nano on the val sets of $(DATA), by pycocotools"
	$(CACHE)/venv-check/bin/python benches/peers/check_models.py --program $(PROGRAM) --data $(DATA)

# the sets that have a manifest in datasets/ and a val split in DATA
SETS ?= $(notdir $(patsubst %/,%,$(sort $(dir $(wildcard $(DATA)/detect/*/val.json)))))
MODEL ?= site-nano

bench-models: build runtime ## MODEL on every val set of DATA: reports in bench-out/, a Markdown table
	$(SAY) "judging $(MODEL) on $(SETS)"
	$(PROGRAM) bench $(SETS) --data $(DATA)/detect --model $(MODEL) --out bench-out --format markdown

check-eval: build runtime $(CACHE)/venv-check/ready ## the evaluation against pycocotools: agreement and speed
	$(SAY) "holding sitewarden bench against pycocotools"
	$(CACHE)/venv-check/bin/python benches/peers/eval_peers.py --program $(PROGRAM) --data $(DATA)

bench: tools runtime ## criterion benches, one for each stage
	cargo bench --locked

LEDGER ?= $(CACHE)/bench-ledger

bench-ledger: tools ## lists and statistics over 1,000,000 findings (LEDGER=folder, 3.5 GB)
	$(SAY) "making a ledger of a city in $(LEDGER) unless it is there, and measuring"
	cargo bench --locked --bench ledger -- --data $(LEDGER) --check

bench-bank: tools $(CACHE)/venv-bank/ready ## the ten nearest of 100,000 samples, beside faiss, on one core
	$(CACHE)/venv-bank/bin/python benches/peers/bank_peers.py

few-shot: $(CACHE)/venv-fewshot/ready ## recall of the sample bank by number of samples, on DATA: a page in bench-out/
	@mkdir -p bench-out
	cd models/site-embed/train && ../../../$(CACHE)/venv-fewshot/bin/python few_shot.py --data $(abspath $(DATA))/detect \
	  --onnx ../site-embed.onnx --cache $(abspath $(CACHE))/few-shot --out few_shot.json \
	  --html $(abspath bench-out)/few-shot.html --svg ../few-shot.svg
	@printf '\nbench-out/few-shot.html\n'

ROWS ?= 1000000

bench-bank-many: tools $(CACHE)/venv-bank/ready ## the ten nearest of ROWS samples by lists, beside usearch and hnswlib
	$(call install,a C++ compiler,command -v c++,g++)
	$(CACHE)/venv-bank/bin/python benches/peers/bank_peers.py --indexed --rows $(ROWS)

bench-peers: build runtime $(CACHE)/venv-peers/ready ## the same photos and model through peers
	$(CACHE)/venv-peers/bin/python benches/peers/scan_peers.py --program $(PROGRAM)

bench-serve: build runtime $(CACHE)/venv-peers/ready ## eight clients against scan of the same photos
	$(CACHE)/venv-peers/bin/python benches/peers/serve_load.py --program $(PROGRAM)

bench-idle: build runtime $(CACHE)/venv-peers/ready $(CLIP) rtsp-server ## CPU of an idle 1080p25 camera against full decode and Python; how many cameras
	$(CACHE)/venv-peers/bin/python benches/peers/watch_idle.py --program $(PROGRAM)

MINUTES ?= 10

camera-faults: build runtime rtsp-server ## cameras of `serve` killed, frozen, slowed, garbled for MINUTES; no finding lost or doubled
	$(SAY) "disturbing twelve cameras for $(MINUTES) minutes"
	python3 benches/camera_faults.py --program $(PROGRAM) --minutes $(MINUTES)

bench-cost: build runtime ## what bench costs over scan of the same photos of DATA
	python3 benches/peers/bench_peers.py $(DATA)/detect/hard-hat-workers/val.json --program $(PROGRAM)

KILLS ?= 1000

chaos: build runtime ## kill -9 `serve` KILLS times under load; every accepted photo must have its effect once
	$(SAY) "ending the service $(KILLS) times without warning"
	python3 benches/chaos.py --program $(PROGRAM) --kills $(KILLS)

OPERATIONS ?= 1000

bank-chaos: build runtime ## kill -9 `serve` while OPERATIONS samples are added and asked for; rows, pictures and index must agree
	$(SAY) "ending the service without warning while its sample bank is taught and asked"
	python3 benches/bank_chaos.py --program $(PROGRAM) --operations $(OPERATIONS)

full-disk: build runtime ## fill the disk under `serve` and make room again: nothing accepted may be lost
	$(SAY) "filling a small disk of its own under the service"
	python3 benches/full_disk.py --program $(PROGRAM)

EXAMPLES ?= 100

fuzz-api: build runtime $(CACHE)/venv-fuzz/ready ## schemathesis against the API: no 5xx, answers as described
	$(SAY) "asking the API what nobody would ask"
	$(CACHE)/venv-fuzz/bin/python benches/peers/fuzz_api.py --program $(PROGRAM) --examples $(EXAMPLES)

FUZZ := $(CACHE)/cargo-fuzz/bin/cargo-fuzz
TARGETS ?= photo manifest catalogue outputs
SECONDS_EACH ?= 60

$(FUZZ):
	$(call install,a C++ compiler,command -v c++,g++)
	cargo install --quiet --locked --root $(CACHE)/cargo-fuzz cargo-fuzz --version 0.13.2

fuzz: tools $(FUZZ) ## hostile input from libFuzzer; see tests/fuzz/README.md
	@cp Cargo.lock tests/fuzz/Cargo.lock
	@for target in $(TARGETS); do \
	  mkdir -p tests/fuzz/corpus/$$target; \
	  $(FUZZ) run --fuzz-dir tests/fuzz -s none $$target \
	    tests/fuzz/corpus/$$target tests/fuzz/seeds/$$target -- \
	    -max_total_time=$(SECONDS_EACH) -timeout=20 -rss_limit_mb=1024 -malloc_limit_mb=256 -max_len=4096; \
	done

ci: ## what CI runs
	bash .ci/run

clean: ## build output, caches, demo results
	cargo clean
	rm -rf $(CACHE) $(OUT) bench-out
