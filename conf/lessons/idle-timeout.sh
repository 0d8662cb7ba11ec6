#!/usr/bin/env bash
# WebSockets die after 60 s: the application sends something every 90 s only.
. "$(dirname "${BASH_SOURCE[0]}")/lesson.sh"
lesson=idle-timeout
scale=20

# The client says nothing. What keeps the connection must come from the application.
quiet_clients() {
    ports
    target a "$A_PORT" --config "$config/idle-timeout/application.yml"
    balancer
    "$1" albeit-load idle-cut "ws://127.0.0.1:$LB_PORT/ws" --protocol stomp --connections 20 \
        --expect none --for 150s --time-scale "$scale"
    stop_all
}

say "the mistake: HEARTBEAT=90s, a ping every 90 s through an idle timeout of 60 s"
export HEARTBEAT=90s
diagnosed heartbeat-idle-timeout
quiet_clients must_fail

say "the cure: HEARTBEAT=25s"
export HEARTBEAT=25s
healthy heartbeat-idle-timeout
quiet_clients must_pass
