"""HTTP as it is on the wire: a request goes out as given, an answer comes back as it was."""

import dataclasses
import http.client
import json
import xml.etree.ElementTree as ElementTree

from . import signing

JSON = "application/json;charset=utf-8"
XML = "text/xml;charset=utf-8"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    @property
    def tree(self) -> dict:
        """The body as nested dicts, whichever of the two formats it has."""
        if self.content_type == XML:
            return element_tree(ElementTree.fromstring(self.body))
        return json.loads(self.body)

    @property
    def root(self) -> str:
        """The name of an XML body's outermost element."""
        return ElementTree.fromstring(self.body).tag


def element_tree(element):
    """An element as text, or as a dict of its children; a name that comes again makes a list."""
    if len(element) == 0:
        return element.text or ""
    tree = {}
    for child in element:
        value = element_tree(child)
        if child.tag in tree:
            earlier = tree[child.tag]
            tree[child.tag] = [*(earlier if isinstance(earlier, list) else [earlier]), value]
        else:
            tree[child.tag] = value
    return tree


def send(server, method, target="/", headers=None, body=b"", timeout=60) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=timeout)
    try:
        connection.request(method, target, body=body, headers=headers or {})
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    names = {name.lower(): value for name, value in answer.getheaders()}
    return Answer(answer.status, names, content)


def send_params(server, method, params, place="query", timeout=60) -> Answer:
    """Sends signed parameters in the query, in the form body, or half in each."""
    items = list(params.items())
    cut = {"query": len(items), "form": 0, "both": len(items) // 2}[place]
    query, body = signing.form(dict(items[:cut])), signing.form(dict(items[cut:]))
    target = f"/?{query}" if query else "/"
    return send(server, method, target, FORM if body else {}, body.encode(), timeout)


def ask_v1(
    server, action, params, fmt="JSON", method="POST", place="query", timeout=60, key=None, **common
):
    """A V1 request, with the root account's key unless another is given."""
    key = key or server.key
    everything = signing.v1_common(key, action, fmt, **common) | params
    signed = signing.v1_signed(key, method, everything)
    return send_params(server, method, signed, place, timeout)


def ask_v3(server, action, params, method="POST", timeout=60, **changes):
    """A V3 request with all parameters in the query, as the clients send them."""
    query = {name: str(value) for name, value in params.items()}
    headers = signing.v3_headers(server.key, method, server.endpoint, action, query, b"", **changes)
    target = f"/?{signing.form(query)}" if query else "/"
    return send(server, method, target, headers, timeout=timeout)
