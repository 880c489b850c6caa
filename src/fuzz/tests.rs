//! A little of what fuzz/ does, on every run of the tests and without its tools: each byte of a good text changed, and
//! texts put together from pieces of good ones. The numbers are the same on every run.

const CONFIG: &str = r#"{
    "ociVersion": "1.2.0",
    "process": {"terminal": false, "user": {"uid": 7, "gid": 8, "umask": 18, "additionalGids": [1, 2]}, "cwd": "/",
        "args": ["sh", "-c", "true"], "env": ["PATH=/bin", "A=b"], "noNewPrivileges": true, "oomScoreAdj": 5,
        "capabilities": {"bounding": ["CAP_KILL"], "ambient": ["CAP_KILL"]},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 18446744073709551615}],
        "scheduler": {"policy": "SCHED_BATCH", "nice": 3}, "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4},
        "execCPUAffinity": {"initial": "0-3,7", "final": "0"}},
    "root": {"path": "rootfs", "readonly": true}, "hostname": "tart",
    "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/b", "source": "/x", "options": ["rbind", "rro", "rslave", "idmap"],
         "uidMappings": [{"containerID": 0, "hostID": 4294967295, "size": 1}],
         "gidMappings": [{"containerID": 0, "hostID": 1, "size": 1}]},
        {"destination": "/t", "type": "tmpfs", "source": "t", "options": ["size=1k", "mode=0755", "tmpcopyup"]}],
    "hooks": {"poststop": [{"path": "/bin/true", "args": ["x"], "timeout": 9223372036854775807}]},
    "annotations": {"a": "b"},
    "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "user"}, {"type": "uts"}, {"type": "time"}],
        "uidMappings": [{"containerID": 0, "hostID": 1, "size": 4294967294}], "sysctl": {"kernel.msgmax": "1"},
        "timeOffsets": {"boottime": {"secs": -9223372036854775808, "nanosecs": 4294967295}},
        "devices": [{"path": "/dev/x", "type": "c", "major": -1, "minor": 9223372036854775807, "fileMode": 4294967295}],
        "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"], "rootfsPropagation": "rslave",
        "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0-8191", "flags": ["MPOL_F_STATIC_NODES"]},
        "personality": {"domain": "LINUX32"}, "resources": {"devices": [{"allow": false, "access": "rwm"}]}}
}"#;

const PROFILE: &str = r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "flags": ["SECCOMP_FILTER_FLAG_LOG"],
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64"],
    "syscalls": [{"names": ["read", "clone3", "socketcall"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [
            {"index": 0, "value": 18446744073709551615, "op": "SCMP_CMP_LE"},
            {"index": 5, "value": 983040, "valueTwo": 131072, "op": "SCMP_CMP_MASKED_EQ"}]}]}"#;

/// Knuth's generator: the same numbers on every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

/// Values that a number, a word or a list of JSON may be replaced by.
const VALUES: [&str; 12] = [
    "null",
    "-1",
    "4294967295",
    "18446744073709551615",
    "1e400",
    "\"\"",
    "\"\\u0000\"",
    "[]",
    "{}",
    "[null]",
    "true",
    "\"../../x\"",
];

fn mutated(seed: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut text = seed.to_vec();
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(text.len());
        let end = (at + numbers.below(24)).min(text.len());
        match numbers.below(5) {
            0 => text[at] = numbers.below(256) as u8,
            1 => drop(text.drain(at..end)),
            2 => {
                let piece = text[at..end].to_vec();
                let to = numbers.below(text.len());
                text.splice(to..to, piece);
            }
            3 => text.truncate(at.max(1)),
            _ => {
                // A whole value, from behind a colon to the next comma.
                let Some(start) = text[at..].iter().position(|byte| *byte == b':').map(|found| at + found + 1) else {
                    continue;
                };
                let length = text[start..].iter().position(|byte| *byte == b',').unwrap_or(0);
                text.splice(start..start + length, VALUES[numbers.below(VALUES.len())].bytes());
            }
        }
        if text.is_empty() {
            text.push(b'{');
        }
    }
    text
}

fn try_all(seed: &[u8], count: usize, target: fn(&[u8])) {
    target(seed);
    let mut numbers = Numbers(7);
    for _ in 0..count {
        target(&mutated(seed, &mut numbers));
    }
}

