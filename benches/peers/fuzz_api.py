"""Lets schemathesis ask `sitewarden serve` what its own OpenAPI document allows, and what it does not.

Fails on any 5xx, on an answer that the document does not describe, and on a request that goes
through although the document forbids it.

    python fuzz_api.py --program target/release/sitewarden
"""

import argparse
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request

# limits that a fuzzer must not run into: they are tested elsewhere
CONFIG = """
[serve]
requests_per_second = 100000
request_burst = 100000
max_queue = 1000000
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--examples", default="100")
    parser.add_argument("--seed")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "sitewarden.toml").write_text(CONFIG)
        service = subprocess.Popen(
            [args.program, "serve", "--listen", "127.0.0.1:0", "--data", folder / "data",
             "--config", folder / "sitewarden.toml"],
            stdout=subprocess.PIPE, text=True)
        try:
            key = url = None
            for line in service.stdout:
                if found := re.search(r"\bsw_[\w-]{40,}", line):
                    key = found[0]
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    url = found[0]
                    break
            if not key or not url:
                sys.exit("the service did not start")
            threading.Thread(target=lambda: [None for _ in service.stdout], daemon=True).start()
            sys.exit(fuzz(args, folder, url, key))
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(60)


def ask(url, key, path, body=None):
    request = urllib.request.Request(url + path, headers={"Authorization": f"Bearer {key}"})
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def fuzz(args, folder, url, key):
    # an account that may do everything, so that little ends at 403
    account = ask(url, key, "/api/v1/accounts", {
        "login": "fuzz", "roles": ["admin", "inspector", "reviewer"]})
    key = ask(url, key, f"/api/v1/accounts/{account['id']}/keys", {"label": "fuzz"})["key"]
    document = folder / "openapi.json"
    document.write_text(json.dumps(ask(url, key, "/api/v1/openapi.json")))
    command = [
        pathlib.Path(sys.executable).parent / "schemathesis", "run", document, "--url", url,
        "--header", f"Authorization: Bearer {key}", "--max-examples", args.examples,
        "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,"
                    "response_schema_conformance,negative_data_rejection",
        # a fuzzer that disables its own account, or follows a stream, learns nothing
        "--exclude-path-regex", "(disable|events|/session)$", "--continue-on-failure", "--no-color",
    ]
    if args.seed:
        command += ["--seed", args.seed]
    return subprocess.run(command).returncode


if __name__ == "__main__":
    main()
