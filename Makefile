# The two commands of the README are `make demo` and `make test`.
SHELL := /bin/bash
export PATH := $(HOME)/.cargo/bin:$(PATH)

.PHONY: help build demo test corpus lint deny bench fuzz oracle text-equality oracle-btf clean

help:
	@echo 'make demo    build kvet, fetch real kernels, check them, and show a broken one'
	@echo 'make test    run every test, also against real kernels and by booting them'
	@echo 'make corpus  measure kvet explain on a corpus of logs (KVET_CORPUS, or ../shared/corpus)'
	@echo 'make lint    formatting and clippy'
	@echo 'make deny    licences and advisories of the dependencies (needs cargo-deny)'
	@echo 'make bench   benchmarks: whole commands against the tools that a user would run instead'
	@echo 'make oracle  damage real kernels, predict, boot, compare; the score by table (SEED, BOOTS a kernel)'
	@echo 'make text-equality  text of booted guests against kvet patch, byte for byte'
	@echo 'make oracle-btf  as root: hold kvet against BPF_BTF_LOAD of the running kernel'
	@echo 'make fuzz    every fuzz target for a minute (needs cargo-fuzz and a nightly or RUSTC_BOOTSTRAP=1)'

build:
	scripts/setup build
	cargo build --release --locked

demo: build
	scripts/demo

test:
	scripts/setup test
	scripts/test

corpus:
	scripts/setup build
	scripts/corpus

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --document-private-items

deny:
	scripts/deny

bench: build
	scripts/bench

fuzz:
	scripts/fuzz 60

oracle:
	scripts/setup test
	scripts/oracle $(SEED)

text-equality:
	scripts/setup test
	scripts/text-equality

# As root: a million mutants of BTF, each given to the running kernel and to kvet, which must agree.
oracle-btf:
	cargo run --release --locked -p kvet-btf --example oracle -- $(or $(MUTANTS),1000000) $(SEED)

clean:
	cargo clean
