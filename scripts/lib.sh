# Shared by the scripts here; sourced, not run. Says things, runs things as root, and finds the project's top.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 2; }
have() { command -v "$1" >/dev/null 2>&1; }

# as_root COMMAND...: runs it as root or through sudo; fails when neither is possible.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif have sudo; then sudo "$@"
    else return 1
    fi
}
