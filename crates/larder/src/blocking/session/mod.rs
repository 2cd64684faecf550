//! [`larder::session`](crate::session), blocking.
//!
//! ```
//! use larder::blocking::{Store, session::Sessions};
//!
//! # fn main() -> Result<(), larder::BoxError> {
//! let store = Store::open("embedded:")?;
//! let sessions = Sessions::builder("web").store(&store).build()?;
//!
//! let mut session = sessions.create()?; // anonymous; its id goes into a cookie
//! session.set("cart", &["a book"])?;
//! let cookie = session.id().reveal().to_owned();
//!
//! let login = sessions.begin_login(&42u64)?; // .. the password is checked ..
//! session.sign_in(&login)?; // another id, the same cart
//! assert!(sessions.load(&cookie)?.is_none());
//! assert_eq!(session.get::<Vec<String>>("cart")?, Some(vec!["a book".to_owned()]));
//! assert_eq!(session.user::<u64>(), Some(42));
//! # Ok(())
//! # }
//! ```

mod builder;
mod change;
#[expect(clippy::module_inception, reason = "it is what the module is about")]
mod session;
mod sessions;

pub use builder::SessionsBuilder;
pub use change::Change;
pub use session::Session;
pub use sessions::Sessions;
