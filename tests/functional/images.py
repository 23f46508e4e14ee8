"""Images for containers in the lab. There is no registry within reach: they are made of what the
machine, or this host, has."""
import io
import os
import re
import subprocess
import tarfile

BUSYBOX = """d=$(mktemp -d) && mkdir $d/bin && cp /bin/busybox $d/bin && $d/bin/busybox --install $d/bin
tar -C $d -c . | {engine} import - {image} && rm -r $d"""


def make_busybox(lab, machine, engine="podman", image="localhost/busybox"):
    lab.shell(machine, BUSYBOX.format(engine=engine, image=image))


def make_of_program(lab, program, image):
    """On every machine, for podman: the program as it is installed on this host, and its libraries."""
    linked = subprocess.run(["ldd", program], text=True, capture_output=True, check=True).stdout
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", dereference=True) as tar:
        for folder in ("etc", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path in sorted({program, *re.findall(r"/\S+", linked)}):
            tar.add(os.path.realpath(path), arcname=path.lstrip("/"))
    archive = lab.files / "image.tar"
    archive.write_bytes(data.getvalue())
    for machine in lab.machines:
        with open(archive, "rb") as file:
            lab.run(machine, "podman", "import", "-", image, stdin=file)
