#!/bin/sh
# Makes the virtual environment and installs the locked dependencies and Windlass into it.
#
#   install.sh PYTHON VENV SET     SET is base (to run Windlass) or dev (to work on it)
#
# Needs Python 3.11 or newer with venv and pip, and nothing else. Does nothing where the environment
# was made from the same pins before: a stamp in it holds their checksum.
set -eu

python=$1 venv=$2 set=$3
cd "$(dirname "$0")/.."

fail() {
    printf 'Set-up stopped: %s\n' "$@" >&2
    exit 2
}

checksum() {
    # The folder counts as well: scripts in an environment hold its absolute path.
    { pwd; cat "requirements/$1.txt" pyproject.toml cli/version.py; } | cksum
}

current() {
    [ -f "$venv/.windlass-$1" ] && [ "$(checksum "$1")" = "$(cat "$venv/.windlass-$1")" ]
}

if "$venv/bin/python" -c '' 2>/dev/null; then
    if current dev || current "$set"; then
        exit 0
    fi
else
    command -v "$python" >/dev/null 2>&1 ||
        fail "there is no $python. Install Python 3.11 or newer, or name it: make setup PYTHON=python3.12"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$python is $("$python" -V 2>&1); Windlass needs Python 3.11 or newer. Name it: make setup PYTHON=python3.12"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python has no venv or no pip. On Debian and Ubuntu: apt-get install python3-venv"
    echo "Making $venv with $("$python" -V)" >&2
    "$python" -m venv --clear "$venv"
fi

echo "Installing the locked dependencies (requirements/$set.txt)" >&2
rm -f "$venv/.windlass-base" "$venv/.windlass-dev"
pip="$venv/bin/python -m pip -qq --no-input"
$pip install --require-hashes -r "requirements/$set.txt" ||
    fail "pip could not install the dependencies; its message is above"
$pip install --no-deps --no-build-isolation --editable . ||
    fail "pip could not install Windlass itself; its message is above"
checksum "$set" >"$venv/.windlass-$set"
