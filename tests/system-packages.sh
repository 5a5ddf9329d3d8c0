#!/bin/sh
# Sees to the programs that some tests drive: OpenSSH's server and client, tmux, busybox, sudo,
# age, and the service manager of an account (systemd).
#
# On Debian and its relatives, as root, missing ones are installed; elsewhere it says which are
# missing, and the tests that need them are skipped with that reason. Silent when all are there.
set -eu

PATH=$PATH:/usr/sbin:/sbin
missing=
for pair in systemd-run:systemd sshd:openssh-server ssh:openssh-client tmux:tmux busybox:busybox sudo:sudo age:age; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "Tests that need these will be skipped (not installed):$missing" >&2
    exit 0
fi

# An SSH server is wanted as a program only: nothing may start it as a service of this machine.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM HUP
fi

echo "Installing for the tests:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# shellcheck disable=SC2086 # a list of package names
if ! { apt-get -qq update && apt-get -qq install --yes --no-install-recommends $missing; } \
    >"$log" 2>&1 </dev/null; then
    tail -n 5 "$log" >&2
    echo "Not installed; tests that need these will be skipped:$missing" >&2
fi
rm -f "$log"
