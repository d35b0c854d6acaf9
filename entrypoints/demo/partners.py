"""The shop's partners: a service that quotes exchange rates, and suppliers that drop price lists into a folder.

Both are real: an HTTP server on loopback, and files. How they are captured is the pipeline file's affair.
"""

from __future__ import annotations

import csv
import json
import secrets
import threading
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

#: What one euro is worth at first.
QUOTES = {"CHF": 0.94, "GBP": 0.85, "USD": 1.08}
FIRST_DAY = date(2025, 1, 1)
PAGE_SIZE = 200

SUPPLIERS = ("acme", "initech", "umbrella")
PRODUCT_COUNT = 1000

#: How long partners rest between two changes, in seconds.
REST_S = 1.0


class RatesService:
    """Quotes a rate for each currency and day, ``/v1/rates``, newest change last, page by page; wants an API key."""

    def __init__(self) -> None:
        self.key = secrets.token_urlsafe(12)
        self._lock = threading.Lock()
        self._moves = 0
        self._rates: dict[tuple[str, str], dict[str, str]] = {}
        days = (datetime.now(UTC).date() - FIRST_DAY).days
        for number in range(days + 1):
            for quote in QUOTES:
                self._quote(quote, FIRST_DAY + timedelta(days=number), number)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, name="rates", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def move(self) -> None:
        """Let today's rates move."""
        with self._lock:
            self._moves += 1
            for quote in QUOTES:
                self._quote(quote, datetime.now(UTC).date(), self._moves)

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _quote(self, quote: str, day: date, number: int) -> None:
        rate = QUOTES[quote] * (1 + (number * 37 % 101 - 50) / 2000)
        self._rates[quote, day.isoformat()] = {
            "base": "EUR",
            "quote": quote,
            "day": day.isoformat(),
            "rate": f"{rate:.6f}",
            "updated_at": datetime.now(UTC).isoformat(timespec="microseconds"),
        }

    def page(self, since: str, after: str) -> dict[str, object]:
        """Rates that changed at or after ``since``, behind the one that the token ``after`` names: one that changes
        meanwhile comes once more, none is left out.
        """
        with self._lock:
            places = sorted((_place(rate), rate) for rate in self._rates.values() if rate["updated_at"] >= since)
        wanted = [(place, rate) for place, rate in places if place > after]
        page = wanted[:PAGE_SIZE]
        return {"data": [rate for _, rate in page], "next": page[-1][0] if len(wanted) > PAGE_SIZE else None}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                address = urlsplit(self.path)
                asked = {name: values[-1] for name, values in parse_qs(address.query).items()}
                if self.headers.get("X-Api-Key") != service.key:
                    self._answer(401, {"error": "no such key"})
                elif address.path != "/v1/rates":
                    self._answer(404, {"error": "no such place"})
                else:
                    since = asked.get("updated_since", "").replace("Z", "+00:00")
                    self._answer(200, service.page(since, asked.get("page", "")))

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class says so
                """Nobody reads it."""

            def _answer(self, status: int, content: object) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler


def _place(rate: dict[str, str]) -> str:
    return f"{rate['updated_at']}|{rate['quote']}|{rate['day']}"


class PriceFolder:
    """A folder for each supplier below ``root``, with a CSV file for each price list."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lists = 0
        for supplier in SUPPLIERS:
            folder = root / supplier
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob("*"):
                old.unlink()
            self._write(supplier, "2025-01", date(2025, 1, 1), range(1, PRODUCT_COUNT + 1), 0)

    def move(self) -> None:
        """Let one supplier drop a new list of a few prices."""
        self._lists += 1
        supplier = SUPPLIERS[self._lists % len(SUPPLIERS)]
        products = range(self._lists % 50 + 1, PRODUCT_COUNT + 1, 50)
        self._write(supplier, f"update-{self._lists:05}", datetime.now(UTC).date(), products, self._lists)

    def _write(self, supplier: str, name: str, since: date, products: range, number: int) -> None:
        folder = self.root / supplier
        unfinished = folder / f".{name}.part"
        with unfinished.open("w", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(["sku", "unit_cost", "currency", "valid_from"])
            for product in products:
                share = 60 + (product * 7 + SUPPLIERS.index(supplier) * 13 + number * 3) % 30
                cost = (product * 37 % 20000 + 199) * share // 100
                lines.writerow([f"SKU-{product:05}", f"{cost / 100:.2f}", "EUR", since.isoformat()])
        unfinished.replace(folder / f"{name}.csv")  # whoever reads the folder never sees half a list


class Partners:
    """Both, with what the pipeline file refers to in the environment; ``working`` lets them change now and then."""

    def __init__(self, folder: Path) -> None:
        self.rates = RatesService()
        self.prices = PriceFolder(folder)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the pipeline finds them."""
        return {
            "SHOP_RATES_URL": self.rates.url,
            "SHOP_RATES_KEY": self.rates.key,
            "SHOP_PRICES": str(self.prices.root),
        }

    def __enter__(self) -> Partners:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Begin to change things, until ``stop``."""
        self._thread = threading.Thread(target=self._work, name="partners", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Change nothing any more; safe to call twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """End both."""
        self.stop()
        self.rates.close()

    def _work(self) -> None:
        while not self._stop.wait(REST_S):
            self.rates.move()
            self.prices.move()
