"""Runs the Python code of docs/migrating.md, which makes `analytics`, then does the calls of argv[2] and tells each request that leaves."""

import json
import logging
import re
import sys
from datetime import datetime


def tell(**said):
    print(json.dumps(said), flush=True)


class Teller(logging.Handler):
    def emit(self, record):
        if record.msg == "making request: %s":
            tell(request=json.loads(record.args[0]))


def snake(name):
    return re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name)


def main(code, calls):
    for name in ("segment", "rudderstack"):
        logging.getLogger(name).addHandler(Teller())
        logging.getLogger(name).setLevel(logging.DEBUG)
    namespace = {}
    exec(compile(code, "docs/migrating.md", "exec"), namespace)
    analytics = namespace["analytics"]
    analytics.on_error = lambda error, items: tell(failed=f"{type(error).__name__}: {error}")
    for name, message in calls:
        given = {snake(field): value for field, value in message.items()}
        if "timestamp" in given:
            given["timestamp"] = datetime.fromisoformat(given["timestamp"])
        getattr(analytics, name)(**given)
    analytics.shutdown()


main(sys.argv[1], json.loads(sys.argv[2]))
