#!/usr/bin/env bash
# "Session ID unknown": long polling over two targets without stickiness.
. "$(dirname "${BASH_SOURCE[0]}")/lesson.sh"
lesson=stickiness
scale=1
ignored=(relay-in-memory round-robin-long-connections)

polling_clients() {
    ports
    target a "$A_PORT" --config "$config/stickiness/backend.yml"
    target b "$B_PORT" --config "$config/stickiness/backend.yml"
    balancer
    "$1" albeit-load sticky "http://127.0.0.1:$LB_PORT/socket.io/" --protocol socket-io --clients 20 --requests 5
    stop_all
}

say "the mistake: STICKINESS=false"
export STICKINESS=false
diagnosed polling-without-stickiness
polling_clients must_fail

# Here pages come over HTTP, and from the same origin.
ignored+=(stickiness-http-cors)

say "the cure: STICKINESS=true"
export STICKINESS=true
healthy polling-without-stickiness
polling_clients must_pass
