use super::properties::{base, unknown};
use super::*;
use crate::runtime::dbus::Refusal;
use crate::runtime::spec::resources::Resources;
use serde_json::json;

fn names(path: Option<&str>, user: bool) -> Result<(String, String)> {
    name::parse(path, "tart", user).map(|names| (names.slice, names.unit))
}

#[test]
fn slice_prefix_and_name() {
    for (path, user, slice, unit) in [
        (None, false, "system.slice", "bolo-tart.scope"),
        (None, true, "user.slice", "bolo-tart.scope"),
        (Some("::x"), false, "system.slice", "x.scope"),
        (Some("machine.slice:libpod:0a"), true, "machine.slice", "libpod-0a.scope"),
        (Some("a-b.slice:cri:x+y"), false, "a-b.slice", "cri-x\\x2by.scope"),
        (Some("a.slice:cri:a-pod.slice"), false, "a.slice", "a-pod.slice"),
        (Some("-.slice:p:n"), false, "-.slice", "p-n.scope"),
    ] {
        assert_eq!(names(path, user).unwrap(), (slice.to_owned(), unit.to_owned()), "{path:?}");
    }
    let long = format!("::{}", "x".repeat(250));
    for path in ["", "/a/b", "a", "a:b", "a:b:c:d", "a:b:c", "a.slice:b:", "../x.slice:a:b", "a.slice:..:../x", &long] {
        assert!(names(Some(path), false).is_err(), "{path}");
    }
}

#[test]
fn slices_in_the_tree() {
    for (slice, path) in [("a.slice", "a.slice"), ("a-b-c.slice", "a.slice/a-b.slice/a-b-c.slice"), ("-.slice", "")] {
        assert_eq!(name::expand(slice).unwrap(), path);
    }
    for slice in ["", "a", ".slice", "-a.slice", "a-.slice", "a--b.slice", "a/b.slice", "a b.slice", "--.slice"] {
        assert!(name::expand(slice).is_err(), "{slice}");
    }
}

fn of(resources: serde_json::Value, v2: bool) -> Vec<(String, Value)> {
    use super::super::setting::Version;
    let resources: Resources = serde_json::from_value(resources).unwrap();
    let version = if v2 { Version::V2 } else { Version::V1 };
    let settings = super::super::resources::plan(&resources, |_| version).unwrap();
    of_settings(&settings).into_iter().map(|property| (property.name, property.value)).collect()
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Array("y".to_owned(), bytes.iter().map(|byte| Value::Byte(*byte)).collect())
}

