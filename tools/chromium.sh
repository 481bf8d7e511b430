#!/bin/sh
# Makes sure that the browser tests have a Chromium: the one that is there, else Debian's.
set -eu
if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing chromium for the browser tests; once"
    apt-get update -qq
    apt-get install -y -qq -o DPkg::Lock::Timeout=400 chromium fonts-dejavu-core >/dev/null
    exit 0
fi
echo "make: the browser tests need Chromium; install the package chromium" >&2
exit 1
