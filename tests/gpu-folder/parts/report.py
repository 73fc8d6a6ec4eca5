"""results.json and results.md."""

import json
import os
import pathlib


def write(folder, results):
    """Both files, each put in its place whole."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in [("results.json", json.dumps(results, indent=2) + "\n"), ("results.md", table(results))]:
        beside = folder / f".{name}.new"
        beside.write_text(text)
        os.replace(beside, folder / name)


def number(value, digits):
    return "–" if value is None else f"{value:.{digits}f}"


def table(results):
    gpu, driver = results["gpu"], results["driver"]
    lines = [f"# {gpu['name']}", ""]
    if results["emulated"]:
        lines += ["**This GPU is emulated: its times say nothing of a card.**", ""]
    memory = f"{gpu['memory_mib'] / 1024:.1f} GiB" if gpu.get("memory_mib") else "–"
    lines += [
        f"- memory {memory}; driver {driver['release'] or '–'}, CUDA {driver['cuda'] or '–'}",
        f"- libraries: driver from {results['libraries']['driver']}, cuBLAS and cuRAND from {results['libraries']['cuda']}",
        f"- PyTorch: {results['pytorch']}",
        f"- {results['began']}, {results['seconds']:.0f} s{', quick' if results['quick'] else ''}; built from {results['made_of']['commit']}",
    ]
    if results["interrupted"]:
        lines.append("- **interrupted: what follows is not all**")
    lines += ["", "| check | result | s | why |", "| --- | --- | ---: | --- |"]
    for step in results["checks"]:
        why = step.get("why", "").replace("|", "\\|")
        lines.append(f"| {step['name']} | {step['status']} | {number(step.get('seconds'), 1)} | {why} |")
    if not results["times"]:
        return "\n".join(lines) + "\n"
    lines += [
        "",
        "The ratio is how many times as long PyTorch takes. Memory is the most of the GPU's that was used.",
        "",
        "| model | case | texts × tokens | ms | tokens/s | TFLOP/s | MiB | PyTorch ms | MiB | ratio |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    notes = []
    for row in results["times"]:
        ours, theirs = row["ours"], row["pytorch"]
        milliseconds = lambda one: number(one["seconds"] * 1e3, 3) if "seconds" in one else next(iter(one))
        lines.append(
            f"| {row['model']}, {row['layers']} layers | {row['case']} | {row['texts']} × {row['tokens']} | {milliseconds(ours)} "
            f"| {number(ours.get('tokens_per_second'), 0)} | {number(ours.get('tflop_per_second'), 2)} "
            f"| {number(ours.get('device_peak_mib'), 0)} | {milliseconds(theirs)} | {number(theirs.get('device_peak_mib'), 0)} "
            f"| {number(row.get('ratio'), 2)} |"
        )
        for name, one in [("ours", ours), ("PyTorch", theirs)]:
            why = one.get("failed") or one.get("skipped")
            if why:
                notes.append((f"{row['model']} {row['case']} {row['texts']} × {row['tokens']}, {name}", why))
    for why in dict.fromkeys(why for _, why in notes):
        names = [name for name, other in notes if other == why]
        what = names[0] if len(names) == 1 else f"{len(names)} cases, such as {names[0]}"
        lines += ["", f"- {what}: {why}"]
    return "\n".join(lines) + "\n"
