# shellcheck shell=bash
# shellcheck disable=SC2034 # the variables are for those who source it
# Sourced by the scripts beside it: messages, and how missing tools are installed.

set -euo pipefail
shopt -s inherit_errexit

ME=${0##*/}
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/bolo
SUDO=()
((EUID == 0)) || SUDO=(sudo)

say() { printf '%s: %s\n' "$ME" "$*" >&2; }
die() { say "$*"; exit 1; }

# The comment at the head of a script is its usage text.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

# wrong WORDS: the command line makes no sense.
wrong() { say "$* (see $0 --help)"; exit 2; }

# apt_install PACKAGE...: the lists are fetched first, since a fresh machine has none.
apt_install() {
    command -v apt-get >/dev/null || die "needs $*: install them (there is no apt-get here)"
    say "installing $* ..."
    "${SUDO[@]}" apt-get -qq -o Acquire::Retries=3 update >&2
    "${SUDO[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
        install -y --no-install-recommends "$@" >/dev/null
}

# need COMMAND[:PACKAGE]...: installs the packages of the commands that are missing; all in one go.
need() {
    local item missing=()
    local PATH=$PATH:/usr/sbin:/sbin
    for item; do
        command -v "${item%%:*}" >/dev/null || missing+=("${item#*:}")
    done
    ((${#missing[@]} == 0)) || apt_install "${missing[@]}"
}

# in_memory "$@": starts the script again with a TMPDIR of its own in memory, unless there is a TMPDIR: how long a disk
# takes to make a file, depends on its age and fullness more than on who asks.
in_memory() {
    [[ -z ${TMPDIR:-} ]] || return 0
    # shellcheck disable=SC2016 # expanded by the inner shell
    exec env TMPDIR=/dev/shm unshare --mount --propagation slave sh -euc '
        mount -t tmpfs -o mode=1777 tmpfs /dev/shm
        exec "$@"' sh "$0" "$@"
}

# need_cargo: the one thing that is not installed here, since a toolchain is its user's choice.
need_cargo() {
    [[ -n $(command -v cargo) ]] || PATH=$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin
    command -v cargo >/dev/null || die "needs a Rust toolchain (1.88 or newer): see https://rustup.rs"
    need cc:gcc
}

# mirror_of RELEASE: the first of the host's apt mirrors that serves RELEASE (bookworm, bookworm-security ...).
mirror_of() {
    # shellcheck disable=SC2016 # apt-get expands these
    apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 2>/dev/null |
        awk -v release="$1" '$2 == release && !seen++ { sub("/$", "", $1); print $1 }'
}

# debian_sources SUITE: apt's lines for SUITE and its updates, from where the host gets them.
debian_sources() {
    local main
    main=$(mirror_of "$1")
    main=${main:-http://deb.debian.org/debian}
    printf 'deb %s %s main\n' "$main" "$1"
    [[ $1 == sid || $1 == unstable ]] && return
    printf 'deb %s %s-updates main\n' "$(mirror_or "$1-updates" "$main")" "$1"
    printf 'deb %s %s-security main\n' \
        "$(mirror_or "$1-security" http://deb.debian.org/debian-security)" "$1"
}
mirror_or() {
    local found
    found=$(mirror_of "$1")
    printf '%s\n' "${found:-$2}"
}
