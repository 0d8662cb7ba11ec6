#!/usr/bin/env bash
# Everything fails after proxy_protocol_v2.enabled: the target takes the header for a request.
. "$(dirname "${BASH_SOURCE[0]}")/lesson.sh"
lesson=proxy-protocol
scale=1

requests() {
    local mode=off
    [ "$PROXY_PROTOCOL" = false ] || mode=required
    ports
    target a "$A_PORT" --proxy-protocol "$mode" --proxy-protocol-trusted-peers 127.0.0.0/8
    balancer
    "$1" albeit-load throughput "http://127.0.0.1:$LB_PORT/whoami" --rate 50 --for 2s
    stop_all
}

say "the mistake: PROXY_PROTOCOL=false at the target, proxy_protocol_v2.enabled at the load balancer"
export PROXY_PROTOCOL=false
diagnosed proxy-protocol-one-sided
requests must_fail

say "the cure: PROXY_PROTOCOL=true"
export PROXY_PROTOCOL=true
healthy proxy-protocol-one-sided
requests must_pass
