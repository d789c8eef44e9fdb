#!/usr/bin/env bash
# Bring this machine to where `make demo` or `make test` can run, and do nothing if it is there.
#
#   bash scripts/setup.sh demo|test|bench
#
# 1. ngspice 42 or newer with the KLU solver: the user's own if there is one, else the package of
#    Debian 12 (backports), Debian 13 or Ubuntu 24.04.
# 2. Python 3.11 or newer, and one shared virtual environment in .venv.
# 3. The package (editable) with the extra asked for, at the versions of constraints.txt. Extras
#    add up: setting up the one never removes what the other brought.
#
# Exit code 4: something is missing that this script may not or cannot install; one line says what.
#
#   IMCCIRCUIT_NGSPICE        the ngspice to use, instead of the first one on the PATH
#   IMCCIRCUIT_SETUP_SYSROOT  where /etc and /usr are looked up (for the tests)

set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

readonly SYSROOT=${IMCCIRCUIT_SETUP_SYSROOT:-}
readonly STATE=.venv/.setup
readonly NGSPICE_MIN=42 # the first with KLU
PYTHON_OK='import sys; sys.exit(sys.version_info < (3, 11))'

say() { printf 'set-up: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 4
}

# ---- the system and its packages ------------------------------------------------------------

system_field() { # NAME: one field of os-release, or nothing
    (
        set +eu
        . "$SYSROOT/etc/os-release" 2>/dev/null
        printf '%s' "${!1}"
    )
}

package_source() { # where this system's ngspice comes from: backports, distribution or nothing
    local id version major
    id=$(system_field ID)
    version=$(system_field VERSION_ID)
    major=${version%%.*}
    case $id in
        debian)
            if [[ $major == 12 ]]; then echo backports; fi
            # Debian testing and unstable have no version; they are newer than the stable ones.
            if [[ -z $version || $major -ge 13 ]]; then echo distribution; fi
            ;;
        ubuntu) if [[ ${major:-0} -ge 24 ]]; then echo distribution; fi ;;
    esac
}

may_be_root() {
    [[ $(id -u) -eq 0 ]] && return
    command -v sudo >/dev/null || return 1
    # On a terminal sudo may ask for the password; elsewhere nobody could answer it.
    [[ -t 0 ]] || sudo -n true 2>/dev/null
}

as_root() {
    if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo "$@"; fi
}

require_apt() { # WHAT COMMAND: refuse in one line where packages cannot be installed
    local name
    if [[ -z $(package_source) ]]; then
        name=$(system_field PRETTY_NAME)
        fail "$1, and ${name:-this system} is not Debian 12, Debian 13 or Ubuntu 24.04:" \
            "install ngspice $NGSPICE_MIN or newer with KLU, and Python 3.11 or newer with venv," \
            "then call this again"
    fi
    may_be_root || fail "$1, and this user may not install packages; as root: $2"
}

apt_update() {
    # A source of the user's that is out of reach is no reason to stop; a missing package is.
    as_root apt-get -qq update >/dev/null || say "apt-get update reported errors; going on"
}

apt_install() { # [apt option…] package…
    say "installing with apt-get: $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
        install --yes --no-install-recommends "$@" >/dev/null ||
        fail "apt-get could not install $*; its message stands above"
}

apt_suites() { # lines "mirror codename" of the binary package lists that apt knows
    apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages'
}

enable_backports() { # add this release's backports at the mirror that the machine already uses
    local release backports mirror list
    release=$(system_field VERSION_CODENAME)
    backports=$release-backports
    if apt_suites | grep -q " $backports\$"; then return; fi
    mirror=$(apt_suites | awk -v release="$release" '$2 == release { print $1; exit }')
    [[ -n $mirror ]] || fail "apt knows no mirror of $release; run apt-get update as root"
    list=$SYSROOT/etc/apt/sources.list.d/imccircuit-backports.list
    say "adding $backports to apt's sources: $list"
    printf 'deb %s %s main\n' "$mirror" "$backports" | as_root tee "$list" >/dev/null
    apt_update
    if ! apt_suites | grep -q " $backports\$"; then
        as_root rm -f "$list"
        fail "the mirror has no $backports; install ngspice $NGSPICE_MIN or newer with KLU"
    fi
}

# ---- ngspice --------------------------------------------------------------------------------

