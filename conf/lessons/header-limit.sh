#!/usr/bin/env bash
# Users with large cookies are refused: the target takes smaller heads than the load balancer.
. "$(dirname "${BASH_SOURCE[0]}")/lesson.sh"
lesson=header-limit
scale=1

# As large as a token with many groups, or some years of cookies.
printf -v token '%012000d' 0

large_cookies() {
    ports
    target a "$A_PORT" --config "$config/header-limit/application.yml"
    balancer
    # Others are fine meanwhile.
    measure curl --silent --output /dev/null --write-out 'status %{http_code}\n' "http://127.0.0.1:$LB_PORT/whoami"
    "$1" albeit-load throughput "http://127.0.0.1:$LB_PORT/whoami" --rate 50 --for 2s \
        --header "Cookie: token=$token"
    stop_all
}

say "the mistake: HEADER_SIZE=8KB at the target, and users with 12 KB of cookies"
export HEADER_SIZE=8KB
diagnosed header-limit
large_cookies must_fail

say "the cure: HEADER_SIZE=64KB"
export HEADER_SIZE=64KB
healthy header-limit
large_cookies must_pass
