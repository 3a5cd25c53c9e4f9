"""Many incidents put into the feed at once, for figures of services that follow it."""
import uuid

import feed_events as feed


def fill_cases(stack, count):
    """`count` incidents of KPS, each in one of 47 counties; their ids as bytes."""
    template, ids = feed.Event(), []
    for start in range(0, count, 500):
        copies = []
        for number in range(start, min(count, start + 500)):
            event = feed.Event.__new__(feed.Event)
            event.__dict__.update(template.__dict__, incident=feed.new_id(), event_id=feed.new_id())
            copies.append((f"{1 + number % 47:03d}", feed.INCIDENT, event))
            ids.append(uuid.UUID(str(event.incident)).bytes)
        feed.append(stack, copies=copies)
    return ids
