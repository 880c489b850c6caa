use super::*;
use serde_json::json;

fn render(template: &str) -> Result<String> {
    let value = json!({
        "Name": "web", "Size": 12, "On": true, "Off": false, "None": null,
        "Env": ["A=1", "B=2"], "Labels": {"z.y": "1", "a": "2"}, "Config": {"Cmd": ["sh"], "User": ""},
        "Mounts": [{"Source": "/a"}, {"Source": "/b"}],
    });
    template.parse::<Template>()?.render(&value)
}

#[test]
fn what_people_write() {
    for (template, text) in [
        ("plain", "plain"),
        ("{{.Name}}:{{ .Size }}", "web:12"),
        ("{{json .Env}}", r#"["A=1","B=2"]"#),
        ("{{.Env | json}}", r#"["A=1","B=2"]"#),
        ("{{.Env}} {{.Labels}}", "[A=1 B=2] map[a:2 z.y:1]"),
        ("{{.Config.Cmd}} {{.Config.Missing}}", "[sh] <no value>"),
        ("{{index .Labels \"z.y\"}}", "1"),
        ("{{index .Env 1}}", "B=2"),
        ("{{(index .Mounts 1).Source}}", "/b"),
        ("{{join .Env \", \"}}", "A=1, B=2"),
        ("{{range .Env}}<{{.}}>{{end}}", "<A=1><B=2>"),
        ("{{range .Mounts}}{{.Source}}{{println}}{{end}}", "/a\n/b\n"),
        ("{{range .Mounts}}{{$.Name}} {{end}}", "web web "),
        ("{{range .Config.Nothing}}x{{else}}empty{{end}}", "empty"),
        ("{{if .On}}yes{{else}}no{{end}}", "yes"),
        ("{{if .Off}}a{{else if eq .Size 12}}b{{else}}c{{end}}", "b"),
        ("{{if and .On (not .Off)}}both{{end}}", "both"),
        ("{{with .Config}}{{.Cmd}}{{end}}", "[sh]"),
        ("{{with .Config.User}}{{.}}{{else}}root{{end}}", "root"),
        ("{{upper .Name}} {{.Name | title}} {{len .Env}}", "WEB Web 2"),
        ("{{truncate .Name 2}}", "we"),
        ("a {{- .Name -}} b", "awebb"),
        ("{{/* nothing */}}x", "x"),
        ("{{`}}`}}{{\"}}\\n\"}}", "}}}}\n"),
        ("{{or .None \"x\"}}{{gt .Size 3}}", "xtrue"),
        ("{{(split .Name \"e\")}}", "[w b]"),
        ("{{json .}}{{/* */}}", &render("{{json $}}").unwrap()),
    ] {
        assert_eq!(render(template).unwrap(), text, "{template}");
    }
}

#[test]
fn mistakes_are_named() {
    for (template, word) in [
        ("{{.Nmae}}", ".Nmae"),
        ("{{.Name.X}}", ".X"),
        ("{{.Name", "without }}"),
        ("{{end}}", "{{end}} without"),
        ("{{if .On}}x", "without {{end}}"),
        ("{{if .On}}x{{else}}y{{else}}z{{end}}", "without {{end}}"),
        ("{{nothing .}}", "\"nothing\""),
        ("{{}}", "empty"),
        ("{{.Name .Size}}", "two values"),
        ("{{.Name | .Size}}", "only a function"),
        ("{{(.Name}}", "( without )"),
        ("{{.Name)}}", "too much"),
        ("{{$x := 1}}", "variables"),
        ("{{index .Env 9}}", "beyond"),
        ("{{json}}", "does not take 0"),
        ("{{range .Name}}{{end}}", "range over"),
        ("{{\"x}}", "without }}"),
        (&"{{if .On}}".repeat(1000), "blocks"),
        (&format!("{{{{{}}}}}", "(".repeat(1000)), "parentheses"),
    ] {
        let error = render(template).unwrap_err().to_string();
        assert!(error.contains(word), "{template:.40}: {error}");
    }
}

#[test]
fn the_fields_of_a_row() {
    let template: Template = "{{.A}}\t{{if .B}}{{upper .C.D}}{{end}}{{.A}}".parse().unwrap();
    assert_eq!(template.fields(), ["A", "B", "C"]);
}
