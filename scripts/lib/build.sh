# Sourced by the scripts: build folders under build/, set up once and then only brought up to date.

# build_in NAME [MESON OPTION...]: build everything in build/NAME; the environment's CC counts when it is set up.
build_in() {
    local dir="build/$1"
    shift
    if [ ! -f "$dir/build.ninja" ]; then
        rm -rf "$dir"
        meson setup "$dir" "$@" || return
    fi
    ninja -C "$dir"
}
