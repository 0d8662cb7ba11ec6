# What the lessons have in common, for bash to source. A lesson sets `lesson`, which names its
# configuration, and `scale`, by which all timers are divided, and calls the functions below,
# once with the mistake and once with the cure.
#
# It runs the programs of target/release or target/debug of this checkout, whichever is newer;
# those of the directory ALBEIT_PROGRAMS, if that is set; else those of the PATH. It needs
# nothing but these and curl, listens on free ports of 127.0.0.1 only, and ends what it started.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
started=()

target=${CARGO_TARGET_DIR:-$root/target}
programs=${ALBEIT_PROGRAMS:-}
for dir in "$target/release" "$target/debug"; do
    if [ -z "${ALBEIT_PROGRAMS:-}" ] && [ -x "$dir/albeit-load" ] &&
        { [ -z "$programs" ] || [ "$dir/albeit" -nt "$programs/albeit" ]; }; then
        programs=$dir
    fi
done
[ -z "$programs" ] || PATH="$(cd "$programs" && pwd):$PATH"
for program in albeit albeit-backend albeit-load curl; do
    if ! command -v "$program" >/dev/null; then
        echo "lesson: $program is missing; cargo build --workspace --bins makes albeit's programs" >&2
        exit 2
    fi
done

# Paths in what is printed are those of the checkout.
cd "$root"
config=conf/lessons

say() { printf '\n== %s\n\n' "$*"; }

fail() {
    echo "lesson: $*" >&2
    tail -n 5 "$work"/*.log >&2 || true
    exit 1
}

# A port that nobody listens on, outside of the range that clients are given.
free_port() {
    local port
    while :; do
        port=$((10000 + RANDOM % 20000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

# The balancer's port, those of two targets, and the admin API's.
ports() {
    local name
    for name in LB_PORT A_PORT B_PORT ADMIN_PORT; do
        export "$name=$(free_port)"
    done
}

# Runs in the background, and leaves its process id in `spawned`: spawn NAME COMMAND...
spawn() {
    local name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 &
    spawned=$!
    started+=("$spawned")
}

stop_all() {
    local pid
    for pid in ${started[@]+"${started[@]}"}; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    started=()
}
trap 'stop_all; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# Waits until a command succeeds: until_ok SECONDS COMMAND...
until_ok() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || fail "gave up waiting for: $*"
        sleep 0.05
    done
}

# Starts a target: target NAME PORT [ARGUMENTS...]
target() {
    spawn "$1" albeit-backend --instance "$1" --port "$2" --time-scale "$scale" "${@:3}"
    until_ok 30 grep -q "server: listening" "$work/$1.log"
}

# Starts the load balancer with the lesson's configuration.
balancer() {
    spawn balancer albeit run --config "$config/$lesson.yaml" --time-scale "$scale"
    until_ok 30 curl --fail --silent "http://127.0.0.1:$ADMIN_PORT/readyz"
}

# What the doctor says of the lesson; `ignored` are findings that it is not about.
ignored=()
doctor() {
    local code
    local flags=(--deny nothing)
    for code in ${ignored[@]+"${ignored[@]}"}; do
        flags+=(--ignore "$code=not what this lesson is about")
    done
    echo "\$ albeit doctor $config/$lesson.yaml"
    albeit doctor "$config/$lesson.yaml" "${flags[@]}" | tee "$work/doctor.txt"
}

# The doctor must find it: diagnosed CODE
diagnosed() {
    doctor
    grep -q "\[$1\]" "$work/doctor.txt" || fail "the doctor does not say $1"
}

# The doctor must not find it: healthy CODE
healthy() {
    doctor
    ! grep -q "\[$1\]" "$work/doctor.txt" || fail "the doctor still says $1"
}

# Prints a measurement, and leaves its exit status in `measured`: albeit-load's 1 means that
# an expectation failed.
measure() {
    measured=0
    # Nobody wants to read the whole of a long token.
    printf '\n$%s\n' "$(printf ' %.80s' "$@")"
    "$@" || measured=$?
}

must_fail() {
    measure "$@"
    [ "$measured" -eq 1 ] || fail "this should have failed with exit status 1, not $measured"
}

must_pass() {
    measure "$@"
    [ "$measured" -eq 0 ] || fail "this should have passed, not ended with exit status $measured"
}
