#!/bin/sh
# Runs tests/unit on one Python, in an environment of its own that is made when it is not there.
# $1: the interpreter; $2: the interpreter of the main environment, which does for its own version.
set -eu
python=$1 main=$2
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }
version=$(version_of "$python")
if [ "$version" = "$(version_of "$main")" ]; then
    python=$main
else
    venv=.venvs/$version
    if [ ! -f "$venv/.installed" ] || [ pyproject.toml -nt "$venv/.installed" ]; then
        "$python" -m venv --without-pip "$venv"
        "$main" tools/install.py --into "$venv/bin/python" --editable . --group unit
        touch "$venv/.installed"
    fi
    python=$venv/bin/python
fi
echo "unit tests on Python $version"
"$python" -m pytest -q -m unit tests/unit -p no:cacheprovider