#[test]
fn limits_as_properties() {
    let number = Value::Uint64;
    for (resources, expected) in [
        (
            json!({"memory": {"limit": 100, "swap": 300, "reservation": 50}}),
            vec![("MemorySwapMax", number(200)), ("MemoryMax", number(100)), ("MemoryLow", number(50))],
        ),
        (json!({"memory": {"limit": -1}}), vec![("MemorySwapMax", number(u64::MAX)), ("MemoryMax", number(u64::MAX))]),
        (json!({"pids": {"limit": 7}}), vec![("TasksMax", number(7))]),
        (json!({"pids": {"limit": 0}}), vec![("TasksMax", number(1))]),
        (json!({"pids": {"limit": -1}}), vec![("TasksMax", number(u64::MAX))]),
        (json!({"cpu": {"shares": 1024}}), vec![("CPUWeight", number(100))]),
        (json!({"cpu": {"idle": 1}}), vec![("CPUWeight", number(0))]),
        (
            json!({"cpu": {"quota": 12345}}),
            vec![("CPUQuotaPerSecUSec", number(130_000)), ("CPUQuotaPeriodUSec", number(100_000))],
        ),
        (
            json!({"cpu": {"quota": -1, "period": 5000}}),
            vec![("CPUQuotaPerSecUSec", number(u64::MAX)), ("CPUQuotaPeriodUSec", number(5000))],
        ),
        (
            json!({"cpu": {"cpus": "0,2-3,9", "mems": "0"}}),
            vec![("AllowedCPUs", bytes(&[0b1101, 0b10])), ("AllowedMemoryNodes", bytes(&[1]))],
        ),
        (json!({"blockIO": {"weight": 1000}}), vec![("IOWeight", number(10_000))]),
        (
            json!({"unified": {"memory.high": "5", "memory.min": "6", "cpu.weight": "3", "memory.oom.group": "1"}}),
            vec![
                ("CPUWeight", number(3)),
                ("MemoryHigh", number(5)),
                ("MemoryMin", number(6)),
                ("OOMPolicy", Value::String("kill".to_owned())),
            ],
        ),
        (json!({"unified": {"cpu.max": "max"}}), vec![("CPUQuotaPerSecUSec", number(u64::MAX))]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(of(resources.clone(), true), expected, "{resources}");
    }
    assert_eq!(
        of(json!({"memory": {"limit": 100}, "cpu": {"shares": 9, "quota": 50_000, "period": 100_000}}), false),
        [
            ("MemoryLimit".to_owned(), number(100)),
            ("CPUShares".to_owned(), number(9)),
            ("CPUQuotaPerSecUSec".to_owned(), number(500_000)),
            ("CPUQuotaPeriodUSec".to_owned(), number(100_000)),
        ]
    );
}

#[test]
fn devices_of_version_1() {
    let rules = |value| Rules::parse(&serde_json::from_value::<Vec<_>>(value).unwrap()).unwrap();
    let some = of_devices(&rules(json!([
        {"allow": false},
        {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"},
        {"allow": true, "type": "b", "major": 8, "access": "rw"}
    ])));
    let some = some.unwrap();
    assert_eq!(some[0].value, Value::String("strict".to_owned()));
    let Value::Array(_, list) = &some[2].value else { panic!("{some:?}") };
    let has = |node: &str, access: &str| {
        let pair = Value::Struct(vec![Value::String(node.to_owned()), Value::String(access.to_owned())]);
        assert!(list.contains(&pair), "{node} {access}: {list:?}");
    };
    has("/dev/char/1:11", "r");
    has("block-8", "rw");
    has("char-136", "rwm");
    has("char-*", "m");
    let all = of_devices(&rules(json!([{"allow": true}]))).unwrap();
    assert_eq!(all[0].value, Value::String("auto".to_owned()));
}

fn annotated(name: &str, value: &str) -> Result<Vec<Property>> {
    from_annotations(&Map::from([(name.to_owned(), value.to_owned())]))
}

#[test]
fn annotations_become_properties() {
    let one = |name: &str, value: &str| annotated(name, value).unwrap().remove(0);
    let property = one("org.systemd.property.TimeoutStopUSec", "uint64 5000");
    assert_eq!((property.name.as_str(), property.value), ("TimeoutStopUSec", Value::Uint64(5000)));
    let property = one("org.systemd.property.TimeoutStopSec", "2.5");
    assert_eq!((property.name.as_str(), property.value), ("TimeoutStopUSec", Value::Uint64(2_500_000)));
    let property = one("org.systemd.property.CollectMode", "'inactive'");
    assert_eq!(property.value, Value::String("inactive".to_owned()));
    assert_eq!(annotated("org.example", "x").unwrap(), []);
    for (name, value) in
        [("X", "1"), ("A-B", "1"), ("MemoryMax", "ten"), ("TimeoutStopSec", "'x'"), ("TimeoutSec", "-1")]
    {
        let error = annotated(&format!("org.systemd.property.{name}"), value).unwrap_err().to_string();
        assert!(error.contains("annotations[\"org.systemd.property."), "{error}");
    }
}

#[test]
fn what_an_old_systemd_does_not_know_is_left_out_where_it_can_be() {
    let refusal = |name: &str, message: &str| Refusal {
        name: format!("org.freedesktop.DBus.Error.{name}"),
        message: message.to_owned(),
    };
    let mut base = base("d", "a.slice", Some(1), true);
    let settings =
        super::super::resources::plan(&serde_json::from_value(json!({"cpu": {"cpus": "0"}})).unwrap(), |_| {
            super::super::setting::Version::V2
        });
    let mut wanted = of_settings(&settings.unwrap());
    let gone = refusal("PropertyReadOnly", "Cannot set property AllowedCPUs, or unknown property.");
    assert!(unknown(&mut base, &mut wanted, &gone));
    assert!(wanted.is_empty());
    assert!(!unknown(&mut base, &mut wanted, &gone), "it is gone");
    assert!(!unknown(&mut base, &mut wanted, &refusal("PropertyReadOnly", "Cannot set property Delegate.")));
    assert!(!unknown(&mut base, &mut wanted, &refusal("AccessDenied", "CollectMode")));
    let count = base.len();
    assert!(unknown(&mut base, &mut wanted, &refusal("UnknownProperty", "CollectMode?")));
    assert_eq!(base.len(), count - 1);
}
