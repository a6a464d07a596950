# Sourced by the scripts: Debian packages, installed only where they are missing.

build_packages=(gcc libc6-dev meson ninja-build pkg-config libev-dev libxxhash-dev libjemalloc-dev
    libpcre2-dev libssl-dev libsystemd-dev liburing-dev)

# Print those of the named packages that are not installed.
missing_packages() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
    done
}

# Install those of the named packages that are missing, as root or with sudo; say which when neither is possible. On a
# system without Debian's packages say what is needed, and go on: it may be there under other names.
need_packages() {
    local missing as_root=()
    if ! command -v dpkg-query >/dev/null; then
        echo "no Debian packages here; what these hold is needed: $*" >&2
        return 0
    fi
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "missing packages: ${missing[*]} (install them, or run this as root)" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "installing ${missing[*]}" >&2
    "${as_root[@]}" apt-get update -q </dev/null >&2 &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends "${missing[@]}" </dev/null >&2
}
