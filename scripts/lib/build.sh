# Sourced by the scripts: build folders under build/, set up once and then only brought up to date.

# set_up NAME [MESON OPTION...]: a build folder build/NAME; the environment's CC counts the first time.
set_up() {
    local dir="build/$1"
    shift
    [ -f "$dir/build.ninja" ] && return
    rm -rf "$dir"
    meson setup "$dir" "$@"
}

# build_in NAME [MESON OPTION...]: sets it up if need be, and builds everything in it.
build_in() {
    set_up "$@" && ninja -C "build/$1"
}

# build_targets NAME "TARGET..." [MESON OPTION...]: the same, but these targets only.
build_targets() {
    local name=$1 targets
    read -ra targets <<<"$2"
    shift 2
    set_up "$name" "$@" && ninja -C "build/$name" "${targets[@]}"
}
