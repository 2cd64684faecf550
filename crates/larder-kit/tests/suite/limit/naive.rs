//! Rate limits as they are written by hand, each with what it gets wrong, and Larder beside it under the same calls.
//!
//! One more cannot be shown on one server: a limit that is read from a replica counts what the replica has not heard of yet.
//! Larder's limits are scripts that write, so they run on the primary alone.

use larder_kit::limit::{FixedWindow, Gcra, Limit, LimitError, Limiter, OnStoreDown, SlidingLog};
use larder_testkit::{Topology, Wire, for_each_topology};

use super::DAY;
use crate::immortal::no_immortal_keys;

async fn larder(t: &Topology, limit: impl TryInto<Limit, Error = LimitError>) -> Limiter {
    let builder = Limiter::builder("larder").store(&t.store().await).limit(limit);
    builder
        .on_store_down(OnStoreDown::Closed)
        .build()
        .expect("the settings are right")
}

/// How many of `calls` are admitted.
async fn admitted(limiter: &Limiter, calls: usize) -> Result<usize, LimitError> {
    let mut admitted = 0;
    for _ in 0..calls {
        admitted += usize::from(limiter.check("a").await?.allowed);
    }
    Ok(admitted)
}

fn int(wire: &mut Wire, command: &[&str]) -> i64 {
    wire.call(command).expect("the server answers").int()
}

/// INCR, then EXPIRE where it was the first: a process that dies in between leaves a key that never goes.
#[test]
fn incr_then_expire_locks_a_user_out_for_ever() {
    for_each_topology(async |t: Topology| {
        const LIMIT: i64 = 3;
        let mut wire = t.wire();
        let hit = |wire: &mut Wire, dies: bool| {
            let count = int(wire, &["INCR", "naive"]);
            if count == 1 && !dies {
                int(wire, &["PEXPIRE", "naive", "100"]);
            }
            count <= LIMIT
        };
        assert!(hit(&mut wire, true));
        while hit(&mut wire, false) {}
        t.advance(10).await;
        assert!(!hit(&mut wire, false), "five windows later");
        assert_eq!(int(&mut wire, &["PTTL", "naive"]), -1);
        wire.call(&["DEL", "naive"]).expect("the server answers");

        let limiter = larder(&t, FixedWindow::per(3, t.units(2))).await;
        assert!(limiter.check("a").await?.allowed);
        no_immortal_keys(&t, 0);
        t.advance(4).await;
        assert!(limiter.check("a").await?.allowed);
        Ok::<_, LimitError>(())
    });
}

/// A sorted set to which every call is added, and then counted: who goes on asking is never admitted again.
#[test]
fn storing_denied_requests_starves_who_asks_again() {
    for_each_topology(async |t: Topology| {
        if t.clock().as_manual().is_none() {
            return Ok(()); // Asked once a unit, which only a clock that is moved can promise.
        }
        let mut wire = t.wire();
        let mut hit = |at: u128| {
            let (now, old) = (at.to_string(), (at - 500).to_string());
            int(&mut wire, &["ZADD", "naive", &now, &now]);
            int(&mut wire, &["ZREMRANGEBYSCORE", "naive", "-inf", &old]);
            int(&mut wire, &["ZCARD", "naive"]) <= 3
        };
        let limiter = larder(&t, SlidingLog::per(3, t.units(10))).await;
        let (mut naive, mut ours) = (0, 0);
        for _ in 0..100 {
            naive += usize::from(hit(t.clock().unix().as_millis()));
            ours += admitted(&limiter, 1).await?;
            t.advance(1).await;
        }
        assert_eq!((naive, ours), (3, 30), "of ten windows");
        Ok::<_, LimitError>(())
    });
}

/// The time as the member: what comes in one millisecond is one member.
#[test]
fn members_that_are_times_collapse() {
    for_each_topology(async |t: Topology| {
        let mut wire = t.wire();
        let now = t.clock().unix().as_millis().to_string();
        let mut hit = || {
            if int(&mut wire, &["ZCARD", "naive"]) >= 10 {
                return false;
            }
            wire.call(&["ZADD", "naive", &now, &now]).expect("the server answers");
            true
        };
        assert_eq!((0..1_000).filter(|_| hit()).count(), 1_000, "in one millisecond");
        let limiter = larder(&t, SlidingLog::per(10, DAY)).await;
        assert_eq!(admitted(&limiter, 1_000).await?, 10);
        Ok::<_, LimitError>(())
    });
}

