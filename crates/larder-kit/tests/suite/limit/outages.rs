//! What becomes of callers while the store is away, by each policy.

use std::time::Duration;

use larder_kit::limit::{Basis, ConcurrencyLimit, Entry, FixedWindow, Gcra, LimitError, Limiter, OnStoreDown};
use larder_store::Store;
use larder_testkit::{RedisServer, eventually};

/// Long against any machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// A store that fails at once where nobody listens.
fn store(port: u16) -> Store {
    let url = format!("redis://127.0.0.1:{port}?max_attempts=1");
    Store::lazy(&url).expect("the URL is right")
}

#[tokio::test]
async fn open_admits_and_closed_denies() -> Result<(), LimitError> {
    let away = store(1);
    let limiter = |policy| {
        let builder = Limiter::builder("api").store(&away).limit(FixedWindow::per_day(1));
        builder.on_store_down(policy).build()
    };
    let (open, closed) = (limiter(OnStoreDown::Open)?, limiter(OnStoreDown::Closed)?);
    for _ in 0..3 {
        let decision = open.check("a").await?;
        assert_eq!(
            (decision.allowed, decision.basis, decision.server_time),
            (true, Basis::Policy, None)
        );
        let decision = closed.check("a").await?;
        assert_eq!((decision.allowed, decision.basis), (false, Basis::Policy));
        assert_eq!(decision.retry_after, Some(Duration::from_secs(1)));
        // Nobody knows what is left, and the headers do not say that it is nothing.
        assert_eq!(open.check("a").await?.headers().pairs().count(), 0);
        let told: Vec<_> = decision.headers().pairs().collect();
        assert_eq!(told, [("Retry-After", 1)]);
    }
    // What is no check has no policy.
    assert!(open.peek("a").await.is_err_and(|error| error.store().is_some()));
    assert!(open.reset("a").await.is_err());
    assert!(open.look().await.is_err());
    Ok(())
}

#[tokio::test]
async fn local_admits_its_share() -> Result<(), LimitError> {
    let away = store(1);
    let builder = Limiter::builder("api").store(&away);
    let limiter = builder
        .limit(Gcra::per_day(40))
        .limit_as("most", FixedWindow::per_day(20))
        .on_store_down(OnStoreDown::Local { share: 0.25 })
        .build()?;
    for subject in ["a", "b"] {
        for call in 0..5 {
            let decision = limiter.check(subject).await?;
            assert_eq!(
                (decision.allowed, decision.basis),
                (true, Basis::Share),
                "{subject}, {call}"
            );
        }
        let denied = limiter.check(subject).await?;
        assert_eq!((denied.allowed, &*denied.limit), (false, "most"));
        assert!(denied.retry_after.is_some_and(|wait| wait > Duration::from_secs(3_600)));
        let told: Vec<_> = denied.headers().pairs().map(|(name, _)| name).collect();
        assert_eq!(told, ["Retry-After"]);
        assert_eq!(
            limiter.check_cost(subject, 11).await?.retry_after,
            None,
            "more than the share has at once"
        );
    }
    // A small share of little is still one.
    let builder = Limiter::builder("small").store(&away).limit(FixedWindow::per_day(2));
    let limiter = builder.on_store_down(OnStoreDown::Local { share: 0.1 }).build()?;
    assert!(limiter.check("a").await?.allowed);
    assert!(!limiter.check("a").await?.allowed);
    Ok(())
}

#[tokio::test]
async fn subjects_without_number_share_one_place() -> Result<(), LimitError> {
    let away = store(1);
    let builder = Limiter::builder("api").store(&away).limit(FixedWindow::per_day(1));
    let limiter = builder.on_store_down(OnStoreDown::Local { share: 1.0 }).build()?;
    let mut admitted = 0;
    for subject in 0..10_100u64 {
        admitted += u64::from(limiter.check(&subject).await?.allowed);
    }
    // Ten thousand have a place of their own, and one is for the rest.
    assert_eq!(admitted, 10_001);
    Ok(())
}

