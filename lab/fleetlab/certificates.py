"""What etcd's TLS and its tokens need, made at run time: an authority, etcd's certificate and the
clients', and the key that signs tokens. PEM files in the lab's directory `tls`."""
import os

from . import layout as names
from .process import run

_CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"]


class Files:
    """Where they are."""

    def __init__(self, layout):
        self.directory = layout.path("tls")
        self.ca = self._path("ca.pem")
        self.ca_key = self._path("ca-key.pem")
        self.server = self._path("server.pem")
        self.server_key = self._path("server-key.pem")
        self.client = self._path("client.pem")
        self.client_key = self._path("client-key.pem")
        self.token_key = self._path("token-key.pem")
        self.token_public = self._path("token.pem")

    def _path(self, name):
        return os.path.join(self.directory, name)


def create(layout, state):
    """Makes what this lab's etcd was asked to use."""
    files = Files(layout)
    if state["etcd_tls"] or state["etcd_token_ttl"]:
        os.makedirs(files.directory, mode=0o700)
    if state["etcd_tls"]:
        run(["openssl", "req", "-x509", *_CURVE, "-subj", f"/CN=authority of lab {layout.name}",
             "-keyout", files.ca_key, "-out", files.ca])
        addresses = ",".join("IP:" + names.address(state["subnet"], host)
                             for host in names.ETCD_HOSTS)
        # etcd shows its own certificate to itself as a client: its JSON gateway does.
        _sign(files, "etcd", files.server, files.server_key, "-addext",
              f"subjectAltName={addresses}", "-addext", "extendedKeyUsage=serverAuth,clientAuth")
        # Not the name of a user: for etcd that would be a login.
        _sign(files, "client", files.client, files.client_key, "-addext",
              "extendedKeyUsage=clientAuth")
    if state["etcd_token_ttl"]:
        run(["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout",
             "-out", files.token_key])
        run(["openssl", "ec", "-in", files.token_key, "-pubout", "-out", files.token_public])


def _sign(files, name, certificate, key, *options):
    run(["openssl", "req", "-x509", *_CURVE, "-CA", files.ca, "-CAkey", files.ca_key,
         "-subj", f"/CN={name}", "-keyout", key, "-out", certificate, *options])
