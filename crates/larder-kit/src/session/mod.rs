//! Sessions of web users: what a cookie stands for, kept in the store.
//!
//! ```
//! use larder_kit::session::Sessions;
//! use larder_store::Store;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::open("embedded:").await?;
//! let sessions = Sessions::builder("web").store(&store).build()?;
//!
//! let mut session = sessions.create().await?; // anonymous; its id goes into a cookie
//! session.set("cart", &["a book"]).await?;
//! let cookie = session.id().reveal().to_owned();
//!
//! let login = sessions.begin_login(&42u64).await?; // .. the password is checked ..
//! session.sign_in(&login).await?; // another id, the same cart
//! assert!(sessions.load(&cookie).await?.is_none());
//! assert_eq!(session.get::<Vec<String>>("cart")?, Some(vec!["a book".to_owned()]));
//! assert_eq!(session.user::<u64>(), Some(42));
//! # Ok(())
//! # }
//! ```
//!
//! - A session is one hash: each field is a JSON value of its own, so changes of different fields never undo each other, and
//!   [`update`](Session::update) or [`compare_and_set`](Session::compare_and_set) guard one that is read first.
//! - It ends when it is not used for `idle` or a little longer ([`renew_every`](SessionsBuilder::renew_every)), and `absolute`
//!   after it was created, by the server's clock. Every write has its
//!   expiry in it, and none is made to a session that has ended.
//! - A user's session stands only under his *epoch*, which [`revoke_all`](Sessions::revoke_all) ends: with it end all sessions
//!   and all logins begun before, whether a list knows them or not. Data that the store loses ends sessions, never revives them.
//! - A load is one round trip, of plain reads mostly; so is every change, of however many fields.

mod builder;
mod change;
mod error;
mod fast;
mod figures;
mod id;
mod layout;
mod login;
mod record;
mod script;
#[expect(clippy::module_inception, reason = "it is what the module is about")]
mod session;
mod sessions;
mod sign_in;

pub use builder::{SessionsBuilder, WhenFull};
pub use change::Change;
pub use error::SessionError;
pub use id::{BadSessionId, SessionId, SessionRef};
pub use login::Login;
pub use session::Session;
pub use sessions::{SessionInfo, Sessions};
