//! Whom we trust, and as whom we come: certificates.

use super::endpoint::Endpoint;
use crate::bail;
use crate::error::{Context, Error, Result};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

/// Where distributions have the authorities that they trust, in one file.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

pub(super) fn config(endpoint: &Endpoint, verify: bool) -> Result<TlsConfig> {
    let mut builder = TlsConfig::builder();
    if !verify {
        builder = builder.disable_verification(true);
    }
    let mut roots = system_roots().to_vec();
    let system = !roots.is_empty();
    for path in &endpoint.authorities {
        roots.extend(certificates(path)?);
    }
    // Without a list of the system's own, the library's is better than none.
    if system || !endpoint.authorities.is_empty() {
        builder = builder.root_certs(RootCerts::from(roots));
    }
    if let Some((certificate, key)) = &endpoint.client {
        let client = ClientCert::new_with_certs(&certificates(certificate)?, private_key(key)?);
        builder = builder.client_cert(Some(client));
    }
    Ok(builder.build())
}

/// What the machine trusts: $SSL_CERT_FILE and $SSL_CERT_DIR, as other programs read them, or the distribution's list.
fn system_roots() -> &'static [Certificate<'static>] {
    static ROOTS: OnceLock<Vec<Certificate<'static>>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let mut files: Vec<PathBuf> = named("SSL_CERT_FILE").into_iter().collect();
        if let Some(directories) = named("SSL_CERT_DIR") {
            for directory in std::env::split_paths(&directories) {
                let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
                files.extend(entries.map(|entry| entry.path()));
            }
        }
        if files.is_empty() {
            files.extend(BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file()));
        }
        files.iter().flat_map(|path| certificates(path).unwrap_or_default()).collect()
    })
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let read = || -> Result<Vec<Certificate<'static>>> {
        let bytes = std::fs::read(path)?;
        let mut found = Vec::new();
        for item in parse_pem(&bytes) {
            if let PemItem::Certificate(certificate) = item.map_err(|error| Error::new(error.to_string()))? {
                found.push(certificate);
            }
        }
        if found.is_empty() {
            bail!("no certificate in it");
        }
        Ok(found)
    };
    read().with(|| format!("read certificate {}", path.display()))
}

fn private_key(path: &Path) -> Result<PrivateKey<'static>> {
    let bytes = std::fs::read(path).with(|| format!("read key {}", path.display()))?;
    PrivateKey::from_pem(&bytes).map_err(|error| Error::new(format!("read key {}: {error}", path.display())))
}
