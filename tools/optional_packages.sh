#!/bin/sh
# Makes sure of what some tests need of the system: bubblewrap (boxed jobs) and an ssh server (ssh://, git over ssh).
# Where it cannot be installed, those tests say that they are skipped.
set -eu
[ "$(uname)" = Linux ] || exit 0

missing=
command -v bwrap >/dev/null || missing="$missing bubblewrap"
command -v sshd >/dev/null || [ -x /usr/sbin/sshd ] || missing="$missing openssh-server"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing$missing for the tests; once"
    # no server is to be started by its package
    # shellcheck disable=SC2086
    apt-get update -qq && RUNLEVEL=1 apt-get install -y -qq -o DPkg::Lock::Timeout=400 $missing >/dev/null && exit 0
fi
echo "NOT TESTED: what needs the packages$missing; install them" >&2
