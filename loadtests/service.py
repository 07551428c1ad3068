"""The service under load, as a locust run asks it: by its public pages, and with the secret key by `/api/stats`."""

import os
import time
from typing import Any, Final

import requests

from loadtests.ledger import Ledger

WRITE_KEY: Final = os.environ.get("ENGAGE_WRITE_KEY", "")
SECRET_KEY: Final = os.environ.get("ENGAGE_SECRET_KEY", "")  # with it, the matches are reconciled too
QUIET_SECONDS: Final = 120.0


class ServiceUnderLoad:
    def __init__(self, host: str) -> None:
        self.host = host
        self._events_before = self.events()
        self._matched_before = {name: found["matched"] for name, found in self.rules().items()}

    def metrics(self) -> dict[str, float]:
        reply = requests.get(f"{self.host}/metrics", timeout=30)
        reply.raise_for_status()
        lines = (line.rpartition(" ") for line in reply.text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    def events(self) -> float:
        """Decided so far, those that had been sent before among them."""
        found = self.metrics()
        return found["engage_events_total"] + found["engage_duplicates_total"]

    def rules(self) -> dict[str, Any]:
        """Of `/api/stats`; nothing without a secret key."""
        if not SECRET_KEY:
            return {}
        reply = requests.get(f"{self.host}/api/stats", auth=(SECRET_KEY, ""), timeout=30)
        reply.raise_for_status()
        found: dict[str, Any] = reply.json()["rules"]
        return found

    def inbox(self, **person: str) -> list[str]:
        """Delivery ids, oldest first."""
        reply = requests.get(f"{self.host}/v1/inbox", params={"writeKey": WRITE_KEY, **person}, timeout=30)
        reply.raise_for_status()
        return [found["delivery_id"] for found in reply.json()["deliveries"]]

    def wait_quiet(self) -> tuple[bool, str]:
        """Until all that is logged is decided and delivered; whether it came to that, and how long it took."""
        started = time.monotonic()
        while (passed := time.monotonic() - started) < QUIET_SECONDS:
            found = self.metrics()
            if not found["engage_log_lag_seconds"] and not found["engage_outbox_entries"]:
                return True, f"{passed:.1f} s after the last event"
            time.sleep(0.2)
        return False, f"after {QUIET_SECONDS:g} s a lag of {found['engage_log_lag_seconds']:.1f} s"

    def reconcile(self, ledger: Ledger) -> None:
        """Waits until all is done, and enters what was kept."""
        ledger.promise("the lag returns to zero", *self.wait_quiet())
        ledger.reconcile_events(self.events() - self._events_before)
        if SECRET_KEY:
            ledger.reconcile_matches(self.rules(), self._matched_before)
