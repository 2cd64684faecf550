//! A hundred orders are pushed twice, packed by two workers of which one is stopped in the middle, and some fail at first: every
//! order is packed once, in order for each customer, and the one that cannot be is a dead letter with its reason.
//!
//! `cargo run -p larder --example queue [redis://127.0.0.1:6379]`

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use larder::{
    BoxError, Store,
    queue::{JobContext, JobFailure, Queue},
};
use serde::{Deserialize, Serialize};

const ORDERS: u64 = 100;
const CUSTOMERS: u64 = 5;
/// It has no address.
const BROKEN: u64 = 42;

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    number: u64,
    customer: u64,
}

/// What was packed, for each customer.
type Packed = Arc<Mutex<BTreeMap<u64, Vec<u64>>>>;

async fn pack(order: Order, job: JobContext, packed: Packed) -> Result<(), JobFailure> {
    if order.number == BROKEN {
        return Err(JobFailure::dead("the order has no address")); // another attempt cannot help
    }
    if order.number.is_multiple_of(10) && job.attempt() == 1 {
        return Err(JobFailure::retry("the printer is out of paper")); // comes again after the backoff
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut packed = packed.lock().expect("nobody panics with it");
    packed.entry(order.customer).or_default().push(order.number);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let store = Store::open(&url).await?;
    let orders: Queue<Order> = Queue::builder("example-orders")
        .store(&store)
        .backoff(Duration::from_millis(10), Duration::from_millis(100))
        .keep_done(Duration::from_secs(5), 1_000)
        .build()
        .await?;
    orders.purge().await?;
    orders.purge_dead().await?;

    let run = std::process::id();
    let all: Vec<Order> = (0..ORDERS)
        .map(|number| Order {
            number,
            customer: number % CUSTOMERS,
        })
        .collect();
    let mut new = 0;
    for _ in 0..2 {
        let pushed = orders
            .push_many_with(&all, |order, o| {
                o.id(format!("{run}-order-{}", order.number))
                    .group(format!("customer-{}", order.customer))
            })
            .await;
        for pushed in pushed {
            new += u64::from(pushed?.is_new);
        }
    }

    let packed = Packed::default();
    let worker = || {
        let packed = packed.clone();
        orders
            .worker(move |order, job| pack(order, job, packed.clone()))
            .concurrency(4)
            .start()
    };
    let (first, second) = (worker()?, worker()?);
    while packed.lock().expect("nobody panics with it").values().flatten().count() < 30 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let stopped = first.stop(Duration::ZERO).await; // what it has in hand is given back at once
    while orders.counts().await?.lag() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    second.stop(Duration::from_secs(5)).await;

    let packed = packed.lock().expect("nobody panics with it").clone();
    let count = packed.values().flatten().count() as u64;
    let in_order = packed
        .values()
        .all(|orders| orders.is_sorted_by(|one, other| one < other));
    let letters = orders.dead_letters(0, 10).await?;
    println!(
        "{} pushes, {new} jobs; a worker was stopped and gave back {}",
        2 * ORDERS,
        stopped.given_back
    );
    println!("{count} orders packed once, in order for each customer: {in_order}");
    for letter in &letters {
        println!("dead: {} ({})", letter.id, letter.reason.as_deref().unwrap_or_default());
    }
    assert_eq!((new, count, in_order, letters.len()), (ORDERS, ORDERS - 1, true, 1));
    orders.purge_dead().await?;
    Ok(())
}
