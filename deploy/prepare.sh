# shellcheck shell=bash
# Makes .venv in the checkout; sourced by deploy/run and deploy/test, which stand in the checkout then.

PATH=$PATH:/usr/sbin:/sbin # where dockerd is

say() { echo "healthsweep: $*" >&2; }

# Ends with this script, also when it is killed: nothing that takes long may outlive it.
tied() { setpriv --pdeathsig TERM -- "$@"; }

# Installs Debian packages, or says what is missing.
install_packages() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        say "missing: $*; install these (Debian's names), or run this once as root"
        exit 1
    fi
    say "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    local apt=(apt-get -qq -o DPkg::Lock::Timeout=300)
    if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@"; } >/dev/null; then
        say "missing: $*; apt-get could not install them"
        exit 1
    fi
}

# Whether there is a busybox that needs no libraries: an image would have to bring them.
static_busybox() { command -v busybox && ! ldd "$(command -v busybox)"; } >/dev/null 2>&1

find_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    say "missing: Python 3.11 or later"
    return 1
}

# prepare EXTRAS: .venv holds the project with these extras, exactly as constraints.txt pins them.
prepare() {
    local extras=$1 python place content
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
    place="$PWD $("$python" -c 'import sys; print(sys.executable, sys.version)' | tr '\n' ' ')"
    content=$(cat pyproject.toml deploy/constraints.txt | sha256sum)

    exec 9<pyproject.toml # two at once take turns
    flock -n 9 || { say "waiting for another one that makes .venv" && flock 9; }
    if [ "$(sed -n 1p .venv/stamp 2>/dev/null)" != "$place" ]; then
        say "making .venv"
        rm -f .venv/stamp
        tied "$python" -m venv --clear .venv <&9 # what venv starts holds the lock by this too, if we are killed
    elif [ "$(sed -n 2p .venv/stamp)" = "$content" ] && [[ ",$(sed -n 3p .venv/stamp)," == *",$extras,"* ]]; then
        exec 9<&-
        return
    fi
    rm -f .venv/stamp
    say "installing the Python packages of [$extras]"
    tied .venv/bin/python -m pip install -q --disable-pip-version-check -c deploy/constraints.txt -e ".[$extras]" <&9
    printf '%s\n' "$place" "$content" "$extras" >.venv/stamp # last: a half-made .venv has none
    exec 9<&-
}
