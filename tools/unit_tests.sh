#!/bin/sh
# Runs tests/unit on every supported Python of this machine, two at a time; what each says is printed when it has
# ended. $1: the interpreter of the main environment.
set -eu
export main="$1"
sh tools/pythons.sh | xargs -P 2 -I PYTHON sh -c '
    said=$(mktemp)
    sh tools/unit_tests_on.sh "$1" "$main" >"$said" 2>&1 </dev/null
    code=$?
    cat "$said"
    rm -f "$said"
    exit "$code"
' unit PYTHON
