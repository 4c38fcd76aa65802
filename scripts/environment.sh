# Sourced by the scripts beside it: makes .venv match a lock, quickly when it already does.
# Needs bash, coreutils, util-linux' flock and Python 3.11 or newer; nothing else.
#
#   environment serve|dev     after it, "$venv/bin/python" has everything in requirements/<name>.txt
#
# .venv/.locks remembers what is installed: one line `<name> <hash>` each. `dev` holds all that
# `serve` does, in the same versions, so either script takes the environment that the other made.

set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv
stamp=$venv/.locks

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 2
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# apt_install PACKAGE...: without questions, and without starting the daemons among them
apt_install() {
    local policy=/usr/sbin/policy-rc.d made= done=0
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        fail "Missing, and only root can install them: apt install $*"
    fi
    say "Installing with apt: $*"
    if [ ! -e "$policy" ]; then
        made=1
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    {
        as_root apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 update &&
            as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
                -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install "$@"
    } </dev/null >/dev/null || done=$?
    [ -z "$made" ] || as_root rm -f "$policy"
    [ "$done" = 0 ] || fail "apt could not install: $*"
}

# programs "PROGRAM PACKAGE..."...: installs the packages of the programs that are missing (Debian)
programs() {
    local row words missing=()
    for row in "$@"; do
        read -ra words <<<"$row"
        command -v "${words[0]}" >/dev/null || missing+=("${words[@]:1}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "Programs are missing: ${missing[*]}"
    apt_install "${missing[@]}"
}

# Makes the node_modules of tests/js and tests/js/uppy match their locks; node_modules/.lock remembers for which
# lock it was made.
npm_modules() {
    local place
    for place in "$root/tests/js" "$root/tests/js/uppy"; do
        [ "$(cat "$place/node_modules/.lock" 2>/dev/null)" != "$(hash_of "$place/package-lock.json")" ] || continue
        (
            flock 9
            npm --prefix "$place" ci --silent --ignore-scripts --no-audit --no-fund </dev/null >&2
            hash_of "$place/package-lock.json" >"$place/node_modules/.lock"
        ) 9>"$root/.cache/npm.lock"
    done
}

find_python() {
    local candidate seen=
    for candidate in python3 python3.13 python3.12 python3.11; do
        command -v "$candidate" >/dev/null || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
        seen="$seen $candidate is $("$candidate" -c 'import platform; print(platform.python_version())');"
    done
    fail "Python 3.11 or newer is needed;${seen:- none is installed}. On Debian 12, Ubuntu 24.04" \
        "and newer: apt install python3 python3-venv"
}

# Debian keeps ensurepip in a package of its own; without it `python -m venv` fails half-way.
need_ensurepip() {
    "$1" -c 'import ensurepip' 2>/dev/null && return
    local package
    package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt_install "$package"
    else
        fail "$1 cannot make environments yet. On Debian and Ubuntu: sudo apt install $package"
    fi
}

hash_of() { sha256sum -- "$1" | cut -d ' ' -f 1; }

installed() { # installed NAME FILE
    [ -x "$venv/bin/python" ] && grep -qxF "$1 $(hash_of "$2")" "$stamp" 2>/dev/null
}

complete() {
    installed "$1" "$root/requirements/$1.txt" && installed project "$root/pyproject.toml"
}

pip_install() {
    "$venv/bin/python" -m pip --quiet --disable-pip-version-check --no-input install \
        --no-warn-script-location --no-deps "$@" </dev/null >&2
}

build() {
    local lock=$root/requirements/$1.txt python
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        python=$(find_python)
        need_ensurepip "$python"
        say "Making .venv, once: this takes a minute or so."
        "$python" -m venv --clear "$venv"
    fi
    if ! installed "$1" "$lock"; then
        rm -f "$stamp"
        # Compiling everything takes longer than compiling, on first use, what is really used.
        pip_install --no-compile --only-binary :all: --require-hashes -r "$lock"
    fi
    pip_install --no-build-isolation --editable "$root"
    {
        echo "serve $(hash_of "$root/requirements/serve.txt")"
        [ "$1" = serve ] || echo "$1 $(hash_of "$lock")"
        echo "project $(hash_of "$root/pyproject.toml")"
    } >"$stamp.new"
    mv "$stamp.new" "$stamp"
}

environment() {
    mkdir -p "$root/.cache" 2>/dev/null || true # needed only where something is to be made
    complete "$1" && return
    exec 9>"$root/.cache/venv.lock"
    flock 9 # another script may be making it just now
    complete "$1" || build "$1" 9>&-
    exec 9>&-
}
