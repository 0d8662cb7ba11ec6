use super::*;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[track_caller]
fn check(lived: u64, most: u64, left: u64, expected: (u64, u64)) {
    let plan = pings(ms(lived), ms(most), ms(left));
    assert_eq!(plan, Pings { interval: ms(expected.0), watch: ms(expected.1) });
}

#[test]
fn pings_come_three_times_in_the_time_to_the_cut() {
    check(60_000, 25_000, 600_000, (18_000, 90_000));
    check(350_000, 25_000, 600_000, (25_000, 525_000));
    check(60_000, 25_000, 70_000, (18_000, 70_000));
    check(4, 25_000, 70_000, (10, 6));
}

#[test]
fn the_servers_pings_have_an_interval() {
    let opened = Instant::now();
    let at = |milliseconds| opened + ms(milliseconds);
    assert_eq!(longest_interval(opened, &[]), None);
    assert_eq!(longest_interval(opened, &[at(20)]), Some(ms(20)));
    assert_eq!(longest_interval(opened, &[at(25), at(50), at(80)]), Some(ms(30)));
}

fn silent(ending: Option<Ending>, afterwards: Option<Ponged>) -> Silent {
    Silent {
        idle: Timing::once(ms(60_000)),
        lived: ms(60_000),
        ending,
        server_pings: 0,
        server_ping_interval: None,
        messages: 0,
        afterwards,
    }
}

#[test]
fn a_silent_websocket_says_how_it_ended() {
    let said = |ending, afterwards| silent(ending, afterwards).to_string();
    assert_eq!(said(Some(Ending::Fin), None), "then FIN");
    assert_eq!(said(None, Some(Ponged::After(ms(3)))), "not cut, and answers a ping after 0.003 s");
    assert_eq!(
        said(None, Some(Ponged::Ended(Ending::Reset))),
        "not cut, but forgotten: the next ping gets RST"
    );
    let mut heard = silent(None, Some(Ponged::Never));
    (heard.server_pings, heard.server_ping_interval) = (3, Some(ms(25_000)));
    assert_eq!(heard.to_string(), "not cut, but a ping is not answered; 3 pings of the server, every 25 s");
}
