"""The nginx recipe of the hosting guide, with a test certificate and other ports."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

GUIDE = Path(__file__).parents[2] / "assets" / "help" / "hosting.md"


def recipe() -> str:
    """Returns the nginx block of the guide."""
    found = re.search(r"^```nginx\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, "the hosting guide has no nginx recipe any more"
    return found[1]


def configuration(
    folder: Path, name: str, *, to_port: int, second_port: int, hop_port: int, careless_port: int
) -> Path:
    """Returns a configuration in which `name`:443 leads to `to_port`, and `name`:`second_port` through a second proxy.

    The second proxy listens on `hop_port`. The proxy on `careless_port` has no HTTPS and does not forward the host name
    by which it was called.
    """
    certificate = _certificate(folder, name)
    straight = (
        recipe()
        .replace("flows.example.com", name)
        .replace("/etc/ssl/flows.pem", str(certificate))
        .replace("/etc/ssl/flows.key", str(certificate))
        .replace("127.0.0.1:8080", f"127.0.0.1:{to_port}")
    )
    server = straight[straight.index("server {") :]
    first_hop = server.replace("listen 443 ssl", f"listen {second_port} ssl").replace(f":{to_port}", f":{hop_port}")
    second_hop = re.sub(r"    (http2|ssl_certificate\w*) .*\n", "", server)
    second_hop = second_hop.replace("listen 443 ssl", f"listen 127.0.0.1:{hop_port}").replace(
        "X-Forwarded-Proto $scheme", "X-Forwarded-Proto $http_x_forwarded_proto"
    )
    careless = re.sub(r"    (http2|ssl_certificate\w*|    proxy_set_header Host) .*\n", "", server)
    careless = careless.replace("listen 443 ssl", f"listen {careless_port}")
    return write_configuration(folder, f"{straight}\n{first_hop}\n{second_hop}\n{careless}")


def write_configuration(folder: Path, servers: str) -> Path:
    """Returns a configuration with these servers, whose process writes only into the folder."""
    path = folder / "nginx.conf"
    paths = "".join(
        f"    {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    path.write_text(
        f"daemon off;\nuser root;\npid {folder}/nginx.pid;\nerror_log {folder}/nginx.log;\nevents {{}}\n"
        f"http {{\n    access_log off;\n{paths}{servers}\n}}\n"
    )
    return path


def _certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "flows.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path
