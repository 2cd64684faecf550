use super::*;

type Table = Arc<Flights<u8, u32>>;

fn lead(member: &Member<u8, u32>) -> Leader<u8, u32> {
    match member.try_turn() {
        Some(Turn::Lead(leader)) => leader,
        Some(Turn::Done(outcome)) => panic!("ended with {outcome}"),
        None => panic!("another leads"),
    }
}

fn outcome(member: &Member<u8, u32>) -> Option<u32> {
    match member.try_turn() {
        Some(Turn::Done(outcome)) => Some(outcome),
        _ => None,
    }
}

#[test]
fn a_read_is_shared_by_those_who_came_before_its_request() {
    let flights: Table = Flights::new();
    let (first, second) = (flights.join(&1), flights.join(&1));
    let leader = lead(&first);
    let third = flights.join(&1);
    leader.handed_on();
    let late = flights.join(&1);
    leader.finish(7, Share::Members);
    assert_eq!([&first, &second, &third].map(outcome), [Some(7); 3]);
    lead(&late).finish(8, Share::Members);
    assert_eq!(outcome(&late), Some(8));
    assert_eq!(flights.len(), 0);
}

#[test]
fn a_stored_load_is_shared_by_those_who_came_before_its_fill() {
    let flights: Table = Flights::new();
    let first = flights.join(&1);
    let leader = lead(&first);
    leader.handed_on();
    let during_load = flights.join(&1);
    leader.fill_handed_on();
    let during_fill = flights.join(&1);
    assert!(during_fill.try_turn().is_none());
    leader.finish(7, Share::Adopted);
    assert_eq!(outcome(&during_load), Some(7));
    lead(&during_fill).finish(8, Share::Members);
    assert_eq!(flights.len(), 0);
}

#[test]
fn a_refused_fill_is_shared_only_by_those_who_came_before_the_lease() {
    let flights: Table = Flights::new();
    let first = flights.join(&1);
    let leader = lead(&first);
    leader.handed_on();
    let during_load = flights.join(&1);
    leader.fill_handed_on();
    let during_fill = flights.join(&1);
    leader.finish(7, Share::Members);
    assert_eq!(outcome(&first), Some(7));
    let leader = lead(&during_load);
    assert!(during_fill.try_turn().is_none(), "one runs, one waits");
    leader.finish(8, Share::Members);
    lead(&during_fill).finish(9, Share::Members);
    assert_eq!((outcome(&during_load), outcome(&during_fill)), (Some(8), Some(9)));
    assert_eq!(flights.len(), 0);
}

#[tokio::test]
async fn a_cancelled_leader_is_replaced_by_a_waiter_that_knows_its_request() {
    let flights: Table = Flights::new();
    let (first, second) = (flights.join(&1), flights.join(&1));
    let leader = lead(&first);
    leader.note_request([9; 16]);
    leader.handed_on();
    let late = flights.join(&1);
    drop(leader);
    drop(first);
    let Turn::Lead(leader) = second.turn().await else {
        panic!("the lead is free")
    };
    assert_eq!(leader.replaces, [9; 16]);
    leader.finish(7, Share::Members);
    assert_eq!(outcome(&second), Some(7));
    lead(&late).finish(8, Share::Members);
}

#[test]
fn an_invalidation_detaches_what_runs_at_once() {
    let flights: Table = Flights::new();
    let before = flights.join(&1);
    let old = lead(&before);
    old.handed_on();
    flights.detach(&1);
    let after = flights.join(&1);
    let new = lead(&after);
    old.finish(7, Share::Adopted);
    assert!(
        outcome(&after).is_none(),
        "the old value does not reach a caller who came after"
    );
    new.finish(8, Share::Members);
    assert_eq!((outcome(&before), outcome(&after)), (Some(7), Some(8)));
    assert_eq!(flights.len(), 0);
}

#[test]
fn a_flight_that_everybody_left_blocks_nobody() {
    let flights: Table = Flights::new();
    let gone = flights.join(&1);
    let leader = lead(&gone);
    leader.handed_on();
    let waiting = flights.join(&1);
    drop((leader, gone));
    lead(&waiting).finish(7, Share::Members);
    drop(flights.join(&2));
    assert_eq!(flights.len(), 0);
}

/// Many callers on one key, cancelled at any moment: everybody else gets an outcome, and nothing is left behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_callers_never_leave_the_others_waiting() {
    let flights: Table = Flights::new();
    let random = larder_base::Random::seeded(3);
    let mut calls = tokio::task::JoinSet::new();
    for call in 0..2_000u32 {
        let (flights, random) = (flights.clone(), random.clone());
        calls.spawn(async move {
            let read = async {
                let member = flights.join(&(call as u8 % 2));
                match member.turn().await {
                    Turn::Done(outcome) => outcome,
                    Turn::Lead(leader) => {
                        tokio::task::yield_now().await;
                        leader.handed_on();
                        for _ in 0..random.below(4) {
                            tokio::task::yield_now().await;
                        }
                        leader.fill_handed_on();
                        tokio::task::yield_now().await;
                        leader.finish(call, if call % 3 == 0 { Share::Members } else { Share::Adopted });
                        call
                    }
                }
            };
            let patience = random.below(12);
            tokio::select! {
                biased;
                outcome = read => Some(outcome),
                () = async { for _ in 0..patience { tokio::task::yield_now().await } }, if call % 2 == 0 => None,
            }
        });
    }
    let mut answered = 0;
    while let Some(call) = calls.join_next().await {
        answered += u32::from(call.expect("no call panics").is_some());
    }
    assert!(
        answered >= 1_000,
        "{answered}: those who were not cancelled were all answered"
    );
    assert_eq!(flights.len(), 0);
}

/// The first leader goes away when its fill is under way: by then some waited for the load, and some for the fill.
#[test]
fn who_waited_for_the_fill_of_a_leader_that_went_away_is_not_forgotten() {
    let flights: Table = Flights::new();
    let (first, second) = (flights.join(&1), flights.join(&1));
    let leader = lead(&first);
    leader.handed_on();
    let during_load = flights.join(&1);
    leader.fill_handed_on();
    let during_fill = flights.join(&1);
    drop(leader);
    drop(first);
    let leader = lead(&second);
    leader.handed_on();
    leader.fill_handed_on();
    leader.finish(7, Share::Adopted);
    assert_eq!([&second, &during_load].map(outcome), [Some(7); 2]);
    lead(&during_fill).finish(8, Share::Members);
    assert_eq!(outcome(&during_fill), Some(8));
    assert_eq!(flights.len(), 0);
}
