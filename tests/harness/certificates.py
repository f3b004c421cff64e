"""Authorities and certificates, made by openssl."""

import pathlib

from .tools import tool


class Authority:
    """An authority in a folder of its own: `ca.crt` is what others trust."""

    def __init__(self, folder: pathlib.Path, name: str = "an authority"):
        folder.mkdir()
        self.folder = folder
        self.certificate, self.key = folder / "ca.crt", folder / "ca.key"
        tool("openssl", "req", "-x509", *self._new(self.key, self.certificate, name), "-days", "30")

    def server(self, name: str = "server") -> tuple[pathlib.Path, pathlib.Path]:
        """A certificate for a server on this machine, and its key."""
        return self.issue(name, "subjectAltName=DNS:localhost,IP:127.0.0.1", "serverAuth")

    def client(self, name: str, days: int = 30) -> tuple[pathlib.Path, pathlib.Path]:
        """A certificate for a client of this name."""
        return self.issue(name, f"subjectAltName=DNS:{name}", "clientAuth", days)

    def issue(self, name, names, purpose, days=30) -> tuple[pathlib.Path, pathlib.Path]:
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text(f"{names}\nextendedKeyUsage={purpose}\nbasicConstraints=CA:FALSE\n")
        tool("openssl", "req", *self._new(key, request, name))
        ours = ["-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial"]
        words = ["-in", request, "-out", certificate, "-extfile", extensions, "-days", days]
        tool("openssl", "x509", "-req", *ours, *words)
        return certificate, key

    @staticmethod
    def _new(key, out, name) -> list:
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        return [*kind, "-keyout", key, "-out", out, "-subj", f"/CN={name}"]
