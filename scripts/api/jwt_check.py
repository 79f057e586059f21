"""Signed tokens of Pronto against PyJWT, in both directions, and the attacks that RFC 8725 lists."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request

import jwt

address, keys_file, pronto, one, two = sys.argv[1:]
keys = {key["kid"]: key for key in json.load(open(keys_file))["keys"]}
failures = []


def ask(token, path="/api/me"):
    request = urllib.request.Request(f"http://{address}{path}", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        assert error.headers["Content-Type"] == "application/problem+json", error.headers["Content-Type"]
        return error.code, json.load(error)


def expect(name, token, status, path="/api/me"):
    got, body = ask(token, path)
    print(f"  {name}: {got}")
    if got != status:
        failures.append(f"{name}: {got}, not {status}: {body}")
    return body


def claims(**changes):
    now = int(time.time())
    body = {"aud": "pronto", "iat": now, "exp": now + 300, "sip_domain": "one.example"} | changes
    return {name: value for name, value in body.items() if value is not None}


def sign(kid, headers=None, **changes):
    key = jwt.PyJWK(keys[kid])
    return jwt.encode(claims(**changes), key.key, algorithm=keys[kid]["alg"], headers={"kid": kid} | (headers or {}))


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


# What PyJWT signs, we take.
for kid in keys:
    body = expect(f"PyJWT signs {keys[kid]['alg']}", sign(kid, iss="edgvoip"), 200)
    if body.get("tenant") != one:
        failures.append(f"{kid}: the token was another tenant's: {body}")
expect("tenant by its id", sign("es", sip_domain=None, tenant_id=two), 200)
expect("a role within the key's", sign("es", role="admin"), 200, "/api/tokens")
expect("a viewer's role", sign("es", role="viewer"), 403, "/api/tokens")
expect("a viewer's role reads records", sign("es", role="viewer"), 200, "/api/cdr")
expect("no role reads none", sign("es"), 403, "/api/cdr")
expect("no role asks the routing question", sign("es"), 200, "/api/voip/ai-routing?sip_domain=one.example")
expect("one trunk's reads none, whatever its role", sign("es", role="admin", trunk_id="t1"), 403, "/api/cdr")
expect("one trunk's asks about it", sign("es", trunk_id="t1"), 200, "/api/voip/ai-routing?trunk_id=t1")
expect("one trunk's asks about no other", sign("es", trunk_id="t1"), 403, "/api/voip/ai-routing?trunk_id=t2")

# What we sign, PyJWT takes.
for kid in keys:
    token = subprocess.run(
        [pronto, "token", "jwt", "--tenant", "one.example", "--key", kid, "--trunk", "t1"], check=True,
        capture_output=True, text=True).stdout.strip()
    key = jwt.PyJWK(keys[kid]).key
    said = jwt.decode(token, key if isinstance(key, bytes) else key.public_key(), algorithms=[keys[kid]["alg"]], audience="pronto")
    print(f"  PyJWT takes our {keys[kid]['alg']}")
    if (said["tenant_id"], said["sip_domain"], said["trunk_id"]) != (one, "one.example", "t1"):
        failures.append(f"{kid}: our token says {said}")
# The published halves verify too.
published = {key["kid"]: key for key in ask("x", "/api/jwks.json")[1]["keys"]}
if set(published) != {"es", "rs"} or any("d" in key or "k" in key for key in published.values()):
    failures.append(f"the published keys are {published}")
jwt.decode(sign("es"), jwt.PyJWK(published["es"]).key, algorithms=["ES256"], audience="pronto")

# What nobody may be taken in by.
header = {"alg": "none", "kid": "es", "typ": "JWT"}
expect("unsigned", f"{part(header)}.{part(claims())}.", 401)
expect("unsigned, with a signature", f"{part(header)}.{part(claims())}.AAAA", 401)
body = f"{part({'alg': 'HS256', 'kid': 'rs', 'typ': 'JWT'})}.{part(claims())}"
public = json.dumps(published["rs"]).encode()
mac = base64.urlsafe_b64encode(hmac.new(public, body.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
expect("HS256 with the public key", f"{body}.{mac}", 401)
expect("expired", sign("es", exp=int(time.time()) - 60), 401)
expect("not yet", sign("es", nbf=int(time.time()) + 300), 401)
expect("from the future", sign("es", iat=int(time.time()) + 300, exp=int(time.time()) + 600), 401)
expect("for ever", sign("es", exp=int(time.time()) + 10**9), 401)
expect("without an end", sign("es", exp=None), 401)
expect("another audience", sign("es", aud="other"), 401)
expect("no audience", sign("es", aud=None), 401)
expect("another issuer than the key's", sign("hs", iss="mallory"), 401)
expect("an unknown tenant", sign("es", sip_domain="three.example"), 401)
expect("two tenants at once", sign("es", tenant_id=two), 401)
expect("no tenant", sign("es", sip_domain=None), 401)
expect("more than the key may", sign("rs", role="admin"), 401)
expect("an unknown key", sign("es", headers={"kid": "nobody"}), 401)
expect("a critical header", sign("es", headers={"crit": ["exp"]}), 401)
expect("oversized", sign("es", note="x" * 9000), 401)
good = sign("es")
expect("a changed claim", ".".join([good.split(".")[0], part(claims(role="admin")), good.split(".")[2]]), 401)
expect("a changed signature", good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB"), 401)
expect("another tenant's data", sign("es", role="viewer"), 403, f"/api/cdr?tenant={two}")

if failures:
    sys.exit("jwt_check: " + "\n".join(failures))
