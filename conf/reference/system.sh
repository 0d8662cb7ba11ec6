# What the reference systems have in common, for bash to source. `run` of a system sets
# `system`, the name of its folder, and calls `instances` and `serve`. Everything listens on
# loopback and ends at Ctrl-C. TIME_SCALE divides all timers.

scale=${TIME_SCALE:-1}
lesson=alb
. "$(dirname "${BASH_SOURCE[0]}")/../lessons/lesson.sh"
config=conf/reference/$system

# What is elsewhere in production.
export ALBEIT_ADDRESS=127.0.0.1 ALBEIT_BACKEND_1=127.0.0.1 ALBEIT_BACKEND_2=127.0.0.1
export ALBEIT_HTTPS_PORT=${ALBEIT_HTTPS_PORT:-8443} ALBEIT_HTTP_PORT=${ALBEIT_HTTP_PORT:-8080}
export ALBEIT_BACKEND_1_PORT=${ALBEIT_BACKEND_1_PORT:-9001}
export ALBEIT_BACKEND_2_PORT=${ALBEIT_BACKEND_2_PORT:-9002}
export ALBEIT_ADMIN_BIND=${ALBEIT_ADMIN_BIND:-127.0.0.1:9901}
ADMIN_PORT=${ALBEIT_ADMIN_BIND##*:}
# That of conf/reference/token.
export JWT_SECRET=${JWT_SECRET:-this secret is for a trial on loopback}

albeit certs --dir certs >"$work/certs.log"

# Two instances of the backend with the same settings: instances FILE [ARGUMENTS...]
instances() {
    local number port
    for number in 1 2; do
        port=ALBEIT_BACKEND_${number}_PORT
        target "backend-$number" "${!port}" --address 127.0.0.1 --config "$@"
        echo "backend-$number  pid $spawned, port ${!port}, log $work/backend-$number.log"
    done
}

# The load balancer in front of them, until it ends: serve URL
serve() {
    balancer
    echo "balancer   pid $spawned, $1, admin http://$ALBEIT_ADMIN_BIND, log $work/balancer.log"
    echo "Ctrl-C ends all."
    wait "$spawned" || fail "the load balancer has ended"
}