/// A window that the client reckons: two clients an hour apart count in two.
#[test]
fn clocks_of_clients_count_apart() {
    for_each_topology(async |t: Topology| {
        let mut wire = t.wire();
        let mut hit = |hour: u64| int(&mut wire, &["INCR", &format!("naive:{hour}")]) <= 5;
        let hour = t.clock().unix().as_secs() / 3_600;
        let naive = (0..20).filter(|call| hit(hour + call % 2)).count();
        assert_eq!(naive, 10, "of five an hour");
        let (one, other) = (
            larder(&t, FixedWindow::per_day(5)).await,
            larder(&t, FixedWindow::per_day(5)).await,
        );
        assert_eq!(admitted(&one, 10).await? + admitted(&other, 10).await?, 5);
        Ok::<_, LimitError>(())
    });
}

/// Look first, add then: all who look at one time find room.
#[test]
fn a_check_and_then_an_add_lets_everybody_in() {
    for_each_topology(async |t: Topology| {
        const CALLERS: usize = 20;
        let mut wires: Vec<Wire> = (0..CALLERS).map(|_| t.wire()).collect();
        let looked: Vec<bool> = wires
            .iter_mut()
            .map(|wire| wire.call(&["GET", "naive"]) == Ok(larder_testkit::Answer::Nil))
            .collect();
        let naive = wires.iter_mut().zip(looked).filter(|(_, has_room)| *has_room);
        assert_eq!(
            naive.map(|(wire, _)| int(wire, &["INCR", "naive"])).max(),
            Some(CALLERS as i64),
            "of one"
        );

        let limiter = larder(&t, FixedWindow::per_day(1)).await;
        let callers = (0..CALLERS).map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move { limiter.check("a").await })
        });
        let mut ours = 0;
        for caller in callers.collect::<Vec<_>>() {
            ours += usize::from(caller.await.expect("it does not panic")?.allowed);
        }
        assert_eq!(ours, 1);
        Ok::<_, LimitError>(())
    });
}

/// Lua's `tostring` keeps 14 digits: microseconds of today lose their last two.
#[test]
fn tostring_forgets_microseconds() {
    const NAIVE: &str = "
        local now, tat = tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[1]) or '0')
        if tat > now then return 0 end
        redis.call('SET', KEYS[1], tostring(now + 40), 'PX', '1000')
        return 1";
    for_each_topology(async |t: Topology| {
        let mut wire = t.wire();
        let mut hit = || int(&mut wire, &["EVAL", NAIVE, "1", "naive", "1763600000000001"]) == 1;
        assert_eq!(
            (0..100).filter(|_| hit()).count(),
            100,
            "of one every 40 µs, in one microsecond"
        );
        // On the engine time stands still; on a server a few of them pass.
        let limiter = larder(&t, Gcra::per(1, DAY)).await;
        assert_eq!(admitted(&limiter, 100).await?, 1);
        Ok::<_, LimitError>(())
    });
}

/// EXPIRE at every hit: a window that never ends for who calls steadily, well within the limit.
#[test]
fn expire_at_every_hit_makes_a_window_endless() {
    for_each_topology(async |t: Topology| {
        if t.clock().as_manual().is_none() {
            return Ok(()); // As above.
        }
        let mut wire = t.wire();
        let mut hit = || {
            let count = int(&mut wire, &["INCR", "naive"]);
            int(&mut wire, &["PEXPIRE", "naive", "500"]);
            count <= 5
        };
        let limiter = larder(&t, FixedWindow::per(5, t.units(10))).await;
        let (mut naive, mut ours) = (0, 0);
        for _ in 0..50 {
            // One in four units: two or three a window, of five.
            t.advance(4).await;
            naive += usize::from(hit());
            ours += admitted(&limiter, 1).await?;
        }
        assert_eq!((naive, ours), (5, 50));
        Ok::<_, LimitError>(())
    });
}
