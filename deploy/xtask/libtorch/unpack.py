"""Unpacks parts of wheels: unpack.py DESTINATION FROM=TO... -- WHEEL...

FROM names a file inside a wheel, or a folder when it ends in "/"; TO is where it goes below
DESTINATION. A rule that no wheel satisfies is an error: the wheel is then not what it is taken for.
"""

import pathlib
import shutil
import sys
import zipfile

split = sys.argv.index("--")
destination = pathlib.Path(sys.argv[1])
rules = dict(rule.split("=", 1) for rule in sys.argv[2:split])
unused = set(rules)

for wheel in sys.argv[split + 1 :]:
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            for source, target in rules.items():
                if entry.filename == source:
                    path = destination / target
                elif source.endswith("/") and entry.filename.startswith(source):
                    path = destination / target / entry.filename[len(source) :]
                else:
                    continue
                unused.discard(source)
                if entry.is_dir():
                    continue
                if destination.resolve() not in path.resolve().parents:
                    sys.exit(f"{wheel}: {entry.filename} would be written outside {destination}")
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as data, open(path, "wb") as file:
                    shutil.copyfileobj(data, file, 1 << 20)

if unused:
    sys.exit(f"not in the wheels: {', '.join(sorted(unused))}")
