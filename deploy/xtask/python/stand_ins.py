"""Lets PyPI's torch be imported where there is no GPU, without the 2 GB of NVIDIA's libraries: stand_ins.py SITE_PACKAGES

torch is linked to them and calls them on a GPU only. Each that is missing beside it gets a stand-in: a library of the
same name with the same symbols, all of which end the process. For tests, and for nothing else.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

site = pathlib.Path(sys.argv[1])
folder = site / "torch/lib"
needing = [folder / name for name in ("libtorch_python.so", "libtorch_cuda.so", "libtorch_nvshmem.so")]


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def needed(library):
    return re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-d", library))


def symbols(library, kind):
    lines = output("nm", "-D", kind, "--with-symbol-versions", library).splitlines()
    return {line.split()[-1] for line in lines if " w " not in line}


def versions(library):
    """Which library each version of symbols that this one needs is of."""
    of = None
    for word, name in re.findall(r"(File|Name): (\S+)", output("readelf", "-V", library)):
        of = name if word == "File" else of
        if word == "Name":
            yield name, of


present = {path.name: path for path in [*site.glob("nvidia/**/*.so*"), *folder.glob("*.so*")]}
linked = {name for library in needing for name in needed(library)}
# What the system has is found by the loader, and starts with none of these.
missing = sorted(name for name in linked - present.keys() if re.match(r"lib(cu|nccl|nvshmem)", name))
if not missing:
    sys.exit()
defined = {name.split("@")[0] for name in linked & present.keys() for name in symbols(present[name], "--defined-only")}
undefined = {symbol for library in needing for symbol in symbols(library, "--undefined-only")}
home = {version: of for library in needing for version, of in versions(library)}
wanted = {name: {} for name in missing}
for symbol in undefined:
    name, _, version = symbol.partition("@")
    if home.get(version) in wanted:
        wanted[home[version]][name] = version
    elif not version and name not in defined:
        # Without a version nobody can tell whose it is, and any of them will do.
        wanted[missing[0]][name] = None

for library, names in wanted.items():
    with tempfile.TemporaryDirectory() as work:
        source, script = pathlib.Path(work, "stand_in.s"), pathlib.Path(work, "versions")
        lines = [f".globl {name}\n.type {name}, %function\n{name}:" for name in sorted(names)]
        # No instruction of any processor's: whoever comes here asked for a GPU.
        source.write_text("\n".join([".text", *lines, ".long 0", '.section .note.GNU-stack,"",%progbits', ""]))
        blocks = {version: [] for version in names.values() if version}
        for name, version in names.items():
            if version:
                blocks[version].append(f"{name};")
        script.write_text("\n".join(f"{version} {{ global: {' '.join(each)} }};" for version, each in blocks.items()))
        options = [f"-Wl,--version-script={script}"] if blocks else []
        command = ["cc", "-shared", "-nostdlib", f"-Wl,-soname,{library}", *options, "-o", folder / library, source]
        subprocess.run(command, check=True)
    print(f"{library}: a stand-in with {len(names)} symbols")
