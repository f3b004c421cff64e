"""The two request signatures of the ECS API, written from their descriptions, not from a client.

V1 signs the parameters and travels among them; V3 (ACS3-HMAC-SHA256) signs the request and travels
in its headers.
"""

import base64
import datetime
import hashlib
import hmac
import urllib.parse
import uuid

VERSION = "2014-05-26"


def percent(text) -> str:
    """RFC 3986: only letters, digits and -_.~ stay as they are."""
    return urllib.parse.quote(str(text), safe="-_.~")


def form(params: dict) -> str:
    """Parameters as they travel in a query or a form body."""
    return "&".join(f"{percent(name)}={percent(value)}" for name, value in params.items())


def utc_now(shift_seconds: float = 0) -> str:
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=shift_seconds)
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def v1_common(key, action: str, fmt: str | None = "JSON", **changes) -> dict:
    """The parameters that every V1 request has, before its signature. `None` leaves one out."""
    params = {
        "Action": action,
        "Version": VERSION,
        "Format": fmt,
        "AccessKeyId": key.id,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureType": "",
        "SignatureNonce": str(uuid.uuid4()),
        "Timestamp": utc_now(),
    } | changes
    return {name: value for name, value in params.items() if value is not None}


def v1_signature(secret: str, method: str, params: dict) -> str:
    canonical = "&".join(f"{percent(name)}={percent(params[name])}" for name in sorted(params))
    to_sign = f"{method}&{percent('/')}&{percent(canonical)}"
    digest = hmac.new(f"{secret}&".encode(), to_sign.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def v1_signed(key, method: str, params: dict) -> dict:
    """`params` and their signature."""
    return params | {"Signature": v1_signature(key.secret, method, params)}


def v3_headers(key, method: str, host: str, action: str, query: dict, body: bytes, **changes):
    """The headers of a V3 request, signature included. `None` leaves one out before signing."""
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-version": VERSION,
        "x-acs-date": utc_now(),
        "x-acs-signature-nonce": str(uuid.uuid4()),
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    if body:
        headers["content-type"] = "application/x-www-form-urlencoded"
    headers = {name: value for name, value in headers.items() if value is not None}
    names = sorted(headers)
    request = "\n".join(
        [
            method,
            "/",
            "&".join(f"{name}={percent(query[name])}" for name in sorted(query)),
            "".join(f"{name}:{headers[name].strip()}\n" for name in names),
            ";".join(names),
            hashlib.sha256(body).hexdigest(),
        ]
    )
    to_sign = f"ACS3-HMAC-SHA256\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.new(key.secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    signed = ";".join(names)
    headers["authorization"] = (
        f"ACS3-HMAC-SHA256 Credential={key.id},SignedHeaders={signed},Signature={signature}"
    )
    return headers
