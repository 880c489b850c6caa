"""Results, as text for a terminal and as Markdown for the documentation."""


def rows(results):
    """(engine, operation) -> runtime -> result; the order is that of the first runtime."""
    found = {}
    for line in results:
        found.setdefault((line["engine"], line["operation"]), {})[line["runtime"]] = line
    return found


def runtimes(results):
    return list(dict.fromkeys(line["runtime"] for line in results))


def regressions(results):
    """How many operations fail with the first runtime and pass with another: with one alone, every failure counts."""
    names = runtimes(results)
    count = 0
    for verdicts in rows(results).values():
        ours = verdicts.get(names[0], {"verdict": "fail"})["verdict"]
        others = [v["verdict"] for name, v in verdicts.items() if name != names[0]]
        count += ours == "fail" and (not others or "pass" in others)
    return count


def text(results):
    names = runtimes(results)
    lines = []
    for (engine, operation), verdicts in rows(results).items():
        cells = [f"{name} {verdicts[name]['verdict'] if name in verdicts else '-':4}" for name in names]
        lines.append(f"{engine:12} {operation:58} {'  '.join(cells)}")
        whys = {}
        for name in names:
            if verdicts.get(name, {}).get("why"):
                whys.setdefault(verdicts[name]["why"], []).append(name)
        lines += [f"{'':12}   {', '.join(who)}: {why}" for why, who in whys.items()]
    return "\n".join(lines)


def sums(results):
    names = runtimes(results)
    lines = [f"{'engine':12} {'operations':>10} " + " ".join(f"{name:>8}" for name in names)]
    for engine in dict.fromkeys(line["engine"] for line in results):
        mine = [line for line in results if line["engine"] == engine]
        count = len(rows(mine))
        passed = [sum(line["verdict"] == "pass" for line in mine if line["runtime"] == name) for name in names]
        lines.append(f"{engine:12} {count:10} " + " ".join(f"{n:>8}" for n in passed))
    return "\n".join(lines)
