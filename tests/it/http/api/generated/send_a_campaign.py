"""Imports contacts, sends them a campaign and reads its counts: by a client that is generated from the description alone.

Arguments: the origin of an instance, and an API key.
"""

import io
import sys
import time

from volley_client import AuthenticatedClient
from volley_client.api.campaigns import get_campaigns_by_id, post_campaigns, post_campaigns_by_id_send
from volley_client.api.contacts import get_imports_by_id, post_contacts_import
from volley_client.api.lists import post_lists
from volley_client.models import AudienceInput, CampaignInput, ChannelKind, ListInput, SendInput
from volley_client.types import File

ENOUGH_SECONDS = 60


def wait_until(look, is_done):
    """What `look` gives as soon as `is_done` says so."""
    end = time.monotonic() + ENOUGH_SECONDS
    while True:
        seen = look()
        if is_done(seen):
            return seen
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain: {seen}")
        time.sleep(0.05)


origin, key = sys.argv[1:]
client = AuthenticatedClient(base_url=origin, token=key, raise_on_unexpected_status=True)

subscribers = post_lists.sync(client=client, body=ListInput(name="Newsletter"))
people = b"email,first_name\nann@example.com,Ann\nbob@example.com,Bob\ncem@example.com,Cem\n"
begun = post_contacts_import.sync(client=client, list_=str(subscribers.id), body=File(payload=io.BytesIO(people)))
imported = wait_until(
    lambda: get_imports_by_id.sync(begun.id, client=client), lambda it: it.status not in ("pending", "running")
)
assert imported.status == "completed", imported

draft = CampaignInput(
    name="News",
    channel=ChannelKind.HTTP,
    body_text="Hello {first_name|friend}",
    audience=AudienceInput(lists=[subscribers.id]),
)
campaign = post_campaigns.sync(client=client, body=draft)
assert campaign.body_text == draft.body_text, campaign
post_campaigns_by_id_send.sync(campaign.id, client=client, body=SendInput())
ended = wait_until(
    lambda: get_campaigns_by_id.sync(campaign.id, client=client),
    lambda it: it.status in ("sent", "failed", "stopped"),
)
print(f"{ended.status}: {ended.stats.sent} of {ended.stats.total}")
