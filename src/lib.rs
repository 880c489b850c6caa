//! One house, two programs: `bolo`, an OCI runtime, and `forno`, which bakes images and serves them through it.
//!
//! ```text
//! bin/bolo.rs   -> runtime::main     arguments -> verb -> exit code
//! bin/forno.rs  -> image::main
//!
//! sys/          the fence: the only unsafe code, one function per system call, no policy. sys::root resolves every path
//!               below a root filesystem; nothing else does.
//! error.rs      one error type: what was being done, outermost first, the kernel's word last, and the exit code
//!
//! usage.rs      a command line that is not understood, in one line
//! idmap.rs      the programs that give a user more than one id
//! reaper.rs     a container's first process, for programs that do not want to be it
//!
//! runtime/      bolo: parse, plan, execute
//!   cli         the flags and the table of verbs; a verb is one file beside it (create, start, run, exec, kill, ...)
//!   bundle      config.json, read once;  spec  its types
//!   plan        THE SCREEN: config.json to a list of steps, in order, with reasons; plan/* is a part of it each
//!   creation    what create and run share: from a bundle to a container that waits for start, or nothing at all
//!   host        the parent's side: clone, maps, limits, hooks; it puts the child's failures into words
//!   init        THE OTHER SCREEN: the child walks the steps and becomes the program; init/* carries them out
//!   store       the state directory;  record  what is in it, and what others are told of it
//!   cgroup      version 1, version 2 and hybrid hosts;  seccomp  a compiler of profiles;  hooks, seal, log, ...
//!
//! image/        forno (feature `image`; bolo alone neither compiles nor audits it)
//!   verbs       a verb is one file below and one line in its table
//!   dockerfile  text to instructions;  plan  instructions to stages of steps;  build  carries them out
//!   store       images, blobs and laid out layers, shared by many processes;  layer  tar to tree and back
//!   rootless    an ordinary user's namespace, which all calls share
//!   snapshot    a writable directory on an image's layers;  container, network, volume  what runs, and its surroundings
//! ```
//!
//! The two halves meet at a bundle directory and a command line, and never import each other.

pub mod error;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
pub mod idmap;
#[cfg(feature = "image")]
pub mod image;
pub mod reaper;
pub mod runtime;
pub mod sys;
pub mod usage;
