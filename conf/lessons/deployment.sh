#!/usr/bin/env bash
# Every deployment drops people: the old target ends before the news of it has spread.
. "$(dirname "${BASH_SOURCE[0]}")/lesson.sh"
lesson=deployment
scale=10

# What a deployment does to the old target: it is deregistered, and gets SIGTERM.
deploy=$work/deploy
cat >"$deploy" <<'END'
curl --fail --silent --show-error --header 'Content-Type: application/json' \
    --data "{\"TargetGroupName\": \"web\", \"Targets\": [{\"Id\": \"127.0.0.1\", \"Port\": $A_PORT}]}" \
    "http://127.0.0.1:$ADMIN_PORT/targets/deregister" && kill "$OLD"
END

deployment() {
    ports
    target new "$B_PORT" --config "$config/deployment/application.yml"
    target old "$A_PORT" --config "$config/deployment/application.yml"
    export OLD=$spawned
    balancer
    "$1" albeit-load drain "ws://127.0.0.1:$LB_PORT/echo" --path /whoami --for 60s --deregistration-delay 60s \
        --trigger "bash $deploy" --time-scale "$scale"
    stop_all
}

say "the mistake: SHUTDOWN=immediate, SIGTERM ends the target while it still gets requests"
export SHUTDOWN=immediate
diagnosed shutdown-not-graceful
deployment must_fail

say "the cure: SHUTDOWN=graceful"
export SHUTDOWN=graceful
healthy shutdown-not-graceful
deployment must_pass
