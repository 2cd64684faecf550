//! A session from the first visit to "log out everywhere": nothing is lost, nothing is stolen, nothing is left.
//!
//! `cargo run -p larder --example sessions [redis://127.0.0.1:6379]`

use std::time::Duration;

use larder::{
    BoxError, Store,
    session::{SessionError, Sessions},
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Cart {
    books: Vec<String>,
}

/// Stands for what takes a while and asks a database.
async fn check_password(_user: u64) -> Result<(), BoxError> {
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "embedded:".to_owned());
    let store = Store::open(&url).await?;
    let sessions = build(&store)?;
    let cookie = visit(&sessions).await?;
    let cookie = log_in(&sessions, &cookie, 42).await?;
    two_requests(&sessions, &cookie).await?;
    refused(&sessions, &cookie).await?;
    log_out_everywhere(&sessions, &cookie, 42).await
}

fn build(store: &Store) -> Result<Sessions, SessionError> {
    Sessions::builder("example-web")
        .store(store)
        .idle(Duration::from_secs(30 * 60)) // not used for so long: over
        .absolute(Duration::from_secs(12 * 3600)) // used or not: over
        .data_max(64 * 1024)
        .build()
}

/// The first request of a browser that has no cookie.
async fn visit(sessions: &Sessions) -> Result<String, BoxError> {
    let mut session = sessions.create().await?;
    session
        .set(
            "cart",
            &Cart {
                books: vec!["Gilgamesh".into()],
            },
        )
        .await?;
    // Set-Cookie: id=..; HttpOnly; Secure; SameSite=Lax
    Ok(session.id().reveal().to_owned())
}

async fn log_in(sessions: &Sessions, cookie: &str, user: u64) -> Result<String, BoxError> {
    let Some(mut session) = sessions.load(cookie).await? else {
        return Err("the session has ended".into());
    };
    let login = sessions.begin_login(&user).await?; // before the password is looked at
    check_password(user).await?;
    session.sign_in(&login).await?;
    let new_cookie = session.id().reveal().to_owned();

    let stolen = sessions.load(cookie).await?;
    println!(
        "the id from before the login finds {}",
        if stolen.is_some() { "a session" } else { "nothing" }
    );
    assert!(stolen.is_none());
    let loaded = sessions.load(&new_cookie).await?.ok_or("it stands")?;
    println!(
        "the new one is user {:?}, with {:?}",
        loaded.user::<u64>(),
        loaded.get::<Cart>("cart")?
    );
    assert_eq!(loaded.user::<u64>(), Some(user));
    assert_eq!(loaded.get::<Cart>("cart")?.unwrap_or_default().books, ["Gilgamesh"]);
    Ok(new_cookie)
}

/// Two requests of one browser at once: each has loaded the session before the other has changed it.
async fn two_requests(sessions: &Sessions, cookie: &str) -> Result<(), BoxError> {
    let mut one = sessions.load(cookie).await?.ok_or("it stands")?;
    let mut other = sessions.load(cookie).await?.ok_or("it stands")?;
    one.set("city", "Uruk").await?;
    let visits = other.incr("visits", 1).await?;
    one.update("cart", |cart: Option<Cart>| {
        let mut cart = cart.unwrap_or_default();
        cart.books.push("Enuma Elish".into());
        cart
    })
    .await?;
    other
        .update("cart", |cart: Option<Cart>| {
            let mut cart = cart.unwrap_or_default();
            cart.books.push("Atrahasis".into());
            cart
        })
        .await?; // it had loaded the cart before: called again with what is there
    other
        .change()
        .set("theme", "clay")
        .remove("hint")
        .incr("visits", 1)
        .save()
        .await?; // all of it, or nothing

    let after = sessions.load(cookie).await?.ok_or("it stands")?;
    let cart = after.get::<Cart>("cart")?.unwrap_or_default();
    println!(
        "after two requests at once: {:?}, {} books",
        after.fields().collect::<Vec<_>>(),
        cart.books.len()
    );
    assert_eq!((cart.books.len(), visits), (3, 1));
    assert_eq!(after.get::<String>("city")?.as_deref(), Some("Uruk"));
    assert_eq!(after.get::<u64>("visits")?, Some(2));
    Ok(())
}

async fn refused(sessions: &Sessions, cookie: &str) -> Result<(), BoxError> {
    let mut session = sessions.load(cookie).await?.ok_or("it stands")?;
    let error = session.set("film", &"x".repeat(100_000)).await;
    println!(
        "too much: {}",
        error.as_ref().err().map(ToString::to_string).unwrap_or_default()
    );
    assert!(error.is_err_and(|error| error.is_limit()));

    let mut late = sessions.create().await?;
    sessions.delete(late.id().reveal()).await?;
    let error = late.set("seen", &1).await;
    println!(
        "too late: {}",
        error.as_ref().err().map(ToString::to_string).unwrap_or_default()
    );
    assert!(error.is_err_and(|error| error.is_gone()));
    Ok(())
}

/// The password is changed because somebody else has it; and he is logging in right now.
async fn log_out_everywhere(sessions: &Sessions, cookie: &str, user: u64) -> Result<(), BoxError> {
    let phone = sessions.create_for(&user).await?;
    let thief = sessions.begin_login(&user).await?; // with the old password, which is right as yet

    let lost = sessions.create_for(&user).await?.reference();
    let this = sessions.load(cookie).await?.ok_or("it stands")?;
    let user = this.user::<u64>().ok_or("signed in")?; // `None`: an anonymous session
    for session in sessions.list(&user).await? {
        let is_this_device = session.reference == this.reference();
        println!(
            "{} of {:?}, used {:?}, ends {:?}; this device: {is_this_device}",
            session.reference, session.created_at, session.seen_at, session.expires_at
        );
    }
    let was_there = sessions.end(&user, &lost).await?; // one that was on the list
    assert!(was_there);
    let mut own = sessions.load(cookie).await?.ok_or("it stands")?;
    let ended = own.revoke_others().await?; // or sessions.revoke_all(&user)
    println!("{ended} other session ended");
    assert!(sessions.load(phone.id().reveal()).await?.is_none());

    let late = sessions.create_signed_in(&thief).await;
    println!(
        "the login under way: {}",
        late.as_ref().err().map(ToString::to_string).unwrap_or_default()
    );
    assert!(matches!(late, Err(SessionError::LoginEnded)));
    assert!(sessions.load(cookie).await?.is_some());
    sessions.revoke_all(&user).await?;
    assert!(sessions.load(cookie).await?.is_none());
    Ok(())
}
