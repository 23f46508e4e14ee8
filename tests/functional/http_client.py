"""The HTTP API as a program sees it, over TCP, unix sockets and TLS; and fleetd's configuration."""
import contextlib
import json
import re
import socket
import ssl
import subprocess

from cluster import wait_for

PORT = 49153
JSON = "application/json"
UNIT = {"section": "Service", "name": "ExecStart", "value": "/bin/sleep infinity"}


class Answer:
    """Status, headers (a dict with names in lower case) and body of a response."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:1000]!r}"

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The message of an error entity, which has to be one for this status."""
        assert self.headers["content-type"] == JSON, self
        entity = self.json
        assert set(entity) == {"error"} and set(entity["error"]) == {"code", "message"}, self
        assert entity["error"]["code"] == self.status, self
        assert entity["error"]["message"], self
        return entity["error"]["message"]


class Connection:
    """A connection to the API. What is sent is what the caller says, byte for byte."""

    def __init__(self, sock):
        self.socket = sock
        self.input = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError(f"the server closed the connection after {self.input!r}")
        self.input += data

    def _line_end(self, mark):
        while mark not in self.input:
            self._more()
        data, self.input = self.input.split(mark, 1)
        return data

    def _exactly(self, length):
        while len(self.input) < length:
            self._more()
        data, self.input = self.input[:length], self.input[length:]
        return data

    def read(self, head=False):
        """Reads one response; `head`: it is one to a HEAD."""
        status, *lines = self._line_end(b"\r\n\r\n").decode("latin-1").split("\r\n")
        match = re.fullmatch(r"HTTP/1\.1 (\d\d\d) .+", status)
        assert match, f"no status line: {status}"
        headers = {}
        for line in lines:
            name, value = line.split(":", 1)
            assert name.lower() not in headers, f"{name} twice: {lines}"
            headers[name.lower()] = value.strip()
        code = int(match[1])
        if head or code in (204, 304):
            return Answer(code, headers, b"")
        return Answer(code, headers, self._exactly(int(headers["content-length"])))

    def closed(self):
        """Waits until the server ends the connection; what it sent before is in `input`."""
        try:
            while True:
                self._more()
        except (ConnectionError, ssl.SSLError):
            return True

    def ask(self, method, path, body=None, headers=None):
        """One request and its response. A body that is no bytes is sent as JSON."""
        self.send(request(method, path, body, headers))
        return self.read(head=method == "HEAD")


def request(method, path, body=None, headers=None):
    """The bytes of a request. Headers with the value None are left out."""
    fields = {"Host": "fleet"}
    if body is not None:
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields |= {"Content-Type": JSON, "Content-Length": str(len(body))}
    fields |= headers or {}
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b"")


def connect(address, tls=None, timeout=60):
    """Connects to (host, port) or to the path of a unix socket; tls: an ssl.SSLContext."""
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(address)
    else:
        sock = socket.create_connection(address, timeout)
    return Connection(tls.wrap_socket(sock, server_hostname=address[0]) if tls else sock)


class Api:
    """The API at an address; each request has a connection of its own."""

    def __init__(self, address, tls=None):
        self.address, self.tls = address, tls

    def connect(self, timeout=60):
        return connect(self.address, self.tls, timeout)

    def ask(self, method, path, body=None, headers=None):
        with self.connect() as connection:
            path = path if path.startswith("/") else f"/fleet/v1/{path}"
            return connection.ask(method, path, body, headers)

    def get(self, path, status=200):
        """The entity at a path."""
        answer = self.ask("GET", path)
        assert answer.status == status, answer
        return answer.json

    def put(self, name, state="inactive", /, **members):
        """PUT of a unit; the text is that of a service that sleeps if none is given."""
        if not {"options", "content"} & set(members):
            members["options"] = [UNIT]
        return self.ask("PUT", f"units/{name}", {"desiredState": state, **members})

    def patch(self, *operations, headers=None):
        return self.ask("PATCH", "machines", list(operations), headers)

    def units(self):
        return {unit["name"]: unit for unit in self.get("units?limit=10000")["units"]}

    def metadata(self, machine):
        """The metadata of a machine, by its id."""
        machines = self.get("machines?limit=10000")["machines"]
        return next((entity["metadata"] for entity in machines if entity["id"] == machine), None)


