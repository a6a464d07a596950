# Sourced by the scripts: what --help tells is the comment at a script's head.

# help_if_asked SCRIPT ARGUMENT...: when the first argument asks for help, prints it and ends.
help_if_asked() {
    case "${2:-}" in
        -h | --help)
            sed -n '2,${/^#/!q;s/^# \{0,1\}//p}' "$1"
            exit 0
            ;;
    esac
}
