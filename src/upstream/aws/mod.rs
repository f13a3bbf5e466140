//! Requests to AWS: signatures, and the credentials that sign.
//!
//! Owns where credentials come from, how long they are kept, and what a signed request looks like. Signing and the
//! looking up are AWS's own crates; their requests go over the gateway's own connections, so that there is one TLS set-up.
//! Refuses to know what is asked and what an answer means.

mod connect;
mod sign;
mod signer;
mod source;

pub use aws_credential_types::Credentials;
pub use sign::{Signable, Unsignable, sign};
pub use signer::{NoCredentials, Signer};
pub use source::{AwsAccess, AwsSource};
