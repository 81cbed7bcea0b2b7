"""A second reader of evidence, made of docs/evidence.md alone: `evidence.py TASKRUN BUNDLE TRUST_DOMAIN` rebuilds what each step
signed, checks the signature with openssl, and prints a line of JSON a step. What docs/verify.md demands beyond the signature is
not its business; of the task in the status it derives the program where no rule of the kubelet has anything to put in."""

import base64, hashlib, json, re, subprocess, sys, tempfile


def sha(data):
    return hashlib.sha256(data).hexdigest()


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


# --- section 2: the protobuf message ---

REPEATED, TEXTS = (13, 20), (1, 2, 17)
NUMBERS = (4, 5, 7, 8, 9, 10)


def varint(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
        if byte < 128:
            return value, at


def to_varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def message(data, numbers, optional=()):
    """The fields by number, each a list; refused unless it is the one encoding."""
    fields, at, again = {}, 0, b""
    while at < len(data):
        key, at = varint(data, at)
        number = key >> 3
        if number in numbers:
            value, at = varint(data, at)
            again += to_varint(number << 3) + to_varint(value)
            assert value, "a default value is written"
        else:
            length, at = varint(data, at)
            value, at = data[at : at + length], at + length
            again += to_varint(number << 3 | 2) + to_varint(length) + value
            assert value or number in optional, "a default value is written"
        assert number >= max(fields, default=0), "out of order"
        fields.setdefault(number, []).append(value)
    assert again == data, "not canonical"
    return fields


# --- section 6: the leaf ---

def der(tag, *parts):
    body = b"".join(parts)
    length = bytes([len(body)]) if len(body) < 128 else (lambda b: bytes([128 | len(b)]) + b)(
        len(body).to_bytes((len(body).bit_length() + 7) // 8, "big"))
    return bytes([tag]) + length + body


def integer(number):
    return der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def oid(text):
    first, second, *rest = map(int, text.split("."))
    def base128(n):
        return (bytes([n >> 14 | 128]) if n >> 14 else b"") + (bytes([n >> 7 & 127 | 128]) if n >> 7 else b"") + bytes([n & 127])
    return der(6, bytes([40 * first + second]), *map(base128, rest))


def elements(data):
    at = 0
    while at < len(data):
        start, tag, length, at = at, data[at], data[at + 1], at + 2
        if length > 127:
            count = length & 127
            length, at = int.from_bytes(data[at : at + count], "big"), at + count
        yield tag, data[at : at + length], data[start : at + length]
        at += length


def issuer_of(certificate):
    """Subject and subject key identifier of a certificate."""
    tbs = list(elements(next(elements(next(elements(certificate))[1]))[1]))
    tbs = tbs[1:] if tbs[0][0] == 0xA0 else tbs
    found = re.search(re.escape(oid("2.5.29.14")) + rb"\x04\x16\x04\x14(.{20})", certificate, re.S)
    return tbs[4][2], found and found.group(1)


ECDSA = [oid("1.2.840.10045.4.3.2"), oid("1.2.840.10045.4.3.3"), oid("1.2.840.113549.1.1.11") + b"\x05\x00"]
CURVES = [("1.2.840.10045.3.1.7", 32), ("1.3.132.0.34", 48)]
PRIMES = [
    (2**256 - 2**224 + 2**192 + 2**96 - 1, 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B),
    (2**384 - 2**128 - 2**96 + 2**32 - 1,
     0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF),
]


def point(compressed, curve):
    prime, b = PRIMES[curve]
    x = int.from_bytes(compressed[1:], "big")
    y = pow((x**3 - 3 * x + b) % prime, (prime + 1) // 4, prime)
    y = y if y % 2 == compressed[0] % 2 else prime - y
    return b"\x04" + compressed[1:] + y.to_bytes(CURVES[curve][1], "big")


def from_fixed(signature):
    half = len(signature) // 2
    return der(0x30, *(integer(int.from_bytes(part, "big")) for part in (signature[:half], signature[half:])))


def when(seconds):
    from datetime import datetime, timedelta
    time = datetime(1970, 1, 1) + timedelta(seconds=seconds)
    if time.year < 2050:
        return der(0x17, time.strftime("%y%m%d%H%M%SZ").encode())
    return der(0x18, time.strftime("%Y%m%d%H%M%SZ").encode())


def leaf(carried, issuers, uri, dns_of):
    """Every certificate that the leaf may be: a compact one has no issuer but by four bytes."""
    if carried[0] == 0x30:
        return [carried]
    key, by, dns = carried[0] & 3, carried[0] >> 2 & 3, carried[0] >> 4 & 3
    hint, serial, at = carried[1:5], carried[5:21], 25
    start = int.from_bytes(carried[21:25], "big")
    validity, at = varint(carried, at)
    pin, at = (carried[at : at + 8], at + 8) if dns == 3 else (None, at)
    image, at = (carried[at : at + 8], at + 8) if carried[0] & 0x80 else (None, at)
    if key < 2:
        size = CURVES[key][1] + 1
        bits = b"\x00" + point(carried[at : at + size], key)
        algorithm = der(0x30, oid("1.2.840.10045.2.1"), oid(CURVES[key][0]))
    else:
        size = 256
        bits = b"\x00" + der(0x30, integer(int.from_bytes(carried[at : at + 256], "big")), integer(65537))
        algorithm = der(0x30, oid("1.2.840.113549.1.1.1"), b"\x05\x00")
    signature = carried[at + size :]
    signature = from_fixed(signature) if by < 2 else signature
    signed_by, name = der(0x30, ECDSA[by]), dns_of(dns, pin, image)
    attribute = lambda number, text: der(0x31, der(0x30, oid(number), der(0x13, text.encode())))
    subject = [attribute("2.5.4.6", "US"), attribute("2.5.4.10", "SPIRE")] + ([attribute("2.5.4.3", name)] if name else [])
    extension = lambda number, value, critical=b"": der(0x30, oid(number), critical, der(4, value))
    critical, found = b"\x01\x01\xff", []
    for issuer_name, key_id in issuers:
        if not key_id or not key_id.startswith(hint):
            continue
        extensions = der(0x30,
            extension("2.5.29.15", bytes.fromhex("030203a8"), critical),
            extension("2.5.29.37", der(0x30, oid("1.3.6.1.5.5.7.3.1"), oid("1.3.6.1.5.5.7.3.2"))),
            extension("2.5.29.19", der(0x30), critical),
            extension("2.5.29.14", der(4, hashlib.sha1(bits[1:]).digest())),
            extension("2.5.29.35", der(0x30, der(0x80, key_id))),
            extension("2.5.29.17", der(0x30, *([der(0x82, name.encode())] if name else []), der(0x86, uri.encode()))))
        tbs = der(0x30, der(0xA0, integer(2)), integer(int.from_bytes(serial, "big")), signed_by, issuer_name,
                  der(0x30, when(start), when(start + validity)), der(0x30, *subject),
                  der(0x30, algorithm, der(3, bits)), der(0xA3, extensions))
        found.append(der(0x30, tbs, signed_by, der(3, b"\x00", signature)))
    return found


def verifies(certificate, signature, signed):
    with tempfile.TemporaryDirectory() as folder:
        def put(name, data):
            open(f"{folder}/{name}", "wb").write(data)
        put("leaf", certificate)
        key = subprocess.run(["openssl", "x509", "-inform", "DER", "-in", f"{folder}/leaf", "-noout", "-pubkey"], capture_output=True)
        put("key", key.stdout)
        put("signed", signed)
        put("signature", from_fixed(signature) if len(signature) < 128 else signature)
        hashed = "-sha384" if len(signature) == 96 else "-sha256"
        return subprocess.run(["openssl", "dgst", hashed, "-verify", f"{folder}/key", "-signature", f"{folder}/signature",
                               f"{folder}/signed"], capture_output=True).returncode == 0


# --- section 5: values ---

def decoded(raw):
    """Canonical JSON of what Tekton makes of a raw value, where it makes anything of it."""
    try:
        value = json.loads(raw)
    except ValueError:
        return None
    text = lambda one: "" if one is None else one
    plain = lambda one: one is None or isinstance(one, str)
    if isinstance(value, list) and raw[0] == "[" and all(map(plain, value)):
        return canonical([text(one) for one in value])
    if isinstance(value, dict) and raw[0] == "{" and all(map(plain, value.values())):
        return canonical({key: text(one) for key, one in value.items()})
    return canonical(text(value)) if plain(value) else None


def covered(fields, outcome, entries):
    found = []
    for carried in fields.get(13, []):
        result = message(carried, (4,))
        flags = result.get(4, [0])[0]
        found.append(("step" if flags & 1 else "task", result[1][0].decode(), not flags & 2, result[2][0].hex(),
                      result.get(3, [b""])[0].hex()))
    for field, is_set in ((11, True), (12, False)):
        hints = fields.get(field, [b""])[0]
        for hint in (hints[i : i + 3] for i in range(0, len(hints), 3)):
            names = [entry for entry in entries if entry.get("type") == 1
                     and hashlib.sha256(b"task/" + entry["key"].encode()).digest()[:3] == hint]
            assert len(names) == 1, "a hint fits no result, or several"
            found.append(("task", names[0]["key"], is_set, sha(names[0]["value"].encode()), ""))
    return sorted(found, key=lambda one: (one[0] == "step", one[1].encode()))


# --- section 3: the program ---

PREAMBLE = "#!/bin/sh\nset -e\n"
UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "µs": 10**3, "ns": 1}


def nanoseconds(text):
    from fractions import Fraction
    parts = re.findall(r"([0-9.]+)(h|ms|m|us|µs|ns|s)", text)
    return int(sum(Fraction(number) * UNITS[unit] for number, unit in parts))


def program_of(task, place):
    """The digest that the task in the status leads to; None where it does not say it, or the kubelet may put something in."""
    step, template = task["steps"][place], task.get("stepTemplate") or {}
    args = step.get("args") or template.get("args") or []
    program = {
        "onError": "continue" if step.get("onError") == "continue" else "stopAndFail",
        "timeout": str(nanoseconds(step.get("timeout", "0s"))),
        "when": [{"cel": one.get("cel", ""), "input": one.get("input", ""), "operator": one.get("operator", ""),
                  "values": one.get("values") or []} for one in step.get("when") or []],
    }
    script = step.get("script", "").replace("$(credentials.path)", "/tekton/creds")
    if script.strip().startswith("#!win"):
        return None
    if script:
        script = script if script.strip().startswith("#!") else PREAMBLE + script
        program["script"] = sha(script.encode())
    else:
        command = step.get("command") or template.get("command")
        if not command:
            return None
        program["command"], args = command[0], command[1:] + args
    program["arguments"] = args
    if re.search(r"\$[$(]", json.dumps([args, program.get("command"), program["when"]])):
        return None
    return sha(canonical(program))


def uuid(data):
    return re.sub(r"^(.{8})(.{4})(.{4})(.{4})", r"\1-\2-\3-\4-", data.hex())


def check(run, issuers, trust_domain, state):
    name, entries = state["name"], json.loads(state["terminated"]["message"])
    value = next(entry["value"] for entry in entries if entry["key"] == f"SVIDENCE.{name}.sig")
    assert value.startswith("sv1.")
    data = base64.urlsafe_b64decode(value[4:] + "=" * (-len(value[4:]) % 4))
    fields = message(data, NUMBERS, optional=(17,))
    one = lambda number, default=b"": fields.get(number, [default])[0]
    namespace, task_run, outcome, uid = one(1).decode(), one(2).decode(), one(10, 0), one(16)
    told = one(6)
    assert len(told) in (12, 44)
    declared, program = told[:12], told[12:]
    ended, code = outcome >> 3 & 7, (outcome & ~(1 << 14)) >> 6
    end = [{"exitCode": code}, {"ended": "timeout"}, {"ended": "cancelled"}, {"ended": "signal", "signal": code},
           {"ended": "skipped"}, {"ended": "not-started"}][ended]
    results = covered(fields, outcome, entries)
    digest = lambda hexadecimal: {"sha256": hexadecimal}
    artifacts = [{"digest": digest(one(number).hex()), "kind": kind} for number, kind in ((19, "task"), (18, "step")) if one(number)]
    pod_name = f"{task_run}-pod" if 17 not in fields else one(17).decode()
    pod = {key: text for key, text in (("name", pod_name), ("uid", one(3) and uuid(one(3)))) if text}
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "predicate": {
            **({"artifacts": artifacts} if artifacts else {}),
            "declared": declared.hex(),
            "form": "hints" if outcome & 4 else "digests",
            "outcome": {"continued": bool(outcome & 1), "tep0089": bool(outcome & 2), **end},
            **({"pod": pod} if pod else {}),
            **({"program": digest(program.hex())} if program else {}),
            "results": [{**({"decoded": digest(json_digest)} if json_digest else {}), "name": f"{kind}/{result}", "set": is_set}
                        for kind, result, is_set, _, json_digest in results],
            "resultsFrom": "sidecar-logs" if outcome >> 14 & 1 else "termination-message",
            "run": {"namespace": namespace, "taskRun": task_run, "trustDomain": trust_domain, **({"uid": uuid(uid)} if uid else {})},
            "step": {"count": one(5, 0), "index": one(4, 0), "name": name},
            "times": {"delayMs": one(9, 0), "durationMs": one(8, 0), "startedMs": one(7, 0)},
        },
        "predicateType": "urn:svidence:step:v1",
        "subject": [{"digest": digest(raw), "name": f"{kind}/{result}"} for kind, result, _, raw, _ in results],
    }
    of_image = lambda image: f"i{image.hex()}." if image else ""
    dns = lambda form, pin, image: [None, f"{uuid(uid)}.taskrun.internal", f"{name}.{uuid(uid)}.taskrun.internal",
                                    pin and f"x{pin.hex()}.{of_image(image)}{name}.{uuid(uid)}.taskrun.internal"][form]
    uri = f"spiffe://{trust_domain}/ns/{namespace}/taskrun/{task_run}"
    good = False
    for certificate in leaf(one(14), issuers + [issuer_of(carried) for carried in fields.get(20, [])], uri, dns):
        statement["predicate"]["leaf"] = digest(sha(certificate))
        text = canonical(statement)
        signed = b"DSSEv1 28 application/vnd.in-toto+json %d " % len(text) + text
        good = good or verifies(certificate, one(15), signed)
    if not outcome & 4:
        raw = {("step" if entry["type"] == 4 else "task", entry["key"]): entry["value"] for entry in entries}
        for kind, result, _, raw_digest, json_digest in results:
            found = raw.get((kind, result))
            if found is not None:
                assert sha(found.encode()) == raw_digest, f"{result} was changed"
                assert (decoded(found) and sha(decoded(found)) or "") == json_digest, f"{result} is decoded otherwise"
    said = None if not run["status"].get("taskSpec") else program_of(run["status"]["taskSpec"], one(4, 0))
    state = "not attested" if not program else "not stated" if said is None else \
        "attested" if said == program.hex() else "contradicted"
    print(json.dumps({"step": name, "signature": good, "program": state}))


def main(task_run, bundle, trust_domain):
    pems = re.findall("-----BEGIN CERTIFICATE-----(.*?)-----END", open(bundle).read(), re.S)
    issuers = [issuer_of(base64.b64decode(pem)) for pem in pems]
    with open(task_run) as file:
        run = json.load(file)
    for state in run["status"]["steps"]:
        check(run, issuers, trust_domain, state)


main(*sys.argv[1:])
