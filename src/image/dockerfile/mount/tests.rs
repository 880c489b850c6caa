use super::*;

fn resolved(text: &str) -> Result<Resolved> {
    Mount::parse(text)?.resolve(&mut |value| Ok(value.replace("$V", "value")))
}

#[test]
fn every_kind_has_its_defaults() {
    let bind = resolved("target=/x").unwrap();
    assert_eq!((bind.kind, bind.read_only, bind.target.as_deref()), (Kind::Bind, true, Some("/x")));
    let cache = resolved("type=cache,dst=/c,id=$V,sharing=locked,mode=0750,uid=5").unwrap();
    assert_eq!((cache.read_only, cache.sharing, cache.id.as_deref()), (false, Sharing::Locked, Some("value")));
    assert_eq!((cache.mode, cache.uid, cache.gid), (Some(0o750), Some(5), None));
    let tmpfs = resolved("type=tmpfs,target=/t,size=1.5k").unwrap();
    assert_eq!((tmpfs.kind, tmpfs.size), (Kind::Tmpfs, 1536));
    assert!(resolved("type=secret,id=a,required").unwrap().required);
    assert!(!resolved("type=secret,id=a,required=false").unwrap().required);
    assert!(!resolved("target=/x,rw").unwrap().read_only);
    assert!(!resolved("target=/x,ro=false").unwrap().read_only);
    assert!(resolved("type=cache,target=/x,readonly").unwrap().read_only);
}

#[test]
fn a_quoted_field_may_have_commas() {
    let mount = resolved("\"target=/a,b\",\"source=/s\"\"x\"").unwrap();
    assert_eq!((mount.target.as_deref(), mount.source.as_deref()), (Some("/a,b"), Some("/s\"x")));
}

#[test]
fn what_is_wrong_is_said() {
    for (text, says) in [
        ("targt=/x", "did you mean target"),
        ("type=bnd,target=/x", "did you mean bind"),
        ("target", "has no value"),
        ("target=/x,ro=perhaps", "neither true nor false"),
        ("type=cache,target=/x,sharing=both", "unknown sharing"),
        ("type=bind,target=/x,size=1", "not allowed"),
        ("type=secret,id=a,from=b", "not allowed"),
        ("type=tmpfs,target=/x,size=big", "no size"),
        ("type=tmpfs,target=/x,size=9999999999999p", "too much"),
        ("type=cache,target=/x,mode=8", "no octal number"),
        ("type=cache,target=/x,uid=-1", "no number"),
        ("type=cache,target=/x,from=$X", "variables are not replaced"),
        ("type=secret", "needs id, source or target"),
        ("type=secret,id=a,src=b", "both name"),
        ("\"open", "no closing double quote"),
        ("\"a\"b", "want a comma"),
    ] {
        let error = resolved(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn sizes_are_powers_of_1024() {
    for (text, want) in
        [("0", 0), ("10", 10), ("1b", 1), ("1k", 1024), ("2MB", 2 << 20), ("1GiB", 1 << 30), ("1 t", 1 << 40)]
    {
        assert_eq!(size(text).unwrap(), want, "{text}");
    }
    for bad in ["", "k", "1x", "-1", ".5", "1.2.3", "1bb"] {
        assert!(size(bad).is_err(), "{bad:?}");
    }
}