def api_of(lab, machine="m1", port=PORT):
    return Api((lab.ip[machine], port))


def unix_api_of(lab, machine="m1", path="/run/fleet.sock"):
    """The API on a machine's unix socket, which is reached from the host through /proc."""
    machines = json.loads(lab.lab("status", "-o", "json"))["machines"]
    pid = next(entity["pid"] for entity in machines if entity["name"] == machine)
    return Api(f"/proc/{pid}/root{path}")


def serves(api, path="/readyz"):
    """True if the API answers and its machine has joined."""
    try:
        return api.ask("GET", path).status == 200
    except (OSError, ssl.SSLError):
        return False


# --- Certificates ---------------------------------------------------------------------------------


def make_authority(folder, name="ca"):
    """Makes a certificate authority in a folder: NAME.pem and NAME.key."""
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", "-subj", f"/CN=authority {name}", "-keyout", folder / f"{name}.key",
             "-out", folder / f"{name}.pem")


def make_certificate(folder, name, address=None, authority="ca"):
    """Makes NAME.pem and NAME.key, signed by the authority; with an address: for a server there."""
    _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out",
             folder / f"{name}.csr")
    extensions = folder / f"{name}.ext"
    extensions.write_text(f"subjectAltName=IP:{address}\n" if address else
                          "extendedKeyUsage=clientAuth\n")
    _openssl("x509", "-req", "-in", folder / f"{name}.csr", "-days", "2", "-extfile", extensions,
             "-CA", folder / f"{authority}.pem", "-CAkey", folder / f"{authority}.key",
             "-CAcreateserial", "-out", folder / f"{name}.pem")


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)


def client_tls(folder, certificate=None, authority="ca"):
    """A client's TLS: it checks the server, and shows its certificate if it has one."""
    context = ssl.create_default_context(cafile=str(folder / f"{authority}.pem"))
    if certificate:
        context.load_cert_chain(folder / f"{certificate}.pem", folder / f"{certificate}.key")
    return context



# --- fleet.conf -----------------------------------------------------------------------------------


@contextlib.contextmanager
def configured(lab, *lines, machine="m1"):
    """Adds lines to a machine's fleet.conf, with fleetd started anew before and after."""
    conf = "/etc/fleet/fleet.conf"
    lab.shell(machine, f"cp {conf} {conf}.kept")
    try:
        write(lab, conf, "\n".join(lines) + "\n", append=True, machine=machine)
        restart(lab, machine)
        yield unix_api_of(lab, machine)
    finally:
        lab.shell(machine, f"mv {conf}.kept {conf}")
        restart(lab, machine)


def write(lab, path, text, append=False, machine="m1"):
    """Writes a file in a machine."""
    sign = ">>" if append else ">"
    lab.run(machine, "sh", "-c", f"mkdir -p $(dirname {path}) && cat {sign} {path}", input=text)


def restart(lab, machine="m1"):
    """Starts fleetd anew, and waits until it has joined."""
    lab.run(machine, "systemctl", "restart", "fleet")
    api = unix_api_of(lab, machine)
    wait_for(lambda: serves(api), lambda: f"fleetd to join\n{lab.journal(machine)}")


def fleetd_pid(lab, machine="m1"):
    return lab.show(machine, "fleet.service", "MainPID")["MainPID"]


def said(lab, machine="m1", priority=None):
    """What this fleetd has said, of that journald priority only if one is given."""
    options = ["-p", f"{priority}..{priority}"] if priority else []
    invocation = lab.show(machine, "fleet.service", "InvocationID")["InvocationID"]
    lab.run(machine, "journalctl", "--sync")
    return lab.run(machine, "journalctl", "--merge", "-o", "cat", *options,
                   f"_SYSTEMD_INVOCATION_ID={invocation}")


def reload(lab, machine="m1"):
    """SIGHUP, and waits until fleetd has said that it read its configuration again."""
    before = said(lab, machine).count("Reloading configuration")
    lab.run(machine, "systemctl", "kill", "-s", "HUP", "fleet")
    wait_for(lambda: said(lab, machine).count("Reloading configuration") > before,
             "the word of it in the journal")
