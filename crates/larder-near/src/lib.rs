//! near
