#!/usr/bin/env bash
# A reset after a long silence: a Network Load Balancer forgets a flow after 350 s.
. "$(dirname "${BASH_SOURCE[0]}")/lesson.sh"
lesson=nlb-idle
scale=100

rare_pings() {
    ports
    target a "$A_PORT"
    balancer
    "$1" albeit-load heartbeat "ws://127.0.0.1:$LB_PORT/echo" --interval 400s --for 900s \
        --connections 20 --time-scale "$scale"
    stop_all
}

say "the mistake: TCP_IDLE=350, which nobody set, and something to send every 400 s"
export TCP_IDLE=350
diagnosed heartbeat-idle-timeout
rare_pings must_fail

say "the cure: TCP_IDLE=900"
export TCP_IDLE=900
healthy heartbeat-idle-timeout
rare_pings must_pass
