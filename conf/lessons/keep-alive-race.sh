#!/usr/bin/env bash
# A 502 now and then: the target closes idle connections before the load balancer does.
. "$(dirname "${BASH_SOURCE[0]}")/lesson.sh"
lesson=keep-alive-race
scale=100
export LOGS=$work/logs

start() {
    ports
    target a "$A_PORT" --config "$config/keep-alive-race/application.yml"
    balancer
}

# Requests at once, a gap of nearly 20 s, and that again: which of the two is first, FIN or request?
race() {
    "$1" albeit-load keepalive-race "http://127.0.0.1:$LB_PORT/whoami" --keep-alive 20s \
        --gap 14s..20s --pace --steps 24 --connections 60 --time-scale "$scale"
}

say "the mistake: KEEP_ALIVE=20s at the target, an idle timeout of 60 s at the load balancer"
export KEEP_ALIVE=20s
diagnosed keep-alive-race
start
# It is a real race: mostly the first attempt has some 502, seldom none.
for _ in 1 2 3 4 5; do
    race measure
    [ "$measured" -eq 0 ] || break
    say "nobody lost this time; once more"
done
[ "$measured" -eq 1 ] || fail "the race should have been lost, with exit status 1, not $measured"
say "two of them in the access log: the times, elb_status_code 502, target_status_code -"
until_ok 10 grep -rqs ' 502 - ' "$LOGS"
grep -rhs ' 502 - ' "$LOGS" >"$work/lines"
head -n 2 "$work/lines" | cut -d ' ' -f 1-15
stop_all

say "the cure: KEEP_ALIVE=70s"
export KEEP_ALIVE=70s
healthy keep-alive-race
start
race must_pass
stop_all
