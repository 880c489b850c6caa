//! Black-box tests of `forno`: one module per verb or feature. See tests/image/kit.rs for how they are written and run.

#![expect(unreachable_pub, reason = "what the kit makes public is public to the tests of one program")]

mod image {
    mod archives;
    mod build;
    mod build_options;
    mod bundle;
    mod command_line;
    mod hostile;
    mod hostile_builds;
    mod import;
    mod inspect;
    pub mod kit;
    mod names;
    pub mod semantics;
    mod tools;
}
