//! Mutated config.json files: whatever is in it, a word and an exit code, never a crash, and nothing left behind.
//!
//! Each case is made of the place and the value, or of a seed that is printed, so that it can be had again.

use crate::kit::*;

/// A config.json with something in nearly every field that the specification has.
fn rich() -> Bundle {
    let mut bundle =
        Bundle::sh("true").hook("prestart", "true").hook("createContainer", "true").hook("poststop", "true");
    let limits = [
        ("memory", json!({"limit": 200_000_000_u64, "swap": 200_000_000_u64})),
        ("cpu", json!({"shares": 512, "quota": 50_000, "period": 100_000, "cpus": "0"})),
        ("pids", json!({"limit": 100})),
    ];
    for (controller, limits) in limits.into_iter().filter(|(controller, _)| host::controller(controller)) {
        bundle = bundle.set(&format!("/linux/resources/{controller}"), limits);
    }
    bundle
        .set("/domainname", "oven")
        .set("/annotations", json!({"org.example": "rye"}))
        .set("/process/user/additionalGids", json!([7, 8]))
        .set("/process/user/umask", 18)
        .set("/process/oomScoreAdj", 100)
        .set("/process/consoleSize", json!({"height": 24, "width": 80}))
        .set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 4}))
        .set("/process/scheduler", json!({"policy": "SCHED_OTHER", "nice": 1, "flags": []}))
        .set("/process/execCPUAffinity", json!({"initial": "0", "final": "0"}))
        .set("/hooks/prestart/0/timeout", 60)
        .namespace("time")
        .set("/linux/timeOffsets", json!({"monotonic": {"secs": 5, "nanosecs": 6}}))
        .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1", "kernel.msgmax": "8192"}))
        .push("/linux/devices", json!({"path": "/dev/kiln", "type": "c", "major": 1, "minor": 3, "fileMode": 438, "uid": 1, "gid": 1}))
        .push("/linux/devices", json!({"path": "/dev/pipe", "type": "p"}))
        .set("/linux/rootfsPropagation", "rslave")
        .set("/linux/personality", json!({"domain": "LINUX", "flags": []}))
        .set("/linux/seccomp", json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64"],
            "flags": ["SECCOMP_FILTER_FLAG_LOG"],
            "syscalls": [{
                "names": ["acct", "personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                "args": [{"index": 0, "value": 7, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]
            }]
        }))
        .push("/mounts", json!({"destination": "/crumbs", "type": "tmpfs", "source": "tmpfs", "options": ["ro", "size=64k", "tmpcopyup"]}))
        .push("/mounts", json!({"destination": "/etc/group", "source": "rootfs/etc/passwd", "options": ["bind", "rro"]}))
}

fn values() -> Vec<Value> {
    let long = "crumb".repeat(2000);
    let words =
        ["", " ", "\u{0}", "a\nb", "crumb\u{0}", "../..", "/", "-1", "é\u{202e}", "SCMP_ACT_BAKE", "rye", "%s%n"];
    let mut values: Vec<Value> = words.map(Value::from).to_vec();
    values.push(json!(long));
    let numbers = [
        json!(0),
        json!(-1),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(u32::MAX),
        json!(1u64 << 32),
        json!(0.5),
        json!(1e300),
    ];
    values.extend(numbers);
    values.extend([
        json!(null),
        json!(true),
        json!(false),
        json!([]),
        json!({}),
        json!([[]]),
        json!([null]),
        json!({"": {}}),
    ]);
    values
}

/// A reproducible sequence (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                pointers(value, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| pointers(value, format!("{at}/{n}"), found))
        }
        _ => {}
    }
    if !at.is_empty() {
        found.push(at);
    }
}

/// The runtime in namespaces of its own, so that no mutation reaches the host.
fn call(bundle: &Bundle, verb: &str, text: &[u8]) -> Output {
    std::fs::write(bundle.bundle_dir().join("config.json"), text).unwrap();
    let directory = bundle.bundle_dir().to_str().unwrap();
    let call = bundle.call([verb, "--bundle", directory, bundle.id()]);
    if verb == "plan" { call.run() } else { call.under(["unshare", "--mount", "--uts", "--ipc", "--net"]).run() }
}

/// Whether it went well; where it did not, there is one line, and it says which part of config.json, or which program.
#[track_caller]
fn judge(output: &Output, case: &str) -> bool {
    assert!([0, 1].contains(&output.code), "{case}: {output}");
    assert!(!output.stderr.contains("panicked"), "{case}: {output}");
    // A hook of the container may say something, too.
    let ours = output.stderr.lines().filter_map(|line| line.strip_prefix("bolo: "));
    let errors: Vec<&str> = ours.filter(|line| !line.starts_with("warning: ")).collect();
    if output.code == 0 {
        assert!(errors.is_empty(), "{case}: {output}");
        return true;
    }
    let [message] = errors[..] else { panic!("{case}: {} lines of error: {output}", errors.len()) };
    let places = [
        "ociVersion",
        "process",
        "root",
        "hostname",
        "domainname",
        "mounts",
        "hooks",
        "annotations",
        "linux",
        "config.json",
    ];
    assert!(places.iter().any(|place| message.contains(place)), "{case}: no place in the message: {output}");
    assert!(message.len() < 7100, "{case}: a message of {} bytes: {output}", message.len());
    assert!(!message.contains('\u{202e}') && !message.contains('\u{0}'), "{case}: {output}");
    false
}

