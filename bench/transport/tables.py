"""From what the program counted to what one wants to know, and the table of it."""

MIB = 1 << 20
GIB = 1 << 30


def figures(line):
    """A case with its rates and its processor time, of client and server together."""
    processor = line["client_cpu_s"] + line["server_cpu_s"]
    calls = line["calls"]
    moved = calls * line["bytes"]
    return dict(line, calls_per_s=calls / line["seconds"], mib_per_s=moved / MIB / line["seconds"],
                cpu_us_per_call=processor / calls * 1e6,
                cpu_s_per_gib=processor / moved * GIB if moved else None)


def key(case):
    return case["case"], case["bytes"], case["in_flight"]


def better(case, other):
    if case["calls_per_s"] is None:
        return case["median_us"] < other["median_us"]
    return case["calls_per_s"] > other["calls_per_s"]


def best(runs):
    """{key: the best run of each case}; a busy moment makes a run worse, never better."""
    chosen = {}
    for run in runs:
        for case in run:
            if key(case) not in chosen or better(case, chosen[key(case)]):
                chosen[key(case)] = case
    return chosen


def size(count):
    for unit, bytes_ in (("MiB", MIB), ("KiB", 1024)):
        if count >= bytes_ and count % bytes_ == 0:
            return f"{count // bytes_} {unit}"
    return f"{count} B"


def rows(case, figure):
    """The figures that matter for a case: (what, value, decimals)."""
    yield "median us", figure["median_us"], 1
    if case == "message":
        yield "calls/s", figure["calls_per_s"], 0
        yield "CPU us/call", figure["cpu_us_per_call"], 1
    else:
        yield "MiB/s", figure["mib_per_s"], 0
        yield "CPU s/GiB", figure["cpu_s_per_gib"], 3


def cell(value, decimals):
    return f"{'-' if value is None else format(value, f',.{decimals}f'):>10}"


def table(results, baseline):
    """A line a figure that the baseline has: what was measured, and its ratio to the baseline."""
    chosen = {over: best(runs) for over, runs in results.items()}
    others = [over for over in chosen if over != baseline]
    head = f"{'case':16} {'in flight':>9}  {'figure':12}{baseline:>10}"
    lines = [head + "".join(f"{over:>10} {'ratio':>6}" for over in others)]
    for wanted in sorted(chosen[baseline]):
        case, bytes_, in_flight = wanted
        name = case if not bytes_ else f"{case} {size(bytes_)}"
        columns = {over: list(rows(case, chosen[over][wanted])) for over in chosen}
        for i, (what, value, decimals) in enumerate(columns[baseline]):
            if value is None:
                continue
            line = f"{name:16} {in_flight:>9}  {what:12}{cell(value, decimals)}"
            for over in others:
                other = columns[over][i][1]
                ratio = f"{other / value:.2f}" if value and other is not None else "-"
                line += f"{cell(other, decimals)} {ratio:>6}"
            lines.append(line)
            name, in_flight = "", ""
    return "\n".join(lines)
