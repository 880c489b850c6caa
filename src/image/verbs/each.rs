//! Verbs that do the same to several containers: each is tried, and failures are told one by one.

use super::Forno;
use crate::error::Result;
use crate::image::container::Container;
use crate::image::store::Store;

/// Does `act` to each; what was named is printed where it was done, and 1 is the exit code where something failed.
pub(super) fn each(
    forno: &Forno,
    store: &Store,
    names: &[String],
    mut act: impl FnMut(&Container) -> Result<()>,
) -> Result<u8> {
    let mut code = 0;
    for name in names {
        match store.container(name).and_then(|container| act(&container)) {
            Ok(()) => forno.print(&format!("{name}\n"))?,
            Err(error) => {
                forno.complain(&error);
                code = 1;
            }
        }
    }
    Ok(code)
}
