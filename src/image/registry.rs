//! A client of registries (distribution-spec 1.1, and what docker's registry adds to it).
//!
//! ```text
//! endpoint      where the images of a name are: the registry, its mirrors, and how each is spoken to
//! client        one endpoint: requests with credentials, redirects, retries
//! challenge, token, credentials   what a 401 asks for, and where that comes from
//! manifest      what a name leads to
//! pull          a name to an image in the store;  download  a blob, resumed;  push  the other way
//! artifact      what is no image
//! ```
//!
//! A registry is not trusted with more than its own images: what it sends is checked against the digest that led there,
//! and what it says never makes credentials go to another host.

mod answer;
mod artifact;
mod challenge;
mod client;
mod compress;
mod credentials;
mod download;
mod endpoint;
mod login;
mod manifest;
pub mod progress;
mod pull;
mod push;
mod tls;
mod token;

pub use artifact::Artifact;
pub use compress::Compressor;
pub use credentials::{CredentialFiles, Credentials};

pub use login::{check_login, login_key};
pub use pull::{Pulled, Wanted, pull};
pub use push::{Pushed, push};

use std::path::PathBuf;

/// How registries are spoken to, as far as the user says.
#[derive(Debug, Clone)]
pub struct Options {
    /// `Some(false)`: certificates are not checked, and plain http is good enough. `None`: as configured.
    pub tls_verify: Option<bool>,
    /// The only file with credentials, in place of the usual ones.
    pub authfile: Option<PathBuf>,
    /// In place of those in files.
    pub credentials: Option<Credentials>,
    /// `*.crt`, `*.cert` and `*.key`, in place of certs.d.
    pub cert_dir: Option<PathBuf>,
    /// How often a request is tried again.
    pub retries: u32,
    /// Blobs under way at the same time.
    pub parallel: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { tls_verify: None, authfile: None, credentials: None, cert_dir: None, retries: 5, parallel: 3 }
    }
}
