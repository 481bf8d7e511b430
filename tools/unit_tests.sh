#!/bin/sh
# Runs tests/unit on every supported Python of this machine. $1: the interpreter of the main environment.
set -eu
main=$1
main_version=$("$main" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
echo "unit tests on Python $main_version"
"$main" -m pytest -q -m unit tests/unit

sh tools/pythons.sh | while read -r python; do
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    [ "$version" = "$main_version" ] && continue
    venv=.venvs/$version
    if [ ! -f "$venv/.installed" ] || [ pyproject.toml -nt "$venv/.installed" ]; then
        "$python" -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable . --group unit
        touch "$venv/.installed"
    fi
    echo "unit tests on Python $version"
    "$venv/bin/python" -m pytest -q -m unit tests/unit -p no:cacheprovider </dev/null
done