#[tokio::test]
async fn the_store_counts_again_as_soon_as_it_is_back() -> Result<(), LimitError> {
    let mut redis = RedisServer::start().await;
    let store = store(redis.port());
    let builder = Limiter::builder("api").store(&store).limit(FixedWindow::per_day(3));
    let limiter = builder.on_store_down(OnStoreDown::Open).build()?;
    assert_eq!(limiter.check("a").await?.basis, Basis::Store);
    redis.kill();
    eventually(DEADLINE, async || {
        limiter.check("a").await.is_ok_and(|it| it.basis == Basis::Policy)
    })
    .await;
    redis.restart_empty().await;
    eventually(DEADLINE, async || {
        limiter.check("a").await.is_ok_and(|it| it.basis == Basis::Store)
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn a_server_that_cannot_count_is_away_too() -> Result<(), LimitError> {
    let redis = RedisServer::start().await;
    let store = store(redis.port());
    let builder = Limiter::builder("api").store(&store).limit(FixedWindow::per_day(3));
    let limiter = builder.on_store_down(OnStoreDown::Closed).build()?;
    assert!(limiter.check("a").await?.allowed);
    store
        .run(redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(1))
        .await?;
    let decision = limiter.check("a").await?;
    assert_eq!((decision.allowed, decision.basis), (false, Basis::Policy), "OOM");
    Ok(())
}

#[tokio::test]
async fn a_concurrency_limit_has_the_same_policies() -> Result<(), LimitError> {
    let away = store(1);
    let limit = |policy| {
        let builder = ConcurrencyLimit::builder("exports").store(&away).limit(4);
        builder.on_store_down(policy).build()
    };
    let Entry::Admitted(permit) = limit(OnStoreDown::Open)?.enter("a").await? else {
        panic!("open admits")
    };
    assert!(!permit.is_lost() && permit.release().await);
    assert!(matches!(limit(OnStoreDown::Closed)?.enter("a").await?, Entry::Full(_)));
    let half = limit(OnStoreDown::Local { share: 0.5 })?;
    let (one, other) = (half.enter("a").await?, half.enter("a").await?);
    assert!(matches!((&one, &other), (Entry::Admitted(_), Entry::Admitted(_))));
    assert!(matches!(half.enter("a").await?, Entry::Full(_)));
    assert!(matches!(half.enter("b").await?, Entry::Admitted(_)));
    drop(one);
    assert!(matches!(half.enter("a").await?, Entry::Admitted(_)));
    Ok(())
}

/// A share is counted in 64 bits of nanoseconds: neither a cost nor a span runs over them.
#[tokio::test]
async fn a_share_holds_against_any_cost_and_any_span() -> Result<(), LimitError> {
    let away = store(1);
    let share = |limit, share| {
        let builder = Limiter::builder("api").store(&away).limit(limit);
        builder.on_store_down(OnStoreDown::Local { share }).build()
    };
    let ten = share(FixedWindow::per_day(10), 1.0)?;
    // 2,135,041 at 2 h 24 min each is a little more than 2^64 ns, which is what it would be counted as.
    for cost in [11, 2_135_041, u64::from(u32::MAX), u64::MAX] {
        let decision = ten.check_cost("a", cost).await?;
        assert_eq!((decision.allowed, decision.retry_after), (false, None), "{cost}");
    }
    assert!(ten.check_cost("a", 10).await?.allowed, "nothing was charged");
    let month = Duration::from_secs(30 * 86_400);
    let rare = share(FixedWindow::per(1, month), 1e-9)?;
    assert!(rare.check("a").await?.allowed);
    let denied = rare.check("a").await?;
    assert!(denied.retry_after.is_some_and(|wait| wait > month), "{denied:?}");
    Ok(())
}

#[tokio::test]
async fn whom_a_limit_is_about_is_not_shown() -> Result<(), LimitError> {
    let away = store(1);
    let builder = Limiter::builder("api").store(&away).limit(FixedWindow::per_day(1));
    let builder = builder.remember_denials(DEADLINE);
    let limiter = builder.on_store_down(OnStoreDown::Local { share: 1.0 }).build()?;
    limiter.check("ann@example.com").await?;
    let builder = ConcurrencyLimit::builder("exports").store(&away).limit(1);
    let limit = builder.on_store_down(OnStoreDown::Open).build()?;
    let entry = limit.enter("ann@example.com").await?;
    let shown = format!("{limiter:?} {limit:?} {entry:?}");
    assert!(!shown.contains("ann@") && shown.contains("concurrency"), "{shown}");
    Ok(())
}
