//! Black-box tests of `forno` and registries: Debian's docker-registry on loopback, and servers of our own that say what
//! no honest one would.

#![expect(unreachable_pub, reason = "what the kit makes public is public to the tests of one program")]

mod registry {
    mod bombs;
    mod builds;
    mod credentials;
    mod docker;
    mod honest;
    mod hostile;
    #[path = "../image/kit.rs"]
    #[allow(dead_code, reason = "the programs of tests share the kit, and each uses a part of it")]
    pub mod kit;
    mod places;
    mod round_trips;
    mod server;
    mod transfer;
    mod words;
}
