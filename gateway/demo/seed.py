"""Three hundred leads, the same ones every time, made by combining names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

FIRST = (
    "Ada", "Bela", "Chidi", "Dana", "Emil", "Farah", "Goro", "Hana", "Ines", "Joao",
    "Kofi", "Lena", "Mira", "Nils", "Oona", "Pavel", "Quentin", "Rosa", "Sven", "Tala",
)  # fmt: skip
LAST = (
    "Adler", "Brandt", "Castro", "Dubois", "Eriksen", "Ferrari", "Garcia", "Haddad",
    "Ivanova", "Jansen", "Kimura", "Lopez", "Mensah", "Novak", "Okafor",
)  # fmt: skip
COMPANIES = ("Northwind", "Acme", "Globex", "Initech", "Umbrella", "Hooli", "Stark")
SOURCES = ("web", "referral", "fair", "campaign")
STATUSES = ("new", "contacted", "qualified", "lost")
EPOCH = datetime(2025, 1, 1, 8, tzinfo=UTC)


def leads() -> Iterator[dict[str, str]]:
    """All leads, oldest first; each pair of names once."""
    for n in range(len(FIRST) * len(LAST)):
        first, last = FIRST[n % len(FIRST)], LAST[n // len(FIRST)]
        created = (EPOCH + timedelta(hours=7 * n)).isoformat()
        yield {
            "name": f"{first} {last}",
            "email": f"{first}.{last}@example.com".lower(),
            "phone": f"+1 555 01{n % 100:02d}",
            "company": COMPANIES[n % len(COMPANIES)],
            "source": SOURCES[n * 3 // 5 % len(SOURCES)],
            "status": STATUSES[n * 7 // 3 % len(STATUSES)],
            "notes_html": "",
            "created_at": created,
            "updated_at": created,
        }