#[test]
fn mutated_configs() {
    assert!(crate::runtime::bundle::parse(CONFIG.as_bytes()).is_ok(), "the seed itself is no config.json");
    try_all(CONFIG.as_bytes(), 20_000, super::config);
}

#[test]
fn mutated_profiles() {
    try_all(PROFILE.as_bytes(), 1_000, super::seccomp);
}

#[cfg(feature = "image")]
#[test]
fn mutated_references() {
    let digest = format!("registry.example.org:5000/a/b.c__d:tag-1@sha256:{}", "0123456789abcdef".repeat(4));
    try_all(digest.as_bytes(), 20_000, super::reference);
}

#[cfg(feature = "image")]
#[test]
fn mutated_archives() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(3);
    builder.append_data(&mut header.clone(), "dir/file", &b"rye"[..]).unwrap();
    builder.append_data(&mut header.clone(), "x/".repeat(120), &b"rye"[..]).unwrap();
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Symlink);
    builder.append_link(&mut header.clone(), "link", "../../canary").unwrap();
    header.set_entry_type(tar::EntryType::Link);
    builder.append_link(&mut header, "hard", "dir/file").unwrap();
    let seed = builder.into_inner().unwrap();
    try_all(&seed, 5_000, super::tar);
    try_all(&seed, 300, super::layer);
}

#[cfg(feature = "image")]
const DOCKERFILE: &str = r##"# syntax=docker/dockerfile:1
# escape=\
# check=skip=all
ARG BASE=bb:1 X="a b"
FROM --platform=$BUILDPLATFORM ${BASE:-x} AS one
ENV A=b C="d $A" E='f' \
  # comment
  G=${A:+${C%b*}} H=${A#x} I=${A//b/c} J=${A/?/}
ENV old form here
LABEL "a b"=c d=e
RUN --mount=type=cache,target=/k,id=${A},sharing=locked,mode=0755 --mount=type=secret,id=s,env=S,required --network=none make \
  all
RUN <<-EOF cat > /x && <<"E2" sh
	one $A
	EOF
two
E2
COPY --chown=1:2 --chmod=u=rwX --link --parents --exclude=*.x a b[c-d]* ./e/./f /d/
COPY --from=one ["a b", "c"]
COPY <<F1 <<'F2' /h/
$A
F1
$B
F2
ADD --checksum=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef https://h/f?x#y /z
ADD --keep-git-dir=true git@h:r.git#v1:sub /g
FROM one
ONBUILD RUN echo <<E
x
E
HEALTHCHECK --interval=1m30s --timeout=3.5s --retries=2 CMD ["curl", "x"]
EXPOSE 80 90-100/udp
SHELL ["/bin/sh", "-c"]
USER a:b
VOLUME ["/a", "/b"]
WORKDIR $A/x
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT exec x
CMD ["a", "b"]
MAINTAINER me
"##;

/// How often; `FUZZ_SECONDS` makes it a matter of time.
#[cfg(feature = "image")]
fn try_for_long(seed: &[u8], count: usize, target: fn(&[u8])) {
    let Some(seconds) = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()) else {
        return try_all(seed, count, target);
    };
    let (begun, mut numbers, mut tried) = (std::time::Instant::now(), Numbers(u64::from(std::process::id())), 0u64);
    let limit = std::time::Duration::from_secs(seconds);
    while begun.elapsed() < limit {
        let input = mutated(seed, &mut numbers);
        if std::panic::catch_unwind(|| target(&input)).is_err() {
            panic!("input: {:?}", String::from_utf8_lossy(&input));
        }
        tried += 1;
    }
    println!("{tried} inputs in {seconds} s");
}

#[cfg(feature = "image")]
#[test]
fn mutated_dockerfiles() {
    use crate::image::dockerfile::Dockerfile;
    assert!(Dockerfile::parse("Dockerfile", DOCKERFILE.as_bytes()).is_ok(), "the seed itself is no Dockerfile");
    try_for_long(DOCKERFILE.as_bytes(), 2_000, super::dockerfile);
}

#[cfg(feature = "image")]
#[test]
fn mutated_words() {
    let seed = r#"a${A:-b${C+"d"}}'e$f'\g"h\$i"${J##k*?}${L//m/n}${O/p}${Q:?r}$1s${T%%[u]}"#;
    try_for_long(seed.as_bytes(), 20_000, super::expand);
}