/// Of one mutation the message names the place: the member that changed, or the one above it.
#[track_caller]
fn names_its_place(output: &Output, pointer: &str, case: &str) {
    let mut dotted = String::new();
    for token in pointer.split('/').skip(1).take(2) {
        match token.parse::<u32>() {
            Ok(index) => dotted += &format!("[{index}]"),
            Err(_) if dotted.is_empty() => dotted = token.to_owned(),
            Err(_) => dotted += &format!(".{token}"),
        }
    }
    assert!(
        output.code == 0 || output.stderr.contains(&dotted),
        "{case}: the message does not name {dotted}: {output}"
    );
}

/// Creates, and removes what was created.
#[track_caller]
fn create(bundle: &Bundle, text: &[u8], case: &str) {
    let output = call(bundle, "create", text);
    names_its_place(&output, case.split(" = ").next().unwrap(), case);
    if judge(&output, case) {
        bundle.call(["delete", "--force", bundle.id()]).run().ok();
    }
    let left: Vec<_> = std::fs::read_dir(bundle.root()).unwrap().flatten().collect();
    assert!(left.is_empty(), "{case}: left {left:?}: {output}");
    let cgroups: Vec<_> = ["crumb", "rye", " ", "-1", "%s%n"].iter().flat_map(|name| cgroup::find(name)).collect();
    assert!(cgroups.is_empty(), "{case}: left {cgroups:?}: {output}");
    bundle.leaves_nothing();
}

fn mutated(config: &Value, pointer: &str, value: &Value) -> Vec<u8> {
    let mut config = config.clone();
    *config.pointer_mut(pointer).unwrap() = value.clone();
    config.to_string().into_bytes()
}

#[test]
fn each_value_in_each_place_is_planned_or_refused() {
    bolo_only!("feeds what may not even be tried elsewhere");
    let bundle = rich();
    let config: Value = serde_json::from_str(&bundle.config_text()).unwrap();
    let mut places = Vec::new();
    pointers(&config, String::new(), &mut places);
    judge(&call(&bundle, "plan", config.to_string().as_bytes()), "unchanged");
    let values = values();
    for (number, pointer) in places.iter().enumerate() {
        // Each place meets a quarter of the values; all places together meet each value many times.
        for value in values.iter().skip(number % 4).step_by(4) {
            let output = call(&bundle, "plan", &mutated(&config, pointer, value));
            let case = format!("{pointer} = {:.60}", value.to_string());
            judge(&output, &case);
            names_its_place(&output, pointer, &case);
        }
    }
}

#[test]
fn each_place_is_created_with_or_refused() {
    bolo_only!("feeds what may not even be tried elsewhere");
    let bundle = rich();
    let config: Value = serde_json::from_str(&bundle.config_text()).unwrap();
    create(&bundle, config.to_string().as_bytes(), "unchanged");
    let mut places = Vec::new();
    pointers(&config, String::new(), &mut places);
    // The host's own root is no place to try things in.
    places.retain(|pointer| pointer != "/root/path");
    let values = values();
    for (number, pointer) in places.iter().enumerate() {
        let value = &values[number * 7 % values.len()];
        create(&bundle, &mutated(&config, pointer, value), &format!("{pointer} = {:.60}", value.to_string()));
    }
}

/// Several mutations at once, entries doubled and dropped, and text that is damaged.
#[test]
fn random_damage_is_survived() {
    bolo_only!("feeds what may not even be tried elsewhere");
    let bundle = rich();
    let config: Value = serde_json::from_str(&bundle.config_text()).unwrap();
    let values = values();
    for seed in 1..=300_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut changed = config.clone();
        for _ in 0..=dice.roll(3) {
            let mut places = Vec::new();
            pointers(&changed, String::new(), &mut places);
            let pointer = places[dice.roll(places.len())].clone();
            if pointer.starts_with("/root") {
                continue;
            }
            let slot = changed.pointer_mut(&pointer).unwrap();
            match (dice.roll(4), slot) {
                (0, Value::Array(items)) => items.extend(items.clone()),
                (1, Value::Array(items)) if !items.is_empty() => drop(items.remove(dice.roll(items.len()))),
                (0, Value::Object(map)) => {
                    drop(map.shift_remove(&map.keys().nth(dice.roll(map.len())).unwrap().clone()))
                }
                (_, slot) => *slot = values[dice.roll(values.len())].clone(),
            }
        }
        let mut text = changed.to_string().into_bytes();
        if seed % 3 == 0 {
            let at = dice.roll(text.len());
            match dice.roll(3) {
                0 => text.truncate(at),
                1 => text[at] ^= 1 << dice.roll(8),
                _ => drop(text.splice(at..at, *b"\"\xff,")),
            }
        }
        let verb = if seed % 2 == 0 { "plan" } else { "create" };
        let case = format!("seed {seed}");
        if verb == "create" {
            create(&bundle, &text, &case)
        } else {
            let _ = judge(&call(&bundle, verb, &text), &case);
        }
    }
}
