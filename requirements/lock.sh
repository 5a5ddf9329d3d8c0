#!/bin/sh
# Pins every dependency with its hashes, from pyproject.toml into requirements/*.txt.
#
#   lock.sh VENV [--upgrade]     keeps the pins that still fit, or takes the newest releases
#
# base.txt runs Windlass from a checkout, dev.txt works on it, bench.txt holds what benchmarks are compared
# with, lock.txt pins the tool that pins.
# The files hold no address of a package index: where packages come from is the machine's affair.
set -eu

venv=$1
shift
cd "$(dirname "$0")/.."

"$venv/bin/python" -m pip -qq --no-input install --require-hashes -r requirements/lock.txt

pin() {
    target=$1
    shift
    "$venv/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-header --output-file "requirements/$target.txt" "$@"
}

pin base --group build "$@" pyproject.toml
pin dev --group dev --constraints requirements/base.txt "$@" pyproject.toml
pin bench --group bench --constraints requirements/dev.txt "$@"
pin lock --group lock "$@"
