#!/bin/sh
# Runs the test suite on each Python of $PYTHONS that is on this machine, in an environment of its own, and holds the
# coverage of all of them together.
set -eu

interpreter() {
    if "python$1" --version >/dev/null 2>&1; then
        command -v "python$1"
    elif command -v pyenv >/dev/null && version=$(pyenv latest "$1" 2>/dev/null); then
        echo "$(pyenv prefix "$version")/bin/python"
    fi
}

rm -rf build/coverage
reporter=
for version in $PYTHONS; do
    python=$(interpreter "$version")
    if [ -z "$python" ]; then
        echo "python$version is not installed: left out"
        continue
    fi
    environment=.venv-$version
    [ -x "$environment/bin/python" ] || "$python" -m venv "$environment"
    "$environment/bin/python" -m pip install --quiet --upgrade pip
    "$environment/bin/python" -m pip install --quiet --editable '.[speedups,testing]' --group test --group docs
    echo "== $("$environment/bin/python" --version)"
    "$environment/bin/coverage" run -m pytest ${ARGS:-}
    reporter=$environment/bin/coverage
done
[ -n "$reporter" ] || { echo "none of $PYTHONS is installed"; exit 1; }
"$reporter" combine --quiet
"$reporter" report