# Whether $1 is a good ngspice, by a real deck: a version string says nothing about its build.
# Leaves its full path in `ngspice` and, if it is not good, the reason in `why`.
try_ngspice() {
    local scratch report version
    ngspice=$(command -v -- "$1") || {
        why="ngspice is not installed"
        return 1
    }
    [[ $ngspice == /* ]] || ngspice=$PWD/$ngspice
    scratch=$(mktemp -d)
    cat >"$scratch/deck.cir" <<'DECK'
* set-up check: half of one volt
v1 in 0 1
r1 in out 1k
r2 out 0 1k
.options klu
.control
op
print v(out)
version -s
quit 0
.endc
.end
DECK
    # 42 and 43 name the solver on stderr, later ones on stdout.
    report=$(cd "$scratch" && timeout 60 "$ngspice" -b -n deck.cir </dev/null 2>&1) || true
    rm -rf "$scratch"
    version=$(sed -n 's/^.*ngspice-\([0-9][0-9]*\).*$/\1/p' <<<"$report" | head -n 1)
    if ! grep -q '^v(out) = 5\.0*e-01' <<<"$report"; then
        why="$ngspice does not run"
    elif [[ ${version:-0} -lt $NGSPICE_MIN ]]; then
        why="$ngspice is version ${version:-unknown}, older than $NGSPICE_MIN"
    elif ! grep -q 'Using KLU as Direct Linear Solver' <<<"$report"; then
        why="$ngspice is built without the KLU solver"
    else
        return 0
    fi
    return 1
}

install_ngspice() {
    local install="apt-get install ngspice"
    if [[ $(package_source) == backports ]]; then
        install="apt-get install -t $(system_field VERSION_CODENAME)-backports ngspice"
    fi
    require_apt "$1" "$install"
    apt_update
    if [[ $(package_source) == backports ]]; then
        enable_backports
        apt_install -t "$(system_field VERSION_CODENAME)-backports" ngspice
    else
        apt_install ngspice
    fi
}

setup_ngspice() { # leaves in `ngspice_env` what the commands after this need in their environment
    local reason
    ngspice_env=
    if [[ -n ${IMCCIRCUIT_NGSPICE:-} ]]; then
        try_ngspice "$IMCCIRCUIT_NGSPICE" || fail "IMCCIRCUIT_NGSPICE=$IMCCIRCUIT_NGSPICE: $why"
        return
    fi
    if try_ngspice ngspice; then return; fi
    reason=$why
    if ! try_ngspice "$SYSROOT/usr/bin/ngspice"; then
        install_ngspice "$reason"
        hash -r
        if try_ngspice ngspice; then return; fi
        try_ngspice "$SYSROOT/usr/bin/ngspice" || fail "after installing the package: $why"
    fi
    # An old one stands before it on the PATH.
    say "using $ngspice, because $reason"
    ngspice_env="export IMCCIRCUIT_NGSPICE=$(printf %q "$ngspice")"
}

setup_library() { # ngspice's shared library, which only the peers of the benchmarks need
    if ldconfig -p | grep -q 'libngspice\.so\.0'; then return; fi
    require_apt "there is no libngspice, a peer of the benchmarks" "apt-get install libngspice0"
    if [[ $(package_source) == backports ]]; then
        enable_backports
        apt_install -t "$(system_field VERSION_CODENAME)-backports" libngspice0
    else
        apt_install libngspice0
    fi
}

# ---- Python and its packages ----------------------------------------------------------------

find_python() { # leaves in `python` one that can make an environment; fails if there is none
    for python in python3 python3.13 python3.12 python3.11 "$SYSROOT/usr/bin/python3"; do
        # Debian leaves ensurepip out of its Python and puts it into python3-venv.
        if "$python" -c "import venv, ensurepip; $PYTHON_OK" 2>/dev/null; then return; fi
    done
    return 1
}

setup_environment() {
    local root
    root=$(pwd -P)
    # Scripts in an environment hold its absolute path: one that was copied or moved is made anew.
    if .venv/bin/python -c "" 2>/dev/null && [[ $(cat "$STATE/root" 2>/dev/null) == "$root" ]]; then
        return
    fi
    if [[ ! -e $STATE/root ]] && .venv/bin/python -c "" 2>/dev/null; then
        # Made by hand: used as it is, never wiped.
        .venv/bin/python -c "$PYTHON_OK" ||
            fail ".venv holds a Python older than 3.11; remove .venv and call this again"
    else
        if ! find_python; then
            require_apt "there is no Python 3.11 or newer with venv" \
                "apt-get install python3 python3-venv"
            apt_update
            apt_install python3 python3-venv
            hash -r
            find_python || fail "the system's Python is older than 3.11; install a newer one"
        fi
        "$python" -m venv --clear .venv || fail "$python could not make .venv"
    fi
    mkdir -p "$STATE"
    printf '%s\n' "$root" >"$STATE/root"
}

fingerprint() { # of everything that decides what is installed
    .venv/bin/python - pyproject.toml constraints.txt scripts/setup.sh <<'PY'
import hashlib, pathlib, sys

text = [sys.version.encode(), *(pathlib.Path(name).read_bytes() for name in sys.argv[1:])]
print(hashlib.sha256(b"\0".join(text)).hexdigest())
PY
}

pip_install() {
    .venv/bin/python -m pip --disable-pip-version-check --no-input \
        install --quiet "$@" ||
        fail "pip could not install the packages; its message stands above"
}

setup_packages() { # demo|test
    local wanted extra
    wanted=$(fingerprint)
    for extra in "$1" test; do # what the tests need includes what the demo needs
        if [[ $(cat "$STATE/$extra" 2>/dev/null) == "$wanted" ]]; then return; fi
    done
    say "installing the Python packages of '$1' into .venv (once, a minute or two)"
    .venv/bin/python -m pip --version >/dev/null 2>&1 ||
        .venv/bin/python -m ensurepip >/dev/null || fail ".venv has no pip; remove it"
    # As variables they reach what builds the package, too (the second one from pip 25.3).
    export PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt
    case $1 in
        demo) pip_install --editable '.[digits]' ;;
        test)
            pip_install --editable '.[test]'
            # Its drawing half wants a cairo to compile against; the solver half does not need it.
            pip_install --no-deps badcrossbar
            # With its dependencies it brings a torch for GPUs; there are wheels up to 3.12.
            if .venv/bin/python -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then
                pip_install --no-deps aihwkit
            fi
            ;;
    esac
    printf '%s\n' "$wanted" >"$STATE/$1"
}

main() {
    case ${1:-} in
        demo | test | bench) ;;
        *)
            say "usage: bash scripts/setup.sh demo|test|bench"
            exit 1
            ;;
    esac
    setup_ngspice
    setup_environment
    if [[ $1 == bench ]]; then setup_library; fi
    setup_packages "${1/bench/test}"
    printf '%s\n' "$ngspice_env" >"$STATE/env"
}

main "$@"
