#!/bin/sh
# Prints the interpreters from 3.14 down to 3.10 that this machine has, one of each version, newest first.
for minor in 14 13 12 11 10; do
    for candidate in "$(command -v python3.$minor)" "$HOME"/.pyenv/versions/3.$minor.*/bin/python \
        "$HOME"/.local/share/uv/python/cpython-3.$minor.*/bin/python3 "$(command -v python3)" "$(command -v python)"; do
        # A shim may be there without its Python, a Python without what makes environments.
        if [ -x "$candidate" ] && "$candidate" -c \
            "import sys, ensurepip, venv; sys.exit(sys.version_info[:2] != (3, $minor))" 2>/dev/null; then
            echo "$candidate"
            break
        fi
    done
done
